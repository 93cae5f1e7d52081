"""What squeue, sacct and scontrol need to know of a job step. The store's records have this shape."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from bridge.core.job import Job, JobKey


class Step(Protocol):
    @property
    def key(self) -> JobKey: ...
    @property
    def attempt(self) -> int: ...
    @property
    def step_id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def node_list(self) -> tuple[str, ...]: ...
    @property
    def tasks(self) -> int: ...
    @property
    def cpus(self) -> int: ...
    @property
    def started_at(self) -> float: ...
    @property
    def ended_at(self) -> float | None: ...
    @property
    def exit_status(self) -> int: ...
    @property
    def signal(self) -> int: ...
    @property
    def max_rss_kib(self) -> int: ...
    @property
    def user_seconds(self) -> float: ...
    @property
    def system_seconds(self) -> float: ...


def running(jobs: Iterable[Job], steps: Iterable[Step]) -> Iterator[tuple[Job, float, list[Step]]]:
    """(a job that holds nodes, when it began, those of its steps that run)"""
    by_key: dict[JobKey, list[Step]] = {}
    for step in steps:
        if step.ended_at is None:
            by_key.setdefault(step.key, []).append(step)
    for job in jobs:
        if job.nodes and job.started_at is not None and not job.is_final:
            yield job, job.started_at, [step for step in by_key.get(job.key, []) if step.attempt == job.attempt]
