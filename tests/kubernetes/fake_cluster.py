"""A backend on the stand-in for the API server, and the objects of job 12 as that tells of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.kubernetes import names
from bridge.backends.kubernetes.backend import KubernetesBackend
from bridge.backends.kubernetes.transport import Access
from bridge.backends.port import Sighting
from bridge.core.nodes import Node
from tests.kubernetes.fake_api import FakeApi, a_list, for_ever, served, until
from tests.kubernetes.makers import a_profile

SECRETS, CORE = "/api/v1/namespaces/hpc/secrets", "/api/v1/namespaces/hpc"
JOBS = "/apis/batch/v1/namespaces/hpc/jobs"
NAME = "job-12-1-abcd1234"
LABELS = {names.INSTANCE: "abcd1234", names.GROUP: NAME, names.JOB: "12", names.ATTEMPT: "1"}


def an_object(name: str, **fields: Any) -> dict[str, Any]:
    annotations = {names.MEMBERS: "12.1", names.PARTITION: "main"}
    meta = {"namespace": "hpc", "name": name, "uid": f"uid-{name}", "resourceVersion": "5", "labels": LABELS}
    return {"metadata": {**meta, "annotations": annotations, **fields}}


def a_job(**fields: Any) -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": "Secret", "name": f"{NAME}-t1", "uid": f"uid-{NAME}-t1"}
    return {**an_object(NAME, ownerReferences=[owner]), "status": {}, **fields}


def a_pod(name: str = "p", **status: Any) -> dict[str, Any]:
    found = an_object(name, creationTimestamp="2023-11-14T22:13:20Z", finalizers=[names.FINALIZER])
    found["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] = "0"
    spec = {"nodeName": "n1", "containers": [{"command": ["/usr/bin/python3", "agent.pyz", "run"]}]}
    return {**found, "spec": spec, "status": {"phase": "Pending", **status}}


class World:
    """A backend on a stand-in; `api` says what it is asked."""

    def __init__(self, api: FakeApi, backend: KubernetesBackend) -> None:
        self.api, self.backend = api, backend
        self.seen: dict[tuple[int, int], Sighting] = {}
        self.full: list[set[tuple[int, int]]] = []

    async def listen(self) -> None:
        async for observation in self.backend.observe():
            for sighting in observation.sightings:
                self.seen[sighting.job_id, sighting.attempt] = sighting
            if observation.full:
                self.full.append({(one.job_id, one.attempt) for one in observation.sightings})

    def asked(self, *methods: str) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _, _ in self.api.calls if method in methods]

    def posted(self, path: str) -> list[dict[str, Any]]:
        return [body for method, where, _, body in self.api.calls if (method, where) == ("POST", path)]


def prepare(api: FakeApi) -> None:
    """An empty cluster that takes what it is given."""
    api.on("GET", "/version", (200, {"gitVersion": "v1.37.2"}))
    for path in ("/api", "/apis"):
        api.on("GET", path, (200, {"items": []}))
    api.on("GET", "/api/v1/nodes", a_list(), a_list(), for_ever)
    for path in (f"{CORE}/pods", JOBS, f"{CORE}/events"):
        api.on("GET", path, a_list(), for_ever)
    api.on("GET", SECRETS, a_list())
    api.on("DELETE", SECRETS, (200, {"items": []}))
    api.on("POST", f"{CORE}/configmaps", (201, {"metadata": {}}))
    api.on("POST", SECRETS, taken)
    api.on("POST", JOBS, taken)


async def taken(request: Any) -> Any:
    body = await request.json()
    body["metadata"]["uid"] = f"uid-{body['metadata']['name']}"
    return web.json_response(body, status=201)


def run(
    folder: Path, scenario: Callable[[World], Awaitable[None]], more: Callable[[FakeApi], None] | None = None
) -> None:
    async def whole() -> None:
        async with served(folder) as (api, _), _opened(folder, api, more) as world:
            await scenario(world)

    asyncio.run(whole())


@contextlib.asynccontextmanager
async def _opened(folder: Path, api: FakeApi, more: Callable[[FakeApi], None] | None) -> AsyncIterator[World]:
    prepare(api)
    if more is not None:
        more(api)
    profiles = {"main": a_profile()}
    access, nodes = Access(str(folder / "kubeconfig")), [Node("n1", 4, 8000)]
    backend = KubernetesBackend("k8s", access, "abcd1234", profiles, nodes, output_folder=str(folder / "output"))
    await backend.open()
    world = World(api, backend)
    listener = asyncio.create_task(world.listen())
    await until(lambda: world.full)
    try:
        yield world
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        await backend.close()
