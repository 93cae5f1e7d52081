"""What `scontrol update` asks for, applied to a job. Pure; who may ask is the service's business."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from bridge.core.errors import Conflict, NotPermitted, Refused
from bridge.core.job import WAITING, Job
from bridge.core.request import UNLIMITED_SECONDS, JobRequest

_NOTHING: Mapping[str, object] = MappingProxyType({})

FREE_WHILE_RUNNING = frozenset({"name", "comment", "requeue", "nice", "mail_user", "mail_types"})
"""Fields of a request that may be changed once the job has started: nothing that runs depends on them."""

RECORDED_WHILE_RUNNING = frozenset({"admin-comment", "delay-boot", "extra", "site-factor", "switches"})
"""Of what is only kept on record."""


@dataclass(frozen=True, slots=True)
class Change:
    """Fields to replace; the names are those of JobRequest and Component."""

    request: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    component: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    time_limit_seconds: int | None = None
    time_limit_delta_seconds: int | None = None
    """`TimeLimit=+5`: added to the limit in force."""
    priority: int | None = None
    """0 holds; others are for operators, and of jobs that are not held."""
    array_throttle: int | None = None
    """0: no limit."""

    def is_empty(self) -> bool:
        return self == Change()


def changed_request(job: Job, change: Change) -> JobRequest:
    request = replace(job.request, **dict(change.request))  # type: ignore[arg-type]  # names are checked by replace
    if request.left_open and change.request:
        request = replace(request, left_open=tuple(name for name in request.left_open if name not in change.request))
    if change.component:
        first = replace(request.component, **dict(change.component))  # type: ignore[arg-type]
        request = replace(request, components=(first, *request.components[1:]))
    limit = changed_time_limit(job, change)
    if limit != job.time_limit_seconds:
        request = replace(request, time_limit_seconds=limit)
    return request


def changed_time_limit(job: Job, change: Change) -> int:
    """Seconds. Refused when a lowered limit would not be positive."""
    if change.time_limit_seconds is not None:
        return change.time_limit_seconds
    if change.time_limit_delta_seconds is None or job.time_limit_seconds >= UNLIMITED_SECONDS:
        return job.time_limit_seconds
    limit = job.time_limit_seconds + change.time_limit_delta_seconds
    if limit <= 0:
        raise Refused("the time limit would not be positive", code="invalid_time_limit", field="time_limit")
    return min(limit, UNLIMITED_SECONDS)


def check(job: Job, change: Change, *, is_operator: bool) -> None:
    """Raise where the job's state or the caller's rights do not allow the change."""
    if job.is_final:
        raise Conflict("the job has ended", code="already_finished")
    if change.priority and job.priority == 0:
        raise Conflict("the job is held", code="job_held", field="priority")
    if change.priority is not None and not is_operator and change.priority > job.priority:
        raise NotPermitted("only an operator may raise a priority", code="access_denied", field="priority")
    nice = change.request.get("nice")
    if isinstance(nice, int) and nice < 0 and not is_operator:
        raise NotPermitted("only an operator may give a negative nice value", code="access_denied", field="nice")
    if job.state in WAITING:
        return
    late = (set(change.request) - FREE_WHILE_RUNNING) | (set(change.component) - {"licenses"})
    if "licenses" in change.component and not is_operator:
        raise NotPermitted("only an operator may change what is held", code="access_denied", field="licenses")
    recorded = change.request.get("recorded")
    if isinstance(recorded, tuple):
        changed = set(recorded) ^ set(job.request.recorded)
        if {name for name, _ in changed} <= RECORDED_WHILE_RUNNING:
            late.discard("recorded")
    if late:
        raise Conflict(f"the job has started; {', '.join(sorted(late))} can no longer be changed", code="not_pending")
    if changed_time_limit(job, change) > job.time_limit_seconds and not is_operator:
        raise NotPermitted(
            "only an operator may raise the limit of a running job", code="access_denied", field="time_limit"
        )
