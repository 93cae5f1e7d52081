"""Steps inside of a job, as srun shows them: interrupted, ended for another's fault, and in odd surroundings.

The texts are those of a real srun; only times, ids and the site's KillWait differ.
"""

import re

import pytest

from tests.e2e.harness import Bridge

PRELUDE = """#!/bin/bash
set -m
mkdir $SLURM_JOB_ID; cd $SLURM_JOB_ID
mkfifo up go said never
exec 3<> up 4<> go 5<> said 6<> never
"""
"""Tasks tell the script through `up` that they are there, wait for it at `go`; srun tells it through `said`."""

STUBBORN = "sh -c 'trap \"\" INT TERM; echo > up; read _ < never'"
UP = "read -u3 _\n"


def lines_of(bridge: Bridge, job: int) -> list[str]:
    """The job's output in order, with `J` for its id, `TIME` for times and `WAIT` for the site's patience."""
    text = (
        bridge.seen_outside(job, bridge.output(job))
        .replace(f"StepId={job}.", "StepId=J.")
        .replace(f"STEP {job}.", "STEP J.")
    )
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", "TIME", text)
    lines = re.sub(r"Waiting up to \d+ seconds", "Waiting up to WAIT seconds", text).splitlines()
    # Whether a step had to wait for the one before to be tidied up is chance.
    return [line for line in lines if not line.startswith("srun: Step created for ")]


def lines_after(bridge: Bridge, script: str, *argv: str) -> list[str]:
    job = bridge.sbatch(*argv, script=PRELUDE + script)
    assert bridge.ends_as(job) == "COMPLETED 0:0"
    return lines_of(bridge, job)


class TestCtrlC:
    def test_once_shows_how_things_stand(self, each_bridge: Bridge) -> None:
        script = f"""srun -n2 sh -c 'echo > up; read _ < go; echo went on' 2> said & srun=$!
{UP}{UP}kill -INT $srun
read -u5 -r first; read -u5 -r second
printf '%s\\n' "$first" "$second"; echo >&4; echo >&4
wait $srun; echo "left $?"
"""
        assert lines_after(each_bridge, script, "-n2", "-N1") == [
            "srun: interrupt (one more within 1 sec to abort)",
            "srun: StepId=J.0 tasks 0-1: running",
            "went on",
            "went on",
            "left 0",
        ]

    def test_twice_ends_the_step(self, each_bridge: Bridge) -> None:
        script = f"""srun -n2 {STUBBORN} & srun=$!
{UP}{UP}kill -INT $srun; sleep 0.1; kill -INT $srun
wait $srun; echo "left $?"
"""
        lines = lines_after(each_bridge, script, "-n2", "-N1")
        cancelled = "[TIME] error: *** STEP J.0 ON n1 CANCELLED AT TIME DUE to SIGNAL Killed ***"
        assert cancelled in lines
        lines.remove(cancelled)  # the node writes it, a little earlier or later
        assert lines == [
            "srun: interrupt (one more within 1 sec to abort)",
            "srun: StepId=J.0 tasks 0-1: running",
            "srun: sending Ctrl-C to StepId=J.0",
            "srun: forcing job termination",
            "srun: Job step aborted: Waiting up to WAIT seconds for job step to finish.",
            "left 137",
        ]

    def test_without_status_each_one_goes_to_the_tasks(self, each_bridge: Bridge) -> None:
        script = f"""srun -X sh -c 'trap "echo got it; exit 5" INT; echo > up; read _ < never' & srun=$!
{UP}kill -INT $srun
wait $srun; echo "left $?"
"""
        assert lines_after(each_bridge, script, "-n1") == [
            "srun: sending Ctrl-C to StepId=J.0",
            "got it",
            "srun: error: n1: task 0: Exited with exit code 5",
            "left 5",
        ]

    def test_quit_on_interrupt_needs_one(self, each_bridge: Bridge) -> None:
        script = f"""srun --quit-on-interrupt -n1 {STUBBORN} & srun=$!
{UP}kill -INT $srun
wait $srun; echo "left $?"
"""
        assert sorted(lines_after(each_bridge, script, "-n1")) == [
            "[TIME] error: *** STEP J.0 ON n1 CANCELLED AT TIME DUE to SIGNAL Killed ***",
            "left 137",
            "srun: Job step aborted: Waiting up to WAIT seconds for job step to finish.",
            "srun: forcing job termination",
            "srun: sending Ctrl-C to StepId=J.0",
        ]


class TestSignals:
    def test_term_at_srun_ends_the_step(self, each_bridge: Bridge) -> None:
        script = f"""srun -n2 {STUBBORN} & srun=$!
{UP}{UP}kill -TERM $srun
wait $srun; echo "left $?"
"""
        assert sorted(lines_after(each_bridge, script, "-n2", "-N1")) == [
            "[TIME] error: *** STEP J.0 ON n1 CANCELLED AT TIME DUE to SIGNAL Killed ***",
            "left 137",
            "srun: Job step aborted: Waiting up to WAIT seconds for job step to finish.",
            "srun: error: n1: tasks 0-1: Killed",
            "srun: forcing job termination",
        ]

    def test_usr1_is_handed_on(self, each_bridge: Bridge) -> None:
        script = f"""srun -n1 sh -c 'trap "echo got USR1; exit 0" USR1; echo > up; read _ < never' & srun=$!
{UP}kill -USR1 $srun
wait $srun; echo "left $?"
"""
        assert lines_after(each_bridge, script, "-n1") == ["got USR1", "left 0"]

    def test_a_killed_srun_takes_its_tasks_along(self, each_bridge: Bridge) -> None:
        script = f"""srun sh -c 'trap "" TERM HUP INT; echo $$ > pid; echo > up; read _ < never' & srun=$!
disown $srun  # or bash tells of its end, at whatever moment it notices
{UP}kill -KILL $srun
while kill -0 $(cat pid) 2> /dev/null; do sleep 0.1; done
echo gone
srun echo next
"""
        lines = lines_after(each_bridge, script, "-n1")
        assert lines[-2:] == ["gone", "next"]


class TestAnothersFault:
    def test_kill_on_bad_exit_ends_the_others(self, each_bridge: Bridge) -> None:
        script = """cat > task <<'END'
[ $SLURM_PROCID != 1 ] || { read _ < go; exit 4; }
echo > up; exec sleep 60
END
srun -K -n3 sh task & srun=$!
read -u3 _; read -u3 _; echo >&4
wait $srun; echo "left $?"
"""
        lines = lines_after(each_bridge, script, "-n3", "-N1")
        cancelled = "[TIME] error: *** STEP J.0 ON n1 CANCELLED AT TIME DUE TO TASK FAILURE ***"
        assert cancelled in lines
        lines.remove(cancelled)
        assert lines == [
            "srun: error: n1: task 1: Exited with exit code 4",
            "srun: Terminating StepId=J.0",
            "srun: error: n1: tasks 0,2: Terminated",
            "srun: Force Terminated StepId=J.0",
            "left 143",
        ]

    def test_who_ignores_term_is_killed(self, each_bridge: Bridge) -> None:
        script = """cat > task <<'END'
[ $SLURM_PROCID != 1 ] || { read _ < go; exit 4; }
trap "" TERM; echo > up; read _ < never
END
SLURM_KILL_BAD_EXIT=1 srun -n2 sh task & srun=$!
read -u3 _; echo >&4
wait $srun; echo "left $?"
"""
        lines = lines_after(each_bridge, script, "-n2", "-N1")
        assert lines[-3:] == ["srun: error: n1: task 0: Killed", "srun: Force Terminated StepId=J.0", "left 137"]

    def test_kill_on_bad_exit_0_lets_the_others_go_on(self, each_bridge: Bridge) -> None:
        script = """srun -K0 -n2 sh -c '[ $SLURM_PROCID != 1 ] || exit 4; read _ < go; echo went on' 2> said & srun=$!
read -u5 -r line; echo "$line"; echo >&4
wait $srun; echo "left $?"
"""
        assert lines_after(each_bridge, script, "-n2", "-N1") == [
            "srun: error: n1: task 1: Exited with exit code 4",
            "went on",
            "left 4",
        ]

    def test_wait_ends_who_comes_too_late_after_the_first(self, each_bridge: Bridge) -> None:
        script = f"""cat > task <<'END'
[ $SLURM_PROCID != 1 ] || {{ read _ < go; exit $1; }}
echo > up; exec sleep 60
END
srun -W1 -n3 sh task 0 & srun=$!
{UP}{UP}echo >&4
wait $srun; echo "left $?"
SLURM_WAIT=1 srun -n3 sh task 3 & srun=$!
{UP}{UP}echo >&4
wait $srun; echo "left $?"
"""
        lines = lines_after(each_bridge, script, "-n3", "-N1")
        cancelled = [line for line in lines if "CANCELLED" in line]
        assert cancelled == [
            f"[TIME] error: *** STEP J.{k} ON n1 CANCELLED AT TIME DUE to SIGNAL Killed ***" for k in (0, 1)
        ]
        assert [line for line in lines if line not in cancelled] == [
            "srun: First task exited 1s ago",
            "srun: StepId=J.0 tasks 0,2: running",
            "srun: StepId=J.0 task 1: exited",
            "srun: Terminating StepId=J.0",
            "srun: Job step aborted: Waiting up to WAIT seconds for job step to finish.",
            "srun: error: n1: tasks 0,2: Killed",
            "left 137",
            "srun: error: n1: task 1: Exited with exit code 3",
            "srun: First task exited 1s ago",
            "srun: StepId=J.1 tasks 0,2: running",
            "srun: StepId=J.1 task 1: exited abnormally",
            "srun: Terminating StepId=J.1",
            "srun: Job step aborted: Waiting up to WAIT seconds for job step to finish.",
            "srun: error: n1: tasks 0,2: Killed",
            "left 137",
        ]

    def test_a_signal_outweighs_exit_codes_and_a_higher_one_a_lower(self, each_bridge: Bridge) -> None:
        script = """ulimit -c 0
run() {
    A="$1" B="$2" srun -n2 sh -c 'if [ $SLURM_PROCID = 0 ]; then eval "$A"; else eval "$B"; fi' > all 2>&1
    echo "left $?, $(grep -c "Force Terminated" all)"
}
run 'exit 200' 'exit 3'
run 'exit 200' 'kill -2 $$'
run 'exit 200' 'kill -9 $$'
run 'kill -9 $$' 'kill -15 $$'
run 'kill -9 $$' 'kill -10 $$'
run 'kill -6 $$' 'kill -10 $$'
"""
        assert lines_after(each_bridge, script, "-n2", "-N1") == [
            "left 200, 0",
            "left 130, 0",
            "left 137, 1",
            "left 143, 1",
            "left 138, 1",
            "left 138, 0",
        ]


class TestSurroundings:
    def test_a_nonsense_environment_is_handed_on_and_harms_nobody(self, each_bridge: Bridge) -> None:
        script = """srun=$(command -v srun)
show='echo "[$LD_PRELOAD $LD_LIBRARY_PATH $PYTHONHOME $PYTHONPATH $PATH]"'
LD_PRELOAD=/nowhere/lib.so srun sh -c "$show" 2> errors | sed "s|$PATH|P|"; grep -c nowhere/lib.so errors
LD_LIBRARY_PATH=/nowhere srun sh -c "$show" | sed "s|$PATH|P|"
PYTHONHOME=/nowhere PYTHONPATH=junk:/junk PYTHONSTARTUP=/junk srun sh -c "$show" | sed "s|$PATH|P|"
PATH= $srun /bin/sh -c "$show"
PATH= $srun sh -c "$show"; echo "left $?"
LANG=xx LC_ALL=yy TMPDIR=/nowhere HOME=/nowhere IFS=x BASH_ENV=/nowhere $srun /bin/echo fine 2>&1
"""
        lines = lines_after(each_bridge, script, "-n1")
        assert int(lines.pop(1)) > 0  # the loader complains, whoever is started
        assert lines == [
            "[/nowhere/lib.so    P]",
            "[ /nowhere   P]",
            "[  /nowhere junk:/junk P]",
            "[    ]",
            "[TIME] error: execve(): sh: No such file or directory",
            "srun: error: n1: task 0: Exited with exit code 2",
            "left 2",
            "[TIME] error: Unable to create TMPDIR [/nowhere]: Permission denied",
            "[TIME] error: Setting TMPDIR to /tmp",
            "fine",
        ]

    def test_a_program_that_cannot_be_started_leaves_the_reason_and_its_number(self, each_bridge: Bridge) -> None:
        script = """printf 'echo hi\\n' > no-interpreter; printf '#!/no/interp\\n' > bad-interpreter; chmod +x *-*
for program in nosuch ./nosuch /nosuch /tmp /etc/passwd ./no-interpreter ./bad-interpreter; do
    srun $program 2>&1 | sed "s|$PWD|HERE|"; echo "left ${PIPESTATUS[0]}"
done
"""
        lines = lines_after(each_bridge, script, "-n1")
        assert [line.partition("error: ")[2] for line in lines[::3]] == [
            "execve(): nosuch: No such file or directory",
            "execve(): HERE/./nosuch: No such file or directory",
            "execve(): /nosuch: No such file or directory",
            "execve(): /tmp: Permission denied",
            "execve(): /etc/passwd: Permission denied",
            "execve(): HERE/./no-interpreter: Exec format error",
            "execve(): bad interpreter(/no/interp): No such file or directory",
        ]
        assert lines[2::3] == [f"left {code}" for code in (2, 2, 2, 13, 13, 8, 2)]

    @pytest.mark.slow
    def test_a_hundred_steps_in_sequence(self, each_bridge: Bridge) -> None:
        job = each_bridge.sbatch("-n1", script="#!/bin/bash\nfor i in {1..100}; do srun echo $i; done\n")
        assert each_bridge.ends_as(job, seconds=100) == "COMPLETED 0:0"
        lines = lines_of(each_bridge, job)
        assert lines == [str(i) for i in range(1, 101)]
        rows = each_bridge.ok("sacct", "-n", "-P", "-j", str(job), "-o", "JobID,State,ExitCode").splitlines()
        assert [row for row in rows if row.startswith(f"{job}.") and "." in row and row[len(f"{job}.")].isdigit()] == [
            f"{job}.{k}|COMPLETED|0:0" for k in range(100)
        ]


class TestNodes:
    def test_nodes_find_one_another_by_the_names_of_the_node_list(self, bridge: Bridge) -> None:
        """As programs meet: each by the first name of the node list. Under a bridge that may make namespaces."""
        if bridge.owner == bridge.user:
            return
        script = """cat > meet.py <<'END'
import os, socket, subprocess
first = subprocess.run(["scontrol", "show", "hostnames"], stdout=subprocess.PIPE, text=True).stdout.split()[0]
if os.environ["SLURM_PROCID"] == "0":
    listener = socket.create_server((first, 0))
    with open("port.new", "w") as file:
        file.write(str(listener.getsockname()[1]))
    os.rename("port.new", "port")
    os.write(os.open("up", os.O_WRONLY), b"\\n")
    print("met", listener.accept()[0].recv(100).decode())
else:
    os.read(os.open("up", os.O_RDONLY), 1)
    socket.create_connection((first, int(open("port").read()))).sendall(os.environ["SLURMD_NODENAME"].encode())
END
srun -l getent hosts n2 n3 | sort | tr -s ' \\t' ' '
srun python3 meet.py
"""
        lines = lines_after(bridge, script, "-N2", "-n2", "-w", "n[2-3]")
        assert lines == [f"{rank}: 127.0.0.1 {node}" for rank in (0, 1) for node in ("n2", "n3")] + ["met n3"]
        assert bridge.ends_as(bridge.wrap("getent hosts n4", "-w", "n4")) == "COMPLETED 0:0"
