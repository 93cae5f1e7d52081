"""Processes that serve a step are killed in the middle of it: the truth is told, nothing is left running."""

import os
import re
import signal
from pathlib import Path

import pytest

from bridge.agent import processes
from tests.e2e.harness import Bridge


def processes_of(job: int) -> list[int]:
    """Whoever has the job's key in its environment: the script, srun and what they started."""
    mark = re.compile(rb"BRIDGE_KEY_FILE=[^\0]*/%d\.\d+/key\0" % job)
    return [pid for pid in processes.everyone() if mark.search(_read(pid, "environ"))]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def monitor_of(pid: int) -> int:
    while _read(pid, "comm").strip() != b"bridge-monitor":
        pid = int(_read(pid, "stat").rpartition(b")")[2].split()[1])
        assert pid > 1
    return pid


def test_a_killed_step_service_ends_its_step_and_the_next_step_has_another(each_bridge: Bridge) -> None:
    script = """#!/bin/bash
mkdir $SLURM_JOB_ID; cd $SLURM_JOB_ID
mkfifo up never; exec 3<> up 4<> never
srun sh -c 'echo $$ > pid; kill -KILL $PPID; read _ < never'; echo "left $?"
while kill -0 $(cat pid) 2> /dev/null; do sleep 0.05; done
srun sh -c 'echo next is $SLURM_STEP_ID'
"""
    job = each_bridge.sbatch("-n1", script=script)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    assert each_bridge.seen_outside(job, each_bridge.output(job)).splitlines() == [
        "srun: error: Node failure on n1",
        "srun: error: n1: task 0: Killed",
        "srun: Job step aborted: Waiting up to 4 seconds for job step to finish.",
        "left 137",
        "next is 1",
    ]


@pytest.mark.parametrize("node", [0, 1])
def test_a_killed_monitor_ends_the_job_and_its_steps_on_all_nodes(each_bridge: Bridge, node: int) -> None:
    bell = each_bridge.bell()
    script = f"#!/bin/bash\nsrun sh -c '{bell.ring}; exec sleep 1000'\n"
    job = each_bridge.sbatch("-N2", "-n2", "--no-requeue", script=script)
    bell.wait(times=2)
    on_node = [pid for pid in processes_of(job) if b"\0SLURM_NODEID=%d\0" % node in _read(pid, "environ")]
    with each_bridge.owner.effective():
        os.kill(monitor_of(on_node[-1]), signal.SIGKILL)
    assert each_bridge.ends_as(job).startswith("NODE_FAIL")
    each_bridge.until(lambda: not processes_of(job))


def test_a_lost_node_ends_the_step_unless_no_kill(each_bridge: Bridge) -> None:
    script = """#!/bin/bash
mkdir $SLURM_JOB_ID; cd $SLURM_JOB_ID
mkfifo go never; exec 3<> go 4<> never
cat > task <<'END'
[ $SLURM_PROCID = 0 ] || kill -KILL $PPID
read _ < $1; echo went on
END
srun -n2 sh task never; echo "left $?"
srun -k -n2 sh task go 2> said & srun=$!
until grep -q "task 1: Killed" said; do sleep 0.05; done
echo >&3; wait $srun; echo "left $?"
"""
    job = each_bridge.sbatch("-N2", "-n2", script=script)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    lines = each_bridge.seen_outside(job, each_bridge.output(job)).splitlines()
    assert [line for line in lines if "CANCELLED" not in line] == [
        "srun: error: Node failure on n2",
        "srun: error: n2: task 1: Killed",
        "srun: Job step aborted: Waiting up to 4 seconds for job step to finish.",
        "srun: error: n1: task 0: Killed",
        "left 137",
        "went on",
        "left 137",
    ]
