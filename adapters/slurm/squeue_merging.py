"""What squeue without -r makes of tasks that wait by themselves, because they were changed or have run before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from adapters.slurm import jobfacts
from bridge.core import indexset
from bridge.core.job import Job, JobKey, JobState


def merged(jobs: Sequence[Job]) -> tuple[list[Job], Mapping[JobKey, str]]:
    """They stand in the row of their array's waiting tasks, which then tells all their reasons, and no longer how
    many tasks may run. (rows, the reasons of such rows)"""
    alone: dict[int, list[Job]] = {}
    for job in jobs:
        if job.task_index is not None and job.state is JobState.PENDING:
            alone.setdefault(jobfacts.base_id(job), []).append(job)
    rows: list[Job] = []
    reasons: dict[JobKey, str] = {}
    for job in jobs:
        tasks = alone.get(job.id, []) if job.waiting and job.state is JobState.PENDING else []
        array = job.request.array
        if not tasks or job.waiting is None or array is None:
            rows.append(job)
            continue
        own = indexset.of(task.task_index for task in tasks if task.task_index is not None)
        everything = indexset.of([*job.waiting, *own])
        unlimited = replace(job.request, array=replace(array, throttle=None))
        rows.append(replace(job, waiting=everything, request=unlimited))
        reasons[job.key] = ",".join(dict.fromkeys(jobfacts.reason_text(one) for one in (job, *tasks)))
    gone = {task.key for key in reasons for task in alone[key.id]}
    return [row for row in rows if row.key not in gone], reasons
