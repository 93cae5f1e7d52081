"""Every kind of object that the mapping makes, taken by a real API server under strict validation."""

import json
import random
import urllib.error
from typing import Any

import pytest

from adapters.kubernetes import bundle, objects
from adapters.kubernetes.profile import Profile, Volume
from bridge.core.job import Share
from tests.cluster.ground import Cluster
from tests.kubernetes.makers import a_group, a_profile, a_task, made

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

GPUS = (Share("n1", 2, 4096, 1, gres=(("gpu", None, (0, 1)),)),)
EVERYTHING = a_profile(
    node_selector={"pool": "hpc"},
    tolerations=({"key": "hpc", "operator": "Exists", "effect": "NoSchedule"},),
    pull_secrets=("registry",),
    resources={"gpu": "example.com/gpu"},
    max_time_seconds=86400,
    volumes=(Volume("/home", claim="home"), Volume("/sw", nfs=("nas", "/sw"), read_only=True)),
    cpu_request_percent=50,
)
CASES: dict[str, tuple[list[Any], Profile, dict[str, str]]] = {
    "one node": ([a_group()], a_profile(), {}),
    "two nodes": ([a_group(nodes=2)], a_profile(), {}),
    "two nodes that may share a host": ([a_group(nodes=2)], a_profile(node_is="pod", nodes_are="room"), {}),
    "a pod group": ([a_group(nodes=2)], a_profile(), {"pod_group": "yes"}),
    "a wave": ([a_task(0), a_task(1), a_task(5)], a_profile(), {}),
    "everything that a partition says": ([a_group(shares=GPUS)], EVERYTHING, {"strict_groups": "yes"}),
    "gates of ours": ([a_group(nodes=3)], a_profile(), {"pod_group": "no"}),
    "an image, disk and more resources": (
        [a_group(container_image="registry.example/tf:2", temporary_disk_mib=2048)],
        a_profile(extra_resources={"rdma/hca": "1"}),
        {},
    ),
    "an array of two nodes a task": ([a_task(3, nodes=2)], a_profile(), {"pod_group": "yes"}),
    "a root job on the host's network": (
        [a_group(uid=0, gid=0, groups=(0,), group_names=("root",), user="root")],
        a_profile(allow_root=True, host_network=True, service_account="default"),
        {},
    ),
    "without memory and without a time limit": ([a_group(shares=(Share("n1", 1, 0, 1),))], a_profile(), {}),
    "an image volume": ([a_group()], a_profile(bridge_image="bridge:1"), {"image_volume": "yes"}),
    "an init container": ([a_group()], a_profile(bridge_image="bridge:1"), {}),
    "a queue of Kueue": ([a_group()], a_profile(queue="batch"), {"kueue": "yes"}),
    "a script of 4 MiB": ([a_group(random.Random(1).randbytes(4 << 20))], a_profile(), {}),
    "an environment of 2 MB": (
        [a_group(environment={"A": random.Random(2).randbytes(1_000_000).hex()})],
        a_profile(),
        {},
    ),
    "hostile names": ([a_group(job_name="../ä\n{}'\"", user="-_" * 60, partition="main")], a_profile(), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_is_taken_as_it_is(cluster: Cluster, case: str) -> None:
    groups, profile, can = CASES[case]
    with cluster.namespace() as namespace:
        (gathered,) = bundle.gather(groups)
        found = made(gathered, Profile(**{**_fields(profile), "namespace": namespace}), **can)
        owner = {"metadata": {"name": found.owner["metadata"]["name"], "uid": "0a1b"}}
        for manifest in (found.owner, *(objects.with_owner(one, owner) for one in found.owned)):
            answered = _dry_run(cluster, manifest)
            assert _is_within(manifest, answered), json.dumps(manifest)


@pytest.mark.parametrize("nodes", [1, 2])
def test_passes_pod_security_restricted_with_volumes_that_it_allows(cluster: Cluster, nodes: int) -> None:
    with cluster.namespace(**{"pod-security.kubernetes.io/enforce": "restricted"}) as namespace:
        profile = a_profile(namespace=namespace, volumes=(Volume("/home", claim="home"),), bridge_image="bridge:1")
        template = made(bundle.of_group(a_group(nodes=nodes)), profile).owned[-1]["spec"]["template"]
        metadata = {**template["metadata"], "name": "p", "namespace": namespace}
        assert _dry_run(cluster, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})


def _fields(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in Profile.__slots__}


def _dry_run(cluster: Cluster, manifest: dict[str, Any]) -> dict[str, Any]:
    version, kind = manifest["apiVersion"], manifest["kind"].lower() + "s"
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    path = f"{root}/namespaces/{manifest['metadata']['namespace']}/{kind}?dryRun=All&fieldValidation=Strict"
    try:
        return cluster.call("POST", path, manifest)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{manifest['kind']}: {error.read().decode()}") from None


def _is_within(wanted: Any, found: Any) -> bool:
    """Everything that we said is still there: a field whose feature is off would have been dropped in silence."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_is_within(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list) and not wanted:
        return not found  # an empty list is left out
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) >= len(wanted) and all(map(_is_within, wanted, found))
    return _plain(wanted) == _plain(found)


def _plain(value: Any) -> Any:
    """The API server writes quantities in its shortest form, and leaves out what is false."""
    same = {"4096Mi": "4Gi", "2048Mi": "2Gi", "1000m": "1", False: None}
    return same.get(value, value) if isinstance(value, str | bool) else value
