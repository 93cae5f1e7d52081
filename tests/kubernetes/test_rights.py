"""What `deploy/kubernetes` lets the bridge do: all that it does, and nothing that it never does."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.backends.kubernetes import check
from bridge.backends.kubernetes.backend import KubernetesBackend
from bridge.backends.kubernetes.reviews import TokenReviews
from bridge.backends.kubernetes.transport import Access, Transport
from bridge.backends.port import Sighting
from bridge.core.errors import Gone, Unavailable
from bridge.core.nodes import Node
from tests.cluster.ground import Cluster
from tests.kubernetes.makers import a_group, a_profile

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

DEPLOY = Path(__file__).parents[2] / "deploy" / "kubernetes"
Right = tuple[str, str, str]
"""(API group, resource, verb)"""


def manifests(cluster: Cluster, folder: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(cluster.kubectl("kustomize", DEPLOY / folder)))


def rights_of(role: dict[str, Any]) -> set[Right]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def right_used(event: dict[str, Any]) -> Right:
    what = event["objectRef"]
    resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
    return what.get("apiGroup", ""), resource, event["verb"]


@contextlib.contextmanager
def granted(cluster: Cluster, namespace: str) -> Iterator[set[Right]]:
    """The roles of `deploy/kubernetes`, for an account `bridge` of the namespace."""
    account = {"kind": "ServiceAccount", "name": "bridge", "namespace": namespace}
    cluster.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "bridge"}})
    rights: set[Right] = set()
    root, cluster_wide = "/apis/rbac.authorization.k8s.io/v1", []
    try:
        for one in (*manifests(cluster, "jobs"), *manifests(cluster, "cluster-wide")):
            kind = one["kind"].lower()
            if "rules" in one:
                rights |= rights_of(one)
            if "subjects" in one:
                one["subjects"] = [account]
            if kind.startswith("cluster"):
                one["metadata"]["name"] = f"bridge-{namespace}"
                if "roleRef" in one:
                    one["roleRef"]["name"] = f"bridge-{namespace}"
                cluster_wide.append(f"{root}/{kind}s/bridge-{namespace}")
                cluster.call("POST", f"{root}/{kind}s", one)
            elif kind.startswith("role"):
                one["metadata"]["namespace"] = namespace
                cluster.call("POST", f"{root}/namespaces/{namespace}/{kind}s", one)
        yield rights
    finally:
        for path in cluster_wide:
            cluster.call("DELETE", path)


def token_of(cluster: Cluster, namespace: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/bridge/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    return str(cluster.call("POST", path, asked)["status"]["token"])


class Seen:
    """The latest sighting of each attempt, and the wait for one."""

    def __init__(self, backend: KubernetesBackend) -> None:
        self._backend, self._news = backend, asyncio.Condition()
        self.latest: dict[tuple[int, int], Sighting] = {}

    async def listen(self) -> None:
        async for observation in self._backend.observe():
            async with self._news:
                self.latest.update({(one.job_id, one.attempt): one for one in observation.sightings})
                self._news.notify_all()

    async def phase(self, job: int, *wanted: str) -> Sighting:
        def is_there() -> bool:
            return (job, 1) in self.latest and self.latest[job, 1].phase in wanted

        try:
            async with asyncio.timeout(60), self._news:
                await self._news.wait_for(is_there)
        except TimeoutError:
            raise AssertionError(f"job {job} did not come to {wanted}: {self.latest.get((job, 1))}") from None
        return self.latest[job, 1]


def a_job(job: int, script: bytes, **fields: Any) -> Any:
    mine = {"job_id": job, "display_id": str(job), "instance": "right000", "working_directory": "/tmp"}
    return a_group(script, **{**mine, "stdout": "/tmp/out", "kill_wait_seconds": 1, **fields})


async def everything(access: Access, namespace: str, image: str, bridge_image: str, token: str) -> None:
    """All that a bridge does to a cluster, faults included."""
    usual = {"namespace": namespace, "image": image, "pull_policy": "Never", "bridge_image": bridge_image}
    usual |= {"nodes_are": "room", "node_is": "pod", "cpu_request_percent": 1}
    profiles = {
        "main": a_profile(**usual),
        "refused": a_profile(name="refused", service_account="there-is-none", **usual),
    }
    await check.sentences(access, list(profiles.values()))
    backend = KubernetesBackend("k", access, "right000", profiles, [Node("n1", 4, 4096), Node("n2", 4, 4096)])
    await backend.open()
    seen = Seen(backend)
    listener = asyncio.create_task(seen.listen())
    reviews = TokenReviews(access)
    try:
        big = b"#!/bin/sh\ntrap 'exit 3' USR1\nwhile :; do sleep 0.1; done\nexit\n" + random.Random(1).randbytes(
            2 << 20
        )
        await backend.start([a_job(1, big, nodes=2)])
        await seen.phase(1, "running")
        await backend.signal(1, 1, 10, "batch")
        ended = await seen.phase(1, "ended")
        assert ended.end is not None and ended.end.exit_status == 3
        await backend.start([a_job(2, b"#!/bin/sh\nsleep 100\n")])
        await seen.phase(2, "running")
        await backend.stop(2, 1, "cancel")
        await seen.phase(2, "ended")
        await backend.start([a_job(3, b"#!/bin/sh\n", partition="refused")])
        assert "there-is-none" in (await seen.phase(3, "not_started")).why
        for job in (1, 2, 3, 4):  # the last was never here
            await backend.forget(job, 1)
        assert await reviews.name_of(token) == f"system:serviceaccount:{namespace}:bridge"
        assert await reviews.name_of("x.y.z") is None
    finally:
        listener.cancel()
        await reviews.close()
        await backend.close()


@pytest.mark.filterwarnings("ignore:Sending a large body")  # a launch file of 1 MB is no harm
def test_every_right_is_used_and_none_is_missing(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create: Callable[..., Any] = Transport.create

    async def twice(self: Transport, path: str, manifest: Any, **options: Any) -> Any:
        """As when the first answer was lost on its way, and the request is repeated."""
        made = await create(self, path, manifest, **options)
        name = manifest["metadata"].get("name", "") if "metadata" in manifest else ""
        if not name.startswith("job-1-1-right000") or (manifest["kind"] == "Secret" and "-part" not in name):
            return made
        await create(self, path, manifest, **options)
        raise AssertionError("a name was given twice")

    monkeypatch.setattr(Transport, "create", twice)
    images = cluster.image("debian-python"), cluster.image("bridge")
    with cluster.namespace() as namespace, granted(cluster, namespace) as rights:
        token = token_of(cluster, namespace)
        access = Access(str(cluster.kubeconfig_of(token, tmp_path / "kubeconfig")))
        with cluster.audited(f"system:serviceaccount:{namespace}:bridge") as asked:
            asyncio.run(everything(access, namespace, *images, token))
    objects = [event for event in asked if "objectRef" in event]
    refused = [event["responseStatus"] for event in objects if event["responseStatus"].get("code") == 403]
    used = {right_used(event) for event in objects}
    # That `create` is asked for beside `get` is no request of its own: see below.
    assert (refused, used - rights, rights - used) == ([], set(), {("", "pods/exec", "create")})


def test_a_command_in_a_pod_needs_both_rights(cluster: Cluster, tmp_path: Path) -> None:
    async def execute(access: Access, namespace: str) -> str:
        transport = Transport(access)
        await transport.open()
        try:
            await transport.execute(namespace, "there-is-none", "job", ["true"])
        except (Gone, Unavailable) as error:
            return error.sentence
        finally:
            await transport.close()
        return "done"

    with cluster.namespace() as namespace, granted(cluster, namespace):
        access = Access(str(cluster.kubeconfig_of(token_of(cluster, namespace), tmp_path / "kubeconfig")))
        role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/bridge"
        rules = cluster.call("GET", role)["rules"]
        place = next(index for index, rule in enumerate(rules) if rule["resources"] == ["pods/exec"])
        for verbs, answer in ((["get", "create"], "404"), (["get"], "403"), (["create"], "403")):
            change = [{"op": "replace", "path": f"/rules/{place}/verbs", "value": verbs}]
            cluster.call("PATCH", role, change, "application/json-patch+json")
            cluster.until(lambda answer=answer: answer in asyncio.run(execute(access, namespace)))
