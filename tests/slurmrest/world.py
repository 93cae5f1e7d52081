"""slurmrestd's look-alike over a real store and service, a backend that does as told, and callers of several users."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from bridge.core.nodes import Partition
from bridge.core.users import User
from bridge.slurmrest import application
from tests.builders import a_site
from tests.rest import world as inner

ALICE, BOB, ROOT = inner.ALICE, inner.BOB, inner.ROOT
SCRIPT = "#!/bin/sh\nexit 3\n"
V44 = "/slurm/v0.0.44"


class World(inner.World):
    """`call` is one request; its answer without what every answer carries."""

    async def call(
        self, method: str, path: str, body: Any = None, *, user: User | None = ALICE, **headers: str
    ) -> tuple[int, Any]:
        client = await self.client(user, **{name.replace("_", "-"): value for name, value in headers.items()})
        answer = await client.request(method, path, **_body(body))
        if answer.headers.get("content-type") != "application/json" or not answer.content:
            return answer.status_code, answer.text
        told = answer.json()
        told.pop("meta", None)
        return answer.status_code, told

    async def submit_rest(self, *, user: User | None = ALICE, version: int = 44, **fields: Any) -> tuple[int, Any]:
        body = {"script": SCRIPT, "job": a_description(**fields)}
        return await self.call("POST", f"/slurm/v0.0.{version}/job/submit", body, user=user)

    async def submitted(self, **fields: Any) -> int:
        status, told = await self.submit_rest(**fields)
        assert (status, told["errors"]) == (200, []), told
        job_id: int = told["job_id"]
        return job_id

    async def shown(self, job_id: object, **kwargs: Any) -> dict[str, Any]:
        status, told = await self.call("GET", f"{V44}/job/{job_id}", **kwargs)
        assert status == 200, told
        first: dict[str, Any] = told["jobs"][0]
        return first


def _body(body: Any) -> dict[str, Any]:
    if body is None:
        return {}
    return (
        {"content": body, "headers": {"content-type": "application/json"}} if isinstance(body, str) else {"json": body}
    )


def a_description(**fields: Any) -> dict[str, Any]:
    """A job with all that slurmrestd asks for; `...` leaves a field out."""
    usual = {
        "name": "rest",
        "tasks": 2,
        "time_limit": {"set": True, "number": 5},
        "current_working_directory": "/home/alice",
        "environment": ["PATH=/usr/bin:/bin"],
    }
    return {name: value for name, value in {**usual, **fields}.items() if value is not ...}


def a_number(value: float | None) -> dict[str, Any]:
    """As slurmrestd writes a number that may be absent."""
    return {"set": value is not None, "infinite": False, "number": value or 0}


@contextlib.asynccontextmanager
async def a_world(url: str, **site: Any) -> AsyncIterator[World]:
    async with inner.a_world(url) as plain:
        if "partitions" not in site:
            main = Partition(
                "main",
                "local",
                ("n1", "n2", "n3", "n4"),
                is_default=True,
                default_time_seconds=1800,
                default_memory_per_cpu_mib=256,
            )
            site["partitions"] = (main,)
        plain.service.site = a_site(**{"cluster_name": "oracle", "licenses": (("matlab", 4),), **site})
        app = application.make(plain.app, plain.service, plain.gate, _people(plain), host="here")
        world = World(plain.store, plain.service, plain.gate, plain.backend, app, plain.stopping)
        async with world.clients:
            yield world


def _people(plain: inner.World) -> Any:
    return plain.gate._people


async def served(world: World, user: User | None = ALICE) -> httpx.AsyncClient:
    return await world.client(user)
