"""Programs of a real Open MPI as steps: `srun --mpi=pmix`, by the libpmix of this machine."""

import os
import signal
from pathlib import Path

import pytest

from bridge.agent import pmix_ranks, processes
from tests.agent.step_ground import DEADLINE_SECONDS, an_allocation
from tests.mpi.programs import MEGABYTES_64, compile_program, lines_of_world

COMPILER = "mpicc.openmpi"
pytestmark = [pytest.mark.program(COMPILER), pytest.mark.program("mpirun.openmpi")]


@pytest.mark.parametrize(("options", "per_node"), [(("-N1", "-n2"), (2,)), (("-N2", "-n4"), (2, 2))])
def test_hello_and_ring(four_nodes, world, options, per_node):
    ran = four_nodes.srun("--mpi=pmix", *options, world)
    assert (sorted(ran.out.splitlines()), ran.err, ran.code) == (lines_of_world(*per_node), "", 0)


@pytest.mark.slow
def test_four_nodes_and_ranks_in_turn(four_nodes, world):
    ran = four_nodes.srun("--mpi=pmix", "-N4", "-n8", "-m", "cyclic", world)
    assert sorted(ran.out.splitlines()) == lines_of_world(2, 2, 2, 2)


@pytest.mark.slow
def test_allreduce_of_64_megabytes(four_nodes, world):
    ran = four_nodes.srun("--mpi=pmix", "-N2", "-n4", world, MEGABYTES_64)
    assert sorted(ran.out.splitlines()) == lines_of_world(2, 2, sum_bytes=64 << 20)


ABORTS = """
#include <mpi.h>
int main(int count, char **words) {
    int rank;
    MPI_Init(&count, &words);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 1) MPI_Abort(MPI_COMM_WORLD, 42);
    MPI_Barrier(MPI_COMM_WORLD);
    return 0;
}
"""


def test_the_status_of_an_abort_is_sruns(four_nodes, tmp_path: Path):
    source = tmp_path / "aborts.c"
    source.write_text(ABORTS)
    ran = four_nodes.srun("--mpi=pmix", "-N1", "-n2", compile_program(COMPILER, source))
    told = [line for line in ran.err.splitlines() if line.startswith("srun: ")]
    assert ran.code == 42
    assert told[0] == "srun: Job step aborted: Waiting up to 4 seconds for job step to finish."


def test_ranks_find_their_server_and_nothing_is_left_of_it(four_nodes):
    ran = four_nodes.srun("--mpi=pmix", "-N1", "-n1", "env")
    found = dict(line.split("=", 1) for line in ran.out.splitlines() if "=" in line)
    assert (found["PMIX_RANK"], found["SLURM_MPI_TYPE"]) == ("0", "pmix")
    assert found["PMIX_SECURITY_MODE"] == "native"
    assert found["PMIX_NAMESPACE"] == f"12.{found['SLURM_STEP_ID']}"
    assert found["SLURM_PMIX_MAPPING_SERV"] == "(vector,(0,1,1))"
    assert not Path(found["PMIX_SERVER_TMPDIR"]).exists()


def test_input_and_signals_wait_until_the_server_lets_ranks_start(four_nodes):
    assert four_nodes.srun("--mpi=pmix", "-N1", "-n1", "cat", stdin=b"hello\n").out == "hello\n"
    ran = four_nodes.srun("--mpi=pmix", "--prolog=/bin/false", "-N1", "-n1", "sleep", "1000")
    assert ("task 0: Killed" in ran.err, "Timed out" in ran.err, ran.code) == (True, False, 137)


def test_a_library_that_cannot_be_loaded_ends_the_step_with_a_sentence(four_nodes, tmp_path: Path):
    (tmp_path / "libpmix.so.2").touch()
    ran = four_nodes.srun("--mpi=pmix", "-N1", "-n1", "echo", "up", env={"LD_LIBRARY_PATH": str(tmp_path)})
    told = ran.err.splitlines()
    assert told[0].startswith("srun: error: --mpi=pmix: no PMIx server: libpmix.so.2 cannot be loaded (")
    assert told[0].endswith("); mpirun starts Open MPI programs")
    assert told[-1].endswith(": task 0: there is no PMIx server")
    assert (ran.out, ran.code) == ("", 1)


def test_a_folder_that_cannot_be_made_ends_the_step_with_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pmix_ranks, "_FOLDERS", "/nowhere")
    with an_allocation(1) as made:
        ran = made.srun("--mpi=pmix", "-n1", "echo", "up")
    assert "no PMIx server: [Errno 2] No such file or directory: '/nowhere/bridge-pmix-" in ran.err
    assert (ran.err.splitlines()[-1], ran.out, ran.code) == ("srun: error: n1: task 0: there is no PMIx server", "", 1)


def test_a_server_that_dies_ends_the_step_with_a_sentence():
    with an_allocation(1) as made:
        job = made.popen("--mpi=pmix", "-n1", "sh", "-c", "echo up; exec sleep 1000")
        assert job.stdout is not None
        job.stdout.readline()
        (server,) = (pid for pid in processes.children(made.services[0]) if b"pmix_server" in command_of(pid))
        os.kill(server, signal.SIGKILL)
        _, said = job.communicate(timeout=DEADLINE_SECONDS)
    line = b"srun: error: --mpi=pmix: no PMIx server: its process ended; mpirun starts Open MPI programs\n"
    assert (line in said, job.returncode) == (True, 137)


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
