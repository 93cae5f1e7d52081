"""What may happen to a job (events), and what is to be done because of it (instructions).

Times are seconds since the epoch; `attempt` is the one that the news is of. `bridge.core.state` says what each does.
"""

from dataclasses import dataclass
from typing import Literal

from bridge.core.job import End, Share
from bridge.core.reasons import Reason
from bridge.core.request import JobRequest

# ── events ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Placed:
    """Nodes were chosen; a backend is about to be asked to start the job there."""

    at: float
    nodes: tuple[Share, ...]
    partition: str = ""
    """The one of the job's partitions that was chosen; empty: unchanged."""


@dataclass(frozen=True, slots=True)
class Began:
    """The script was started on the first node."""

    at: float
    attempt: int


@dataclass(frozen=True, slots=True)
class Ended:
    """All processes of the attempt are gone, and this is how the script ended."""

    at: float
    attempt: int
    end: End
    derived_exit_status: int = 0
    """The highest exit status of the steps."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The attempt is certainly over, and nobody saw how."""

    at: float
    attempt: int
    why: str


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The attempt was given up before its script was started; it certainly never will be."""

    at: float
    attempt: int
    why: str
    reason: Reason = Reason.RESOURCES
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Delayed:
    """Something keeps an attempt, which has its nodes, from starting; it is waited for."""

    at: float
    attempt: int
    why: str


@dataclass(frozen=True, slots=True)
class StopAsked:
    """By scancel: the whole job is to end (TERM, wait, KILL)."""

    at: float
    by_uid: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Requeued:
    at: float
    by_uid: int
    hold: bool = False
    special_exit: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    at: float
    by_uid: int
    by_admin: bool = False


@dataclass(frozen=True, slots=True)
class Released:
    at: float
    by_uid: int
    priority: int = 1


@dataclass(frozen=True, slots=True)
class Waits:
    """The reason why a waiting job has not started; `eligible` when nothing but room is missing."""

    at: float
    reason: Reason
    detail: str = ""
    eligible: bool = False
    dependency_text: str | None = None
    """What is left of the dependency; None: unchanged."""


@dataclass(frozen=True, slots=True)
class NeverSatisfied:
    at: float
    kill: bool
    dependency_text: str = ""


@dataclass(frozen=True, slots=True)
class DeadlineMissed:
    at: float


@dataclass(frozen=True, slots=True)
class NodeFailed:
    """An operator, or the backend, gave up a node that the attempt uses; what is left of it is to be ended."""

    at: float
    attempt: int
    why: str


@dataclass(frozen=True, slots=True)
class Suspended:
    at: float
    by_uid: int


@dataclass(frozen=True, slots=True)
class Resumed:
    at: float
    by_uid: int


@dataclass(frozen=True, slots=True)
class Updated:
    """scontrol update: the request as it is to be, and what is derived from it."""

    at: float
    by_uid: int
    what: str
    """For the history: `time_limit_seconds=300, priority=2`."""
    request: JobRequest
    time_limit_seconds: int
    partition: str
    begin_at: float | None
    priority: int
    dependency_text: str = ""


Event = (
    Placed
    | Began
    | Ended
    | Lost
    | NotStarted
    | Delayed
    | StopAsked
    | Requeued
    | Held
    | Released
    | Waits
    | NeverSatisfied
    | DeadlineMissed
    | NodeFailed
    | Suspended
    | Resumed
    | Updated
)


# ── instructions ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Start:
    """Ask the backend to start the attempt."""

    attempt: int


@dataclass(frozen=True, slots=True)
class EndGroup:
    """Ask the backend to end the attempt: TERM, KillWait, KILL."""

    attempt: int
    why: Literal["cancel", "requeue", "node_fail"]


@dataclass(frozen=True, slots=True)
class Forget:
    """The attempt's end is on record; the backend may clean up what it kept."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Pause:
    attempt: int
    resume: bool


@dataclass(frozen=True, slots=True)
class NewLimit:
    """Tell the running attempt its new time limit."""

    attempt: int
    time_limit_seconds: int


@dataclass(frozen=True, slots=True)
class WakeDependants:
    """Others may wait for this job's start or end."""

    job_id: int


Instruction = Start | EndGroup | Forget | Pause | NewLimit | WakeDependants
