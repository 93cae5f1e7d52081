"""How fast the store is: `python -m tests.bench.store [--url URL] [--ended N]`. Prints figures, judges nothing.

Submissions of 3 KB scripts (all different) with one environment, by several callers; lists of 5,000 waiting
jobs; the same with many ended ones in the table.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from bridge.core import events
from bridge.core.job import End, Job, JobState
from bridge.store import rows, schema, tables
from bridge.store.records import JobQuery, NewJob
from bridge.store.store import Store
from tests.builders import NOON, a_job, a_request
from tests.store.support import N1, REPORT

ENVIRONMENT = b"\0".join(b"NAME_%d=/some/value/of/a/variable/%d" % (k, k) for k in range(80))
SCRIPT = b"echo hello world\n" * 175
JOBS = 5000


def _new(number: int) -> NewJob:
    request = a_request(
        name=f"job{number % 50}",
        tasks=4,
        cpus_per_task=2,
        memory_per_node_mib=1000,
        partitions=("main",),
        rlimits=tuple((f"RLIMIT_{k}", -1, -1) for k in range(8)),
        submit_line="sbatch -n4 train.sh",
        working_directory="/home/alice/project",
    )
    script = b"#!/bin/bash\n# %d\n%b" % (number, SCRIPT)
    return NewJob(request, script, ENVIRONMENT, REPORT, "main", 1800, NOON + number)


async def _submit(store: Store, callers: int, count: int) -> None:
    waiting = iter([_new(number) for number in range(count)])

    async def call() -> None:
        for new in waiting:
            await store.submit([new])

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(call() for _ in range(callers)))
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{count / wall:8.0f} submissions/s by {callers} callers; CPU of each {cpu / count * 1e6:.0f} µs")


async def _time(what: str, call: Callable[[], Awaitable[list[Any]]], times: int = 5) -> None:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        found = len(await call())
        took.append(time.perf_counter() - began)
    print(f"{min(took) * 1e3:8.1f} ms at best, {max(took) * 1e3:.1f} ms at worst: {what} ({found})")


def _fill_with_ended(store: Store, count: int) -> None:
    """Straight into the table; only what is needed to be in the way."""
    job = a_job(state=JobState.COMPLETED, attempt=1, started_at=NOON, ended_at=NOON + 1, end=End(), nodes=N1)
    with store._writes.connect() as connection:
        for first in range(0, count, 10_000):
            row = rows.new_row(job)
            with connection.begin():
                ids = range(10_000_000 + first, 10_000_000 + min(first + 10_000, count))
                connection.execute(
                    insert(tables.jobs),
                    [{**row, "key_id": k, "raw_id": k, "last_raw_id": k, "ended_at": NOON - 1e6 + k / 10} for k in ids],
                )


async def main(url: str, ended: int) -> None:
    schema.upgrade(url)
    store = await Store.open(url)
    for callers in (1, 8, 32):
        await _submit(store, callers, JOBS if callers == 8 else 2000)
    jobs = (await store.unfinished())[:JOBS]
    await store.change([job.key for job in await store.unfinished() if job.id > jobs[-1].id], _cancel)
    await _lists(store)
    keys = [job.key for job in jobs[:2000]]
    began = time.perf_counter()
    await store.change(keys, lambda job: events.Held(NOON, 0))
    print(f"{(time.perf_counter() - began) / len(keys) * 1e6:8.0f} µs for a change, {len(keys)} in one call")
    if ended:
        await store.close()
        store = await Store.open(url)
        _fill_with_ended(store, ended)
        print(f"with {ended} ended jobs:")
        await _lists(store)
        await _time("newest 100 of all", lambda: store.list_jobs(JobQuery(newest_first=True, limit=100)))
        await _time(
            "newest 100 of one user", lambda: store.list_jobs(JobQuery(uids=(1001,), newest_first=True, limit=100))
        )
        await _time("states counted", _counted(store))
        await _submit(store, 8, JOBS)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{peak_mib:8.0f} MiB at most")
    await store.close()


def _cancel(job: Job) -> events.Event:
    return events.StopAsked(NOON, 0)


async def _lists(store: Store) -> None:
    await _time("unfinished", store.unfinished)
    await _time("squeue's list", lambda: store.list_jobs(JobQuery(ended_since=NOON + 1e9)))
    await _time("one user's, waiting", lambda: store.list_jobs(_MINE))
    await _time("unfinished, nothing cached", lambda: _cold(store), times=2)


_MINE = JobQuery(uids=(1001,), states=frozenset({JobState.PENDING}))


def _counted(store: Store) -> Callable[[], Awaitable[list[Any]]]:
    async def count() -> list[Any]:
        return list(await store.counts())

    return count


async def _cold(store: Store) -> list[Job]:
    store._cache._jobs.clear()
    return await store.unfinished()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="an empty database; SQLite in a temporary directory when not given")
    parser.add_argument("--ended", type=int, default=0, help="ended jobs to put into the table")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        asyncio.run(main(given.url or f"sqlite:///{directory}/bridge.db", given.ended))
