"""A job as it stands: identity, state, times, end.

Three kinds of record share this type:
- a plain job;
- an array's own record: holds the tasks that have done nothing yet in `waiting`;
- an array task that has done something (started, was held, cancelled, updated ...): `task_index` set.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core import indexset
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS, JobRequest


class JobState(StrEnum):
    """Slurm's base states, and two of its flags that hide them while set (CONFIGURING, COMPLETING)."""

    PENDING = "PENDING"
    CONFIGURING = "CONFIGURING"
    """Placed; the nodes have not all reported yet."""
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    COMPLETING = "COMPLETING"
    """To be ended (cancelled, to be requeued); its processes may still be there."""
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    NODE_FAIL = "NODE_FAIL"
    PREEMPTED = "PREEMPTED"
    BOOT_FAIL = "BOOT_FAIL"
    DEADLINE = "DEADLINE"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    SPECIAL_EXIT = "SPECIAL_EXIT"
    """Requeued and held with `State=SpecialExit`; a kind of PENDING."""


FINAL = frozenset(
    {
        JobState.COMPLETED,
        JobState.CANCELLED,
        JobState.FAILED,
        JobState.TIMEOUT,
        JobState.NODE_FAIL,
        JobState.PREEMPTED,
        JobState.BOOT_FAIL,
        JobState.DEADLINE,
        JobState.OUT_OF_MEMORY,
    }
)
WAITING = frozenset({JobState.PENDING, JobState.SPECIAL_EXIT})
ON_NODES = frozenset({JobState.CONFIGURING, JobState.RUNNING, JobState.SUSPENDED, JobState.COMPLETING})


@dataclass(frozen=True, slots=True)
class Share:
    """What one node gives to a job."""

    node: str
    cpus: int
    memory_mib: int
    tasks: int
    """Tasks that belong on this node (SLURM_TASKS_PER_NODE)."""
    gres: tuple[tuple[str, str | None, tuple[int, ...]], ...] = ()
    """(name, type, indices of the devices), such as ("gpu", "a100", (0, 1))."""


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt ended, as the agent saw it."""

    exit_status: int = 0
    """0-255, of the batch shell."""
    signal: int = 0
    """That killed the batch shell; 0: none."""
    cause: str = "exit"
    """exit | time_limit | out_of_memory | stopped | preempted | launch_failed | node_fail (see `state`)."""
    detail: str = ""
    max_rss_kib: int = 0
    user_seconds: float = 0.0
    system_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a job on nodes is being ended; kept while COMPLETING."""

    kind: str
    """cancel | requeue | requeue_hold | special_exit | node_fail | give_up"""
    by_uid: int | None
    at: float
    signal: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    """The raw id, what %j shows. Never reused."""
    request: JobRequest
    partition: str
    submitted_at: float
    state: JobState = JobState.PENDING
    reason: Reason = Reason.NONE
    reason_detail: str = ""
    """Evidence for people, such as the names of unavailable nodes."""
    waited_for: Reason = Reason.NONE
    """The last reason to wait that was neither a lack of room nor the jobs before it."""
    revision: int = 0
    """Goes up with every change; guards writes."""
    array_id: int | None = None
    task_index: int | None = None
    waiting: indexset.IndexSet | None = None
    priority: int = 1
    """0: held."""
    held_by_admin: bool = False
    eligible_at: float | None = None
    """When nothing but room was missing; None while held, before its begin time, or with open dependencies."""
    started_at: float | None = None
    ended_at: float | None = None
    suspended_at: float | None = None
    suspended_seconds: float = 0.0
    time_limit_seconds: int = UNLIMITED_SECONDS
    """In force: the request's, else the partition's default."""
    attempt: int = 0
    """Placements so far; names every effect of the one in force."""
    restarts: int = 0
    """Requeues so far: SLURM_RESTART_COUNT."""
    begin_at: float | None = None
    """Not before; from --begin, or two minutes ahead after a requeue."""
    nodes: tuple[Share, ...] = ()
    end: End | None = None
    stop: Stop | None = None
    cancelled_by_uid: int | None = None
    dependency_text: str = ""
    """What is left of it, in Slurm's words; empty: none."""
    derived_exit_status: int = 0
    """The highest exit status of its steps."""

    @property
    def key(self) -> "JobKey":
        return JobKey(self.array_id or self.id, self.task_index)

    @property
    def display_id(self) -> str:
        """`12` or `12_3`; the record of an array's waiting tasks is shown by its front end."""
        return f"{self.array_id}_{self.task_index}" if self.task_index is not None else str(self.id)

    @property
    def is_array(self) -> bool:
        """The record of an array, not one of its tasks."""
        return self.request.array is not None and self.task_index is None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    def changed(self, **fields: object) -> "Job":
        return replace(self, revision=self.revision + 1, **fields)  # type: ignore[arg-type]  # names are checked by replace


@dataclass(frozen=True, slots=True, order=True)
class JobKey:
    """What a row is found by: a job or array id, and the index of a task that has its own row."""

    id: int
    task_index: int | None = None

    def __str__(self) -> str:
        return str(self.id) if self.task_index is None else f"{self.id}_{self.task_index}"


def task_id(array_id: int, indices: indexset.IndexSet, index: int) -> int:
    """The raw id of an array's task, from the block reserved at submission.

    As in Slurm, where tasks are split off in order and the last one keeps the array's own id.
    """
    position = indices.position(index)
    return array_id if position == len(indices) - 1 else array_id + 1 + position


def split_task(array: Job, index: int) -> tuple[Job, Job]:
    """(the array's record without the task, the task's own record, PENDING)."""
    assert array.request.array is not None and array.waiting is not None
    if index not in array.waiting:
        raise ValueError(f"task {index} of {array.id} has its own record")
    task = replace(
        array,
        id=task_id(array.id, array.request.array.indices, index),
        array_id=array.id,
        task_index=index,
        waiting=None,
        revision=0,
    )
    return array.changed(waiting=array.waiting.without([index])), task
