"""Arrays: throttles, single tasks treated apart, ids, what squeue shows."""

from bridge.core import indexset
from tests.e2e.harness import Bridge


def _tasks(bridge: Bridge, array: int) -> dict[str, str]:
    """Index → state; one record may stand for several tasks."""
    return {
        str(index): record["JobState"]
        for record in bridge.show(array)
        for index in indexset.parse(record["ArrayTaskId"].partition("%")[0])
    }


def _rows_with(bridge: Bridge, array: int, row: str) -> list[str]:
    """squeue's rows of the array, once the given one is among them."""
    rows = bridge.ok("squeue", "-h", "-j", str(array), "-o", "%i %t %r").splitlines()
    return rows if row in rows else []


def test_a_throttle_holds_and_can_be_changed_while_tasks_run(each_bridge: Bridge) -> None:
    bell, gate = each_bridge.bell(), each_bridge.gate()
    array = each_bridge.sbatch("-a0-5%2", script=f"#!/bin/bash\n{bell.ring}\n{gate.wait}\n")
    bell.wait(times=2)
    waiting = f"{array}_[2-5%2] PD JobArrayTaskLimit"
    rows = each_bridge.until(lambda: _rows_with(each_bridge, array, waiting))
    assert len(rows) == 3
    each_bridge.ok("scontrol", "update", f"JobId={array}", "ArrayTaskThrottle=4")
    bell.wait(times=2)
    each_bridge.until(lambda: _rows_with(each_bridge, array, f"{array}_[4-5%4] PD JobArrayTaskLimit"))
    each_bridge.ok("scontrol", "update", f"JobId={array}", "ArrayTaskThrottle=0")
    bell.wait(times=2)
    gate.open(6)
    assert {record["JobState"] for record in each_bridge.wait(array)} == {"COMPLETED"}


def test_single_tasks_are_held_cancelled_and_released(each_bridge: Bridge) -> None:
    array = each_bridge.sbatch("--begin=now+1hour", "-a1-6", script="#!/bin/bash\ntrue\n")
    each_bridge.ok("scontrol", "hold", f"{array}_2")
    each_bridge.ok("scancel", f"{array}_[4-5]")
    each_bridge.ok("scontrol", "update", f"JobId={array}", "StartTime=now")
    each_bridge.until(lambda: [_tasks(each_bridge, array).get(k) for k in "136"] == ["COMPLETED"] * 3)
    assert {_tasks(each_bridge, array).get(k, "CANCELLED") for k in "45"} == {"CANCELLED"}  # Slurm forgets such tasks
    each_bridge.waits_because(f"{array}_2", "JobHeldUser")
    each_bridge.ok("scontrol", "release", f"{array}_2")
    each_bridge.wait(array)
    assert _tasks(each_bridge, array)["2"] == "COMPLETED"


def test_a_task_is_requeued_alone(each_bridge: Bridge) -> None:
    script = '#!/bin/bash\necho "$SLURM_ARRAY_TASK_ID ${SLURM_RESTART_COUNT-0}" >> requeued-task.txt\n'
    array = each_bridge.sbatch("-a1-2", script=script)
    each_bridge.wait(array)
    each_bridge.ok("scontrol", "requeue", f"{array}_2")
    each_bridge.waits_because(f"{array}_2", "BeginTime")
    each_bridge.ok("scontrol", "update", f"JobId={array}_2", "StartTime=now")
    each_bridge.wait(array)
    assert sorted(each_bridge.read("requeued-task.txt").splitlines()) == ["1 0", "2 0", "2 1"]


def test_cancelling_the_array_ends_all_tasks(each_bridge: Bridge) -> None:
    bell = each_bridge.bell()
    array = each_bridge.sbatch("-a1-500%3", script=f"#!/bin/bash\n{bell.ring}\nsleep 300\n")
    bell.wait(times=3)
    each_bridge.ok("scancel", str(array))
    ends = [(record["JobState"], record["ExitCode"]) for record in each_bridge.wait(array)]
    assert ends.count(("CANCELLED", "0:15")) == 3
    assert set(ends) <= {("CANCELLED", "0:15"), ("CANCELLED", "0:0")}


def test_the_last_task_keeps_the_array_s_own_id(each_bridge: Bridge) -> None:
    script = '#!/bin/bash\necho "$SLURM_ARRAY_TASK_ID $SLURM_JOB_ID $SLURM_ARRAY_JOB_ID" >> ids.txt\n'
    array = each_bridge.sbatch("-a3,5,9", script=script)
    each_bridge.wait(array)
    found = {line.split()[0]: line.split()[1:] for line in each_bridge.read("ids.txt").splitlines()}
    assert {task: int(own) for task, (own, _) in found.items()} == {"3": array + 1, "5": array + 2, "9": array}
    assert {master for _, master in found.values()} == {str(array)}
    assert each_bridge.job(array + 1)["ArrayTaskId"] == "3"


def test_a_large_array_is_one_row_until_its_tasks_start(each_bridge: Bridge) -> None:
    array = each_bridge.sbatch("-H", "-a0-1000", script="#!/bin/bash\ntrue\n")
    assert each_bridge.ok("squeue", "-h", "-j", str(array), "-o", "%i %t %r") == f"{array}_[0-1000] PD JobHeldUser\n"
    assert len(each_bridge.ok("squeue", "-h", "-r", "-j", str(array), "-o", "%i").splitlines()) == 1001
    each_bridge.ok("scancel", str(array))


def test_an_index_over_the_maximum_is_refused(each_bridge: Bridge) -> None:
    ran = each_bridge.run("sbatch", "-a0-1001", "--wrap", "true")
    assert (ran.out, ran.err, ran.code) == (
        "",
        "sbatch: error: Batch job submission failed: Invalid job array specification\n",
        1,
    )
