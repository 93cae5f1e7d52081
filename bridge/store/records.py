"""What goes into the store and comes out of it, beside `core.job.Job`. Values only."""

from dataclasses import dataclass, field
from typing import Any

from bridge.core.errors import BridgeError
from bridge.core.events import Instruction
from bridge.core.job import Job, JobKey, JobState
from bridge.core.reasons import Reason
from bridge.core.report import Report
from bridge.core.request import JobRequest


@dataclass(frozen=True, slots=True)
class NewJob:
    """An admitted request, about to get its id.

    In a call with several, a dependency clause with job_id -1-k means the k-th of the call.
    """

    request: JobRequest
    script: bytes
    environment: bytes = field(repr=False)
    """NAME=value joined by NUL."""
    report: Report
    partition: str
    time_limit_seconds: int
    submitted_at: float
    priority: int = 1
    reason: Reason = Reason.NONE
    begin_at: float | None = None
    eligible_at: float | None = None
    dependency_text: str = ""
    idempotency_key: str | None = None
    """With the user's uid: a second submission with it gives the first job."""


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Filters are and-ed; None: no filter. Names are exact."""

    keys: tuple[JobKey, ...] | None = None
    """An array's id finds its own record and all its tasks. A raw id of a task finds the task."""
    states: frozenset[JobState] | None = None
    uids: tuple[int, ...] | None = None
    names: tuple[str, ...] | None = None
    partitions: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    qos: tuple[str, ...] | None = None
    nodes: tuple[str, ...] | None = None
    active_since: float | None = None
    """Not ended before this time. With `active_until`: sacct's window."""
    active_until: float | None = None
    """Submitted before this time."""
    ended_since: float | None = None
    """Unfinished jobs, and those that ended at or after this time (squeue's MinJobAge)."""
    newest_first: bool = False
    limit: int | None = None
    after: JobKey | None = None
    """Paging: what comes behind this key in the order asked for."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    seq: int
    key: JobKey
    at: float
    kind: str
    """Name of the event's class, or Submitted."""
    state: JobState
    reason: Reason
    attempt: int
    data: dict[str, Any]
    """The event's own fields."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `Store.change` did to one job."""

    key: JobKey
    before: Job | None
    """None: no such job."""
    after: Job | None
    instructions: tuple[Instruction, ...] = ()
    error: BridgeError | None = None
    """IllegalStep, or what the caller's function raised; the job is unchanged."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Proof that a backend is ours: checked in every write that is made with it."""

    backend: str
    owner: str
    number: int


@dataclass(frozen=True, slots=True)
class StepRow:
    key: JobKey
    attempt: int
    step_id: int
    name: str
    node_list: tuple[str, ...]
    tasks: int
    cpus: int
    started_at: float
    ended_at: float | None
    exit_status: int
    signal: int
    max_rss_kib: int
    user_seconds: float
    system_seconds: float


@dataclass(frozen=True, slots=True)
class NodeMark:
    """What an operator said of a node; survives restarts."""

    node: str
    state: str
    """UP | DRAIN | DOWN"""
    reason: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Ages:
    """Retention; seconds after a job's end. None: kept for ever."""

    jobs: float | None = None
    history: float | None = None
    scripts: float | None = None
