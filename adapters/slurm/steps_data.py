"""Steps that run, as `scontrol show step --json` and `squeue --steps --json` show them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.slurm import hostlist, jobfacts, scontrol_show, steprows
from adapters.slurm.data import Asked, Wish, document
from adapters.slurm.rest.envelope import answer
from adapters.slurm.rest.shapes import INFINITE, INT32, INT64, STRINGS, TEXT, U32, U64, List, Record
from adapters.slurm.squeue_columns import View
from adapters.slurm.steprows import Step
from bridge.core.job import Job

STEP = Record(
    "step_info",
    {
        "array": Record("", {"job_id": INT64, "task_id": INT64}),
        "cluster": TEXT,
        "container": TEXT,
        "container_id": TEXT,
        "cpu": Record("", {"frequency": Record("", {"min": U32, "max": U32, "governor": U32})}),
        "tres": Record(
            "",
            {
                "per": Record("", dict.fromkeys(("cpu", "memory", "step", "node", "socket", "task"), TEXT)),
                "allocation": TEXT,
                "binding": TEXT,
                "frequency": TEXT,
            },
        ),
        "name": TEXT,
        "network": TEXT,
        "nodes": TEXT,
        "number_cpus": INT32,
        "number_tasks": INT32,
        "partition": TEXT,
        "reserved_ports": TEXT,
        "time": Record("", {"running": U64, "start": U64, "limit": U32}),
        "srun": Record("", {"host": TEXT, "pid": INT32}),
        "state": STRINGS,
        "id": TEXT,
        **dict.fromkeys(("stderr", "stdin", "stdout", "stdin_expanded", "stdout_expanded", "stderr_expanded"), TEXT),
        "submit_line": TEXT,
        "task": Record("", {"distribution": TEXT}),
        "user": TEXT,
    },
)
ANSWER = answer("openapi_steps_resp", {"steps": List(STEP), "last_update": U64})

_NO_TASK = 2**32 - 2


@dataclass(frozen=True, slots=True)
class Running:
    job: Job
    row: Step | None
    """None: the batch script."""
    elapsed_seconds: int

    @property
    def name(self) -> str:
        return "batch" if self.row is None else str(self.row.step_id)


def running(jobs: Iterable[Job], rows: Sequence[Step], view: View) -> list[Running]:
    """The batch script of each job that runs, and its steps."""
    found = []
    for job, began_at, mine in steprows.running(jobs, rows):
        for row in (None, *mine):
            since = began_at if row is None else row.started_at
            found.append(Running(job, row, max(0, int(view.now) - int(since))))
    return found


def text(wanted: Wish, steps: Iterable[Running], asked: Asked) -> str:
    found = [_step(step, asked.cluster) for step in steps]
    return document(wanted, ANSWER, {"steps": found, "last_update": 0}, asked)


def _step(step: Running, cluster: str) -> dict[str, Any]:
    job, row = step.job, step.row
    since = job.started_at if row is None else row.started_at
    nodes = [job.nodes[0].node] if row is None else list(row.node_list)
    return {
        "array": {
            "job_id": job.array_id or 0,
            "task_id": _NO_TASK if job.task_index is None else job.task_index,
        },
        "cluster": cluster,
        "container": "",
        "container_id": "",
        "cpu": {"frequency": {"min": 0, "max": 0, "governor": 0}},
        "tres": {
            "per": dict.fromkeys(("cpu", "memory", "step", "node", "socket", "task"), ""),
            "allocation": "" if row is None else scontrol_show.step_tres(job, row),
            "binding": "",
            "frequency": "",
        },
        "name": "batch" if row is None else row.name,
        "network": "",
        "nodes": hostlist.compress(nodes),
        "number_cpus": 0 if row is None else row.cpus,
        "number_tasks": 1 if row is None else row.tasks,
        "partition": job.partition,
        "reserved_ports": "",
        "time": {"running": step.elapsed_seconds, "start": int(since or 0), "limit": INFINITE},
        "srun": {"host": "", "pid": 0},
        "state": [job.state.value],
        "id": f"{jobfacts.display_id(job)}.{step.name}",
        **dict.fromkeys(("stderr", "stdin", "stdout", "stdin_expanded", "stdout_expanded", "stderr_expanded"), ""),
        "submit_line": "",
        "task": {"distribution": "Unknown"},
        "user": job.request.user,
    }
