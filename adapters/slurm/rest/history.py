"""Jobs as slurmdbd keeps them: `slurmdb/…/jobs` and `job/{id}`, with their steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.slurm import filenames, hostlist, jobfacts, sacct_fields, sizes
from adapters.slurm.rest import accounts, job_words, jobs
from adapters.slurm.rest.accounts import ASSOCIATION_SHORT, TRES, Resources
from adapters.slurm.rest.envelope import answer
from adapters.slurm.rest.job_record import EXIT_CODE
from adapters.slurm.rest.jobs import exit_code, minutes
from adapters.slurm.rest.shapes import (
    BOOLEAN,
    INFINITE,
    INT32,
    INT64,
    STRINGS,
    TEXT,
    U32,
    U64,
    Flags,
    List,
    Record,
    flags,
    since,
)
from adapters.slurm.sacct_fields import Row
from adapters.slurm.squeue_columns import View
from adapters.slurm.steprows import Step
from bridge.core.job import WAITING, Job
from bridge.core.request import UNLIMITED_SECONDS

_STATE = Flags(job_words.STATE)
_TIME_OF_JOB = Record("", {"seconds": INT64, "microseconds": INT64})
_TIME_OF_STEP = Record("", {"seconds": INT64, "microseconds": INT32})
_TRES = List(TRES)
_USED = List(
    Record(
        "tres_usage",
        {"type": TEXT, "name": TEXT, "id": INT32, "count": INT64, "task": INT64, "node": TEXT},
        optional=frozenset({"task", "node"}),
    )
)
_USAGE = Record("", dict.fromkeys(("max", "min", "average", "total"), _USED))

STEP = Record(
    "step",
    {
        "time": Record(
            "",
            {
                "elapsed": INT32,
                "end": U64,
                "start": U64,
                "suspended": INT32,
                "system": _TIME_OF_STEP,
                "limit": since(43, U32),
                "total": _TIME_OF_STEP,
                "user": _TIME_OF_STEP,
            },
        ),
        "exit_code": EXIT_CODE,
        "nodes": Record("", {"count": INT32, "range": TEXT, "list": STRINGS}),
        "tasks": Record("", {"count": INT32}),
        "pid": TEXT,
        "CPU": Record("", {"requested_frequency": Record("", {"min": U32, "max": U32}), "governor": TEXT}),
        "kill_request_user": TEXT,
        "state": _STATE,
        "statistics": Record(
            "", {"CPU": Record("", {"actual_frequency": INT64}), "energy": Record("", {"consumed": U64})}
        ),
        "step": Record(
            "",
            {
                "id": TEXT,
                "name": TEXT,
                **dict.fromkeys(
                    ("stderr", "stdin", "stdout", "stderr_expanded", "stdin_expanded", "stdout_expanded"),
                    since(43, TEXT),
                ),
            },
        ),
        "task": Record("", {"distribution": TEXT}),
        "tres": Record("", {"requested": _USAGE, "consumed": _USAGE, "allocated": _TRES}),
    },
)
JOB = Record(
    "job",
    {
        "account": TEXT,
        "comment": Record("", {"administrator": TEXT, "job": TEXT, "system": TEXT}),
        "allocation_nodes": INT32,
        "array": Record(
            "",
            {
                "job_id": INT32,
                "limits": Record("", {"max": Record("", {"running": Record("", {"tasks": INT32})})}),
                "task_id": U32,
                "task": TEXT,
            },
        ),
        "association": ASSOCIATION_SHORT,
        "block": TEXT,
        "cluster": TEXT,
        "constraints": TEXT,
        "container": TEXT,
        "derived_exit_code": EXIT_CODE,
        "time": Record(
            "",
            {
                "elapsed": INT32,
                "eligible": INT64,
                "end": INT64,
                "planned": U64,
                "start": INT64,
                "submission": INT64,
                "suspended": INT32,
                "system": _TIME_OF_JOB,
                "limit": U32,
                "total": _TIME_OF_JOB,
                "user": _TIME_OF_JOB,
            },
        ),
        "exit_code": EXIT_CODE,
        "extra": TEXT,
        "failed_node": TEXT,
        "flags": flags(
            "NONE CLEAR_SCHEDULING NOT_SET STARTED_ON_SUBMIT STARTED_ON_SCHEDULE STARTED_ON_BACKFILL START_RECEIVED",
            v44="JOB_ALTERED",
        ),
        "group": TEXT,
        "het": Record("", {"job_id": INT32, "job_offset": U32}),
        "job_id": INT32,
        "name": TEXT,
        "licenses": TEXT,
        "mcs": Record("", {"label": TEXT}),
        "nodes": TEXT,
        "partition": TEXT,
        "hold": BOOLEAN,
        "priority": U32,
        "qos": TEXT,
        "qosreq": since(42, TEXT),
        "required": Record("", {"CPUs": INT32, "memory_per_cpu": U64, "memory_per_node": U64}),
        "kill_request_user": TEXT,
        "restart_cnt": since(42, INT32),
        "reservation": Record("", {"id": INT32, "name": TEXT, "requested": since(43, TEXT)}),
        "script": TEXT,
        "segment_size": since(43, INT32),
        "stdin_expanded": TEXT,
        "stdout_expanded": TEXT,
        "stderr_expanded": TEXT,
        "stdout": TEXT,
        "stderr": TEXT,
        "stdin": TEXT,
        "state": Record("", {"current": _STATE, "reason": TEXT}),
        "steps": List(STEP),
        "submit_line": TEXT,
        "tres": Record("", {"allocated": _TRES, "requested": _TRES}),
        "used_gres": TEXT,
        "user": TEXT,
        "wckey": Record("", {"wckey": TEXT, "flags": flags("ASSIGNED_DEFAULT")}),
        "working_directory": TEXT,
    },
)
ANSWER = answer("openapi_slurmdbd_jobs_resp", {"jobs": List(JOB)})


# ── values ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Look:
    """What jobs are shown with."""

    view: View
    resources: Resources
    user_name: Callable[[int], str]


NOT_KNOWN = -2
"""An amount of energy that nobody measured."""


NUMBER_ONLY = 43
"""From this version on an association is told by its number alone."""


def job(one: Job, steps: Sequence[Step], script: str, look: Look, version: int) -> dict[str, Any]:
    """`steps`: those of the job, whatever attempt; without any none are shown, not even the batch script."""
    facts = jobs.facts_of(one, look.view)
    request, view = one.request, look.view
    row = Row(one)
    end = one.end
    user_seconds, system_seconds = (end.user_seconds, end.system_seconds) if end is not None else (0.0, 0.0)
    eligible = jobfacts.eligible_at(one)
    began = None if one.state in WAITING else one.started_at
    # Neither the job nor its partition says how long, and the scheduler has not looked at it yet.
    is_open = (
        one.state in WAITING and request.time_limit_seconds is None and one.time_limit_seconds >= UNLIMITED_SECONDS
    )
    return {
        "account": request.account,
        "comment": {"administrator": facts.recorded.get("admin-comment", ""), "job": request.comment, "system": ""},
        "allocation_nodes": len(one.nodes),
        "array": _array(one),
        "association": _association(one, view, version),
        "block": "",
        "cluster": view.site.cluster_name,
        "constraints": request.component.constraint,
        "container": facts.recorded.get("container", ""),
        "derived_exit_code": exit_code(one.derived_exit_status, 0),
        "time": {
            "elapsed": int(jobfacts.run_seconds(one, view.now)),
            "eligible": _moment(eligible),
            "end": _moment(one.ended_at),
            "planned": 0 if eligible is None or began is None else max(0, int(began) - int(eligible)),
            "start": _moment(began),
            "submission": int(one.submitted_at),
            "suspended": int(one.suspended_seconds),
            "system": _seconds(system_seconds),
            "limit": None if is_open else minutes(one.time_limit_seconds),
            "total": _seconds(user_seconds + system_seconds),
            "user": _seconds(user_seconds),
        },
        "exit_code": _code(sacct_fields.exit_code(row)),
        "extra": facts.recorded.get("extra", ""),
        "failed_node": jobfacts.failed_node(one),
        "flags": ("STARTED_ON_SCHEDULE", "START_RECEIVED") if one.nodes else ("START_RECEIVED",),
        "group": view.group_of(request.gid),
        "het": {"job_id": 0, "job_offset": None},
        "job_id": jobfacts.raw_id(one),
        "name": request.name,
        "licenses": request.component.licenses,
        "mcs": {"label": facts.recorded.get("mcs-label", "")},
        "nodes": hostlist.compress([share.node for share in one.nodes]) or "None assigned",
        "partition": jobs.partition(facts),
        "hold": one.priority == 0,
        "priority": one.priority,
        "qos": request.qos or "normal",
        "qosreq": "",
        "required": {
            "CPUs": facts.asked.cpus,
            "memory_per_cpu": facts.asked.memory_mib if facts.asked.memory_kind == "CPU" else None,
            "memory_per_node": None if facts.asked.memory_kind == "CPU" else facts.asked.memory_mib,
        },
        "kill_request_user": "" if one.cancelled_by_uid is None else look.user_name(one.cancelled_by_uid),
        "restart_cnt": one.restarts,
        "reservation": {"id": 0, "name": request.reservation, "requested": request.reservation},
        "script": script,
        "segment_size": 0,
        "stdin_expanded": jobs.stdin_expanded(facts),
        "stdout_expanded": filenames.stdout_path(one),
        "stderr_expanded": filenames.stderr_path(one),
        "stdout": request.files.stdout or filenames.default_output(one),
        "stderr": request.files.stderr,
        "stdin": jobs.standard_input(request),
        "state": {
            "current": _state(sacct_fields.state(row)),
            "reason": jobfacts.reason_waited_for(one).value,
        },
        "steps": _steps(one, steps, look) if one.nodes else [],
        "submit_line": request.submit_line,
        "tres": {
            "allocated": look.resources.listed((*sizes.allocated(one), ("energy", NOT_KNOWN))) if one.nodes else [],
            "requested": look.resources.listed(facts.asked.tres),
        },
        "used_gres": "",
        "user": request.user,
        "wckey": {"wckey": request.wckey, "flags": ()},
        "working_directory": request.working_directory,
    }


def _association(one: Job, view: View, version: int) -> dict[str, Any]:
    found, cluster = view.association(one), view.site.cluster_name
    if found is not None and version < NUMBER_ONLY:
        return accounts.short(found, cluster)
    number = 0 if found is None else found.id
    return {"account": "", "cluster": cluster, "partition": "", "user": "", "id": number}


def _moment(at: float | None) -> int:
    return 0 if at is None else int(at)


def _seconds(amount: float) -> dict[str, int]:
    whole = int(amount)
    return {"seconds": whole, "microseconds": int((amount - whole) * 1e6)}


def _state(word: str) -> tuple[str, ...]:
    """`CANCELLED by 1001` is one word here."""
    return (word.partition(" ")[0],)


def _code(text: str) -> Mapping[str, Any]:
    status, _, signal_number = text.partition(":")
    return exit_code(int(status or 0), int(signal_number or 0))


def _array(one: Job) -> dict[str, Any]:
    array = one.request.array
    return {
        "job_id": jobfacts.base_id(one) if array is not None else 0,
        "limits": {"max": {"running": {"tasks": (array.throttle or 0) if array is not None else 0}}},
        "task_id": one.task_index,
        "task": _waiting_tasks(one),
    }


def _waiting_tasks(one: Job) -> str:
    """The bits of their indices, as the database keeps them: `0xE`."""
    array = one.request.array
    if array is None or one.task_index is not None or not one.waiting:
        return ""
    bits = 0
    for index in one.waiting:
        bits |= 1 << index
    return f"0x{bits:X}"


def _steps(one: Job, steps: Sequence[Step], look: Look) -> list[dict[str, Any]]:
    of_attempt = tuple(step for step in steps if step.attempt == one.attempt)
    rows = [Row(one, is_batch=True, beside=of_attempt), *(Row(one, step) for step in of_attempt)]
    return [_step(row, look) for row in rows]


def _step(row: Row, look: Look) -> dict[str, Any]:
    one, step = row.job, row.step
    share = one.nodes[0]
    if step is not None:
        nodes, tasks, cpus, name = list(step.node_list), step.tasks, step.cpus, str(step.step_id)
        began, ended = step.started_at, row.ended_at
        peak_kib = step.max_rss_kib
        memory = 0
    else:
        end = one.end
        nodes, tasks, cpus, name = [share.node], 1, share.cpus, "batch"
        began, ended = one.started_at or one.submitted_at, one.ended_at
        peak_kib = end.max_rss_kib if end is not None else 0
        memory = share.memory_mib
    user_seconds, system_seconds = row.cpu_seconds
    until = ended if ended is not None else look.view.now
    used = _used(user_seconds + system_seconds, peak_kib, nodes[0] if nodes else "", look)
    held = [("cpu", cpus), ("mem", memory), ("node", len(nodes))]
    return {
        "time": {
            "elapsed": max(0, int(until) - int(began)),
            "end": _moment(ended),
            "start": int(began),
            "suspended": 0,
            "system": _seconds(system_seconds),
            "limit": INFINITE,
            "total": _seconds(user_seconds + system_seconds),
            "user": _seconds(user_seconds),
        },
        "exit_code": _code(sacct_fields.exit_code(row)),
        "nodes": {"count": len(nodes), "range": hostlist.compress(nodes), "list": nodes},
        "tasks": {"count": tasks},
        "pid": "",
        "CPU": {"requested_frequency": {"min": 0, "max": 0}, "governor": "0"},
        "kill_request_user": "",
        "state": _state(sacct_fields.state(row)),
        "statistics": {"CPU": {"actual_frequency": 0}, "energy": {"consumed": 0}},
        "step": {
            "id": f"{jobfacts.raw_id(one)}.{name}",
            "name": "batch" if step is None else step.name,
            **dict.fromkeys(("stderr", "stdin", "stdout", "stderr_expanded", "stdin_expanded", "stdout_expanded"), ""),
        },
        "task": {"distribution": "Unknown"},
        "tres": {
            "requested": used,
            "consumed": {"max": [], "min": [], "average": [], "total": []},
            "allocated": look.resources.listed((what, amount) for what, amount in held if amount),
        },
    }


def _used(cpu_seconds: float, peak_kib: int, node: str, look: Look) -> dict[str, Any]:
    """CPU time in milliseconds, memory in bytes; nothing where nothing was measured."""
    amounts = [("cpu", int(cpu_seconds * 1000)), ("mem", peak_kib * 1024)] if peak_kib else []
    listed = look.resources.listed(amounts)
    at = [{**one, "task": 0, "node": node} for one in listed]
    return {"max": at, "min": at, "average": listed, "total": listed}
