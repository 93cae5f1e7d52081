"""Jobs that cannot start on the real cluster: what is said, in whose words, and what happens once they can."""

import pytest

from tests.cluster.ground import NODE, Cluster
from tests.kubernetes import world
from tests.kubernetes.world import Bridge

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

MERGE = "application/merge-patch+json"


def waits_with(bridge: Bridge, job: int, words: str) -> str:
    """The reason of the job that waits with these words of the cluster's in `scontrol show job`."""

    def look() -> str:
        record = bridge.job(job)
        is_told = record["JobState"] == "PENDING" and words in record.get("SystemComment", "")
        return record["Reason"] if is_told else ""

    found = bridge.until(look, 60)
    assert words in "\n".join(bridge.history(job))
    return found


class TestForRoom:
    def test_a_quota(self, cluster: Cluster, on_cluster: Bridge) -> None:
        quotas = f"/api/v1/namespaces/{on_cluster.namespace}/resourcequotas"
        cluster.call("POST", quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
        try:
            job = on_cluster.wrap("true")
            assert waits_with(on_cluster, job, "exceeded quota: none") == "Resources"
        finally:
            cluster.call("DELETE", f"{quotas}/none")
        assert on_cluster.ends_as(job, 60) == "COMPLETED 0:0"

    def test_a_pod_without_a_host_gives_its_place_back(self, cluster: Cluster) -> None:
        with world.a_bridge(cluster, node_selector='{ pool = "none" }', bind_seconds="1") as bridge:
            job = bridge.wrap("true")
            assert waits_with(bridge, job, "didn't match Pod's node affinity/selector") == "Resources"
            node = f"/api/v1/nodes/{NODE}"
            cluster.call("PATCH", node, {"metadata": {"labels": {"pool": "none"}}}, MERGE)
            try:
                assert bridge.ends_as(job, 60) == "COMPLETED 0:0"
            finally:
                cluster.call("PATCH", node, {"metadata": {"labels": {"pool": None}}}, MERGE)


class TestForAChange:
    def test_pod_security(self, cluster: Cluster, on_cluster: Bridge) -> None:
        space = f"/api/v1/namespaces/{on_cluster.namespace}"
        level = "pod-security.kubernetes.io/enforce"
        cluster.call("PATCH", space, {"metadata": {"labels": {level: "restricted"}}}, MERGE)
        try:
            job = on_cluster.wrap("true")
            assert waits_with(on_cluster, job, 'violates PodSecurity "restricted') == "JobLaunchFailure"
        finally:
            cluster.call("PATCH", space, {"metadata": {"labels": {level: None}}}, MERGE)
        assert on_cluster.ends_as(job, 60) == "COMPLETED 0:0"

    def test_a_priority_class_that_is_missing(self, cluster: Cluster) -> None:
        with world.a_bridge(cluster, priority_class='"bridge-test-late"') as bridge:
            job = bridge.wrap("true")
            words = "no PriorityClass with name bridge-test-late was found"
            assert waits_with(bridge, job, words) == "JobLaunchFailure"
            classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
            cluster.call("POST", classes, {"metadata": {"name": "bridge-test-late"}, "value": 1})
            try:
                assert bridge.ends_as(job, 60) == "COMPLETED 0:0"
            finally:
                cluster.call("DELETE", f"{classes}/bridge-test-late")


class TestAFault:
    """Is shown while it is waited for, is given another placement, and then ends the job."""

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            pytest.param({"image": '"docker.io/test/not-there:1"'}, "ErrImageNeverPull", id="image"),
            pytest.param({"volume": 'path = "/data"\nhost_path = "/not/there"'}, "FailedMount", id="folder"),
            pytest.param({"python": '"/no/python"'}, "no such file or directory", id="program"),
        ],
    )
    def test_of_the_node_s_own(self, cluster: Cluster, more: dict[str, str], words: str) -> None:
        with world.a_bridge(cluster, patience_seconds="8", **more) as bridge:
            job = bridge.wrap("true")
            if words != "no such file or directory":  # that is no waiting
                bridge.until(lambda: words in bridge.ok("squeue", "-h", "-j", str(job), "-t", "CF", "-o", "%T %R"), 60)
            assert bridge.ends_as(job, 60) == "FAILED 0:53"
            history = "\n".join(bridge.history(job))
            assert words in history and "Attempt 2 " in history and "Attempt 3 " not in history

    def test_a_claim_that_nobody_has_made(self, cluster: Cluster) -> None:
        with world.a_bridge(cluster, volume='path = "/data"\nclaim = "none"', bind_seconds="2") as bridge:
            job = bridge.wrap("true")
            assert bridge.ends_as(job, 60) == "FAILED 0:53"
            assert 'persistentvolumeclaim "none" not found' in "\n".join(bridge.history(job))


class TestForOthers:
    HERE = """
[[backends]]
name = "here"
kind = "local"

[[nodes]]
name = "h1"
backend = "here"
cpus = 2
memory_mib = 1000

[[partitions]]
name = "here"
backend = "here"
default_memory_per_cpu_mib = 100
"""

    def test_jobs_of_both_backends_wait_for_each_other(self, cluster: Cluster) -> None:
        with world.a_bridge(cluster, tail=self.HERE) as bridge:

            def submit(word: str, where: str, *argv: str, status: int = 0, before: str = "") -> int:
                script = f"#!/bin/bash\n{before}\necho {word} >> all\nexit {status}\n"
                return bridge.sbatch("-p", where, *argv, script=script)

            gate = bridge.gate()
            first = submit("first", "here", before=gate.wait)
            second = submit("second", "main", "-d", f"afterok:{first}")
            third = submit("third", "here", "-d", f"afterok:{second}", status=3)
            fourth = submit("fourth", "main", "-d", f"afternotok:{third}")
            never = submit("never", "main", "-d", f"afterok:{third}")
            held = submit("held", "main", "--hold", "-d", f"afterany:{fourth}")
            bridge.waits_because(second, "Dependency")
            gate.open()
            assert [bridge.ends_as(job, 60) for job in (first, second, third, fourth)] == [
                "COMPLETED 0:0",
                "COMPLETED 0:0",
                "FAILED 3:0",
                "COMPLETED 0:0",
            ]
            bridge.waits_because(never, "DependencyNeverSatisfied")
            bridge.ok("scontrol", "release", str(held))
            assert bridge.ends_as(held, 60) == "COMPLETED 0:0"
            assert bridge.read("all").split() == ["first", "second", "third", "fourth", "held"]
