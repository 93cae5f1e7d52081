"""What a backend would be asked to run for a request, if all of the site's nodes were free: for `bridge translate`.

Nothing is submitted, so that there is no id, no secret and no token; an array is shown by its first task.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.slurm import batch_group
from bridge.core import admission, group, placement, queue
from bridge.core.errors import Refused
from bridge.core.nodes import Node, NodeState, Site
from bridge.core.request import JobRequest
from bridge.core.users import User

JOB_ID = 1
"""Stands in names of files and in variables where the job's id would be."""

_SECRET = ("key", "job_token", "instance")


@dataclass(frozen=True, slots=True)
class Foreseen:
    group: dict[str, Any] | None
    """The partition, and the launch file that the agents would read, without secrets; of the environment what is
    added or changed."""
    why_not: str = ""


def of(
    request: JobRequest, script: bytes, submitted: bytes, user: User, site: Site, nodes: Sequence[Node], now: float
) -> Foreseen:
    """`submitted`: the environment as for `batch_group.make_group`."""
    free = [replace(node, state=NodeState.UP) for node in nodes]
    free_request = replace(request, hold=False, dependency=None, begin_at=None)
    try:
        admitted = admission.admit(free_request, site, free, user, now, is_operator=user.uid == 0)
    except Refused as refused:
        return Foreseen(None, f"it would be refused: {refused.sentence}")
    request = replace(request, account=admitted.account, qos=admitted.qos)
    free_request = replace(free_request, account=admitted.account, qos=admitted.qos)
    waiting = queue.unsaved_job(free_request, admitted.partition, admitted.time_limit_seconds, now)
    seen = queue.view([waiting], site, now)
    plan = placement.plan(seen.candidates, (), free, site.partitions, seen.licenses_free, now)
    if not plan.placements:
        reason, detail = next(iter({**seen.reasons, **plan.reasons}.values()), (admitted.reason, ""))
        return Foreseen(None, f"it would wait: {reason.value}{f', {detail}' if detail else ''}")
    place = plan.placements[0]
    array = request.array
    job = replace(
        waiting,
        id=JOB_ID,
        request=request,
        partition=place.partition,
        nodes=place.shares,
        attempt=1,
        started_at=now,
        array_id=JOB_ID if array else None,
        task_index=array.indices.minimum if array else None,
        waiting=None,
    )
    made = batch_group.make_group(
        job, instance="", user=user, site=site, script=script, submitted=submitted, key="", job_token=""
    )
    told = group.launch_file(made, [("", 0)] * len(made.nodes))
    brought = batch_group.parse_environment(submitted)
    environment = told["batch"]["environment"]
    told["batch"]["environment"] = {name: text for name, text in environment.items() if brought.get(name) != text}
    for node in told["nodes"]:
        del node["address"], node["port"]
    public = {name: value for name, value in told.items() if name not in _SECRET}
    return Foreseen({"partition": made.partition, **public})
