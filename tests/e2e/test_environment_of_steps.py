"""What tasks find in their environment, beside what a real Slurm's tasks find: the same names with the same values.

Needs SLURM_BUNDLE and root; what is otherwise is listed here with the reason.
"""

from collections.abc import Iterator

import pytest

from tests.e2e import reference
from tests.e2e.harness import Bridge

pytestmark = [pytest.mark.slow, pytest.mark.skipif(reference.bundle() is None, reason="SLURM_BUNDLE names no Slurm")]

OURS_ALONE = {
    "BRIDGE_AGENT": "how srun finds its node's step service",
    "BRIDGE_KEY_FILE": "what srun proves itself with",
    "BRIDGE_SOCKET": "where the commands find the bridge",
    "BRIDGE_TOKEN_FILE": "what the commands prove themselves with",
    "OMPI_MCA_btl_vader_backing_directory": "several nodes of a job are one host: their ranks must not share memory",
    "SLURM_MEM_PER_CPU": "a partition's default memory is as good as --mem-per-cpu for us where srun's own was emptied",
}
THEIRS_ALONE = {
    "SLURMD_DEBUG": "there is no slurmd",
    "SLURM_JOB_ACCOUNT": "the tests' bridge has no accounts; the real one has those that other tests made",
    "SLURM_JOB_GROUP": "the tests' user is of no group that has a name",
    "SLURM_JOB_QOS": "the tests' bridge has no QOS",
    "SLURM_REST_SOCKET": "of the submitter's shell",
    "SLURM_REST_URL": "of the submitter's shell",
}
OTHER_VALUES = {
    *("BRIDGE_AGENT", "BRIDGE_KEY_FILE", "HOME", "LOGNAME", "PATH", "PWD", "USER", "_"),
    *("SLURM_ARRAY_JOB_ID", "SLURM_CLUSTER_NAME", "SLURM_CONF", "SLURM_JOBID", "SLURM_JOB_END_TIME", "SLURM_JOB_GID"),
    *("SLURM_JOB_ID", "SLURM_JOB_START_TIME", "SLURM_JOB_UID", "SLURM_JOB_USER", "SLURM_SRUN_COMM_PORT"),
    *("SLURM_STEP_LAUNCHER_PORT", "SLURM_SUBMIT_DIR", "SLURM_TASK_PID"),
}
"""Another user, job, folder, moment or port."""

EMPTIED = (
    "env -i PATH=$PATH SLURM_CONF=$SLURM_CONF SLURM_JOB_ID=$SLURM_JOB_ID "
    "BRIDGE_AGENT=$BRIDGE_AGENT BRIDGE_KEY_FILE=$BRIDGE_KEY_FILE srun"
)
CASES = [
    (["-n1"], "srun"),
    (["-N2", "-n4"], "srun -n2"),
    (["-N2", "-n2", "-c2", "--mem=300"], "srun"),
    (["-N2", "--mem=300"], "srun -N1 -n1"),
    (["-n2", "--mem-per-cpu=100", "-J", "name"], "srun -n1 -c1 --exact -J step"),
    (["-n4"], "srun -n2 -m cyclic -u -K"),
    (["-N2", "-n4"], "srun -m plane=2"),
    (["-a", "3"], "srun"),
    (["-N2"], EMPTIED),
    (["-N2", "-n4", "-c1", "--mem-per-cpu=100"], f"{EMPTIED} -N1 -n2"),
    (["-a", "7-9:2"], EMPTIED),
    (["-n1", "-t5", "--exclusive"], "srun --export=NONE"),
    (["-n1"], "srun --export=ALL,A=b"),
    (["-n1"], "srun --export=HOME,A=b"),
    (["-n2", "--ntasks-per-node=2"], "srun --overlap -W3"),
    (["-w", "n4", "--gres=gpu:2", "-p", "gpu"], "srun"),
    (["-w", "n4", "--gres=gpu:2", "-p", "gpu"], EMPTIED),
]


@pytest.fixture(scope="module")
def slurm() -> Iterator[Bridge]:
    bundle = reference.bundle()
    assert bundle is not None
    with reference.as_bridge(bundle) as real:
        yield real


def first_task(bridge: Bridge, argv: list[str], srun: str) -> dict[str, str]:
    shown = "/bin/sh -c '[ $SLURM_PROCID != 0 ] || /usr/bin/env -0'"
    script = f"#!/bin/bash\nunset OLDPWD\n{srun} {shown} 2>/dev/null | tr '\\0\\n' '\\n '\n"
    job = bridge.sbatch(*argv, script=script)
    states = {record["JobState"] for record in bridge.wait(job)}
    assert states == {"COMPLETED"}, bridge.output(job)
    return dict(line.split("=", 1) for line in bridge.output(job).splitlines())


@pytest.mark.parametrize(("argv", "srun"), CASES, ids=[f"{' '.join(argv)} {srun}"[:60] for argv, srun in CASES])
def test_names_and_values_are_those_of_a_real_slurm(bridge: Bridge, slurm: Bridge, argv: list[str], srun: str) -> None:
    ours, theirs = first_task(bridge, argv, srun), first_task(slurm, argv, srun)
    assert "SLURM_PROCID" in theirs
    assert ours.keys() - theirs.keys() <= OURS_ALONE.keys()
    assert theirs.keys() - ours.keys() <= THEIRS_ALONE.keys()
    names = (ours.keys() & theirs.keys()) - OTHER_VALUES
    assert {name: ours[name] for name in names} == {name: theirs[name] for name in names}
