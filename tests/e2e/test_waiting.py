"""Why jobs wait, and what lets them go: hold, begin time, deadline, room, licences; --wait and --test-only."""

import time

import pytest

from tests.e2e.harness import Bridge


def test_a_held_job_waits_for_its_release(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("--hold", script="#!/bin/bash\ntrue\n")
    each_bridge.waits_because(job, "JobHeldUser")
    each_bridge.ok("scontrol", "release", str(job))
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"


def test_a_waiting_job_can_be_held_and_cancelled(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("--begin=now+1hour", script="#!/bin/bash\ntrue\n")
    each_bridge.ok("scontrol", "hold", str(job))
    each_bridge.waits_because(job, "JobHeldUser")
    each_bridge.ok("scancel", str(job))
    assert each_bridge.ends_as(job) == "CANCELLED 0:0"


def test_only_an_operator_releases_what_an_operator_holds(bridge: Bridge) -> None:
    if bridge.owner == bridge.user:
        return  # one person alone is both
    job = bridge.sbatch("--begin=now+1hour", script="#!/bin/bash\ntrue\n")
    bridge.ok("scontrol", "hold", str(job), as_user=bridge.owner)
    bridge.waits_because(job, "JobHeldAdmin")
    ran = bridge.run("scontrol", "release", str(job))
    assert ran.code == 1
    assert "Access/permission denied" in ran.err
    bridge.ok("scancel", str(job))


def test_a_begin_time_is_kept(each_bridge: Bridge) -> None:
    asked = time.time()
    job = each_bridge.sbatch("--begin=now+3", script="#!/bin/bash\ndate +%s\n")
    each_bridge.waits_because(job, "BeginTime")
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    assert int(each_bridge.output(job)) >= int(asked) + 3


def test_a_begin_time_can_be_changed(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("--begin=now+1hour", script="#!/bin/bash\ntrue\n")
    each_bridge.waits_because(job, "BeginTime")
    each_bridge.ok("scontrol", "update", f"JobId={job}", "StartTime=now")
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"


@pytest.mark.slow
def test_a_job_that_cannot_end_before_its_deadline_is_removed(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("-H", "-t1", "--deadline=now+75", script="#!/bin/bash\ntrue\n")
    assert each_bridge.ends_as(job, 110) == "DEADLINE 0:1"
    assert each_bridge.job(job)["Reason"] == "DeadLine"


def test_a_partition_that_is_down_takes_jobs_and_starts_none(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("-p", "closed", script="#!/bin/bash\ntrue\n")
    each_bridge.waits_because(job, "PartitionDown")
    each_bridge.ok("scancel", str(job))
    assert each_bridge.ends_as(job) == "CANCELLED 0:0"


def test_a_limit_over_the_partition_s_waits(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("-p", "short", "-t", "10", script="#!/bin/bash\ntrue\n")
    each_bridge.waits_because(job, "PartitionTimeLimit")
    each_bridge.ok("scontrol", "update", f"JobId={job}", "TimeLimit=5")
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"


def test_a_full_machine_lets_jobs_wait_for_room(each_bridge: Bridge) -> None:
    gate = each_bridge.gate()
    big = each_bridge.sbatch("-N4", "--exclusive", script=f"#!/bin/bash\n{gate.wait}\n")
    each_bridge.runs(big)
    small = each_bridge.sbatch(script="#!/bin/bash\ntrue\n")
    each_bridge.waits_because(small, "Resources")
    gate.open()
    assert each_bridge.ends_as(big) == "COMPLETED 0:0"
    assert each_bridge.ends_as(small) == "COMPLETED 0:0"


def test_licences_are_counted(each_bridge: Bridge) -> None:
    gate = each_bridge.gate()
    first = each_bridge.sbatch("-L", "matlab:3", script=f"#!/bin/bash\n{gate.wait}\n")
    each_bridge.runs(first)
    second = each_bridge.sbatch("-L", "matlab:2", script="#!/bin/bash\ntrue\n")
    each_bridge.waits_because(second, "Licenses")
    gate.open()
    assert each_bridge.ends_as(second) == "COMPLETED 0:0"


def test_wait_leaves_with_the_job_s_status(each_bridge: Bridge) -> None:
    ran = each_bridge.run("sbatch", "--wait", "--parsable", "--wrap", "exit 5")
    assert ran.code == 5
    assert each_bridge.ends_as(int(ran.out)) == "FAILED 5:0"


def test_wait_leaves_with_one_when_a_signal_ended_the_job(each_bridge: Bridge) -> None:
    assert each_bridge.run("sbatch", "--wait", "--wrap", "kill -9 $$").code == 1


def test_wait_for_an_array_leaves_with_the_highest_status(each_bridge: Bridge) -> None:
    assert each_bridge.run("sbatch", "--wait", "-a1-3", "--wrap", "exit $SLURM_ARRAY_TASK_ID").code == 3


def test_test_only_tells_where_and_makes_no_job(each_bridge: Bridge) -> None:
    before = each_bridge.ok("squeue", "-h", "-t", "all", "-o", "%i")
    ran = each_bridge.run("sbatch", "--test-only", "-n2", "-p", "short", "--wrap", "true")
    assert ran.code == 0
    assert ran.out == ""
    assert " to start at " in ran.err
    assert ran.err.rstrip().endswith("in partition short")
    assert " a using 2 processors on nodes n" in ran.err
    assert each_bridge.ok("squeue", "-h", "-t", "all", "-o", "%i") == before


def test_test_only_of_an_impossible_job_is_refused(each_bridge: Bridge) -> None:
    ran = each_bridge.run("sbatch", "--test-only", "-C", "nothing", "--wrap", "true")
    assert (ran.out, ran.err, ran.code) == ("", "allocation failure: Invalid feature specification\n", 1)
