"""The bridge goes and comes back; jobs do not notice."""

from tests.e2e.harness import Bridge


def test_jobs_run_on_while_the_bridge_is_stopped(each_bridge: Bridge) -> None:
    gate, bell = each_bridge.gate(), each_bridge.bell()
    job = each_bridge.sbatch(script=f"#!/bin/bash\n{bell.ring}\n{gate.wait}\necho on\n{bell.ring}\nexit 4\n")
    behind = each_bridge.sbatch("-d", f"afternotok:{job}", script="#!/bin/bash\necho behind\n")
    bell.wait()
    each_bridge.stop()
    gate.open()
    bell.wait()
    each_bridge.start()
    assert each_bridge.ends_as(job) == "FAILED 4:0"
    assert each_bridge.output(job) == "on\n"
    assert each_bridge.ends_as(behind) == "COMPLETED 0:0"


def test_a_killed_bridge_finds_running_jobs_again_and_can_end_them(each_bridge: Bridge) -> None:
    bell = each_bridge.bell()
    script = f"#!/bin/bash\n{bell.ring}\nsleep 300\n"
    jobs = [each_bridge.sbatch(script=script) for _ in range(3)]
    bell.wait(times=3)
    each_bridge.kill9()
    each_bridge.start()
    for job in jobs:
        each_bridge.runs(job)
    each_bridge.ok("scancel", *map(str, jobs))
    assert [each_bridge.ends_as(job) for job in jobs] == ["CANCELLED 0:15"] * 3


def test_what_waits_still_waits_after_a_kill(each_bridge: Bridge) -> None:
    held = each_bridge.sbatch("--hold", script="#!/bin/bash\ntrue\n")
    later = each_bridge.sbatch("--begin=now+1hour", script="#!/bin/bash\ntrue\n")
    array = each_bridge.sbatch("--hold", "-a1-100%7", script="#!/bin/bash\ntrue\n")
    each_bridge.kill9()
    each_bridge.start()
    each_bridge.waits_because(held, "JobHeldUser")
    each_bridge.waits_because(later, "BeginTime")
    assert each_bridge.ok("squeue", "-h", "-j", str(array), "-o", "%i %r") == f"{array}_[1-100%7] JobHeldUser\n"
    each_bridge.ok("scontrol", "release", str(held))
    assert each_bridge.ends_as(held) == "COMPLETED 0:0"
    each_bridge.ok("scancel", str(later), str(array))


def test_ids_are_never_given_twice(each_bridge: Bridge) -> None:
    before = each_bridge.sbatch(script="#!/bin/bash\ntrue\n")
    each_bridge.kill9()
    each_bridge.start()
    assert each_bridge.sbatch(script="#!/bin/bash\ntrue\n") > before


def test_commands_without_a_bridge_say_so(each_bridge: Bridge) -> None:
    each_bridge.stop()
    try:
        ran = each_bridge.run("squeue")
        text = "Unable to contact slurm controller (connect failure)"
        assert (ran.out, ran.code) == ("", 1)
        assert ran.err == f"slurm_load_jobs error: {text}\n"
        ran = each_bridge.run("sbatch", "--wrap", "true")
        assert (ran.out, ran.code) == ("", 1)
        assert ran.err.endswith(f"sbatch: error: Batch job submission failed: {text}\n")
    finally:
        each_bridge.start()
