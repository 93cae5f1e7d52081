"""A stand-in for a backend: keeps what it was told, and reports what the test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Literal

from bridge.backends.port import Observation, Rights, Sighting, TaskUsage
from bridge.core.errors import Gone, Unavailable
from bridge.core.group import Group
from bridge.core.job import End, Job
from bridge.core.nodes import Node
from tests.builders import NOON, a_node

DEADLINE_SECONDS = 10


class FakeBackend:
    name = "local"

    def __init__(self, nodes: Sequence[Node] = (a_node("n1"), a_node("n2"))) -> None:
        self._nodes = tuple(nodes)
        self.usage: tuple[TaskUsage, ...] = ()
        """What `measure` tells of every attempt."""
        self.started: list[Group] = []
        self.told: list[tuple[object, ...]] = []
        self._news: asyncio.Queue[Observation] = asyncio.Queue()
        self._news.put_nowait(Observation((), full=True))
        self.refuse: Exception | None = None
        self.stuck: asyncio.Event | None = None
        """Set by a test: whoever stops an attempt waits for it, as for a monitor that does not answer."""
        self._told_something = asyncio.Event()

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait until the backend was told so that `what` holds."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not what():
                self._told_something.clear()
                await self._told_something.wait()

    def _tell(self, *words: object) -> None:
        self.told.append(words)
        self._told_something.set()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def start(self, groups: Sequence[Group]) -> None:
        if self.refuse is not None:
            raise self.refuse
        for group in groups:
            if (group.job_id, group.attempt) not in [(one.job_id, one.attempt) for one in self.started]:
                self.started.append(group)
            self._tell("start", group.job_id, group.attempt)

    async def observe(self) -> AsyncIterator[Observation]:
        while True:
            yield await self._news.get()

    def see(self, *sightings: Sighting, full: bool = False) -> None:
        self._news.put_nowait(Observation(sightings, full))

    def begin(self, job_id: int, attempt: int = 1, at: float = NOON + 10) -> None:
        self.see(Sighting(job_id, attempt, "running", at, began_at=at))

    def end(self, job_id: int, attempt: int = 1, end: End | None = None, at: float = NOON + 20) -> None:
        self.see(Sighting(job_id, attempt, "ended", at, began_at=at - 5, end=end or End()))

    async def signal(self, job_id: int, attempt: int, number: int, to: str) -> None:
        self._tell("signal", job_id, attempt, number, to)

    async def measure(self, job_id: int, attempt: int) -> tuple[TaskUsage, ...]:
        return self.usage

    async def stop(self, job_id: int, attempt: int, why: str) -> None:
        self._tell("stop", job_id, attempt, why)
        if self.stuck is not None:
            await self.stuck.wait()
            raise Unavailable("the monitor does not answer")
        if (job_id, attempt) not in [(group.job_id, group.attempt) for group in self.started]:
            raise Gone(f"attempt {attempt} of job {job_id} is not here")

    async def set_time_limit(self, job_id: int, attempt: int, time_limit_seconds: int | None) -> None:
        self._tell("limit", job_id, attempt, time_limit_seconds)

    async def pause(self, job_id: int, attempt: int, *, resume: bool) -> None:
        self._tell("resume" if resume else "pause", job_id, attempt)

    async def forget(self, job_id: int, attempt: int) -> None:
        self._tell("forget", job_id, attempt)

    def show(self, nodes: Sequence[Node]) -> None:
        """From now on these."""
        self._nodes = tuple(nodes)

    async def nodes(self) -> tuple[Node, ...]:
        return self._nodes

    async def read_output(self, rights: Rights, path: str, offset: int, limit_bytes: int) -> bytes:
        raise Gone(f"{path} is not there")

    async def read_kept(
        self, job: Job, stream: Literal["stdout", "stderr"], path: str, offset: int, limit_bytes: int
    ) -> None:
        """All output is in files."""

    async def retain(self, known: Callable[[Collection[int]], Awaitable[Collection[int]]]) -> None:
        """Nothing is kept here."""
