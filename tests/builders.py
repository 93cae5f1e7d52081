"""Makers of values with defaults, for tests of every part."""

import dataclasses
from typing import Any

from bridge.core.indexset import IndexSet, parse
from bridge.core.job import Job, JobState, Share
from bridge.core.nodes import Node, Partition, Site
from bridge.core.request import Array, Component, JobRequest

NOON = 1_700_000_000.0


def a_request(**fields: Any) -> JobRequest:
    """A plain job of alice (uid 1001); fields of Component may be given too."""
    size = {k: fields.pop(k) for k in list(fields) if k in {f.name for f in dataclasses.fields(Component)}}
    array = fields.pop("array", None)
    if isinstance(array, str):
        array = an_array(array)
    values: dict[str, Any] = {"name": "train", "user": "alice", "uid": 1001, "gid": 1001, **fields}
    return JobRequest(array=array, components=(Component(**size),), **values)


def an_array(text: str) -> Array:
    indices, _, throttle = text.partition("%")
    return Array(parse(indices), int(throttle) if throttle else None, text)


def a_job(**fields: Any) -> Job:
    """A pending job; `state=RUNNING` and the like bring nodes, times and an attempt with them."""
    request = fields.pop("request", None) or a_request(**fields.pop("asked", {}))
    job_state = JobState(fields.get("state", JobState.PENDING))
    waiting: IndexSet | None = request.array.indices if request.array and "task_index" not in fields else None
    values: dict[str, Any] = {
        "id": 12,
        "request": request,
        "partition": "main",
        "submitted_at": NOON,
        "waiting": waiting,
        "time_limit_seconds": 1800,
    }
    if job_state in (JobState.CONFIGURING, JobState.RUNNING, JobState.SUSPENDED, JobState.COMPLETING):
        values |= {"attempt": 1, "nodes": (Share("n1", 1, 256, 1),)}
    if job_state in (JobState.RUNNING, JobState.SUSPENDED):
        values |= {"started_at": NOON + 1}
    if job_state is JobState.SUSPENDED:
        values |= {"suspended_at": NOON + 2}
    return Job(**{**values, **fields, "state": job_state})


def a_node(name: str = "n1", **fields: Any) -> Node:
    return Node(**{"name": name, "cpus": 2, "memory_mib": 1000, **fields})


def a_site(**fields: Any) -> Site:
    main = Partition("main", "local", ("n1", "n2", "n3", "n4"), is_default=True, default_time_seconds=1800)
    return Site(**{"partitions": (main,), **fields})
