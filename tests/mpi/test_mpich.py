"""Programs of a real MPICH as steps: `srun --mpi=pmi2`."""

from pathlib import Path

import pytest

from tests.agent.step_ground import an_allocation
from tests.mpi.programs import MEGABYTES_64, lines_of_world

COMPILER = "mpicc.mpich"
pytestmark = pytest.mark.program(COMPILER)


@pytest.mark.parametrize(
    ("options", "per_node"),
    [(("-N1", "-n2"), (2,)), (("-N2", "-n4"), (2, 2)), (("-N4", "-n8"), (2, 2, 2, 2))],
)
def test_hello_and_ring(four_nodes, world, options, per_node):
    ran = four_nodes.srun("--mpi=pmi2", *options, world)
    assert (sorted(ran.out.splitlines()), ran.err, ran.code) == (lines_of_world(*per_node), "", 0)


@pytest.mark.slow
def test_allreduce_of_64_megabytes(four_nodes, world):
    ran = four_nodes.srun("--mpi=pmi2", "-N2", "-n4", world, MEGABYTES_64)
    assert sorted(ran.out.splitlines()) == lines_of_world(2, 2, sum_bytes=64 << 20)


def test_ranks_in_turn_over_the_nodes(four_nodes, world):
    ran = four_nodes.srun("--mpi=pmi2", "-N2", "-n3", "-m", "cyclic", world)
    places = sorted(line for line in ran.out.splitlines() if line.startswith("rank"))
    assert places == ["rank 0 of 3, 2 on its node", "rank 1 of 3, 1 on its node", "rank 2 of 3, 2 on its node"]


def test_without_pmi_each_rank_is_a_world_of_its_own(four_nodes, world):
    ran = four_nodes.srun("--mpi=none", "-N1", "-n2", world)
    assert sorted(ran.out.splitlines()) == sorted(lines_of_world(1) * 2)


def test_the_environment_says_so(four_nodes):
    ran = four_nodes.srun("-N1", "-n1", "env", env={"SLURM_MPI_TYPE": "pmi2"})
    found = dict(line.split("=", 1) for line in ran.out.splitlines() if "PMI" in line.split("=")[0])
    step = found["PMI_JOBID"]
    assert {**found, "PMI_FD": "F"} == {"PMI_FD": "F", "PMI_JOBID": step, "PMI_RANK": "0", "PMI_SIZE": "1"}
    assert step.startswith("12.")


ABORTS = """
import os, socket
rank = socket.socket(fileno=int(os.environ["PMI_FD"]))
rank.sendall(b"cmd=init pmi_version=1 pmi_subversion=1\\n")
rank.recv(1000)
if os.environ["PMI_RANK"] == "1":
    rank.sendall(b"cmd=abort exitcode=42\\n")
rank.recv(1)
"""


def test_an_abort_kills_the_step_as_slurm_does(four_nodes, tmp_path: Path):
    """The exit code is lost, as there."""
    program = tmp_path / "aborts.py"
    program.write_text(ABORTS)
    ran = four_nodes.srun("--mpi=pmi2", "-N2", "-w", "n1,n2", "-n2", "python3", str(program))
    assert ran.code == 137
    told = [line for line in ran.err.splitlines() if line.startswith("srun:")]
    assert sorted(told) == [
        "srun: Job step aborted: Waiting up to 4 seconds for job step to finish.",
        "srun: error: n1: task 0: Killed",
        "srun: error: n2: task 1: Killed",
    ]


def test_the_sites_default_holds_for_steps_that_name_none(world):
    with an_allocation(2, mpi_default="pmi2") as made:
        ran = made.srun("-n2", world)
    assert sorted(ran.out.splitlines()) == lines_of_world(2)


def test_kinds_that_are_none(four_nodes):
    assert four_nodes.srun("--mpi=list").out == "MPI plugin types are...\n\tnone\n\tpmix\n\tpmi2\n"
    assert four_nodes.srun("--mpi=openmpi", "-n1", "-N1", "true").code == 0
