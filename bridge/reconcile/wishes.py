"""What a backend must still be told of a job, found by comparing its row with what was told.

This is how a wish survives a crash, or arrives from a front end in another process: the row says it, and
whoever reconciles compares. Pure.
"""

from dataclasses import dataclass, replace
from typing import Literal

from bridge.core.events import EndGroup, Instruction, NewLimit, Pause, Start
from bridge.core.job import Job, JobState


@dataclass(frozen=True, slots=True)
class Told:
    """What the backend was told of an attempt by this process."""

    attempt: int
    started: bool = False
    stop_kind: str | None = None
    paused: bool = False
    time_limit_seconds: int | None = None


def due(job: Job, told: Told | None) -> tuple[list[Instruction], Told | None]:
    """The instructions that are due, and what will have been told once they are carried out."""
    if not job.nodes:
        return [], None
    now = told if told is not None and told.attempt == job.attempt else Told(job.attempt)
    todo: list[Instruction] = []
    if job.state is JobState.CONFIGURING and not now.started:
        todo.append(Start(job.attempt))
        now = replace(now, started=True, time_limit_seconds=job.time_limit_seconds)
    if now.time_limit_seconds is None:
        # Running since before this process: what its agent knows of the limit is not known here.
        now = replace(now, time_limit_seconds=-1, started=True)
    if job.state in (JobState.RUNNING, JobState.SUSPENDED, JobState.CONFIGURING):
        if now.time_limit_seconds != job.time_limit_seconds:
            todo.append(NewLimit(job.attempt, job.time_limit_seconds))
            now = replace(now, time_limit_seconds=job.time_limit_seconds)
        wants_pause = job.state is JobState.SUSPENDED
        if wants_pause != now.paused:
            todo.append(Pause(job.attempt, resume=not wants_pause))
            now = replace(now, paused=wants_pause)
    if job.stop is not None and now.stop_kind != job.stop.kind:
        todo.append(EndGroup(job.attempt, _why(job.stop.kind)))
        now = replace(now, stop_kind=job.stop.kind)
    return todo, now


def _why(kind: str) -> Literal["cancel", "requeue", "node_fail"]:
    """What the job reads of its end, by `Stop.kind`."""
    if kind == "cancel":
        return "cancel"
    return "node_fail" if kind == "node_fail" else "requeue"
