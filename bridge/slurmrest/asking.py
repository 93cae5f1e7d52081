"""What a handler gets and gives, and what all of them share."""

import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.slurm import durations, node_uses, sizes
from adapters.slurm.rest.envelope import Client, Said
from adapters.slurm.rest.paths import Path
from adapters.slurm.scontrol_show import NodeUse
from adapters.slurm.squeue_columns import View
from bridge.core.job import Job, JobState
from bridge.core.users import Caller
from bridge.identity.people import People, group_name
from bridge.service.service import Service
from bridge.store.records import JobQuery


@dataclass(slots=True)
class Ask:
    """One request."""

    path: Path
    version: int
    caller: Caller
    client: Client
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    is_known: bool = True
    """False: the token is worth nothing; only paths that ask nobody get so far."""
    said: Said = field(default_factory=Said)


@dataclass(slots=True)
class Reply:
    """`fields`: those of the answer that there are. `status` None: by what was said."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    status: int | None = None
    many: tuple[str, AsyncIterator[str]] | None = None
    """A field of the answer that is written piece by piece: its name, and each item as JSON."""
    few: tuple[str, Sequence[str]] | None = None
    """The same of a short list, which is sent at once."""


Handler = Callable[[Ask], Awaitable[Reply]]


class NotModified(Exception):
    """304: nothing changed since the time that was named."""


class Changes:
    """When something last changed, as far as anybody asked."""

    def __init__(self, service: Service, now: Callable[[], float]) -> None:
        self._service, self._now = service, now
        self._seq = -1
        self._at = now()

    async def last(self) -> int:
        """Epoch seconds."""
        seq = await self._service.store.last_seq()
        if seq != self._seq:
            self._seq, self._at = seq, self._now()
        return int(self._at)


class World:
    def __init__(
        self,
        service: Service,
        people: People,
        *,
        host: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.service = service
        self.people = people
        self.host = socket.gethostname() if host is None else host
        self.now = now
        self.started_at = now()
        self.changes = Changes(service, now)

    async def view(self, jobs: Sequence[Job] = ()) -> View:
        """`jobs`: those that will be shown; where some wait for room, their expected starts are worked out."""
        site = self.service.site
        waits = any(job.state is JobState.PENDING and job.eligible_at is not None for job in jobs)
        return View(
            clock=durations.clock_of({}, self.now()),
            site=site,
            fleet=sizes.fleet_of(site, await self.service.nodes.known()),
            group_of=group_name,
            starts=await self.service.forecast.starts() if waits else {},
            book=await self.service.accounting.book(),
        )

    async def node_uses(self, caller: Caller) -> list[NodeUse]:
        oldest = self.now() - self.service.site.min_job_age_seconds
        recent = await self.service.jobs(caller, JobQuery(ended_since=oldest))
        kept = await self.service.runtime.reservations()
        return node_uses.of(await self.service.nodes.views(), recent, kept, self.now())
