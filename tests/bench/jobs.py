"""How fast jobs come through: from submission to the first line, and two hundred that do nothing."""

import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.bench.figure import Figure, note
from tests.e2e import harness, reference
from tests.e2e.harness import Bell

RUNS = 15
TASKS = 200


def latency() -> Figure:
    """Seconds from the start of sbatch to the script's first line, on an idle machine."""
    with harness.a_bridge() as bridge:
        environment = {**bridge.user.environment(), "BRIDGE_SOCKET": str(bridge.socket)}
        ours = _latency(bridge.command("sbatch"), bridge.bell(), bridge.work, environment, bridge.user.popen_options())
        theirs = None
        if (bundle := reference.bundle()) is not None:
            slurm = reference.Slurm(bundle)
            identity = slurm.user.popen_options()
            theirs = _latency(["sbatch"], bridge.bell(), Path("/tmp"), slurm.environment, identity)
    note(benchmark="latency", runs=RUNS, ours_ms=round(ours, 1), native_ms=theirs and round(theirs, 1))
    return Figure("latency", ours, "ms (median)", theirs, more_is_better=False)


def _latency(sbatch: list[str], bell: Bell, cwd: Path, environment: dict[str, str], identity: dict[str, Any]) -> float:
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(
            [*sbatch, "-o", "/dev/null", "--wrap", bell.ring],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=cwd,
            env=environment,
            **identity,
        )
        bell.wait()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def array() -> Figure:
    """Tasks a second of an array of two hundred `true`, from sbatch to the last end."""
    with harness.a_bridge() as bridge:
        began = time.perf_counter()
        job = bridge.sbatch(f"-a1-{TASKS}", "-o", "/dev/null", "--mem=60M", "--wrap", "true")
        ends = bridge.wait(job, 300)
        ours = TASKS / (time.perf_counter() - began)
        assert [record["JobState"] for record in ends] == ["COMPLETED"] * TASKS
    theirs = None
    if (bundle := reference.bundle()) is not None:
        theirs = _array_of_slurm(reference.Slurm(bundle))
    note(benchmark="array", tasks=TASKS, cpus=os.cpu_count())
    return Figure("array", ours, "tasks/s", theirs)


def _array_of_slurm(slurm: reference.Slurm) -> float:
    """Its own --wait polls every few seconds, so the end is read from the jobs' records."""
    began = time.time()
    ran = slurm.run(
        "sbatch", "--parsable", f"-a1-{TASKS}", "-o", "/dev/null", "--mem=60M", "--wrap", "true", cwd="/tmp"
    )
    job = int(ran.out)
    while True:
        records = slurm.show(job)
        if len(records) == TASKS and all(record["JobState"] in harness.FINAL for record in records):
            break
        assert time.time() - began < 300, "the array did not end"
        time.sleep(0.2)
    last = max(time.mktime(time.strptime(record["EndTime"], "%Y-%m-%dT%H:%M:%S")) for record in records)
    return TASKS / max(0.5, last - began)
