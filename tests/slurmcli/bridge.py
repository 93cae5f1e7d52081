"""A bridge for tests of the commands: a real store and service, a stand-in for the backend, a clock moved by hand."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from adapters.slurm.scontrol_config import Installation
from bridge.core.events import Began, Ended, Event, Placed
from bridge.core.job import Job, JobKey
from bridge.core.users import Caller, User
from bridge.service.service import Service
from bridge.service.terms import Draft
from bridge.slurmcli.router import COMMANDS
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World
from bridge.store import schema
from bridge.store.store import Store
from tests.builders import NOON, a_request
from tests.reconcile.fake_backend import FakeBackend
from tests.slurm.views import NODES, SITE

ALICE = Caller(User("alice", 1001, 1001))
BOB = Caller(User("bob", 1002, 1002))
ROOT = Caller(User("root", 0, 0), is_operator=True)
_USERS = {who: caller.user for caller in (ALICE, BOB, ROOT) for who in (caller.user.name, caller.user.uid)}


class Bridge:
    def __init__(self, store: Store) -> None:
        self.now = NOON
        self.store = store
        self.backend = FakeBackend(NODES)
        self.service = Service(store, SITE, {"local": self.backend}, _USERS.get, now=lambda: self.now)  # type: ignore[arg-type]
        self.world = World(
            self.service,
            _USERS.get,
            lambda user, seconds: f"{user.name}-{seconds}",
            now=lambda: self.now,
            here=Installation("here", NOON),
        )

    async def submit(self, caller: Caller = ALICE, **fields: Any) -> Job:
        user = caller.user
        request = a_request(user=user.name, uid=user.uid, gid=user.gid, **{"account": "physics", **fields})
        return (await self.service.submit(caller, [Draft(request, b"#!/bin/sh\necho \xff\n", b"A=1")]))[0]

    async def happen(self, key: JobKey, *events: Event) -> None:
        outcomes = await self.store.change([key], lambda job: events)
        assert [outcome.error for outcome in outcomes] == [None]

    async def start(self, job: Job, shares: tuple[Any, ...]) -> None:
        await self.happen(job.key, Placed(self.now, shares), Began(self.now, 1))

    async def end(self, job: Job, end: Any) -> None:
        await self.happen(job.key, Ended(self.now, 1, end))

    async def run(self, *argv: str, caller: Caller = ALICE, **fields: Any) -> Reply:
        environ: Mapping[str, str] = {"TZ": "UTC", **fields.pop("environ", {})}
        return await COMMANDS[argv[0]](self.world, caller, Call(tuple(argv[1:]), environ, **fields))

    async def out(self, *argv: str, **fields: Any) -> str:
        """Standard output of a command that has nothing to complain of."""
        reply = await self.run(*argv, **fields)
        assert (reply.stderr, reply.exit_code) == ("", 0)
        return reply.stdout


@contextlib.asynccontextmanager
async def a_bridge(folder: Path) -> AsyncIterator[Bridge]:
    url = f"sqlite:///{folder / 'bridge.db'}"
    schema.upgrade(url)
    store = await Store.open(url)
    try:
        yield Bridge(store)
    finally:
        await store.close()
