"""Processes that serve a step are killed in the middle of it: the truth is told, nothing is left running."""

import os
import re
import signal
from pathlib import Path

import pytest

from bridge.agent import processes
from tests.e2e.harness import Bridge


def processes_of(bridge: Bridge, job: int) -> list[int]:
    """Whoever has the job's key in its environment: the script, srun and what they started."""
    mark = re.compile(rb"BRIDGE_KEY_FILE=%s/[^\0]*/%d\.\d+/key\0" % (re.escape(os.fsencode(bridge.data)), job))
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
    rows = each_bridge.ok("sacct", "-n", "-P", "-j", str(job), "-o", "jobid,state,exitcode").splitlines()
    assert rows[2:] == [f"{job}.0|CANCELLED|0:9", f"{job}.1|COMPLETED|0:0"]


@pytest.mark.parametrize("node", [0, 1])
def test_a_killed_monitor_ends_the_job_and_its_steps_on_all_nodes(each_bridge: Bridge, node: int) -> None:
    bell = each_bridge.bell()
    script = f"#!/bin/bash\nsrun sh -c '{bell.ring}; exec sleep 1000'\n"
    job = each_bridge.sbatch("-N2", "-n2", "--no-requeue", script=script)
    bell.wait(times=2)
    on_node = [pid for pid in processes_of(each_bridge, job) if b"\0SLURM_NODEID=%d\0" % node in _read(pid, "environ")]
    with each_bridge.owner.effective():
        os.kill(monitor_of(on_node[-1]), signal.SIGKILL)
    assert each_bridge.ends_as(job).startswith("NODE_FAIL")
    each_bridge.until(lambda: not processes_of(each_bridge, job))


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


def test_kill_9_of_all_that_can_be_reached_kills_the_job_s_own_processes_alone(bridge: Bridge) -> None:
    """Of a bridge of root. A plain user's own bridge is among what its script can reach."""
    if bridge.owner == bridge.user:
        return
    script = """#!/bin/bash
sleep 1000 & kill -9 -1; wait $!; echo "left $?"; exit 9
"""
    job = bridge.sbatch("-n1", script=script)
    assert bridge.ends_as(job) == "FAILED 9:0"
    assert bridge.output(job).splitlines()[-1] == "left 137"
    task = bridge.sbatch("-n1", "--no-requeue", script="#!/bin/bash\nsrun sh -c 'kill -9 -1'; echo not reached\n")
    assert bridge.ends_as(task) == "FAILED 0:9"
    assert "not reached" not in bridge.output(task)
    bridge.until(lambda: not processes_of(bridge, job) and not processes_of(bridge, task))


def test_files_that_cannot_be_opened_are_told_and_nothing_is_started(each_bridge: Bridge) -> None:
    script = """#!/bin/bash
for file in "-o /proc/self/maps" "-e /proc/self/maps" "-o /nowhere/x" "-i /nowhere/x"; do
    srun -n1 $file sh -c 'echo started > started'; echo "left $?"
done
ls started 2> /dev/null
printf 'for all\\n' > in; srun -n2 -i in cat
"""
    job = each_bridge.sbatch("-n2", script=script)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    assert each_bridge.output(job).splitlines() == [
        "srun: error: Could not open stdout file: Permission denied",
        "left 1",
        "srun: error: Could not open stderr file: Permission denied",
        "left 1",
        "srun: error: Could not open stdout file: No such file or directory",
        "left 1",
        "srun: error: Could not open stdin file: No such file or directory",
        "left 1",
        "for all",
        "for all",
    ]


def test_an_environment_that_the_kernel_refuses_fails_the_job_with_its_number(each_bridge: Bridge) -> None:
    """As in Slurm: just below the bound it runs, steps too."""
    big = {f"BIG{k}": "x" * 100_000 for k in range(20)}
    job = each_bridge.wrap("srun sh -c 'echo ${#BIG19}'", env=big)
    assert (each_bridge.ends_as(job), each_bridge.output(job)) == ("COMPLETED 0:0", "100000\n")
    file = each_bridge.work / "environment"
    file.write_bytes(b"PATH=/usr/bin:/bin\0BIG=" + b"x" * 200_000 + b"\0")
    job = each_bridge.wrap("echo not reached", f"--export-file={file}")
    assert each_bridge.ends_as(job) == "FAILED 7:0"
    assert each_bridge.output(job).endswith("/slurm_script: Argument list too long\n")
