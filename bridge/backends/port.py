"""The protocol that every backend satisfies.

Verbs may be repeated: starting what is started, stopping what has ended, is success. They return once the
wish is handed over, not once it has come true; what came true arrives by `observe`.
Errors are ours: Unavailable (keep state, try again), Refused (says why), Gone.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bridge.core.group import Group
from bridge.core.job import End, Job
from bridge.core.nodes import Node

Target = str
"""batch: the batch shell alone; steps: what srun started; step:3: of that step only; all: every process of the job."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """How one attempt stands at the backend."""

    job_id: int
    attempt: int
    phase: Literal["starting", "running", "ended", "lost", "not_started"]
    """not_started: given up before the script was started, and it never will be."""
    at: float
    """When the phase began, epoch seconds, by the agent's clock."""
    began_at: float | None = None
    """When the script was started; None: not yet, or never."""
    end: End | None = None
    """Set when ended."""
    why: str = ""
    derived_exit_status: int = 0
    steps: tuple["StepSighting", ...] = ()
    hindrance: Literal["", "room", "fault"] = ""
    """Of not_started: nothing but room was missing; or a fault that time alone does not mend, such as an image that
    is not to be had. Empty: neither is known."""


@dataclass(frozen=True, slots=True)
class StepSighting:
    step_id: int
    name: str
    node_list: tuple[str, ...]
    tasks: int
    cpus: int
    started_at: float
    ended_at: float | None
    exit_status: int
    signal: int
    max_rss_kib: int = 0
    user_seconds: float = 0.0
    system_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskUsage:
    """Of one task while it runs; the batch script counts as a step with one task."""

    node: int
    """Its place among the attempt's nodes."""
    step: str
    """batch, or a step's number."""
    task: int
    pids: tuple[int, ...] = ()
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    rss_kib: int = 0
    """Memory at its peak so far; so the next."""
    vm_kib: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """`full`: every attempt the backend knows of is listed; one that is missing is not there."""

    sightings: tuple[Sighting, ...]
    full: bool = False
    nodes_changed: bool = False


@dataclass(frozen=True, slots=True)
class Rights:
    """Whose eyes a file is read with."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """All that the user is in, `gid` or not."""


class Backend(Protocol):
    name: str

    async def open(self) -> None:
        """Make ready. Raises Unavailable."""

    async def close(self) -> None:
        """Leave running jobs alone and let go."""

    async def start(self, groups: Sequence[Group]) -> None:
        """Start each group, all its nodes or none. Refused names what is wrong with the group."""

    def observe(self) -> AsyncIterator[Observation]:
        """First the full picture, then changes; the full picture again after any gap."""

    async def signal(self, job_id: int, attempt: int, number: int, to: Target) -> None:
        """Gone when the attempt has ended."""

    async def measure(self, job_id: int, attempt: int) -> tuple[TaskUsage, ...]:
        """What the tasks of a running attempt use now, on all of its nodes. Gone, Unavailable."""

    async def stop(self, job_id: int, attempt: int, why: Literal["cancel", "requeue", "node_fail"]) -> None:
        """End the attempt: TERM to all, KillWait, KILL. Gone when there is no trace of it: it was never started,
        and will not be."""

    async def set_time_limit(self, job_id: int, attempt: int, time_limit_seconds: int | None) -> None: ...

    async def pause(self, job_id: int, attempt: int, *, resume: bool) -> None:
        """Stop all processes of the attempt where they are (SIGSTOP), or let them go on; its clock stands still."""

    async def forget(self, job_id: int, attempt: int) -> None:
        """The end is committed: what the backend kept of the attempt may go."""

    async def nodes(self) -> tuple[Node, ...]: ...

    async def read_output(self, rights: Rights, path: str, offset: int, limit_bytes: int) -> bytes:
        """A part of a job's output file, opened with the rights of the job's user. Gone when there is none."""

    async def read_kept(
        self, job: Job, stream: Literal["stdout", "stderr"], path: str, offset: int, limit_bytes: int
    ) -> bytes | None:
        """The same where the backend keeps what the job writes, because no file system of the site takes that path.
        None: it is a file."""

    async def retain(self, known: Callable[[Collection[int]], Awaitable[Collection[int]]]) -> None:
        """What is kept of jobs may go once `known`, asked with their raw ids, does not name them any more."""
