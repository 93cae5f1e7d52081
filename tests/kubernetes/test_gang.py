"""All nodes of a job or none: two jobs that need more than half of the room each. On the real node."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.cluster.ground import NODE, Cluster
from tests.kubernetes import world
from tests.kubernetes.world import Bridge

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(300)]

SEAT = "test.example/seat"
SITE = """
[cluster]
kill_wait_seconds = 1

[[nodes]]
name = "n[1-6]"
cpus = 1
memory_mib = 500
gres = ["gpu:1"]

[[partitions]]
name = "main"
nodes = "n[1-6]"
default = true
default_memory_per_cpu_mib = 64
"""
"""More room than there is: the bridge would place two jobs of three nodes at once."""
JOB = ("-N3", "--gres=gpu:1")


@pytest.fixture(params=["auto", "gates"])
def bridge(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Bridge]:
    """By the scheduler's own groups, which the test cluster has, and by our gates. Four seats are all there are."""
    cluster.grant(SEAT, 4)
    values = {"gang": f'"{request.param}"', "bind_seconds": "3", "resources": f'{{ gpu = "{SEAT}" }}'}
    with world.a_bridge(cluster, SITE, **values) as made:
        yield made


@contextlib.contextmanager
def foreign_pod(cluster: Cluster, namespace: str, seats: int) -> Iterator[None]:
    """Somebody else's, on the node without having asked anybody."""
    limits = {SEAT: str(seats)}
    container = {"name": "c", "image": cluster.image("busybox"), "imagePullPolicy": "Never"}
    container |= {"command": ["sleep", "600"], "resources": {"limits": limits}}
    spec = {"nodeName": NODE, "terminationGracePeriodSeconds": 0, "containers": [container]}
    path = f"/api/v1/namespaces/{namespace}/pods"
    cluster.call("POST", path, {"metadata": {"name": "foreign"}, "spec": spec})
    cluster.until(lambda: cluster.call("GET", f"{path}/foreign")["status"]["phase"] == "Running")
    yield
    cluster.call("DELETE", f"{path}/foreign")


def bound(cluster: Cluster, bridge: Bridge, job: int) -> int:
    pods = cluster.items(f"/api/v1/namespaces/{bridge.namespace}/pods?labelSelector=bridge.hpc/job={job}")
    return sum("nodeName" in pod["spec"] and "deletionTimestamp" not in pod["metadata"] for pod in pods)


def test_two_jobs_of_three_pods_on_room_for_four_do_not_block_each_other(cluster: Cluster, bridge: Bridge) -> None:
    gates = {}
    for gate in (bridge.gate(), bridge.gate()):
        gates[bridge.sbatch(*JOB, script=f"#!/bin/sh\nsrun true\n{gate.wait}\n")] = gate
    jobs = list(gates)
    first = bridge.until(lambda: next((job for job in jobs if bridge.state(job) == "RUNNING"), None), 60)
    other = next(job for job in jobs if job != first)
    bridge.waits_because(other, "Resources", 60)
    cluster.until(lambda: bound(cluster, bridge, other) == 0)  # what it got of the room it gives back
    assert bound(cluster, bridge, first) == 3
    gates[first].open()
    bridge.runs(other, 60)
    gates[other].open()
    assert [bridge.ends_as(job, 60) for job in jobs] == ["COMPLETED 0:0"] * 2


def test_nor_when_somebody_else_takes_the_room(cluster: Cluster, bridge: Bridge) -> None:
    with foreign_pod(cluster, bridge.namespace, 2):
        jobs = [bridge.sbatch(*JOB, script="#!/bin/sh\nsrun true\n") for _ in range(2)]
        for job in jobs:
            bridge.waits_because(job, "Resources", 60)
    assert [bridge.ends_as(job, 60) for job in jobs] == ["COMPLETED 0:0"] * 2
