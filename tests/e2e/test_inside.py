"""The commands inside a job: they know the job, act for its user, and their right ends with it."""

import subprocess

from tests.e2e import person
from tests.e2e.harness import REPOSITORY, Bridge, packages

COMMANDS = """#!/bin/bash
child=$(sbatch --parsable --hold -J child --wrap 'true')
squeue --noheader --jobs "$child" --format '%j %r'
scontrol update JobId="$child" Comment=changed
scontrol show job "$child" | grep -o 'Comment=.*'
scancel "$child"
squeue --noheader --jobs "$child" --states all --format '%T'
echo "$child" > child.txt
"""


def test_a_job_submits_looks_changes_and_cancels(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch(script=COMMANDS)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    assert each_bridge.output(job) == "child JobHeldUser\nComment=changed\nCANCELLED\n"
    child = each_bridge.job(int(each_bridge.read("child.txt")))
    assert child["UserId"].startswith(f"{each_bridge.user.name}(")
    assert child["WorkDir"] == str(each_bridge.work)


def test_a_job_may_change_what_is_its_user_s_only(bridge: Bridge) -> None:
    if bridge.owner == bridge.user:
        return  # there is nobody else
    other = bridge.sbatch("--hold", "--wrap", "true", as_user=bridge.owner)
    job = bridge.sbatch(script=f"#!/bin/bash\nscancel {other}\necho left with $?\n")
    bridge.wait(job)
    assert bridge.output(job).splitlines() == [
        f"scancel: error: Kill job error on job id {other}: Access/permission denied",
        "left with 210",
    ]
    assert bridge.state(other) == "PENDING"
    bridge.ok("scancel", str(other), as_user=bridge.owner)


def test_the_token_of_a_job_dies_with_it(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch(script='#!/bin/bash\ncp "$BRIDGE_TOKEN_FILE" kept-token\n')
    each_bridge.wait(job)
    environment = {"BRIDGE_TOKEN_FILE": str(each_bridge.work / "kept-token")}
    ran = each_bridge.run("squeue", env=environment)
    assert ran.code != 0, ran
    assert ran.out == ""


def test_the_commands_work_in_an_environment_that_is_nonsense(each_bridge: Bridge) -> None:
    script = """#!/bin/bash
export PYTHONHOME=/nowhere PYTHONPATH=/nowhere LD_LIBRARY_PATH=/nowhere
srun /bin/sh -c 'echo "$PYTHONHOME $SLURM_PROCID"'
squeue --noheader --jobs "$SLURM_JOB_ID" --format %T
"""
    job = each_bridge.sbatch(script=script)
    each_bridge.wait(job)
    assert each_bridge.output(job) == "/nowhere 0\nRUNNING\n"


def test_a_driver_submits_a_graph_with_the_usual_text_tools(each_bridge: Bridge) -> None:
    driver = each_bridge.work / "driver.sh"
    sbatch = " ".join(each_bridge.command("sbatch"))
    driver.write_text(
        f"""a=$({sbatch} --parsable --wrap 'echo prepared > data.txt')
b=$({sbatch} --dependency=afterok:$a -a0-2%2 --wrap 'cat data.txt > part-$SLURM_ARRAY_TASK_ID.txt' | awk '{{print $4}}')
out=$({sbatch} --dependency=afterok:$b <<EOF
#!/bin/bash
cat part-*.txt | sort | uniq -c > all.txt
EOF
)
echo ${{out##* }}
"""
    )
    last = int(_shell(each_bridge, str(driver)))
    assert each_bridge.ends_as(last) == "COMPLETED 0:0"
    assert each_bridge.read("all.txt").split() == ["3", "prepared"]


def _shell(bridge: Bridge, script: str) -> str:
    done = subprocess.run(
        ["/bin/bash", "-e", script],
        cwd=bridge.work,
        env={**bridge.user.environment(), "BRIDGE_SOCKET": str(bridge.socket)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        **bridge.user.popen_options(),
    )
    return done.stdout


def test_shims_are_commands_of_slurm_s_names(each_bridge: Bridge) -> None:
    target = each_bridge.work / "shims"
    subprocess.run(
        [person.python(), "-m", "bridge.main", "shims", target],
        check=True,
        cwd=REPOSITORY,
        env={**each_bridge.user.environment(), "PYTHONPATH": packages()},
        stdout=subprocess.DEVNULL,
        **each_bridge.user.popen_options(),
    )
    done = subprocess.run(
        [target / "sbatch", "--parsable", "--wait", "--wrap", "exit 3"],
        check=False,
        cwd=each_bridge.work,
        env={**each_bridge.user.environment(), "BRIDGE_SOCKET": str(each_bridge.socket)},
        capture_output=True,
        text=True,
        **each_bridge.user.popen_options(),
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.strip().isdigit()


def test_a_step_from_an_emptied_environment_knows_its_job(each_bridge: Bridge) -> None:
    """As programs do that start from what is their own; the script's other variables stay away."""
    script = """#!/bin/bash
for name in $(compgen -e | grep ^SLURM_); do unset $name; done
show='echo $SLURM_JOB_ID $SLURM_JOB_PARTITION $SLURM_JOB_USER $SLURM_MEM_PER_NODE ${SLURM_JOB_QOS-unset}'
srun --nodes=1 sh -c "$show"
"""
    job = each_bridge.sbatch("--mem=200", "--export=ALL", script=script)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    assert each_bridge.output(job) == f"{job} main {each_bridge.user.name} 200 unset\n"
