"""An application over a real store and service, a backend that does as told, and clients of several users."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bridge.backends.port import Rights
from bridge.core import events
from bridge.core.errors import Gone
from bridge.core.job import JobKey, JobState
from bridge.core.users import User
from bridge.identity.gate import Gate
from bridge.identity.middleware import App
from bridge.identity.peer import Peer
from bridge.identity.people import People
from bridge.listener import Listener, bind_unix
from bridge.rest import application
from bridge.service.service import Service
from bridge.store.store import Store
from tests.builders import a_site
from tests.reconcile.fake_backend import FakeBackend
from tests.store import support

KEY = b"k" * 32
ALICE = User("alice", 1001, 1001, (1001,), ("alice",), "/home/alice", "/bin/bash")
BOB = User("bob", 1002, 1002, home="/home/bob")
OLGA = User("olga", 1003, 1003, home="/home/olga")
"""An operator."""
ROOT = User("root", 0, 0)
SCRIPT = "#!/bin/bash\nsrun hostname\n"


class FakeFiles(FakeBackend):
    """A backend with output files that a test writes."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}

    async def read_output(self, rights: Rights, path: str, offset: int, limit_bytes: int) -> bytes:
        if path not in self.files:
            raise Gone("no such file")
        return self.files[path][offset : offset + limit_bytes]


@dataclass
class World:
    store: Store
    service: Service
    gate: Gate
    backend: FakeFiles
    app: App
    stopping: asyncio.Event
    clients: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def client(self, user: User | None = ALICE, **headers: str) -> httpx.AsyncClient:
        """Over a Unix socket whose peer is `user`; None: over TCP."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            peer = None if user is None else Peer(1, user.uid, user.gid)
            await self.app({**scope, "state": {"peer": peer}}, receive, send)

        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        made = httpx.AsyncClient(transport=transport, base_url="http://bridge", headers=headers)
        return await self.clients.enter_async_context(made)

    async def submit(self, client: httpx.AsyncClient, *options: str, **body: Any) -> str:
        answer = await client.post("/v1/jobs", json={"script": SCRIPT, "options": list(options), **body})
        assert answer.status_code == 201, answer.text
        found: str = answer.json()["id"]
        return found

    async def run(self, job: str, end: JobState = JobState.RUNNING) -> None:
        await support.run_to(self.store, JobKey(int(job)), end)

    async def tell(self, job: str, *news: events.Event) -> None:
        await support.tell(self.store, JobKey(int(job)), *news)


@contextlib.asynccontextmanager
async def a_world(url: str) -> AsyncIterator[World]:
    async with support.opened(url) as store:
        backend = FakeFiles()
        people = People([ALICE, BOB, OLGA, ROOT])
        site = a_site(licenses=(("matlab", 4),))
        service = Service(store, site, {"local": backend}, people.find)
        gate = Gate(store, people, KEY, operators=["olga"], own_uid=0)
        stopping = asyncio.Event()
        app = application.make(service, gate, people, stopping, version="9.9")
        world = World(store, service, gate, backend, app, stopping)
        async with world.clients:
            yield world


@contextlib.asynccontextmanager
async def served(world: World, folder: Path, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """Over a real socket, as streams need it."""
    listener = Listener(world.app, bind_unix(folder / "s", 0o600))
    serving = asyncio.create_task(listener.run_until_stopped())
    transport = httpx.AsyncHTTPTransport(uds=str(folder / "s"))
    headers = {"x-slurm-user-token": token}
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge", headers=headers) as client:
        await listener.ready.wait()
        try:
            yield client
        finally:
            world.stopping.set()
            listener.stop()
            await serving
