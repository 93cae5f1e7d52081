"""How running jobs end: cancelled, out of time, out of memory, signalled, with what they left behind."""

import os
from pathlib import Path

import pytest

from tests.e2e.harness import Bridge

WARNED_STEP = """#!/bin/bash
trap 'echo not the shell' USR2
srun bash -c 'trap "echo step warned; exit 5" USR2; sleep 300 & wait' 2>/dev/null
"""


def test_a_cancelled_job_gets_term_and_says_so_in_its_output(each_bridge: Bridge) -> None:
    bell = each_bridge.bell()
    job = each_bridge.sbatch(script=f"#!/bin/bash\necho start\n{bell.ring}\nsleep 300\necho never\n")
    bell.wait()
    each_bridge.ok("scancel", str(job))
    assert each_bridge.ends_as(job) == "CANCELLED 0:15"
    first, second = each_bridge.output(job).splitlines()
    assert first == "start"
    (node,) = each_bridge.called(job, each_bridge.job(job)["NodeList"])
    assert f"error: *** JOB {job} ON {node} CANCELLED AT " in second
    assert second.endswith("DUE to SIGNAL Terminated ***")
    row = each_bridge.ok("sacct", "-n", "-P", "-X", "-j", str(job), "-o", "State,ExitCode")
    assert row == f"CANCELLED by {each_bridge.user.uid}|0:0\n"


def test_a_trap_decides_the_exit_code_of_a_cancelled_job(each_bridge: Bridge) -> None:
    bell = each_bridge.bell()
    job = each_bridge.sbatch(script=f"#!/bin/bash\ntrap 'echo got TERM; exit 11' TERM\n{bell.ring}\nsleep 300 & wait\n")
    bell.wait()
    each_bridge.ok("scancel", str(job))
    assert each_bridge.ends_as(job) == "CANCELLED 11:0"
    assert each_bridge.output(job).endswith("got TERM\n")


def test_a_job_that_ignores_term_is_killed_after_the_kill_wait(each_bridge: Bridge) -> None:
    bell = each_bridge.bell()
    job = each_bridge.sbatch(script=f"#!/bin/bash\ntrap '' TERM\n{bell.ring}\nwhile :; do sleep 300; done\n")
    bell.wait()
    each_bridge.ok("scancel", str(job))
    assert each_bridge.ends_as(job) == "CANCELLED 0:9"


def test_a_signal_to_the_batch_shell_leaves_the_rest_alone(each_bridge: Bridge) -> None:
    bell = each_bridge.bell()
    job = each_bridge.sbatch(
        script=f"#!/bin/bash\ntrap 'echo got USR1; exit 12' USR1\nsleep 300 &\n{bell.ring}\nwait\n"
    )
    bell.wait()
    each_bridge.ok("scancel", "--batch", "--signal=USR1", str(job))
    assert each_bridge.ends_as(job) == "FAILED 12:0"
    assert each_bridge.output(job) == "got USR1\n"


def test_what_a_job_left_behind_ends_with_it(each_bridge: Bridge) -> None:
    script = """#!/bin/bash
    (setsid env -i sleep 1111 & echo $! > stray.pid)
    nohup sleep 1112 >/dev/null 2>&1 &
    echo $! >> stray.pid
    """
    job = each_bridge.sbatch("-J", "strays", script=script.replace("\n    ", "\n"))
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    assert _sleepers(("1111", "1112")) == []


def _sleepers(seconds: tuple[str, ...]) -> list[str]:
    """Processes `sleep N`, wherever they came from."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:1] == [b"sleep"] and words[1].decode() in seconds:
            found.append(str(path))
    return found


def test_a_job_over_its_memory_is_out_of_memory(each_bridge: Bridge) -> None:
    eater = "import mmap; m = mmap.mmap(-1, 400 << 20); m.write(b'x' * (400 << 20)); input()"
    job = each_bridge.sbatch("--mem=60M", script=f'#!/bin/bash\nsleep 300 | python3 -c "{eater}"\necho after\n')
    assert each_bridge.ends_as(job) == "OUT_OF_MEMORY 0:125"


def test_a_step_that_ate_the_memory_ends_with_its_job(each_bridge: Bridge) -> None:
    eater = "import mmap; m = mmap.mmap(-1, 400 << 20); m.write(b'x' * (400 << 20)); input()"
    job = each_bridge.sbatch("--mem=60M", script=f'#!/bin/bash\nsrun python3 -c "{eater}" < <(sleep 300)\n')
    assert each_bridge.ends_as(job) == "OUT_OF_MEMORY 0:125"
    *_, step = each_bridge.ok("sacct", "-n", "-P", "-j", str(job), "-o", "jobid,state,exitcode,end").splitlines()
    assert step.startswith(f"{job}.0|OUT_OF_MEMORY|0:125|20"), step


def test_the_highest_status_of_the_steps_is_kept_beside_the_script_s_own(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("-n2", script="#!/bin/bash\nsrun -n1 sh -c 'exit 9' 2>/dev/null\nsrun -n2 true\nexit 1\n")
    assert each_bridge.ends_as(job) == "FAILED 1:0"
    row = each_bridge.ok("sacct", "-n", "-P", "-j", str(job), "-o", "JobID,State,ExitCode,DerivedExitCode")
    assert row.splitlines()[0] == f"{job}|FAILED|1:0|9:0"
    assert {line.split("|")[0] for line in row.splitlines()} == {f"{job}", f"{job}.batch", f"{job}.0", f"{job}.1"}


@pytest.mark.slow
def test_time_limits_warn_and_end(each_bridge: Bridge) -> None:
    """Side by side, because a limit is a minute at least."""
    plain = each_bridge.sbatch("-t1", script="#!/bin/bash\necho start\nsleep 300\n")
    warned = each_bridge.sbatch(
        "-t1",
        "--signal=B:USR1@30",
        script="#!/bin/bash\ntrap 'echo warned after $SECONDS; exit 7' USR1\nsleep 300 &\nwait\n",
    )
    step = each_bridge.sbatch("-t1", "--signal=USR2@40", script=WARNED_STEP)
    longer = each_bridge.sbatch("-t1", script="#!/bin/bash\nsleep 75\necho past the first limit\n")
    each_bridge.runs(longer)
    if os.geteuid() == 0:
        each_bridge.ok("scontrol", "update", f"JobId={longer}", "TimeLimit=5", as_user=each_bridge.owner)
    assert each_bridge.ends_as(warned, 100) == "FAILED 7:0"
    seconds = int(each_bridge.output(warned).split()[-1])
    assert 0 <= seconds <= 35
    assert each_bridge.ends_as(step, 100) == "FAILED 5:0"
    assert each_bridge.output(step) == "step warned\n"
    assert each_bridge.ends_as(plain, 120) == "TIMEOUT 0:15"
    assert each_bridge.output(plain).rstrip().endswith("DUE TO TIME LIMIT ***")
    assert each_bridge.ends_as(longer, 120) == ("COMPLETED 0:0" if os.geteuid() == 0 else "TIMEOUT 0:15")


def test_a_suspended_job_stands_still_and_goes_on(each_bridge: Bridge) -> None:
    bell, gate = each_bridge.bell(), each_bridge.gate()
    job = each_bridge.sbatch(script=f"#!/bin/bash\n{bell.ring}\n{gate.wait}\necho on\n")
    bell.wait()
    each_bridge.ok("scontrol", "suspend", str(job), as_user=each_bridge.owner)
    each_bridge.until(lambda: each_bridge.state(job) == "SUSPENDED")
    gate.open()
    each_bridge.ok("scontrol", "resume", str(job), as_user=each_bridge.owner)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    assert each_bridge.output(job) == "on\n"
