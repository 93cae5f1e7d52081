"""Output of jobs on the real node that no volume takes: it comes to the bridge, whole, or what is missing is said."""

import hashlib
import random
import re

import pytest

from tests.cluster.ground import Cluster
from tests.kubernetes import world
from tests.kubernetes.world import Bridge

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NOWHERE = ("-o", "/nowhere/%j.out")
"""A folder that only the pod's own file system could have."""

WRITER = """#!/usr/bin/python3
import os, random, sys
GATE
numbers = random.Random(7)
for _ in range(MEBIBYTES):
    sys.stdout.buffer.write(numbers.randbytes(1 << 20))
sys.stdout.flush()
open(os.environ["SLURM_SUBMIT_DIR"] + "/written", "w").close()
"""


def written(mebibytes: int) -> bytes:
    numbers = random.Random(7)
    return b"".join(numbers.randbytes(1 << 20) for _ in range(mebibytes))


def writer(bridge: Bridge, mebibytes: int) -> tuple[str, world.harness.Gate]:
    """Writes that many random MiB once its gate is opened; then there is a file `written`."""
    gate = bridge.gate()
    path = gate.wait.split("'")[1]
    return WRITER.replace("GATE", f"open({path!r}).readline()").replace("MEBIBYTES", str(mebibytes)), gate


def while_it_is_away(cluster: Cluster, bridge: Bridge, mebibytes: int) -> int:
    """The job that has written so much when the bridge comes back."""
    script, gate = writer(bridge, mebibytes)
    job = bridge.sbatch(*NOWHERE, script=script)
    bridge.runs(job)
    bridge.stop()
    try:
        gate.open()
        cluster.until((bridge.work / "written").exists, 120)
    finally:
        bridge.start()
    return job


class TestKept:
    def test_both_streams_apart_and_after_the_pod_is_gone(self, on_cluster: Bridge) -> None:
        script = "#!/bin/sh\necho out; echo err >&2; srun echo step\n"
        job = on_cluster.sbatch(*NOWHERE, "-e", "/nowhere/%j.err", script=script)
        assert on_cluster.ends_as(job) == "COMPLETED 0:0"
        assert (on_cluster.logged(job), on_cluster.logged(job, "stderr")) == (b"out\nstep\n", b"err\n")

    def test_one_file_for_both_streams(self, on_cluster: Bridge) -> None:
        job = on_cluster.sbatch(*NOWHERE, script="#!/bin/sh\necho out; echo err >&2\n")
        assert on_cluster.ends_as(job) == "COMPLETED 0:0"
        assert on_cluster.logged(job) == on_cluster.logged(job, "stderr") == b"out\nerr\n"

    def test_tasks_of_an_array_each_its_own(self, on_cluster: Bridge) -> None:
        script = "#!/bin/sh\necho task $SLURM_ARRAY_TASK_ID\n"
        job = on_cluster.sbatch("-o", "/nowhere/%A_%a.out", "-a", "1-3", script=script)
        on_cluster.wait(job)
        assert [on_cluster.logged(f"{job}_{k}") for k in (1, 2, 3)] == [b"task 1\n", b"task 2\n", b"task 3\n"]

    def test_is_followed_while_the_job_runs(self, on_cluster: Bridge) -> None:
        gate = on_cluster.gate()
        job = on_cluster.sbatch(*NOWHERE, script=f"#!/bin/sh\necho first\n{gate.wait}\necho second\n")
        with on_cluster.follow(job) as lines:
            assert lines.readline() == b"first\n"
            gate.open()
            assert lines.read() == b"second\n"
        assert on_cluster.ends_as(job) == "COMPLETED 0:0"

    @pytest.mark.parametrize(("mode", "expected"), [("append", b"run 0\nrun 1\n"), ("truncate", b"run 1\n")])
    def test_of_two_runs_as_the_open_mode_says(self, on_cluster: Bridge, mode: str, expected: bytes) -> None:
        script = "#!/bin/sh\necho run ${SLURM_RESTART_COUNT-0}\n"
        job = on_cluster.sbatch(*NOWHERE, f"--open-mode={mode}", script=script)
        assert on_cluster.ends_as(job) == "COMPLETED 0:0"
        on_cluster.ok("scontrol", "requeue", str(job))
        on_cluster.ok("scontrol", "update", f"JobId={job}", "StartTime=now")
        assert on_cluster.ends_as(job) == "COMPLETED 0:0"
        assert on_cluster.logged(job) == expected

    def test_of_a_job_that_was_cancelled(self, on_cluster: Bridge) -> None:
        bell = on_cluster.bell()
        job = on_cluster.sbatch(*NOWHERE, script=f"#!/bin/sh\necho here\n{bell.ring}\nsleep 300\n")
        bell.wait()
        on_cluster.ok("scancel", str(job))
        assert on_cluster.ends_as(job) == "CANCELLED 0:15"
        text = on_cluster.logged(job).decode()
        assert re.fullmatch(
            rf"here\n.*\*\*\* JOB {job} ON \S+ CANCELLED AT \S+ DUE to SIGNAL Terminated \*\*\*\n", text
        )


class TestWhileTheBridgeIsAway:
    @pytest.mark.timeout(300)
    def test_200_mib_arrive_byte_for_byte(self, cluster: Cluster) -> None:
        with world.a_bridge(cluster) as bridge:
            job = while_it_is_away(cluster, bridge, 200)
            assert bridge.ends_as(job, 60) == "COMPLETED 0:0"
            got = bridge.logged(job)
            assert (len(got), hashlib.sha256(got).hexdigest()) == (
                200 << 20,
                hashlib.sha256(written(200)).hexdigest(),
            )

    @pytest.mark.timeout(300)
    def test_what_does_not_fit_into_the_spool_is_counted(self, cluster: Cluster) -> None:
        with world.a_bridge(cluster, output_spool_mib="2") as bridge:
            job = while_it_is_away(cluster, bridge, 40)
            assert bridge.ends_as(job, 60) == "COMPLETED 0:0"
            told = re.search(r"(\d+) bytes of its output were lost", "\n".join(bridge.history(job)))
            assert told is not None
            whole, got = written(40), bridge.logged(job)
            note = re.search(rb"\n\[(\d+) bytes were lost here: nobody fetched them in time\]\n", got)
            assert note is not None and note[1].decode() == told[1]
            before, after = got[: note.start()], got[note.end() :]
            assert whole.startswith(before) and whole.endswith(after)
            assert len(before) + int(told[1]) + len(after) == 40 << 20
            assert len(after) >= 2 << 20
