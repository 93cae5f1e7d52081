import asyncio
import os
import random
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from bridge.core.errors import Unavailable
from bridge.core.job import JobKey, JobState
from bridge.store import tables
from bridge.store.records import JobQuery
from bridge.store.store import Store
from tests.store.support import ENVIRONMENT, a_new, in_loop, opened, run_to, submit

ROOT = Path(__file__).parents[2]


def _start_flood(url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.flood", url],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def _flood_and_kill(url: str, answers: int) -> list[list[str]]:
    """What the process was answered before it was killed in the middle of its work."""
    with _start_flood(url) as child:
        try:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(answers)]
        finally:
            child.kill()
        lines += child.stdout.readlines()
    return [line.split() for line in lines if line.endswith("\n")]


@pytest.mark.parametrize(
    "seed",
    [random.randrange(10**6), *(pytest.param(random.randrange(10**6), marks=pytest.mark.slow) for _ in range(2))],
)
@in_loop
async def test_after_a_kill_every_answered_submission_is_there_and_no_half_one(url: str, seed: int) -> None:
    answered = await asyncio.to_thread(_flood_and_kill, url, random.Random(seed).randrange(1, 400))
    async with opened(url) as store:
        jobs = {job.key: job for job in await store.list_jobs(JobQuery())}
        for kind, *words in answered:
            job = jobs[JobKey(int(words[0]))]
            if kind == "placed":
                assert job.state is JobState.CONFIGURING
            else:
                assert (job.request.name, jobs[JobKey(int(words[1]))].request.name) == (words[2], words[2])
                assert await store.script(job.key) == words[2].encode()
        await _check_whole(store, list(jobs))
        following = await submit(store)
        assert following.id == 1 + max(key.id + (1 if job.waiting else 0) for key, job in jobs.items())


async def _check_whole(store: Store, keys: list[JobKey]) -> None:
    """Each job has both halves of its call, its texts, its report and a history that ends in its state."""
    jobs = await store.get_many(keys)
    names = sorted(job.request.name for job in jobs.values() if job)
    assert names[::2] == names[1::2]
    last = {row.key: row for row in await store.history_since(0, 10**6)}
    assert set(last) == set(jobs)
    assert all(job is not None and last[key].state is job.state for key, job in jobs.items())

    def lacking(connection: Any) -> tuple[int, int, int]:
        job, blob = tables.jobs.c, tables.blobs.c
        reports = connection.execute(select(func.count()).select_from(tables.reports)).scalar_one()
        uses = connection.execute(select(func.sum(blob.uses)).where(blob.kind == "script")).scalar_one()
        orphans = select(func.count()).where(job.environment_hash.not_in(select(blob.sha256)))
        return reports, uses, connection.execute(orphans).scalar_one()

    assert await store._read(lacking) == (len(jobs), len(jobs), 0)
    assert all([await store.environment(key) == ENVIRONMENT for key in keys[:20]])


# ── no room left ──────────────────────────────────────────────────────────────────────────────────


def _limit_pages(store: Store) -> Callable[[int], None]:
    """The SQLite way of a full disk: the file may have so many pages and no more."""
    limit = [2**31]

    def apply(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={limit[0]}")

    event.listen(store._writes, "connect", apply)

    def set_limit(pages: int) -> None:
        limit[0] = pages

    return set_limit


@in_loop
async def test_on_a_full_disk_a_submission_fails_as_a_whole_and_the_store_lives_on(sqlite_url: str) -> None:
    async with opened(sqlite_url) as store:
        first = await submit(store)
        set_limit = _limit_pages(store)
        pages = await store._read(lambda connection: connection.execute(text("PRAGMA page_count")).scalar_one())
        set_limit(pages)
        await store._write(lambda batch: batch.connection.exec_driver_sql(f"PRAGMA max_page_count={pages}"))
        big = os.urandom(100_000)
        for _ in range(2):  # also on the connection made afresh
            answers = await asyncio.gather(
                *(store.submit([a_new(name="lost"), a_new(script=big, environment=b"KEY=hush")]) for _ in range(5)),
                return_exceptions=True,
            )
            for answer in answers:
                assert isinstance(answer, Unavailable)
                assert answer.code == "disk_full"
                assert "no room left" in answer.sentence
                assert "hush" not in "".join(traceback.format_exception(answer))
        assert await store.list_jobs(JobQuery()) == [first]
        assert await store.last_seq() == 1
        set_limit(2**31)
        second = await submit(store, script=big)
        assert (second.id, await store.script(second.key)) == (2, big)
        await run_to(store, second.key, JobState.COMPLETED)


# ── one process to a file ─────────────────────────────────────────────────────────────────────────


@in_loop
async def test_a_file_that_is_open_already_is_refused_with_the_process_that_has_it(sqlite_url: str) -> None:
    async with opened(sqlite_url) as store:
        with pytest.raises(Unavailable, match=f"process {os.getpid()}") as caught:
            await Store.open(sqlite_url)
        assert caught.value.code == "in_use"
        await submit(store)
    async with opened(sqlite_url):
        pass


@in_loop
async def test_a_file_held_by_another_process_is_free_once_that_is_dead(sqlite_url: str) -> None:
    child = _start_flood(sqlite_url)
    with child:
        try:
            assert child.stdout is not None
            await asyncio.to_thread(child.stdout.readline)
            with pytest.raises(Unavailable, match=f"process {child.pid}"):
                await Store.open(sqlite_url)
        finally:
            child.kill()
        child.stdout.read()
    async with opened(sqlite_url) as store:
        assert await store.list_jobs(JobQuery()) != []


# ── a server that goes away ───────────────────────────────────────────────────────────────────────


@in_loop
async def test_a_lost_connection_fails_one_call_and_is_made_again(shared_url: str) -> None:
    async with opened(shared_url) as store, opened(shared_url) as other:
        job = await submit(store)

        def end_the_others(connection: Any) -> int:
            statement = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            statement += "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            return int(connection.execute(text(statement)).scalar_one())

        assert await other._read(end_the_others) >= 2
        with pytest.raises(Unavailable) as caught:
            await submit(store)
        assert caught.value.code == "database"
        assert (await submit(store)).id == job.id + 1
        assert await store.get(job.key) == job
