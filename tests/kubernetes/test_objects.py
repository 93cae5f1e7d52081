"""What becomes of a group, compared as a whole."""

import base64
import json
import random
from typing import Any

import pytest

from adapters.kubernetes import bundle, names, objects, payload
from adapters.kubernetes.capabilities import Capabilities
from adapters.kubernetes.profile import Volume
from bridge.agent import pod as agent_pod
from bridge.core import group as core_group
from bridge.core.errors import Refused
from bridge.core.job import Share
from tests.kubernetes.makers import AGENT, TICKET, a_group, a_profile, a_task, made

NAME = "job-12-1-abcd1234"
LABELS = {
    "bridge.hpc/instance": "abcd1234",
    "bridge.hpc/group": NAME,
    "bridge.hpc/job": "12",
    "bridge.hpc/attempt": "1",
    "bridge.hpc/partition": "main",
    "bridge.hpc/user": "alice",
    "bridge.hpc/job-name": "train",
    "app.kubernetes.io/managed-by": "bridge",
}
TEMPLATE_SECURITY = {
    "runAsUser": 1001,
    "runAsGroup": 1001,
    "supplementalGroups": [2000],
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def metadata(name: str = NAME, *, content: str, gang: str = "none", **labels: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "hpc",
        "labels": {**LABELS, **labels},
        "annotations": {
            "bridge.hpc/job-name": "train",
            "bridge.hpc/user": "alice",
            "bridge.hpc/partition": "main",
            "bridge.hpc/members": "12.1",
            "bridge.hpc/variant": f"agent=archive gang={gang}",
            "bridge.hpc/content": content,
            "bridge.hpc/requeue": "yes",
        },
    }


def host(name: str) -> dict[str, Any]:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}


def template(*, secret: str = f"{NAME}-{TICKET}", members: str = "12.1", **labels: str) -> dict[str, Any]:
    """The pod of a job of one node."""
    return {
        "metadata": {
            "labels": {**LABELS, **labels},
            "annotations": {
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                "karpenter.sh/do-not-disrupt": "true",
                "bridge.hpc/members": members,
                "bridge.hpc/partition": "main",
                "bridge.hpc/requeue": "yes",
                "bridge.hpc/output": "new",
            },
            "finalizers": ["bridge.hpc/end-is-committed"],
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 70,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": TEMPLATE_SECURITY,
            "containers": [
                {
                    "name": "job",
                    "image": "registry.example/base:12",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/usr/bin/python3", "-I", "-S", "/bridge/agent/agent.pyz", "run"],
                    "workingDir": "/",
                    "resources": {
                        "requests": {"cpu": "2", "memory": "4096Mi"},
                        "limits": {"cpu": "2", "memory": "4096Mi"},
                    },
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "volumeMounts": [
                        {"name": "launch", "mountPath": "/bridge/launch", "readOnly": True},
                        {"name": "agent", "mountPath": "/bridge/agent", "readOnly": True},
                        {"name": "run", "mountPath": "/bridge/run"},
                        {"name": "shm", "mountPath": "/dev/shm"},
                        {"name": "launch", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True},
                        {"name": "launch", "mountPath": "/etc/group", "subPath": "group", "readOnly": True},
                    ],
                }
            ],
            "volumes": [
                {
                    "name": "launch",
                    "projected": {
                        "sources": [
                            {
                                "secret": {
                                    "name": secret,
                                    "items": [
                                        {"key": "launch.0", "path": "launch.0"},
                                        {"key": "passwd", "path": "passwd"},
                                        {"key": "group", "path": "group"},
                                    ],
                                }
                            }
                        ],
                        "defaultMode": 0o444,
                    },
                },
                {"name": "agent", "configMap": {"name": AGENT, "defaultMode": 0o444}},
                {"name": "run", "emptyDir": {}},
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "4096Mi"}},
            ],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [host("n1")]},
                }
            },
        },
    }


def job(content: str, gang: str = "none", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(content=content, gang=gang),
        "spec": {
            "completionMode": "Indexed",
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "backoffLimit": 0,
            "successPolicy": {"rules": [{"succeededIndexes": "0"}]},
            "template": template(),
            **spec,
        },
    }


def launch_data(secret: dict[str, Any]) -> dict[str, bytes]:
    return {name: base64.b64decode(value) for name, value in secret["data"].items()}


def unpacked(found: objects.Objects, index: int = 0, folder: Any = None) -> tuple[dict[str, Any], bytes, int]:
    """As the agent of a pod reads it."""
    secrets = [found.owner, *(one for one in found.owned if one["kind"] == "Secret")]
    for secret in secrets:
        for name, data in launch_data(secret).items():
            (folder / name).write_bytes(data)
    return agent_pod.unpack(agent_pod.read_packed(str(folder)), index)


class TestOneNode:
    def test_is_a_secret_and_a_job_of_one_pod(self) -> None:
        found = made(bundle.of_group(a_group()))
        assert found.owned == (job(found.content),)
        data = launch_data(found.owner)
        assert {**found.owner, "data": sorted(data)} == {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata(f"{NAME}-{TICKET}", content=found.content),
            "type": "bridge.hpc/launch",
            "immutable": True,
            "data": ["group", "launch.0", "passwd"],
        }
        assert data["passwd"].decode() == (
            "root:x:0:0:root:/root:/bin/sh\n"
            "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            "alice:x:1001:1001::/home/alice:/bin/bash\n"
        )
        assert data["group"].decode() == "root:x:0:\nnogroup:x:65534:\nalice:x:1001:alice\nphysics:x:2000:alice\n"

    def test_the_agent_reads_the_group_as_it_was_with_pod_names_for_nodes(self, tmp_path: Any) -> None:
        group = a_group(b"#!/bin/sh\n\xff\n", arguments=("a b", "\udcff"))
        file, script, node = unpacked(made(bundle.of_group(group)), folder=tmp_path)
        inside = f"{NAME}-0"
        expected = core_group.launch_file(group, [("127.0.0.1", 6818)])
        expected["nodes"][0]["name"] = inside
        expected["node_environment"] = [{"SLURMD_NODENAME": inside, "HOSTNAME": inside, "SLURM_NODEID": "0"}]
        expected["batch"]["environment"] = {
            "PATH": "/usr/bin:/bin",
            "SLURM_JOB_NODELIST": inside,
            "SLURM_NODELIST": inside,
            "SLURM_TOPOLOGY_ADDR": inside,
        }
        assert (file, script, node) == (
            {
                **expected,
                **{"member_port": 6819, "url": None, "ca": ""},
                **{"spooled": ["stdout"], "spool_bytes": 256 << 20, "output_wait_seconds": 600},
            },
            b"#!/bin/sh\n\xff\n",
            0,
        )

    def test_owner_makes_everything_go_with_the_secret(self) -> None:
        found = made(bundle.of_group(a_group()))
        answered = {"metadata": {"name": f"{NAME}-{TICKET}", "uid": "u-1"}}
        assert objects.with_owner(found.owned[-1], answered)["metadata"]["ownerReferences"] == [
            {"apiVersion": "v1", "kind": "Secret", "name": f"{NAME}-{TICKET}", "uid": "u-1"}
        ]


class TestSeveralNodes:
    def test_have_a_headless_service_and_names_that_resolve_bare(self) -> None:
        found = made(bundle.of_group(a_group(nodes=2)))
        pod = template()
        pod["metadata"]["annotations"]["bridge.hpc/pods"] = "2"
        pod["spec"]["schedulingGates"] = [{"name": "bridge.hpc/all-or-none"}]
        pod["spec"]["subdomain"] = NAME
        pod["spec"]["dnsConfig"] = {"searches": [f"{NAME}.hpc.svc.cluster.local"]}
        pod["spec"]["affinity"] = {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [host("n1"), host("n2")]},
            },
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "labelSelector": {"matchLabels": {"bridge.hpc/group": NAME}},
                        "topologyKey": "kubernetes.io/hostname",
                    }
                ]
            },
        }
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(content=found.content, gang="gates"),
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": {"bridge.hpc/group": NAME},
            },
        }
        wanted = job(found.content, gang="gates", completions=2, parallelism=2, template=pod)
        assert found.owned == (service, wanted)

    def test_each_agent_finds_its_place_and_the_others_by_name(self, tmp_path: Any) -> None:
        found = made(bundle.of_group(a_group(nodes=3)))
        file, _, node = unpacked(found, 2, tmp_path)
        assert node == 2
        assert [(one["name"], one["address"], one["port"]) for one in file["nodes"]] == [
            (f"{NAME}-{k}", f"{NAME}-{k}.{NAME}", 6818) for k in range(3)
        ]
        assert file["batch"]["environment"]["SLURM_JOB_NODELIST"] == f"{NAME}-[0-2]"

    def test_get_what_the_largest_share_needs_as_one_template_makes_all(self) -> None:
        shares = (Share("n1", 4, 4096, 2), Share("n2", 2, 8192, 1))
        found = made(bundle.of_group(a_group(shares=shares)))
        pod = found.owned[-1]["spec"]["template"]["spec"]
        assert pod["containers"][0]["resources"]["limits"] == {"cpu": "4", "memory": "8192Mi"}

    def test_may_share_hosts_where_the_partition_says_that_a_node_is_a_pod(self) -> None:
        found = made(bundle.of_group(a_group(nodes=2)), a_profile(node_is="pod", nodes_are="room"))
        assert found.owned[-1]["spec"]["template"]["spec"]["affinity"] == {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 100,
                        "podAffinityTerm": {
                            "labelSelector": {"matchLabels": {"bridge.hpc/group": NAME}},
                            "topologyKey": "kubernetes.io/hostname",
                        },
                    }
                ]
            }
        }


class TestAWave:
    def test_is_one_job_in_which_each_index_fails_alone(self) -> None:
        tasks = [a_task(0), a_task(1), a_task(3)]
        (wave,) = bundle.gather(tasks)
        found = made(wave)
        (job_made,) = found.owned
        labels = {"bridge.hpc/job": "20", "bridge.hpc/group": wave.name}
        pod = template(secret=f"{wave.name}-{TICKET}", members="21-22.1,24.1", **labels)
        del pod["metadata"]["labels"]["bridge.hpc/attempt"]
        assert job_made["spec"] == {
            "completionMode": "Indexed",
            "completions": 3,
            "parallelism": 3,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailIndex", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "backoffLimitPerIndex": 0,
            "template": pod,
        }
        assert job_made["metadata"]["name"] == wave.name

    def test_each_pod_reads_its_own_task(self, tmp_path: Any) -> None:
        tasks = [a_task(0), a_task(1, time_limit_seconds=None), a_task(3, environment={"SLURM_ARRAY_TASK_ID": "3"})]
        (wave,) = bundle.gather(tasks)
        found = made(wave)
        for index, task in enumerate(tasks):
            file, script, node = unpacked(found, index, tmp_path)
            (expected,) = objects.launch_files(bundle.Bundle(wave.name, (task,)), a_profile())
            expected["nodes"][0]["name"] = f"{wave.name}-{index}"
            expected["node_environment"][0] |= dict.fromkeys(("SLURMD_NODENAME", "HOSTNAME"), f"{wave.name}-{index}")
            expected["batch"]["environment"] |= dict.fromkeys(
                ("SLURM_JOB_NODELIST", "SLURM_NODELIST", "SLURM_TOPOLOGY_ADDR"), f"{wave.name}-{index}"
            )
            assert (file, script, node) == (expected, task.batch.script, 0)


class TestOutput:
    """What no volume takes is kept in the pod."""

    HOME = Volume("/home", claim="home")

    @pytest.mark.parametrize(
        ("files", "kept"),
        [
            ({"stdout": "/home/alice/a.out"}, []),
            ({"stdout": "/home/alice/../../tmp/a.out"}, ["stdout"]),
            ({"stdout": "/homes/a.out"}, ["stdout"]),
            ({"stdout": "/dev/null", "stderr": "/tmp/a.err"}, ["stderr"]),
            ({"stdout": "/tmp/a.out", "stderr": "/tmp/a.out"}, ["stdout"]),
            ({"stdout": "/tmp/a.out", "stderr": "/tmp/a.err"}, ["stdout", "stderr"]),
        ],
    )
    def test_is_by_stream(self, files: dict[str, str], kept: list[str]) -> None:
        group, profile = a_group(**files), a_profile(volumes=(self.HOME,))
        assert objects.spooled(group, profile) == kept
        pod = objects.make_objects(bundle.of_group(group), profile, Capabilities(), AGENT, TICKET).owned[-1]
        annotations = pod["spec"]["template"]["metadata"]["annotations"]
        assert annotations.get(names.OUTPUT) == ("new" if kept else None)

    def test_goes_to_no_volume_that_is_for_reading_only(self) -> None:
        profile = a_profile(volumes=(Volume("/home", claim="home", read_only=True),))
        assert objects.spooled(a_group(), profile) == ["stdout"]


class TestWishesOfTheJob:
    def test_its_image_its_disk_and_what_every_pod_of_the_partition_gets(self) -> None:
        group = a_group(container_image="registry.example/tf:2", temporary_disk_mib=2048)
        profile = a_profile(extra_resources={"rdma/hca": "1"})
        container = made(bundle.of_group(group), profile).owned[-1]["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == "registry.example/tf:2"
        usual = {"cpu": "2", "memory": "4096Mi", "rdma/hca": "1"}
        assert container["resources"] == {"requests": {**usual, "ephemeral-storage": "2048Mi"}, "limits": usual}

    def test_are_shared_by_the_tasks_of_a_wave(self) -> None:
        tasks = [a_task(k, container_image="registry.example/tf:2") for k in range(2)]
        (wave,) = bundle.gather(tasks)
        assert made(wave).owned[-1]["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/tf:2"


class TestGangs:
    def test_a_partition_may_want_our_own_gates_although_the_scheduler_has_groups(self) -> None:
        ours = made(bundle.of_group(a_group(nodes=2)), a_profile(gang="gates"), pod_group="yes")
        assert ours == made(bundle.of_group(a_group(nodes=2)))

    def test_a_pod_group_holds_all_pods_where_the_scheduler_knows_it(self) -> None:
        found = made(bundle.of_group(a_group(nodes=2)), pod_group="yes")
        service, workload, pod_group, job_made = found.owned
        gang = {"schedulingPolicy": {"gang": {"minCount": 2}}}
        assert service["kind"] == "Service"
        assert workload == {
            "apiVersion": "scheduling.k8s.io/v1beta1",
            "kind": "Workload",
            "metadata": metadata(content=found.content, gang="pod-group"),
            "spec": {
                "controllerRef": {"apiGroup": "batch", "kind": "Job", "name": NAME},
                "podGroupTemplates": [{"name": "nodes", **gang}],
            },
        }
        assert pod_group == {
            "apiVersion": "scheduling.k8s.io/v1beta1",
            "kind": "PodGroup",
            "metadata": metadata(content=found.content, gang="pod-group"),
            "spec": {"workloadRef": {"workloadName": NAME, "templateName": "nodes"}, **gang},
        }
        assert job_made["spec"]["template"]["spec"]["schedulingGroup"] == {"podGroupName": NAME}

    def test_one_pod_needs_no_gang(self) -> None:
        found = made(bundle.of_group(a_group()), pod_group="yes")
        assert found.owned == (job(found.content),)

    def test_kueue_admits_the_jobs_of_a_partition_with_a_queue(self) -> None:
        found = made(bundle.of_group(a_group()), a_profile(queue="batch"), kueue="yes")
        job_made = found.owned[-1]
        assert job_made["metadata"] == metadata(
            content=found.content, gang="kueue", **{"kueue.x-k8s.io/queue-name": "batch"}
        )
        assert job_made["spec"]["suspend"] is True


class TestThePartition:
    def pod(self, **profile: Any) -> dict[str, Any]:
        found = made(bundle.of_group(a_group()), a_profile(**profile))
        spec: dict[str, Any] = found.owned[-1]["spec"]["template"]["spec"]
        return spec

    def test_says_where_pods_go(self) -> None:
        toleration = {"key": "hpc", "operator": "Exists", "effect": "NoSchedule"}
        spec = self.pod(
            node_selector={"pool": "hpc"},
            tolerations=(toleration,),
            priority_class="batch",
            runtime_class="kata",
            service_account="jobs",
            pull_secrets=("registry",),
            host_network=True,
        )
        assert spec == template()["spec"] | {
            "nodeSelector": {"pool": "hpc"},
            "tolerations": [toleration],
            "priorityClassName": "batch",
            "runtimeClassName": "kata",
            "serviceAccountName": "jobs",
            "imagePullSecrets": [{"name": "registry"}],
            "hostNetwork": True,
            "dnsPolicy": "ClusterFirstWithHostNet",
        }

    def test_brings_its_volumes(self) -> None:
        volumes = (
            Volume("/home", claim="home"),
            Volume("/sw", nfs=("nas", "/export/sw"), read_only=True),
            Volume("/scratch", host_path="/mnt/scratch", sub_path="jobs"),
        )
        spec = self.pod(volumes=volumes)
        assert spec["volumes"][4:] == [
            {"name": "site-0", "persistentVolumeClaim": {"claimName": "home", "readOnly": False}},
            {"name": "site-1", "nfs": {"server": "nas", "path": "/export/sw", "readOnly": True}},
            {"name": "site-2", "hostPath": {"path": "/mnt/scratch", "type": "Directory"}},
        ]
        assert spec["containers"][0]["volumeMounts"][6:] == [
            {"name": "site-0", "mountPath": "/home", "readOnly": False},
            {"name": "site-1", "mountPath": "/sw", "readOnly": True},
            {"name": "site-2", "mountPath": "/scratch", "readOnly": False, "subPath": "jobs"},
        ]

    def test_lets_its_largest_limit_be_the_net_beneath_the_agents_clock(self) -> None:
        # 3600 s limit, 30 s KillWait, 300 s patience, 600 s for images and volumes
        assert self.pod(max_time_seconds=3600)["activeDeadlineSeconds"] == 4530

    def test_oversubscribes_cpus_where_it_says_so(self) -> None:
        assert self.pod(cpu_request_percent=15)["containers"][0]["resources"] == {
            "requests": {"cpu": "300m", "memory": "4096Mi"},
            "limits": {"cpu": "2", "memory": "4096Mi"},
        }

    def test_names_the_clusters_resource_of_a_generic_one(self) -> None:
        share = Share("n1", 2, 4096, 1, gres=(("gpu", "a100", (2, 3)), ("gpu", "t4", (0,))))
        profile = a_profile(resources={"gpu:a100": "example.com/a100", "gpu": "example.com/gpu"})
        found = made(bundle.of_group(a_group(shares=(share,))), profile)
        resources = found.owned[-1]["spec"]["template"]["spec"]["containers"][0]["resources"]
        wanted = {"cpu": "2", "memory": "4096Mi", "example.com/a100": "2", "example.com/gpu": "1"}
        assert resources == {"requests": wanted, "limits": wanted}
        with pytest.raises(Refused, match="partition main names no resource of the cluster for gpu:a100"):
            made(bundle.of_group(a_group(shares=(share,))))

    def test_counts_the_devices_of_a_pod_from_zero(self, tmp_path: Any) -> None:
        share = Share("n1", 2, 4096, 1, gres=(("gpu", None, (2, 3)),))
        environment = ({"CUDA_VISIBLE_DEVICES": "2,3", "SLURM_JOB_GPUS": "2,3", "SLURM_GPUS_ON_NODE": "2"},)
        group = a_group(shares=(share,), node_environment=environment)
        file, _, _ = unpacked(made(bundle.of_group(group), a_profile(resources={"gpu": "x/gpu"})), folder=tmp_path)
        assert file["nodes"][0]["gres"] == [["gpu", None, [0, 1]]]
        assert file["node_environment"] == [
            {
                "CUDA_VISIBLE_DEVICES": "0,1",
                "SLURM_JOB_GPUS": "0,1",
                "SLURM_GPUS_ON_NODE": "2",
                "SLURMD_NODENAME": f"{NAME}-0",
                "HOSTNAME": f"{NAME}-0",
            }
        ]

    def test_runs_no_jobs_of_root_unless_it_says_so(self) -> None:
        root = a_group(user="root", uid=0, gid=0, groups=(0,))
        with pytest.raises(Refused, match="partition main runs no jobs of root"):
            made(bundle.of_group(root))
        found = made(bundle.of_group(root), a_profile(allow_root=True))
        assert found.owned[-1]["spec"]["template"]["spec"]["securityContext"] == {
            **TEMPLATE_SECURITY,
            "runAsUser": 0,
            "runAsGroup": 0,
            "supplementalGroups": [],
            "runAsNonRoot": False,
        }

    def test_adds_no_groups_of_the_image_where_the_cluster_can_keep_them_out(self) -> None:
        found = made(bundle.of_group(a_group()), strict_groups="yes")
        security = found.owned[-1]["spec"]["template"]["spec"]["securityContext"]
        assert security == {**TEMPLATE_SECURITY, "supplementalGroupsPolicy": "Strict"}


class TestTheAgent:
    def test_comes_as_a_volume_from_the_bridges_image_where_a_probe_showed_that_it_runs(self) -> None:
        found = made(bundle.of_group(a_group()), a_profile(bridge_image="bridge:1"), image_volume="yes")
        spec = found.owned[-1]["spec"]["template"]["spec"]
        assert spec["volumes"][1] == {
            "name": "agent",
            "image": {"reference": "bridge:1", "pullPolicy": "IfNotPresent"},
        }
        assert spec["containers"][0]["command"] == [
            "/bridge/agent/bin/python3",
            "-I",
            "-S",
            "/bridge/agent/agent.pyz",
            "run",
        ]
        assert "initContainers" not in spec

    def test_is_copied_by_an_init_container_elsewhere(self) -> None:
        found = made(bundle.of_group(a_group()), a_profile(bridge_image="bridge:1"), image_volume="unknown")
        spec = found.owned[-1]["spec"]["template"]["spec"]
        as_the_job = {"cpu": "2", "memory": "4096Mi"}
        assert spec["initContainers"] == [
            {
                "name": "agent",
                "image": "bridge:1",
                "imagePullPolicy": "IfNotPresent",
                "command": [
                    *("/agent/lib/ld.so", "--library-path", "/agent/lib"),
                    *("/agent/bin/python3", "-I", "-S", "/agent/agent.pyz", "copy", "/agent", "/copy"),
                ],
                "resources": {"requests": as_the_job, "limits": as_the_job},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [{"name": "agent", "mountPath": "/copy"}],
            }
        ]
        assert spec["volumes"][1] == {"name": "agent", "emptyDir": {}}
        assert found.owner["metadata"]["annotations"][names.VARIANT] == "agent=init-container gang=none"


class TestLargeJobs:
    def test_a_script_of_4_mib_travels_in_parts(self, tmp_path: Any) -> None:
        script = b"#!/bin/sh\n" + random.Random(1).randbytes(4 * 1024 * 1024)
        found = made(bundle.of_group(a_group(script)))
        secrets = [found.owner, *(one for one in found.owned if one["kind"] == "Secret")]
        assert [one["metadata"]["name"] for one in secrets] == [
            f"{NAME}-{TICKET}",
            *(f"{NAME}-{TICKET}-part{part}" for part in range(1, 5)),
        ]
        assert all(sum(map(len, launch_data(one).values())) <= 1_048_576 for one in secrets)
        sources = found.owned[-1]["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"]
        assert [one["secret"]["name"] for one in sources] == [one["metadata"]["name"] for one in secrets]
        assert [one["secret"]["items"][0]["path"] for one in sources] == [f"launch.{part}" for part in range(5)]
        assert unpacked(found, folder=tmp_path)[1] == script

    def test_an_environment_of_2_mb_travels_whole(self, tmp_path: Any) -> None:
        letters = random.Random(2).randbytes(1_000_000).hex()
        environment = {"BIG": letters, "NOT_UTF8": "\udcff", "NEWLINE": "a\nb"}
        found = made(bundle.of_group(a_group(environment=environment)))
        file, _, _ = unpacked(found, folder=tmp_path)
        assert {name: file["batch"]["environment"][name] for name in environment} == environment

    def test_more_than_secrets_should_carry_is_refused_by_its_biggest_part(self) -> None:
        script = b"#!/bin/sh\n" + random.Random(3).randbytes(17_000_000)
        with pytest.raises(Refused, match=r"its script is the biggest part with 17000010 bytes") as refused:
            made(bundle.of_group(a_group(script)))
        assert refused.value.field == "script"


class TestTheContentHash:
    def test_is_the_same_for_another_try_with_new_secrets(self) -> None:
        again = a_group(key="11" * 32, job_token="another")
        assert made(bundle.of_group(again)).content == made(bundle.of_group(a_group())).content

    def test_differs_when_anything_else_does(self) -> None:
        contents = {
            made(bundle.of_group(one)).content
            for one in (a_group(), a_group(time_limit_seconds=7), a_group(b"#!/bin/sh\ndate\n"), a_group(umask=7))
        }
        assert len(contents) == 4


class TestHostileNames:
    @pytest.mark.parametrize(
        "name", ["", "a" * 300, "../../etc", "Ünï çödé", "-_.-", "x\ny: {z}", "\udcff\udcfe", "a/b:c"]
    )
    def test_end_in_legal_objects_that_keep_the_original(self, name: str) -> None:
        group = a_group(job_name=name, user=name or "u")
        found = made(bundle.of_group(group))
        for manifest in (found.owner, *found.owned):
            assert manifest["metadata"]["namespace"] == "hpc"
            for value in manifest["metadata"]["labels"].values():
                assert names.label_value(value) == value and len(value) <= 63
            json.dumps(manifest).encode("utf-8")
        assert found.owner["metadata"]["annotations"][names.JOB_NAME] == name.encode("utf-8", "surrogateescape").decode(
            "utf-8", "backslashreplace"
        )

    def test_cannot_add_lines_to_passwd(self) -> None:
        group = a_group(user="eve:x:0:0\nroot2", home="/h:x\ny")
        assert launch_data(made(bundle.of_group(group)).owner)["passwd"].decode().splitlines()[2:] == [
            "eve_x_0_0_root2:x:1001:1001::/h_x_y:/bin/bash"
        ]


class TestPacking:
    def test_the_same_group_gives_the_same_bytes(self) -> None:
        files = objects.launch_files(bundle.of_group(a_group()), a_profile())
        assert payload.pack(files, b"s") == payload.pack(files, b"s")

    def test_a_thousand_tasks_share_what_they_have_in_common(self) -> None:
        environment = {f"V{k}": "x" * 1000 for k in range(100)}
        tasks = [a_task(k, environment={**environment, "SLURM_ARRAY_TASK_ID": str(k)}) for k in range(1000)]
        (wave,) = bundle.gather(tasks)
        assert len(payload.pack(objects.launch_files(wave, a_profile()), b"s")) < 200_000

    def test_capabilities_that_are_unknown_change_nothing(self) -> None:
        group = bundle.of_group(a_group(nodes=2))
        unknown = objects.make_objects(group, a_profile(), Capabilities(), AGENT, TICKET)
        none = made(group, pod_group="no", kueue="no", image_volume="no", resize="no", strict_groups="no")
        assert unknown == none
