"""Requeue: the same job again, from outside, from inside, held, refused; and after a lost node."""

import re

from tests.e2e.harness import Bridge

LOOP = """#!/bin/bash
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@60
echo "attempt ${SLURM_RESTART_COUNT-first} of $SLURM_JOB_ID"
[ -z "$SLURM_RESTART_COUNT" ] || exit 0
again() { echo saving; scontrol requeue "$SLURM_JOB_ID"; wait; }
trap again USR1
sleep 300 &
BELL
wait
"""


def _start_at_once(bridge: Bridge, job: int | str) -> None:
    """A requeued job waits for two minutes, unless its begin time is changed."""
    bridge.waits_because(job, "BeginTime")
    bridge.ok("scontrol", "update", f"JobId={job}", "StartTime=now")


def test_a_job_requeues_itself_from_its_trap_and_appends_to_its_log(each_bridge: Bridge) -> None:
    bell = each_bridge.bell()
    job = each_bridge.sbatch(script=LOOP.replace("BELL", bell.ring))
    bell.wait()
    each_bridge.ok("scancel", "--batch", "--signal=USR1", str(job))
    _start_at_once(each_bridge, job)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    lines = each_bridge.output(job).splitlines()
    assert lines[:2] == [f"attempt first of {job}", "saving"]
    (node,) = each_bridge.called(job, "n1")
    told = rf"\*\*\* JOB {job} ON {node} CANCELLED AT \S+ DUE TO JOB REQUEUE \*\*\*"
    assert any(re.search(told, line) for line in lines)
    assert lines[-1] == f"attempt 1 of {job}"
    assert each_bridge.job(job)["Restarts"] == "1"


def test_a_finished_job_can_run_again(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("--open-mode=append", script="#!/bin/bash\necho run ${SLURM_RESTART_COUNT-0}\n")
    each_bridge.wait(job)
    each_bridge.ok("scontrol", "requeue", str(job))
    _start_at_once(each_bridge, job)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    assert each_bridge.output(job) == "run 0\nrun 1\n"


def test_requeuehold_waits_for_release(each_bridge: Bridge) -> None:
    bell = each_bridge.bell()
    job = each_bridge.sbatch(script=f'#!/bin/bash\n[ -n "$SLURM_RESTART_COUNT" ] && exit 0\n{bell.ring}\nsleep 300\n')
    bell.wait()
    each_bridge.ok("scontrol", "requeuehold", str(job))
    each_bridge.waits_because(job, "job_requeued_in_held_state")
    each_bridge.ok("scontrol", "release", str(job))
    each_bridge.run("scontrol", "update", f"JobId={job}", "StartTime=now")  # it may have run already
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"


def test_a_job_that_must_not_run_again_is_not_requeued(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("--no-requeue", script="#!/bin/bash\ntrue\n")
    each_bridge.wait(job)
    ran = each_bridge.run("scontrol", "requeue", str(job))
    assert (ran.err, ran.code) == (f"Requested operation is presently disabled for job {job}\n", 1)
    assert each_bridge.state(job) == "COMPLETED"


def test_a_waiting_job_cannot_be_requeued(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("--hold", script="#!/bin/bash\ntrue\n")
    ran = each_bridge.run("scontrol", "requeue", str(job))
    assert (ran.err, ran.code) == (f"Job is pending execution for job {job}\n", 1)
    each_bridge.ok("scancel", str(job))


def test_the_jobs_of_a_node_that_is_given_up_run_again_elsewhere(bridge: Bridge) -> None:
    bell = bridge.bell()
    again = bridge.sbatch(
        "--prefer=ib", script=f'#!/bin/bash\n[ -n "$SLURM_RESTART_COUNT" ] && exit 0\n{bell.ring}\nsleep 300\n'
    )
    bell.wait()
    node = bridge.job(again)["NodeList"]
    once = bridge.sbatch("--no-requeue", "-w", node, script=f"#!/bin/bash\n{bell.ring}\nsleep 300\n")
    bell.wait()
    bridge.ok("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=burnt", as_user=bridge.owner)
    try:
        assert bridge.ends_as(once) == "NODE_FAIL 0:1"
        _start_at_once(bridge, again)
        assert bridge.ends_as(again) == "COMPLETED 0:0"
        assert bridge.job(again)["NodeList"] != node
        assert "burnt" in bridge.ok("sinfo", "-R")
    finally:
        bridge.ok("scontrol", "update", f"NodeName={node}", "State=RESUME", as_user=bridge.owner)
