"""Facts about one job in Slurm's words: ids, state, reason, times, memory. Shared by squeue, scontrol and sacct."""

import signal
from functools import lru_cache
from pathlib import PurePosixPath

from adapters.slurm import arrayspec, durations, filenames
from bridge.core import placement
from bridge.core.indexset import IndexSet
from bridge.core.job import WAITING, Job, JobState
from bridge.core.nodes import Site
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS

TASK_EXPRESSION_LENGTH = 64
"""Slurm cuts the list of an array's waiting tasks to a buffer of this size, unless SLURM_BITSTR_LEN says another."""

_SENTENCES = {
    Reason.REQUEUED_HELD: "job requeued in held state",
    Reason.LAUNCH_FAILED_HELD: "launch failed requeued held",
}


def raw_id(job: Job) -> int:
    """A task that has done nothing yet is shown under its array's id: Slurm gives it its own only later."""
    return job.array_id if job.array_id is not None and job.revision == 0 else job.id


def base_id(job: Job) -> int:
    return job.array_id or job.id


def task_expression(job: Job, length: int) -> str | None:
    """`3`, `0-9%2`, `1,4,9,...`; None for a job that is no array. `length` 0: not cut."""
    if job.task_index is not None:
        return str(job.task_index)
    if job.request.array is None or job.waiting is None:
        return None
    return waiting_expression(job.waiting, job.request.array.throttle, length)


@lru_cache(maxsize=1024)
def waiting_expression(waiting: IndexSet, throttle: int | None, length: int) -> str:
    return arrayspec.render(waiting, throttle, length)[1:-1]


def display_id(job: Job, length: int | None = None) -> str:
    """`12`, `12_3`, `12_[0-9%2]`.

    `length` is SLURM_BITSTR_LEN where it is set. Without it squeue has room for 31 characters in all.
    """
    if job.task_index is not None:
        return f"{job.array_id}_{job.task_index}"
    if not job.waiting:
        return str(job.id)
    if length is None:
        return f"{job.id}_[{task_expression(job, TASK_EXPRESSION_LENGTH)}]"[:31]
    return f"{job.id}_[{task_expression(job, length)}]"


def bracket_length(environ_value: str | None) -> int | None:
    """SLURM_BITSTR_LEN; None: not set, or no number."""
    return int(environ_value) if environ_value and environ_value.isascii() and environ_value.isdigit() else None


def reason_text(job: Job) -> str:
    reason = job.reason
    if job.state is JobState.CONFIGURING and job.reason_detail:
        return job.reason_detail
    if reason is Reason.RAISED_SIGNAL or (reason is Reason.LAUNCH_FAILURE and job.is_final):
        # 25.11 takes what its launcher reports of a script that could not be started for a signal, number 53.
        number = job.end.signal if job.end is not None else 0
        return f"RaisedSignal:{number}({signal_description(number)})"
    if reason is Reason.NODES_NOT_AVAILABLE:
        if job.reason_detail == placement.RESERVED:
            return f"ReqNodeNotAvail, {job.reason_detail}"
        return "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"
    if reason is Reason.RESERVATION_DELETED:
        return f"Reservation {job.request.reservation} was deleted"
    if reason is Reason.REQUEUED_HELD and job.state is JobState.SPECIAL_EXIT:
        return "job requeued in special exit state"
    return _SENTENCES.get(reason) or reason.value


_TOLD_BY_BACKENDS = (Reason.NONE, Reason.RESOURCES, Reason.BEGIN_TIME, Reason.LAUNCH_FAILURE)


def system_comment(job: Job) -> str:
    """What the place where it is to run says of a job that does not run, in that place's own words. Of ends there is
    no more than a real Slurm says: the history has the rest."""
    return job.reason_detail if job.reason in _TOLD_BY_BACKENDS and not job.is_final else ""


def reason_waited_for(job: Job) -> Reason:
    """As slurmdbd keeps it: what a job waited for last, told once it was placed."""
    return job.waited_for if job.attempt else Reason.NONE


def signal_description(number: int) -> str:
    try:
        return signal.strsignal(number) or f"Unknown signal {number}"
    except ValueError:
        return f"Unknown signal {number}"


_REASON_INSTEAD_OF_NODES = WAITING | {
    JobState.TIMEOUT,
    JobState.OUT_OF_MEMORY,
    JobState.DEADLINE,
    JobState.FAILED,
}


def shows_reason(job: Job) -> bool:
    """Whether NODELIST(REASON) gives the reason."""
    return job.state in _REASON_INSTEAD_OF_NODES or (job.state is JobState.CONFIGURING and bool(job.reason_detail))


def partition_text(job: Job, site: Site) -> str:
    """A waiting job shows all partitions that it may run in: those of higher tier first, once it may be scheduled."""
    asked = job.request.component.partitions
    if len(asked) < 2 or job.state not in WAITING:
        return job.partition
    if job.priority == 0:  # held: nobody has looked at it yet
        return ",".join(asked)
    known = {partition.name: partition.priority_tier for partition in site.partitions}
    return ",".join(sorted(asked, key=lambda name: -known.get(name, 0)))


def output_pattern(job: Job, path: str | None) -> str:
    """As asked for, with the working directory before it, and what it stands for (`%j`) left in. Empty: not given."""
    return str(PurePosixPath(job.request.working_directory) / path) if path else ""


def standard_output_pattern(job: Job) -> str:
    return output_pattern(job, job.request.files.stdout) or filenames.default_output(job)


def run_seconds(job: Job, now: float) -> float:
    if job.started_at is None or job.state in WAITING or job.state is JobState.CONFIGURING:
        return 0.0
    if job.ended_at is not None:
        until = job.ended_at
    elif job.state is JobState.SUSPENDED and job.suspended_at is not None:
        until = job.suspended_at
    elif job.stop is not None:
        until = job.stop.at
    else:
        until = now
    return max(0.0, int(until) - int(job.started_at) - job.suspended_seconds)


def start_at(job: Job, now: float) -> float | None:
    """When it started, or the earliest time at which it can."""
    if job.state in WAITING:
        return job.begin_at if job.begin_at is not None and (job.begin_at > now or not job.eligible_at) else None
    return job.started_at


def end_at(job: Job, now: float) -> float | None:
    if job.ended_at is not None:
        return job.ended_at
    if job.stop is not None:
        return job.stop.at
    start = start_at(job, now)
    if start is None or job.time_limit_seconds >= UNLIMITED_SECONDS:
        return None
    return start + job.time_limit_seconds + job.suspended_seconds


def eligible_at(job: Job) -> float | None:
    if job.eligible_at is not None:
        return job.eligible_at
    return job.begin_at if job.begin_at is not None else None


def has_history(job: Job, until: float) -> bool:
    """Whether lists of the past show it: before it is eligible Slurm's do not, unless it is asked for by its id."""
    eligible = eligible_at(job)
    return job.started_at is not None or (eligible is not None and eligible <= until)


def time_left(job: Job, now: float) -> str:
    if job.time_limit_seconds >= UNLIMITED_SECONDS:
        return "UNLIMITED"
    limit = (job.time_limit_seconds + 59) // 60 * 60
    return durations.short(max(0.0, limit - run_seconds(job, now)))


def exit_code(job: Job) -> str:
    return f"{job.end.exit_status}:{job.end.signal}" if job.end is not None else "0:0"


def failed_node(job: Job) -> str:
    """The node whose loss ended the job; empty: none did."""
    if job.state is not JobState.NODE_FAIL:
        return ""
    told = job.reason_detail.split()
    return next((share.node for share in job.nodes if share.node in told), "")


def oversubscribe(job: Job) -> str:
    part = job.request.component
    if part.exclusive:
        return {"user": "USER", "mcs": "MCS", "topo": "TOPO"}.get(part.exclusive, "NO")
    return "YES" if part.oversubscribe else "OK"


def task_count(job: Job, tasks: int) -> str:
    """`N/A` of a job that ended before it began and had not said how many: then Slurm never worked it out."""
    asked = job.request.component
    said = asked.tasks is not None or asked.tasks_per_node is not None
    never_began = job.is_final and not job.nodes
    return "N/A" if never_began and not said else str(tasks)


def submit_line(job: Job) -> str:
    return job.request.submit_line or ""


_UNITS = "MGTPEZ"


def memory(mib: int, *, exact: bool = False, convert: bool = True) -> str:
    """`256M`, `2G`, `1.46G`; `exact`: only where it is whole or a half (`1500M`, `1.50G`). Nothing is `0`."""
    if mib == 0:
        return "0"
    size: float = mib
    unit = 0
    while convert and size >= 1024 and unit < len(_UNITS) - 1 and not (exact and size % 512):
        size /= 1024
        unit += 1
    number = str(int(size)) if size == int(size) else f"{size:.2f}"
    return number + _UNITS[unit]


def memory_in(mib: int, unit: str) -> str:
    """In the unit asked for (K, M, G, T, P): `0.25G`."""
    size = mib * 1024 if unit == "K" else mib / 1024 ** "MGTP".index(unit)
    return f"{int(size)}{unit}" if size == int(size) else f"{size:.2f}{unit}"
