"""What the store's tests share."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from bridge.core import events
from bridge.core.job import End, Job, JobKey, JobState, Share
from bridge.core.report import Entry, Report, Treatment
from bridge.store.records import NewJob, Outcome
from bridge.store.store import Store
from tests.builders import NOON, a_request

REPORT = Report((Entry("--mem=8G", "train.sh:2", Treatment.ACTED_ON, "8 GiB on each node"),), ("a slip",))
SCRIPT = b"#!/bin/bash\nsrun hostname\n"
ENVIRONMENT = b"HOME=/home/alice\0TERM=dumb"
N1 = (Share("n1", 2, 512, 1, (("gpu", "a100", (0, 1)),)),)


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """An async test, run in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        asyncio.run(test(*args, **fixtures))  # type: ignore[arg-type]

    return run


@contextlib.asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Store]:
    store = await Store.open(url, **options)
    try:
        yield store
    finally:
        await store.close()


def a_new(**fields: Any) -> NewJob:
    """A submission; fields of NewJob are told by name, all others are of the request."""
    own = {k: fields.pop(k) for k in list(fields) if k in NewJob.__slots__ and k != "request"}
    return NewJob(
        **{
            "request": a_request(**fields),
            "script": SCRIPT,
            "environment": ENVIRONMENT,
            "report": REPORT,
            "partition": "main",
            "time_limit_seconds": 1800,
            "submitted_at": NOON,
            **own,
        }
    )


async def submit(store: Store, **fields: Any) -> Job:
    [job] = await store.submit([a_new(**fields)])
    return job


async def tell(store: Store, key: JobKey, *news: events.Event) -> Outcome:
    """Apply the events; they must all be legal."""
    [outcome] = await store.change([key], lambda job: news)
    assert outcome.error is None
    return outcome


async def run_to(store: Store, key: JobKey, end: JobState, at: float = NOON + 10) -> Job:
    """Placed, begun and ended as COMPLETED or FAILED; or RUNNING."""
    steps: list[events.Event] = [events.Placed(at, N1), events.Began(at, 1)]
    if end is not JobState.RUNNING:
        steps.append(events.Ended(at, 1, End(exit_status=0 if end is JobState.COMPLETED else 1)))
    job = (await tell(store, key, *steps)).after
    assert job is not None
    assert job.state is end
    return job
