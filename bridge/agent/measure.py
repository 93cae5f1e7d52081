"""What the tasks of a job use at this moment on this node, from /proc: for those who watch a running job.

A process belongs to the step and rank that stand in its environment; one without belongs to the batch script.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Tuple

from bridge.agent import processes

BATCH = "batch"
_MOST_PIDS = 100
"""Of a task; the answer is one line."""
_MOST_TASKS = 1000

Task = Dict[str, Any]
"""step (`batch` or a number as text), task (rank), pids, user_seconds, system_seconds, rss_kib and vm_kib (peaks,
summed over its processes), read_bytes, written_bytes"""


def tasks(pids: Iterable[int]) -> List[Task]:
    found: Dict[Tuple[str, int], Task] = {}
    for pid in pids:
        usage = processes.usage(pid)
        if usage is None:
            continue
        step, task = _place(pid)
        if (step, task) not in found and len(found) >= _MOST_TASKS:
            continue
        one = found.setdefault((step, task), {"step": step, "task": task, "pids": []})
        if len(one["pids"]) < _MOST_PIDS:
            one["pids"].append(pid)
        for name, amount in usage.items():
            one[name] = one.get(name, 0) + amount
    return [found[key] for key in sorted(found)]


def of_step(pids: Iterable[int], step: str) -> List[int]:
    return [pid for pid in pids if _place(pid)[0] == step]


def _place(pid: int) -> Tuple[str, int]:
    variables = processes.variables(pid, (b"SLURM_STEP_ID", b"SLURM_PROCID"))
    step, task = variables.get(b"SLURM_STEP_ID", b""), variables.get(b"SLURM_PROCID", b"")
    if not step.isdigit():
        return BATCH, 0
    return step.decode("ascii"), int(task) if task.isdigit() else 0
