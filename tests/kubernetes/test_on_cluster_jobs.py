"""Batch scripts in pods of the real node: what they meet inside, and how they end whatever happens to their pods."""

import pytest

from tests.cluster.ground import Cluster
from tests.kubernetes import world
from tests.kubernetes.pods import first_pod, nothing_is_left, path_of
from tests.kubernetes.world import Bridge

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


class TestInside:
    def test_a_script_is_its_user_in_any_image(self, on_cluster: Bridge) -> None:
        script = """#!/bin/sh
id -un; id -u; id -gn; cd ~ && pwd; python3 -c 'import getpass; print(getpass.getuser())'
"""
        job = on_cluster.sbatch(script=script)
        assert on_cluster.ends_as(job) == "COMPLETED 0:0"
        user = on_cluster.user
        assert on_cluster.output(job).splitlines() == [user.name, str(user.uid), str(user.gid), user.home, user.name]

    def test_has_shared_memory_of_its_own_no_token_and_no_trace_of_services(self, on_cluster: Bridge) -> None:
        script = """#!/bin/sh
df -P /dev/shm | tail -1 | awk '{print $1, $2 / 1024}'
ls /var/run/secrets 2>/dev/null
env | grep -c _SERVICE_
grep -E '^(NoNewPrivs|CapEff|Seccomp):' /proc/self/status | tr '\\t' ' '
"""
        job = on_cluster.sbatch("--mem=64", script=script)
        assert on_cluster.ends_as(job) == "COMPLETED 0:0"
        assert on_cluster.output(job).splitlines() == [
            "tmpfs 64",
            "0",
            "CapEff: 0000000000000000",
            "NoNewPrivs: 1",
            "Seccomp: 2",
        ]

    def test_its_pod_says_whose_it_is_and_is_not_to_be_moved(self, cluster: Cluster, on_cluster: Bridge) -> None:
        gate = on_cluster.gate()
        job = on_cluster.sbatch("-J", "a name / with ünusual {signs}", script=f"#!/bin/sh\n{gate.wait}\n")
        on_cluster.runs(job)
        pod = first_pod(cluster, on_cluster, job)
        labels, annotations = pod["metadata"]["labels"], pod["metadata"]["annotations"]
        assert (labels["bridge.hpc/instance"], labels["bridge.hpc/attempt"]) == (on_cluster.instance, "1")
        assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
        assert annotations["karpenter.sh/do-not-disrupt"] == "true"
        gate.open()
        on_cluster.wait(job)

    def test_names_of_all_nodes_resolve_and_steps_run_on_each(self, on_cluster: Bridge) -> None:
        script = """#!/bin/bash
srun --label sh -c '
for host in $(scontrol show hostnames); do getent hosts $host > /dev/null || echo $host unknown; done
hostname' | sort
"""
        job = on_cluster.sbatch("-N3", "-n3", script=script)
        assert on_cluster.ends_as(job) == "COMPLETED 0:0"
        names = on_cluster.called(job, "n1", "n2", "n3")
        assert on_cluster.output(job).splitlines() == [f"{k}: {name}" for k, name in enumerate(names)]

    def test_the_nonsense_of_an_image_does_not_reach_the_agent(self, cluster: Cluster) -> None:
        """Of the image's own environment; the submitter's never reaches it."""
        image = cluster.image(
            "debian-python",
            "nonsense",
            environment=("PATH=", "PYTHONHOME=/nowhere", "PYTHONPATH=/nowhere", "LD_LIBRARY_PATH=/nowhere"),
        )
        with world.a_bridge(cluster, image=f'"{image}"') as bridge:
            job = bridge.sbatch("-n2", script="#!/bin/sh\nsrun -n2 echo hello\n")
            assert (bridge.ends_as(job), bridge.output(job)) == ("COMPLETED 0:0", "hello\nhello\n")


class TestMeasuring:
    def test_shows_what_the_tasks_use_while_they_run_on_every_node(self, on_cluster: Bridge) -> None:
        bell = on_cluster.bell()
        script = f"""#!/bin/bash
cat > eater.py <<'END'
import subprocess, sys
held = bytearray(60 << 20)
subprocess.run(["sh", "-c", sys.argv[1]])
open("never").read()
END
mkfifo never; exec 3<> never
srun python3 eater.py "{bell.ring}"
"""
        job = on_cluster.sbatch("-N2", "-n2", script=script)
        bell.wait(60, times=2)
        row = on_cluster.ok("sstat", "-n", "-P", "--noconvert", "-j", f"{job}.0", "-o", "NTasks,MaxRSS,MaxRSSNode")
        tasks, most, node = row.strip().split("|")
        assert (tasks, node) in (("2", "n1"), ("2", "n2"))
        assert 60 << 20 < int(most) < 200 << 20, row
        on_cluster.ok("scancel", str(job))
        on_cluster.wait(job)


class TestAnyImage:
    """The agent of the bridge's image, with an interpreter of its own."""

    SCRIPT = """#!/bin/sh
id -un
[ -e /usr/bin/python3 ] || echo no python
srun -n2 sh -c 'echo rank $SLURM_PROCID' | sort
export LD_PRELOAD=/nowhere.so LD_LIBRARY_PATH=/nowhere PYTHONHOME=/nowhere PYTHONPATH=/nowhere
srun -n1 /bin/sh -c 'echo $PYTHONHOME' 2>/dev/null
"""

    @pytest.mark.parametrize("image", ["debian", "busybox"])
    @pytest.mark.parametrize("agent", ["image-volume", "init-container"])
    def test_runs_scripts_and_steps(self, cluster: Cluster, image: str, agent: str) -> None:
        values = {"image": cluster.image(image), "bridge_image": cluster.image("bridge"), "agent": agent}
        with world.a_bridge(cluster, **{name: f'"{value}"' for name, value in values.items()}) as bridge:
            job = bridge.sbatch("-n2", script=self.SCRIPT)
            assert bridge.ends_as(job, 60) == "COMPLETED 0:0", bridge.output(job)
            lines = bridge.output(job).splitlines()
            assert lines == [bridge.user.name, "no python", "rank 0", "rank 1", "/nowhere"]

    def test_comes_as_a_volume_once_a_probe_has_shown_that_it_runs(self, cluster: Cluster) -> None:
        with world.a_bridge(cluster, bridge_image=f'"{cluster.image("bridge")}"') as bridge:
            bridge_log = bridge.log
            cluster.until(lambda: "whether agents come as image volumes answer=yes" in bridge_log.read_text())
            gate = bridge.gate()
            job = bridge.sbatch(script=f"#!/bin/sh\n{gate.wait}\n")
            bridge.runs(job)
            volumes = first_pod(cluster, bridge, job)["spec"]["volumes"]
            assert [volume["image"]["reference"] for volume in volumes if "image" in volume] == [
                cluster.image("bridge")
            ]
            gate.open()
            assert bridge.ends_as(job) == "COMPLETED 0:0"


class TestAfterTheEnd:
    def test_nothing_is_left_in_the_cluster(self, cluster: Cluster, on_cluster: Bridge) -> None:
        jobs = [on_cluster.sbatch("-N2", script="#!/bin/sh\nsrun true\n"), on_cluster.wrap("exit 3")]
        array = on_cluster.wrap("true", "--array=0-3")
        for job in (*jobs, array):
            on_cluster.wait(job)
        for job in (*jobs, array):
            cluster.until(lambda job=job: nothing_is_left(cluster, on_cluster, job))

    @pytest.mark.parametrize(
        ("script", "expected"),
        [
            ("exit 3", "FAILED 3:0"),
            ("kill -9 $$", "FAILED 0:9"),
            ("exit 137", "FAILED 137:0"),
        ],
    )
    def test_the_status_is_exact(self, on_cluster: Bridge, script: str, expected: str) -> None:
        assert on_cluster.ends_as(on_cluster.sbatch(script=f"#!/bin/bash\n{script}\n")) == expected


class TestMemory:
    EATER = "import mmap; m = mmap.mmap(-1, 400 << 20); m.write(b'x' * (400 << 20)); input()"

    def test_a_rank_over_the_limit_ends_the_job(self, on_cluster: Bridge) -> None:
        job = on_cluster.sbatch("--mem=60M", "-n2", script=f'#!/bin/bash\nsrun -n1 python3 -c "{self.EATER}"\n')
        assert on_cluster.ends_as(job) == "OUT_OF_MEMORY 0:125"


class TestTheAgent:
    def test_killed_from_outside_without_a_word_is_a_lost_node(self, cluster: Cluster, on_cluster: Bridge) -> None:
        job = on_cluster.wrap("sleep 300", "--no-requeue")
        on_cluster.runs(job)
        cluster.kill_container(path_of(first_pod(cluster, on_cluster, job)))
        assert on_cluster.ends_as(job) == "NODE_FAIL 0:1"

    def test_is_out_of_reach_of_the_script(self, on_cluster: Bridge) -> None:
        script = "#!/bin/bash\nfor signal in TERM INT HUP KILL STOP USR1; do kill -$signal 1; done\nsleep 0.5\nexit 4\n"
        assert on_cluster.ends_as(on_cluster.sbatch(script=script)) == "FAILED 4:0"


class TestTheBridge:
    def test_may_die_at_any_time_and_no_script_starts_twice(self, cluster: Cluster, on_cluster: Bridge) -> None:
        marks = on_cluster.work / "marks"
        jobs = []
        for number in range(6):
            jobs.append(on_cluster.wrap(f"echo {number} >> {marks}; sleep 1", f"-J{number}"))
            if number % 2:
                on_cluster.kill9()
                on_cluster.start()
        assert [on_cluster.ends_as(job, 60) for job in jobs] == ["COMPLETED 0:0"] * 6
        assert sorted(marks.read_text().split()) == [str(number) for number in range(6)]
        for job in jobs:
            cluster.until(lambda job=job: nothing_is_left(cluster, on_cluster, job))

    def test_finds_ends_that_came_while_it_was_away(self, cluster: Cluster, on_cluster: Bridge) -> None:
        gate = on_cluster.gate()
        ended = on_cluster.sbatch(script=f"#!/bin/bash\n{gate.wait}\nexit 5\n")
        evicted = on_cluster.wrap("sleep 300", "--no-requeue")
        for job in (ended, evicted):
            on_cluster.runs(job)
        pods = [first_pod(cluster, on_cluster, job) for job in (ended, evicted)]
        on_cluster.stop()
        try:
            gate.open()
            cluster.call("DELETE", path_of(pods[1]))
            cluster.until(lambda: all((cluster.get(path_of(pod)) or {})["status"]["phase"] == "Failed" for pod in pods))
        finally:
            on_cluster.start()
        assert (on_cluster.ends_as(ended), on_cluster.ends_as(evicted)) == ("FAILED 5:0", "NODE_FAIL 0:1")
