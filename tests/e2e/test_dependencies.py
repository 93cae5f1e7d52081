"""Every kind of dependency, between real jobs."""

import pytest

from tests.e2e.harness import Bridge

TRUE = "#!/bin/bash\ntrue\n"
FALSE = "#!/bin/bash\nfalse\n"
REFUSED = "sbatch: error: Batch job submission failed: Job dependency problem\n"


def test_afterok_starts_behind_a_success(each_bridge: Bridge) -> None:
    gate = each_bridge.gate()
    first = each_bridge.sbatch(script=f"#!/bin/bash\n{gate.wait}\necho one >> order.txt\n")
    second = each_bridge.sbatch("-d", f"afterok:{first}", script="#!/bin/bash\necho two >> order.txt\n")
    each_bridge.waits_because(second, "Dependency")
    assert each_bridge.job(second)["Dependency"] == f"afterok:{first}(unfulfilled)"
    gate.open()
    assert each_bridge.ends_as(second) == "COMPLETED 0:0"
    assert each_bridge.read("order.txt") == "one\ntwo\n"
    (each_bridge.work / "order.txt").unlink()


def test_afterok_behind_a_failure_never_starts(each_bridge: Bridge) -> None:
    first = each_bridge.sbatch("--hold", script=FALSE)
    second = each_bridge.sbatch("-d", f"afterok:{first}", script=TRUE)
    third = each_bridge.sbatch("-d", f"afterok:{first}", "--kill-on-invalid-dep=yes", script=TRUE)
    each_bridge.ok("scontrol", "release", str(first))
    each_bridge.waits_because(second, "DependencyNeverSatisfied")
    assert each_bridge.ends_as(third) == "CANCELLED 0:0"
    assert each_bridge.job(third)["Reason"] == "DependencyNeverSatisfied"
    each_bridge.ok("scontrol", "update", f"JobId={second}", "Dependency=")
    assert each_bridge.ends_as(second) == "COMPLETED 0:0"


def test_afternotok_starts_behind_a_failure_only(each_bridge: Bridge) -> None:
    good, bad = each_bridge.sbatch("--hold", script=TRUE), each_bridge.sbatch("--hold", script=FALSE)
    behind_bad = each_bridge.sbatch("-d", f"afternotok:{bad}", script=TRUE)
    behind_good = each_bridge.sbatch("-d", f"afternotok:{good}", "--kill-on-invalid-dep=yes", script=TRUE)
    each_bridge.ok("scontrol", "release", f"{good},{bad}")
    assert each_bridge.ends_as(behind_bad) == "COMPLETED 0:0"
    assert each_bridge.ends_as(behind_good) == "CANCELLED 0:0"


@pytest.mark.parametrize("target", [TRUE, FALSE, "#!/bin/bash\nkill -9 $$\n"], ids=["success", "failure", "signal"])
def test_afterany_starts_behind_any_end(each_bridge: Bridge, target: str) -> None:
    first = each_bridge.sbatch("--hold", script=target)
    second = each_bridge.sbatch("-d", f"afterany:{first}", script=TRUE)
    third = each_bridge.sbatch("-d", str(first), script=TRUE)
    each_bridge.ok("scontrol", "release", str(first))
    assert each_bridge.ends_as(second) == "COMPLETED 0:0"
    assert each_bridge.ends_as(third) == "COMPLETED 0:0"


def test_after_starts_when_the_other_has_started(each_bridge: Bridge) -> None:
    gate = each_bridge.gate()
    first = each_bridge.sbatch("--hold", script=f"#!/bin/bash\n{gate.wait}\n")
    second = each_bridge.sbatch("-d", f"after:{first}", script=TRUE)
    each_bridge.waits_because(second, "Dependency")
    each_bridge.ok("scontrol", "release", str(first))
    assert each_bridge.ends_as(second) == "COMPLETED 0:0"
    assert each_bridge.state(first) == "RUNNING"
    gate.open()
    each_bridge.wait(first)


def test_either_of_two_is_enough_with_a_question_mark(each_bridge: Bridge) -> None:
    never = each_bridge.sbatch("--hold", script=TRUE)
    done = each_bridge.sbatch(script=TRUE)
    job = each_bridge.sbatch("-d", f"afterok:{never}?afterok:{done}", script=TRUE)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    each_bridge.ok("scancel", str(never))


def test_all_of_several_with_commas_and_colons(each_bridge: Bridge) -> None:
    held = [each_bridge.sbatch("--hold", script=TRUE) for _ in range(3)]
    job = each_bridge.sbatch("-d", f"afterok:{held[0]}:{held[1]},afterany:{held[2]}", script=TRUE)
    for one in held[:2]:
        each_bridge.ok("scontrol", "release", str(one))
        each_bridge.wait(one)
    each_bridge.waits_because(job, "Dependency")
    each_bridge.until(lambda: each_bridge.job(job)["Dependency"] == f"afterany:{held[2]}(unfulfilled)")
    each_bridge.ok("scontrol", "release", str(held[2]))
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"


def test_singleton_waits_for_earlier_jobs_of_its_name(each_bridge: Bridge) -> None:
    gate = each_bridge.gate()
    first = each_bridge.sbatch("-J", "only", script=f"#!/bin/bash\n{gate.wait}\n")
    other = each_bridge.sbatch("-J", "other", "-d", "singleton", script=TRUE)
    second = each_bridge.sbatch("-J", "only", "-d", "singleton", script=TRUE)
    assert each_bridge.ends_as(other) == "COMPLETED 0:0"
    each_bridge.waits_because(second, "Dependency")
    gate.open()
    each_bridge.wait(first)
    assert each_bridge.ends_as(second) == "COMPLETED 0:0"


def test_aftercorr_pairs_the_tasks_of_two_arrays(each_bridge: Bridge) -> None:
    first = each_bridge.sbatch("--hold", "-a1-3", script='#!/bin/bash\n[ "$SLURM_ARRAY_TASK_ID" != 2 ]\n')
    second = each_bridge.sbatch("-a1-3", "-d", f"aftercorr:{first}", "--kill-on-invalid-dep=yes", script=TRUE)
    each_bridge.ok("scontrol", "release", str(first))
    ends = {record["ArrayTaskId"]: record["JobState"] for record in each_bridge.wait(second)}
    assert ends == {"1": "COMPLETED", "2": "CANCELLED", "3": "COMPLETED"}


def test_an_array_as_target_means_all_its_tasks(each_bridge: Bridge) -> None:
    array = each_bridge.sbatch("--hold", "-a1-2", script='#!/bin/bash\n[ "$SLURM_ARRAY_TASK_ID" = 1 ]\n')
    all_well = each_bridge.sbatch("-d", f"afterok:{array}", "--kill-on-invalid-dep=yes", script=TRUE)
    one_well = each_bridge.sbatch("-d", f"afterok:{array}_1", script=TRUE)
    some_bad = each_bridge.sbatch("-d", f"afternotok:{array}", script=TRUE)
    each_bridge.ok("scontrol", "release", str(array))
    assert each_bridge.ends_as(one_well) == "COMPLETED 0:0"
    assert each_bridge.ends_as(some_bad) == "COMPLETED 0:0"
    assert each_bridge.ends_as(all_well) == "CANCELLED 0:0"


def test_a_long_chain_runs_in_order(each_bridge: Bridge) -> None:
    last = each_bridge.sbatch("--hold", script="#!/bin/bash\necho 0 >> links.txt\n")
    first = last
    for k in range(1, 12):
        last = each_bridge.sbatch("-d", f"afterok:{last}", script=f"#!/bin/bash\necho {k} >> links.txt\n")
    each_bridge.ok("scontrol", "release", str(first))
    assert each_bridge.ends_as(last) == "COMPLETED 0:0"
    assert each_bridge.read("links.txt").split() == [str(k) for k in range(12)]
    (each_bridge.work / "links.txt").unlink()


@pytest.mark.parametrize("text", ["afterok:999999", "afterok", "afterok:", "afterok:x", "afterok:1?afterany:1,after:1"])
def test_a_bad_dependency_is_refused(each_bridge: Bridge, text: str) -> None:
    ran = each_bridge.run("sbatch", "-d", text, "--wrap", "true")
    assert (ran.out, ran.err, ran.code) == ("", REFUSED, 1)


def test_a_circle_is_refused(each_bridge: Bridge) -> None:
    first = each_bridge.sbatch("--hold", script=TRUE)
    second = each_bridge.sbatch("-d", f"afterok:{first}", script=TRUE)
    ran = each_bridge.run("scontrol", "update", f"JobId={first}", f"Dependency=afterok:{second}")
    assert ran.code == 1
    assert "Circular job dependency" in ran.err
    each_bridge.ok("scancel", f"{first}", f"{second}")
