"""How soon an MPI program runs: hello of 16 ranks over 4 nodes by `srun --mpi=pmi2`, beside the native srun."""

import contextlib
import statistics
import tempfile
from pathlib import Path

from tests.bench.figure import Figure, note
from tests.e2e import harness, reference
from tests.mpi.programs import compile_world

RUNS = 9
_SCRIPT = """#!/bin/bash
for run in $(seq {runs}); do
    began=${{EPOCHREALTIME/./}}
    said=$(srun --mpi=pmi2 {world}) || exit
    echo $((${{EPOCHREALTIME/./}} - began))
    [ "$(grep -c 'of 16, 4 on its node' <<< "$said")" = 16 ] || exit 9
done
"""


def mpi_start() -> Figure:
    """From srun to the end of the program, with 16 ranks of MPICH on 4 virtual nodes of this machine."""
    with tempfile.TemporaryDirectory(prefix="bridge-mpi-") as folder:
        Path(folder).chmod(0o755)
        script = _SCRIPT.format(runs=RUNS, world=compile_world("mpicc.mpich", Path(folder)))
        ours = _milliseconds(harness.a_bridge(), script)
        bundle = reference.bundle()
        theirs = None if bundle is None else _milliseconds(reference.as_bridge(bundle), script)
    note(benchmark="mpi-start", runs=RUNS, ours_ms=round(ours, 1), native_ms=theirs and round(theirs, 1))
    return Figure("mpi-start", ours, "ms (median)", theirs, more_is_better=False)


def _milliseconds(started: contextlib.AbstractContextManager[harness.Bridge], script: str) -> float:
    with started as bridge:
        job = bridge.sbatch("-N4", "--ntasks-per-node=4", script=script)
        assert bridge.ends_as(job, 300) == "COMPLETED 0:0", bridge.output(job)
        return statistics.median(int(line) / 1000 for line in bridge.output(job).split())
