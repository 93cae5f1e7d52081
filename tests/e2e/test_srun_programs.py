"""Programs around a step and around its tasks, with the words and statuses of a real srun 25.11."""

from tests.e2e.harness import Bridge
from tests.e2e.test_srun import PRELUDE, lines_of

PROGRAMS = """cat > prolog <<'END'
#!/bin/sh
echo "export SAID=yes $SLURM_PROCID"; echo "print prolog says $SLURM_PROCID"; echo "unset GONE"; echo "something else"
echo "to nobody" >&2
END
cat > epilog <<'END'
#!/bin/sh
echo "to nobody"; echo "epilog of $SLURM_PROCID" >&2
END
cat > around <<'END'
#!/bin/sh
echo "around step $SLURM_STEP_ID: $*"
END
printf '#!/bin/sh\\nexit 3\\n' > bad
chmod +x prolog epilog around bad
export GONE=here
"""


def after(bridge: Bridge, script: str, *argv: str) -> list[str]:
    job = bridge.sbatch(*argv, script=f"{PRELUDE}{PROGRAMS}{script}")
    assert bridge.ends_as(job) == "COMPLETED 0:0"
    directory = str(bridge.work / str(job))
    return [line.replace(directory, "HERE") for line in lines_of(bridge, job)]


def test_what_a_task_prolog_prints_changes_its_task(each_bridge: Bridge) -> None:
    script = "srun -l --task-prolog=$PWD/prolog sh -c 'echo \"[$SAID] [$GONE]\"' | sort\n"
    assert after(each_bridge, script, "-n2", "-N1") == [
        "0: [yes 0] []",
        "0: prolog says 0",
        "1: [yes 1] []",
        "1: prolog says 1",
    ]


def test_a_task_whose_prolog_fails_is_not_started(each_bridge: Bridge) -> None:
    script = """for prolog in ./prolog /nosuch $PWD/bad; do
    SLURM_TASK_PROLOG=$prolog srun echo not reached; echo "left $?"
done
"""
    fails = "[TIME] error: user task_prolog did not exit normally. reason: Run command failed - configuration error"
    assert after(each_bridge, script, "-n1") == [
        "[TIME] error: run_command: user task_prolog is not a fully qualified pathname (./prolog)",
        fails,
        "[TIME] error: --task-prolog failed status=1",
        "srun: error: n1: task 0: Exited with exit code 1",
        "left 1",
        "[TIME] error: run_command: user task_prolog can not be executed (/nosuch) No such file or directory",
        fails,
        "[TIME] error: --task-prolog failed status=1",
        "srun: error: n1: task 0: Exited with exit code 1",
        "left 1",
        "[TIME] error: --task-prolog failed status=3",
        "srun: error: n1: task 0: Exited with exit code 3",
        "left 3",
    ]


def test_a_task_epilog_runs_behind_the_task_and_changes_no_status(each_bridge: Bridge) -> None:
    script = """srun --task-epilog=$PWD/epilog sh -c 'echo task; exit 4'; echo "left $?"
srun --task-epilog=$PWD/epilog sh -c 'kill -10 $$'; echo "left $?"
srun --task-epilog=$PWD/bad echo task; echo "left $?"
"""
    assert after(each_bridge, script, "-n1") == [
        "task",
        "epilog of 0",
        "srun: error: n1: task 0: Exited with exit code 4",
        "left 4",
        "epilog of 0",
        "srun: error: n1: task 0: User defined signal 1",
        "left 138",
        "task",
        "[TIME] error: TaskEpilog failed status=3",
        "left 0",
    ]


def test_srun_s_own_prolog_and_epilog_get_the_program_and_stand_around_it(each_bridge: Bridge) -> None:
    script = """srun --prolog=./around --epilog=$PWD/around echo hi; echo "left $?"
SLURM_PROLOG=none srun --prolog=/nosuch --epilog=$PWD/bad echo hi; echo "left $?"
"""
    assert after(each_bridge, script, "-n1") == [
        "around step 0: echo hi",
        "hi",
        "around step 0: echo hi",
        "left 0",
        "srun: Access denied for /nosuch: No such file or directory",
        "hi",
        "srun: error: srun epilog failed status=3",
        "left 0",
    ]


def test_a_failed_prolog_of_srun_ends_its_step(each_bridge: Bridge) -> None:
    lines = after(each_bridge, 'srun --prolog=$PWD/bad sleep 1000; echo "left $?"\n', "-n1")
    cancelled = "[TIME] error: *** STEP J.0 ON n1 CANCELLED AT TIME DUE to SIGNAL Killed ***"
    assert [line for line in lines if line != cancelled] == [
        "srun: error: srun prolog failed rc = 3. Aborting step.",
        "srun: StepId=J.0 aborted before step completely launched.",
        "srun: Job step aborted: Waiting up to WAIT seconds for job step to finish.",
        "srun: error: n1: task 0: Killed",
        "left 137",
    ]
