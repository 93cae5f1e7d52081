"""How long the commands take, as a user at a terminal feels it; the native ones beside them."""

import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.bench import wire
from tests.bench.figure import Figure, note
from tests.e2e import harness, reference
from tests.e2e.harness import Bridge

RUNS = 30
QUEUE = 5000
ARGUMENTS = ["--hold", "-n2", "-t10"]


def _median(command: list[str], runs: int = RUNS, **options: Any) -> float:
    """Milliseconds of one run."""
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def _ours(bridge: Bridge, *words: str, runs: int = RUNS) -> float:
    environment = {**bridge.user.environment(), "BRIDGE_SOCKET": str(bridge.socket)}
    return _median(bridge.command(*words), runs, cwd=bridge.work, env=environment, **bridge.user.popen_options())


def _theirs(slurm: reference.Slurm, *words: str, runs: int = RUNS, cwd: str = "/tmp") -> float:
    return _median([*words], runs, cwd=cwd, env=slurm.environment, **slurm.user.popen_options())


def submit_cli() -> Figure:
    theirs = None
    bundle = reference.bundle()
    script = "#!/bin/bash\n#SBATCH --job-name=bench\n#SBATCH --mem=100M\nsrun true\n"
    with harness.a_bridge() as bridge:
        file = bridge.work / "bench.sh"
        file.write_text(script)
        ours = _ours(bridge, "sbatch", *ARGUMENTS, str(file))
        if bundle is not None:
            slurm = reference.Slurm(bundle)
            try:
                theirs = _theirs(slurm, "sbatch", *ARGUMENTS, str(file), cwd=str(bridge.work))
            finally:
                slurm.cancel_all()
    note(benchmark="submit-cli", runs=RUNS, ours_ms=round(ours, 2), native_ms=theirs and round(theirs, 2))
    return Figure("submit-cli", ours, "ms (median)", theirs, more_is_better=False)


def squeue_5k() -> Figure:
    theirs = None
    with harness.a_bridge() as bridge:
        _fill(bridge)
        ours = _ours(bridge, "squeue", runs=9)
    bundle = reference.bundle()
    if bundle is not None:
        slurm = reference.Slurm(bundle)
        try:
            _fill_slurm(slurm)
            theirs = _theirs(slurm, "squeue", runs=9)
        finally:
            slurm.cancel_all()
    note(benchmark="squeue-5k", rows=QUEUE, ours_ms=round(ours, 1), native_ms=theirs and round(theirs, 1))
    return Figure("squeue-5k", ours, "ms (median)", theirs, more_is_better=False)


def _fill(bridge: Bridge) -> None:
    """Through HTTP, because five thousand commands take minutes."""
    body = {"script": "#!/bin/bash\ntrue\n", "options": ["--hold", "-n2"], "working_directory": str(bridge.work)}
    request = wire.post("/v1/jobs", json.dumps(body).encode(), {})
    done = 0
    while done < QUEUE:
        with bridge.user.effective():
            answers, _ = wire.rate(str(bridge.socket), lambda _: request, connections=8, seconds=0.2)
        done += answers
    assert bridge.ok("squeue", "-h", "-o", "%i").count("\n") >= QUEUE


def _fill_slurm(slurm: reference.Slurm) -> None:
    """Separate jobs, by a loop in one shell."""
    loop = f"for i in $(seq {QUEUE}); do sbatch -Q --hold -n2 --wrap true || exit 1; done"
    ran = slurm.run("/bin/sh", "-c", loop, cwd=Path("/tmp"))
    assert ran.code == 0, ran.err
