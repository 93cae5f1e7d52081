"""What a handler gets and gives, and what all of them share."""

import grp
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from adapters.slurm import durations, sizes
from adapters.slurm.rest.envelope import Client, Said
from adapters.slurm.rest.paths import Path
from adapters.slurm.squeue_columns import View
from bridge.core.users import Caller
from bridge.identity.people import People
from bridge.service import Service


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


@lru_cache(maxsize=1024)
def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return str(gid)


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

    async def view(self) -> View:
        site = self.service.site
        return View(
            clock=durations.clock_of({}, self.now()),
            site=site,
            fleet=sizes.fleet_of(site, await self.service.known_nodes()),
            group_of=group_name,
        )
