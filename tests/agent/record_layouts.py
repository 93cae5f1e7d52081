"""Asks a real Slurm how it lays out steps: `python -m tests.agent.record_layouts > tests/agent/layouts_25.11.jsonl`.

Needs SLURM_BUNDLE and root. One line a job: its sbatch arguments, its nodes with their CPUs, what the environment
told its sruns, and for each srun its arguments with the exit code, its own lines, and each node's ranks and CPUs.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge.agent import step_options
from tests.e2e import reference

TASKS_AND_NODES = [
    *(f"-n{tasks}" for tasks in range(1, 10)),
    *(f"-N{nodes}" for nodes in range(1, 5)),
    *("-N1-2", "-N2-3", "-N2-4", "-N1 -n1", "-N1 -n2", "-N1 -n4", "-N2 -n2", "-N2 -n3", "-N2 -n4", "-N2 -n5"),
    *("-N2 -n6", "-N2 -n7", "-N3 -n3", "-N3 -n4", "-N3 -n5", "-N3 -n7", "-N4 -n6", "-N2 -n1", "-N3 -n2", "-N1-3 -n2"),
]
PER_TASK = [
    *("-c1", "-c2", "-c3", "-c4", "-n1 -c1", "-n2 -c1", "-n3 -c1", "-n5 -c1", "-n1 -c2", "-n2 -c2", "-n3 -c2"),
    *("-n4 -c2", "-n2 -c3", "-n3 -c3", "-N1 -c2", "-N2 -c2", "-N2 -n3 -c2", "-N2 -n4 -c2", "-N1 -n2 -c2", "-c5"),
]
PER_NODE = [
    *("--ntasks-per-node=1", "--ntasks-per-node=2", "--ntasks-per-node=3", "--ntasks-per-node=4"),
    *("--ntasks-per-node=5", "-N1 --ntasks-per-node=2", "-N2 --ntasks-per-node=1", "-N2 --ntasks-per-node=2"),
    *("-n2 --ntasks-per-node=1", "-n3 --ntasks-per-node=1", "-n3 --ntasks-per-node=2", "-n4 --ntasks-per-node=2"),
    *("-n5 --ntasks-per-node=2", "-n4 --ntasks-per-node=3", "-N2 -n3 --ntasks-per-node=2"),
    *("-N2 -n3 --ntasks-per-node=1", "-N2 -n4 --ntasks-per-node=2", "-N1 -n4 --ntasks-per-node=2"),
    *("-N2 -n5 --ntasks-per-node=4", "-n2 --ntasks-per-node=1 -c2", "-n2 --ntasks-per-node=2 -c2"),
]
WHERE = [
    *("-w n1", "-w n2", "-w n1,n2", "-w n2,n1", "-w n3", "-w n9", "-n1 -w n2", "-n2 -w n2", "-n3 -w n2", "-n4 -w n2"),
    *("-n2 -w n1,n2", "-n3 -w n1,n2", "-n1 -w n1,n2", "-N1 -w n2", "-N2 -w n2", "-N1 -w n1,n2", "-N1 -n1 -w n2"),
    *("-N2 -n2 -w n2", "-N2 -n3 -w n2", "-n5 -w n1", "-n6 -w n2", "-w n2 -c1", "-n2 -w n2 -c1", "-w n[1-2] -n4"),
    *("-x n1", "-x n2", "-x n1,n2", "-x n9", "-n1 -x n1", "-n2 -x n1", "-n4 -x n1", "-N1 -x n1", "-N2 -x n1"),
    *("-N1 -n1 -x n1", "-N1 -n2 -x n1", "-N2 -n2 -x n2", "-w n2 -x n2", "-w n2 -x n1"),
    *("-r0", "-r1", "-r2", "-r3", "-r9", "-n1 -r1", "-n2 -r1", "-N1 -r1", "-N1 -n1 -r1", "-N1 -n2 -r1", "-N2 -r1"),
    *("-N2 -n2 -r1", "-n3 -r1", "-N1 -n1 -r2", "-n1 -r0", "-w n2 -r1"),
]
ORDER = [
    *("-m block", "-m cyclic", "-n4 -m cyclic", "-n5 -m cyclic", "-n6 -m cyclic", "-n4 -m block", "-n6 -m block"),
    *("-N2 -n4 -m cyclic", "-N2 -n5 -m cyclic", "-N2 -n6 -m cyclic", "-N2 -n5 -m block", "-N2 -n3 -m cyclic"),
    *("-n4 -m plane=1", "-n4 -m plane=2", "-n5 -m plane=2", "-n6 -m plane=2", "-n6 -m plane=3", "-n7 -m plane=2"),
    *("-N2 -n5 -m plane=2", "-N2 -n6 -m plane=3", "-N2 -n6 -m plane=4", "-n8 -m plane=4", "-n4 -m plane=9"),
    *("-n4 -m block:block", "-n4 -m cyclic:cyclic", "-n4 -m block:cyclic:fcyclic", "-n4 -m *:block", "-n4 -m *"),
    *("-N2 -n4 -m block,pack", "-N2 -n5 -m block,pack", "-N2 -n5 -m pack", "-N2 -n5 -m block,nopack"),
    *("-N2 -n5 -m nopack", "-N2 -n6 -m cyclic,pack", "-n3 -m pack", "-n5 -m pack", "-m foo", "-m plane"),
    *("-m plane=0", "-m block:foo", "-n3 -m block -c1", "-n3 -m cyclic -c1", "-N2 -n3 -m block -c1"),
]
ARBITRARY = [
    *("-m arbitrary", "-n3 -m arbitrary", "-n2 -m arbitrary", "-n4 -m arbitrary", "-n6 -m arbitrary"),
    *("-N2 -n3 -m arbitrary", "-n3 -w ./hosts", "-w ./hosts", "-n3 -w ./hosts -m block", "-m arbitrary -n5 -O"),
]
"""With SLURM_HOSTFILE naming n2, n1, n2, n1."""
SHARING = [
    *("--exact", "-n1 --exact", "-n2 --exact", "-n3 --exact", "-n5 --exact", "-N1 --exact", "-N2 --exact"),
    *("-N2 -n2 --exact", "-N2 -n3 --exact", "-N1 -n2 --exact", "--exclusive", "-n1 --exclusive", "-n2 --exclusive"),
    *("-N2 -n2 --exclusive", "--overlap", "-n1 --overlap", "-n2 --overlap", "-N2 -n3 --overlap", "-n5 --overlap"),
    *("-n2 --whole", "-n2 -c1 --whole", "-n1 --exact --overlap", "-n2 -c1 --overlap", "-N2 -n2 --exact -m cyclic"),
]
CROWDED = [
    *("-O", "-n9 -O", "-n20 -O", "-N1 -n6 -O", "-N2 -n7 -O", "-N2 -n9 -O", "-n3 -O", "-n9 -O -m cyclic", "-n40"),
    *("-n17", "-N1 -n5", "-N1 -n9", "-N5", "-N9 -n9", "-n9 -c1", "-c9", "-N1 -n9 -O -c2"),
]
SHAPES: dict[str, list[str]] = {
    "-N2 -n8": [*TASKS_AND_NODES, *PER_TASK, *PER_NODE, *WHERE, *ORDER, *SHARING, *CROWDED, *ARBITRARY],
    "-N2 -n4": [*PER_NODE, *ORDER, *CROWDED],
    "-N3 -n5": [*TASKS_AND_NODES, *WHERE, *SHARING],
    "-N3 -n7": ORDER,
    "-N4": [*TASKS_AND_NODES, *PER_NODE, *CROWDED],
    "-N4 --exclusive": [*TASKS_AND_NODES, *PER_NODE, *WHERE, *ORDER],
    "-N2 --ntasks-per-node=2": [*TASKS_AND_NODES, *PER_NODE],
    "-N2 --ntasks-per-node=4": [*TASKS_AND_NODES, *PER_TASK],
    "-N2 -n4 -c2": [*TASKS_AND_NODES, *PER_TASK],
    "-n10": [*TASKS_AND_NODES, *ORDER],
    "-N1 -n4": [*TASKS_AND_NODES, *PER_TASK, *PER_NODE, *SHARING, *CROWDED],
    "-n1": [*PER_TASK, *SHARING, *CROWDED],
    "-N2 -n6 -m cyclic": TASKS_AND_NODES,
    "-N2 -n6 -m plane=2": TASKS_AND_NODES,
}
_SAYS = r"""echo "@ $SLURM_PROCID $SLURMD_NODENAME $SLURM_LOCALID $SLURM_NODEID $SLURM_CPUS_ON_NODE" """
_READ = {"SLURM_DIST_PLANESIZE", *(name for option in step_options.TABLE for name in option.variables)}
_UNTIL_IDLE = "idle() { sleep 0.2; }"
"""A step lasts a little longer than its srun and its row of squeue; nodes without one are preferred."""
_WAITS_SECONDS = 2
_OF_WAITING = ("Cancelled pending", "already completing", "Step created for")


def main() -> int:
    bundle = reference.bundle()
    assert bundle is not None, "SLURM_BUNDLE must name the bundle, and root must run this"
    slurm = reference.Slurm(bundle)
    root = Path(tempfile.mkdtemp(prefix="bridge-layouts-"))
    os.chown(root, slurm.user.uid, slurm.user.gid)
    for shape, steps in SHAPES.items():
        print(json.dumps(_ask(slurm, root, shape, steps)), flush=True)
    shutil.rmtree(root)
    return 0


def _ask(slurm: reference.Slurm, root: Path, shape: str, steps: Sequence[str]) -> dict[str, Any]:
    script = ["#!/bin/bash", f"cat > said <<'END'\n{_SAYS}\nEND", "env > environment", "set -f", _UNTIL_IDLE]
    script.append("printf 'n2\\nn1\\nn2\\nn1\\n' > hosts")
    for number, argv in enumerate(steps):
        variable = "SLURM_HOSTFILE=hosts " if "arbitrary" in argv else ""
        asked = f"{variable}timeout {_WAITS_SECONDS} srun {argv} sh said"
        script.append(f"idle; {asked} > {number}.out 2> {number}.err; echo $? > {number}.code")
    words = ("sbatch", "--wait", "--parsable", *shape.split(), "-o", "/dev/null")
    job = int(slurm.run(*words, cwd=root, stdin="\n".join(script).encode()).out)
    print(f"{shape}: {slurm.show(job)[0]['JobState']}", file=sys.stderr)
    environment = dict(line.split("=", 1) for line in (root / "environment").read_text().splitlines() if "=" in line)
    names = slurm.run("scontrol", "show", "hostnames", environment["SLURM_JOB_NODELIST"]).out.split()
    return {
        "sbatch": shape,
        "nodes": dict(zip(names, _unfolded(environment["SLURM_JOB_CPUS_PER_NODE"]), strict=True)),
        "environment": {name: value for name, value in environment.items() if name in _READ},
        "steps": [_answer(root, number, argv, job) for number, argv in enumerate(steps)],
    }


def _unfolded(text: str) -> list[int]:
    found: list[int] = []
    for item in text.split(","):
        value, _, times = item.partition("(x")
        found += [int(value)] * int(times.rstrip(")") or 1 if times else 1)
    return found


def _answer(root: Path, number: int, argv: str, job: int) -> dict[str, Any]:
    code = int((root / f"{number}.code").read_text())
    lines = (root / f"{number}.err").read_text().replace(f"job {job}", "job J").replace("srun: ", "").splitlines()
    parts: dict[str, dict[str, Any]] = {}
    for line in sorted((root / f"{number}.out").read_text().splitlines(), key=lambda line: int(line.split()[1])):
        _, rank, name, _, _, cpus = line.split()
        part = parts.setdefault(name, {"ranks": [], "cpus": int(cpus)})
        part["ranks"].append(int(rank))
    for suffix in ("out", "err", "code"):
        (root / f"{number}.{suffix}").unlink()
    lines = [line for line in lines if not any(word in line for word in _OF_WAITING)]
    if code == 124:
        return {"argv": argv, "waits": lines}
    return {"argv": argv, "code": code, "said": lines, "parts": parts}


if __name__ == "__main__":
    sys.exit(main())
