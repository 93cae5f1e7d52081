"""mpiexec of MPICH and mpirun of Open MPI in a script: each finds the allocation and starts its daemons by srun."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Bridge
from tests.mpi.programs import MEGABYTES_64, compile_world, lines_of_world

mpich = pytest.mark.program("mpicc.mpich")
open_mpi = [pytest.mark.program("mpicc.openmpi"), pytest.mark.program("mpirun.openmpi")]


def lines_of(bridge: Bridge, script: str, *options: str) -> list[str]:
    job = bridge.sbatch(*options, script=f"#!/bin/bash\n{script}\n")
    end = bridge.ends_as(job)
    assert end == "COMPLETED 0:0", f"{end}\n{bridge.output(job)}"
    return sorted(bridge.output(job).splitlines())


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("mpiexec.hydra", marks=mpich, id="mpich"),
        pytest.param("mpirun.openmpi", marks=open_mpi, id="open mpi"),
    ],
)
def launcher(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def world(launcher: str) -> Iterator[str]:
    """Where every user may run it."""
    compiler = {"mpiexec.hydra": "mpicc.mpich", "mpirun.openmpi": "mpicc.openmpi"}[launcher]
    with tempfile.TemporaryDirectory(prefix="bridge-mpi-") as directory:
        Path(directory).chmod(0o755)
        yield compile_world(compiler, Path(directory))


def test_two_nodes(each_bridge: Bridge, launcher: str, world: str) -> None:
    lines = lines_of(each_bridge, f"{launcher} {world}", "-N2", "--ntasks-per-node=2")
    assert lines == lines_of_world(2, 2)


@pytest.mark.slow
def test_one_node_and_four(bridge: Bridge, launcher: str, world: str) -> None:
    assert lines_of(bridge, f"{launcher} {world}", "-N1", "-n2") == lines_of_world(2)
    assert lines_of(bridge, f"{launcher} {world}", "-N4", "--ntasks-per-node=1") == lines_of_world(1, 1, 1, 1)


@pytest.mark.slow
def test_allreduce_of_64_megabytes(bridge: Bridge, launcher: str, world: str) -> None:
    lines = lines_of(bridge, f"{launcher} {world} {MEGABYTES_64}", "-N2", "--ntasks-per-node=2")
    assert lines == lines_of_world(2, 2, sum_bytes=64 << 20)


@pytest.mark.slow
def test_the_exit_status_is_the_ranks(bridge: Bridge, launcher: str, world: str) -> None:
    script = f"{launcher} sh -c 'exit 3'; echo left $?"
    assert "left 3" in lines_of(bridge, script, "-N2", "--ntasks-per-node=1")


@pytest.mark.slow
def test_what_ranks_shared_goes_with_the_job(bridge: Bridge) -> None:
    job = bridge.sbatch(
        "-N2", script="#!/bin/bash\nsrun sh -c 'cd $OMPI_MCA_btl_vader_backing_directory && pwd && touch x'"
    )
    assert bridge.ends_as(job) == "COMPLETED 0:0"
    folders = bridge.output(job).split()
    assert (len(set(folders)), [folder for folder in folders if Path(folder).exists()]) == (2, [])


def test_a_launchers_daemons_are_one_a_node_and_take_no_cpus_from_steps(bridge: Bridge) -> None:
    script = """#!/bin/bash
mkfifo up$SLURM_JOB_ID; exec 3<> up$SLURM_JOB_ID
srun --external-launcher -N1 -n1 sh -c "echo > up$SLURM_JOB_ID; exec sleep 1000" & launcher=$!
read -u3 _
srun -n1 -I sh -c 'echo got in, bound: $SLURM_CPU_BIND'
srun --external-launcher -n9 -N1 sh -c 'echo $SLURM_CPU_BIND'
kill $launcher; wait
"""
    job = bridge.sbatch("-N1", "-n1", script=script)
    assert bridge.ends_as(job) == "COMPLETED 0:0"
    lines = [line for line in bridge.output(job).splitlines() if "srun: " not in line and "STEP" not in line]
    assert lines == ["got in, bound:", "quiet,none"]


def test_the_users_own_choice_of_launcher_stands(bridge: Bridge) -> None:
    script = "#!/bin/bash\necho $HYDRA_BOOTSTRAP $I_MPI_HYDRA_BOOTSTRAP\nsrun sh -c 'echo $HYDRA_BOOTSTRAP'\n"
    job = bridge.sbatch("-n1", "--export=ALL,HYDRA_BOOTSTRAP=ssh", script=script)
    assert (bridge.ends_as(job), bridge.output(job).split()) == ("COMPLETED 0:0", ["ssh", "slurm", "ssh"])
