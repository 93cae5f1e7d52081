"""Ends that come from outside of a job, on the real node: what is said of them, and whether it runs again."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import ground
from tests.cluster.ground import NODE, Cluster
from tests.kubernetes import world
from tests.kubernetes.pods import first_pod, nothing_is_left, path_of
from tests.kubernetes.world import Bridge

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

TWICE = """#!/bin/bash
#SBATCH --open-mode=append
echo run ${SLURM_RESTART_COUNT-0}
[ $SLURM_RESTART_COUNT ] || sleep 300
"""
"""Its second run ends at once."""


def told(bridge: Bridge, job: int) -> str:
    return "\n".join(bridge.history(job))


def runs_once_more(bridge: Bridge, job: int, because: str) -> None:
    """The lost job of TWICE waits with the evidence, starts again, and never ran beside itself."""
    bridge.waits_because(job, "BeginTime", 60)
    assert because in told(bridge, job)
    assert because in bridge.job(job)["SystemComment"]
    bridge.ok("scontrol", "update", f"JobId={job}", "StartTime=now")
    assert bridge.ends_as(job, 60) == "COMPLETED 0:0"
    assert bridge.job(job)["Restarts"] == "1"
    assert [line for line in bridge.output(job).splitlines() if line.startswith("run")] == ["run 0", "run 1"]


class TestFromOutside:
    def test_an_eviction_requeues_the_job_once(self, cluster: Cluster, on_cluster: Bridge) -> None:
        job = on_cluster.sbatch(script=TWICE)
        on_cluster.runs(job)
        pod = first_pod(cluster, on_cluster, job)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"]}}
        cluster.call("POST", f"{path_of(pod)}/eviction", eviction)
        runs_once_more(on_cluster, job, "EvictionByEvictionAPI")

    def test_an_eviction_ends_a_job_that_must_not_run_again(self, cluster: Cluster, on_cluster: Bridge) -> None:
        job = on_cluster.sbatch("--no-requeue", script=TWICE)
        on_cluster.runs(job)
        pod = first_pod(cluster, on_cluster, job)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"]}}
        cluster.call("POST", f"{path_of(pod)}/eviction", eviction)
        assert on_cluster.ends_as(job) == "NODE_FAIL 0:1"
        assert "EvictionByEvictionAPI" in told(on_cluster, job)

    def test_a_pod_deleted_by_hand_is_a_lost_node(self, cluster: Cluster, on_cluster: Bridge) -> None:
        job = on_cluster.wrap("sleep 300", "--no-requeue")
        on_cluster.runs(job)
        cluster.call("DELETE", path_of(first_pod(cluster, on_cluster, job)))
        assert on_cluster.ends_as(job) == "NODE_FAIL 0:1"
        assert "its pod was deleted" in "".join(on_cluster.history(job))

    def test_a_lost_pod_of_several_ends_the_others(self, cluster: Cluster, on_cluster: Bridge) -> None:
        job = on_cluster.sbatch("-N3", "--no-requeue", script="#!/bin/bash\nsrun sleep 300\n")
        on_cluster.runs(job)
        selector = f"labelSelector=bridge.hpc/job={job}"
        pods = cluster.items(f"/api/v1/namespaces/{on_cluster.namespace}/pods?{selector}")
        last = max(pods, key=lambda pod: pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])
        cluster.call("DELETE", path_of(last))
        assert on_cluster.ends_as(job) == "NODE_FAIL 0:1"
        cluster.until(lambda: nothing_is_left(cluster, on_cluster, job))

    def test_a_job_object_deleted_by_hand_is_a_lost_node(self, cluster: Cluster, on_cluster: Bridge) -> None:
        job = on_cluster.wrap("sleep 300", "--no-requeue")
        on_cluster.runs(job)
        name = first_pod(cluster, on_cluster, job)["metadata"]["labels"]["bridge.hpc/group"]
        path = f"/apis/batch/v1/namespaces/{on_cluster.namespace}/jobs/{name}"
        cluster.call("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"})
        assert on_cluster.ends_as(job) == "NODE_FAIL 0:1"

    def test_a_drain_of_the_node_requeues_the_job(self, cluster: Cluster, on_cluster: Bridge) -> None:
        job = on_cluster.sbatch(script=TWICE)
        on_cluster.runs(job)
        pod = first_pod(cluster, on_cluster, job)
        mine = f"--pod-selector=bridge.hpc/group={pod['metadata']['labels']['bridge.hpc/group']}"
        options = ("--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s")
        try:
            cluster.kubectl("drain", NODE, mine, *options)
        finally:
            cluster.kubectl("uncordon", NODE)
        runs_once_more(on_cluster, job, "EvictionByEvictionAPI")


class TestAHigherClass:
    RESOURCE = "test.example/one"

    @pytest.fixture
    def classes(self, cluster: Cluster) -> Iterator[None]:
        path = "/apis/scheduling.k8s.io/v1/priorityclasses"
        made = [("bridge-test-low", -10), ("bridge-test-high", 10)]
        for name, value in made:
            cluster.call("POST", path, {"metadata": {"name": name}, "value": value})
        try:
            yield
        finally:
            for name, _ in made:
                cluster.call("DELETE", f"{path}/{name}")

    @pytest.mark.parametrize("again", ["--requeue", "--no-requeue"])
    def test_preempts_a_job(self, cluster: Cluster, classes: None, again: str) -> None:
        cluster.grant(self.RESOURCE, 1)
        more = {"priority_class": '"bridge-test-low"', "resources": f'{{ gpu = "{self.RESOURCE}" }}'}
        with world.a_bridge(cluster, **more) as bridge:
            job = bridge.sbatch("--gres=gpu:1", again, script=TWICE)
            bridge.runs(job)
            one = {"limits": {self.RESOURCE: "1"}}
            container = {"name": "c", "image": cluster.image("debian-python"), "resources": one}
            container |= {"command": ["sleep", "600"], "imagePullPolicy": "Never"}
            spec = {"priorityClassName": "bridge-test-high", "containers": [container]}
            spec |= {"terminationGracePeriodSeconds": 0}
            pods = f"/api/v1/namespaces/{bridge.namespace}/pods"
            cluster.call("POST", pods, {"metadata": {"name": "urgent"}, "spec": spec})
            if again == "--no-requeue":
                assert bridge.ends_as(job, 60).startswith("PREEMPTED")
                assert "PreemptionByScheduler" in told(bridge, job)
            else:
                bridge.waits_because(job, "BeginTime", 60)
                cluster.call("DELETE", f"{pods}/urgent")
                runs_once_more(bridge, job, "PreemptionByScheduler")


class TestMemory:
    def test_a_container_that_the_kernel_kills_whole_agent_and_all_is_out_of_memory(
        self, cluster: Cluster, on_cluster: Bridge
    ) -> None:
        """With cgroup v2 one process over the limit ends them all; elsewhere the kernel is told to begin with the
        agent."""
        gate = on_cluster.gate()
        eater = "import mmap; m = mmap.mmap(-1, 900 << 20); m.write(b'x' * (900 << 20))"
        job = on_cluster.sbatch("--mem=300M", script=f'#!/bin/bash\n{gate.wait}\npython3 -c "{eater}"\n')
        on_cluster.runs(job)
        pid = cluster.pid_in_container(path_of(first_pod(cluster, on_cluster, job)))
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            Path(f"/proc/{child}/oom_score_adj").write_text("0")  # and so what the script starts
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
        gate.open()
        assert on_cluster.ends_as(job) == "OUT_OF_MEMORY 0:125"
        assert "the kernel killed the whole container" in told(on_cluster, job)


class TestALostNode:
    """Last in this file: the node is away meanwhile."""

    @pytest.mark.timeout(400)
    def test_whose_kubelet_is_stopped_fails_the_job_or_requeues_it_once_it_is_back(self, cluster: Cluster) -> None:
        with world.a_bridge(cluster, node_timeout_seconds="1") as bridge:
            ends, again = bridge.sbatch("--no-requeue", script=TWICE), bridge.sbatch(script=TWICE)
            for job in (ends, again):
                bridge.runs(job)
            cluster.kill("kubelet", signal.SIGKILL)
            try:
                assert bridge.ends_as(ends, 60) == "NODE_FAIL 0:1"
                because = f"the node {NODE} has been NotReady for 1 seconds (NodeStatusUnknown"
                assert because in told(bridge, ends)
                # Whether its processes have ended nobody can know while the node is away.
                assert bridge.state(again) == "RUNNING"
            finally:
                cluster.start_again("kubelet")
            runs_once_more(bridge, again, "was deleted")

    @pytest.mark.timeout(400)
    def test_that_is_removed_from_the_cluster_fails_or_requeues_at_once(self, cluster: Cluster) -> None:
        with world.a_bridge(cluster) as bridge:
            ends, again = bridge.sbatch("--no-requeue", script=TWICE), bridge.sbatch(script=TWICE)
            for job in (ends, again):
                bridge.runs(job)
            cluster.kill("kubelet", signal.SIGKILL)
            try:
                cluster.call("DELETE", f"/api/v1/nodes/{NODE}")
                assert bridge.ends_as(ends) == "NODE_FAIL 0:1"
                assert f"the node {NODE} was removed from the cluster" in told(bridge, ends)
                bridge.waits_because(again, "BeginTime")
            finally:
                cluster.start_again("kubelet")
                cluster.until(lambda: ground.is_ready(cluster))
                cluster.grant(world.GPU, 64)
            runs_once_more(bridge, again, f"the node {NODE} was removed from the cluster")
            cluster.until(lambda: nothing_is_left(cluster, bridge, ends))
