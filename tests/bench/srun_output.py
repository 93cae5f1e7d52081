"""How much a step's output travels from its tasks through the wire to srun's standard output."""

from tests.bench.figure import Figure, note
from tests.e2e import harness, reference
from tests.e2e.harness import Bridge

MEGABYTES = 1000
TASKS = (1, 4)
"""On as many nodes."""


def srun_output() -> Figure:
    """MB/s of one task whose output goes through srun into a pipe; of four, on as many nodes, told on the way."""
    theirs: dict[int, float] = {}
    with harness.a_bridge() as bridge:
        ours = {tasks: _rate(bridge, tasks) for tasks in TASKS}
    if (bundle := reference.bundle()) is not None:
        with reference.as_bridge(bundle) as slurm:
            theirs = {tasks: _rate(slurm, tasks) for tasks in TASKS}
    for tasks in TASKS:
        native = round(theirs[tasks]) if theirs else None
        note(benchmark="srun-output", tasks=tasks, ours_mb_per_s=round(ours[tasks]), native_mb_per_s=native)
    return Figure("srun-output", ours[1], "MB/s", theirs.get(1))


def _rate(bridge: Bridge, tasks: int) -> float:
    size = MEGABYTES * 1_000_000
    script = f"""#!/bin/bash
began=$(date +%s%N)
srun head -c {size // tasks} /dev/zero | wc -c
echo $(($(date +%s%N) - began))
"""
    job = bridge.sbatch(f"-N{tasks}", f"-n{tasks}", script=script)
    assert bridge.ends_as(job, 300) == "COMPLETED 0:0", bridge.output(job)
    count, nanoseconds = map(int, bridge.output(job).split())
    assert count == size
    return count / 1e6 / (nanoseconds / 1e9)
