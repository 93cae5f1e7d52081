import asyncio
import dataclasses

import pytest
from sqlalchemy import event, func, select

from bridge.core import dag
from bridge.core.errors import Refused
from bridge.core.job import Job, JobKey, JobState
from bridge.core.reasons import Reason
from bridge.store import tables
from bridge.store.records import HistoryRow, JobQuery
from bridge.store.store import Store
from tests.builders import NOON, a_request
from tests.store.support import ENVIRONMENT, REPORT, SCRIPT, a_new, in_loop, opened, submit


async def _count(store: Store, table: str) -> int:
    return await store._read(
        lambda connection: connection.execute(
            select(func.count()).select_from(tables.metadata.tables[table])
        ).scalar_one()
    )


@in_loop
async def test_a_submission_becomes_a_pending_job_with_all_that_belongs_to_it(url: str) -> None:
    async with opened(url) as store:
        new = a_new(reason=Reason.BEGIN_TIME, begin_at=NOON + 60, comment="é\udc80", nodes_min=2)
        [job] = await store.submit([new])
        assert job == Job(
            id=1,
            request=new.request,
            partition="main",
            submitted_at=NOON,
            reason=Reason.BEGIN_TIME,
            time_limit_seconds=1800,
            begin_at=NOON + 60,
        )
        assert await store.get(JobKey(1)) == job
        assert await store.report(job.key) == REPORT
        assert await store.script(job.key) == SCRIPT
        assert await store.environment(job.key) == ENVIRONMENT
        assert await store.history(job.key) == [
            HistoryRow(1, job.key, NOON, "Submitted", JobState.PENDING, Reason.BEGIN_TIME, 0, {})
        ]


@in_loop
async def test_what_was_submitted_is_there_after_reopening(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store, name="\udcff\0")
    async with opened(url) as store:
        assert await store.get(job.key) == job
        assert (await submit(store)).id == job.id + 1


@in_loop
async def test_ids_begin_where_the_site_says_and_never_go_back(url: str) -> None:
    async with opened(url, first_job_id=100_001) as store:
        assert (await submit(store)).id == 100_001
    async with opened(url, first_job_id=500) as store:
        assert (await submit(store)).id == 100_002


@in_loop
async def test_an_array_takes_an_id_for_each_task(url: str) -> None:
    async with opened(url) as store:
        array, after = await store.submit([a_new(array="0-9:3"), a_new()])
        assert (array.id, after.id) == (1, 5)
        assert str(array.waiting) == "0-9:3"


@in_loop
async def test_members_of_one_call_refer_to_each_other_by_negative_ids(url: str) -> None:
    def after(*clauses: dag.Clause, text: str) -> dict[str, object]:
        return {"dependency": dag.Dependency(clauses), "dependency_text": text}

    async with opened(url) as store:
        await submit(store)
        ok = dag.Kind.AFTER_OK
        first, array, last = await store.submit(
            [
                a_new(),
                a_new(array="1-3", **after(dag.Clause(ok, -1), text="afterok:-1(unfulfilled)")),
                a_new(**after(dag.Clause(ok, -2), dag.Clause(ok, 1), text="afterok:-2,afterok:1")),
            ]
        )
        assert [first.id, array.id, last.id] == [2, 3, 6]
        assert array.request.dependency == dag.Dependency((dag.Clause(ok, 2),))
        assert array.dependency_text == "afterok:2(unfulfilled)"
        assert last.request.dependency == dag.Dependency((dag.Clause(ok, 3, whole_array=True), dag.Clause(ok, 1)))
        assert last.dependency_text == "afterok:3_*,afterok:1"
        assert await store.get(last.key) == last


@in_loop
async def test_a_call_is_taken_whole_or_not_at_all(url: str) -> None:
    async with opened(url) as store:
        bad = a_new(dependency=dag.Dependency((dag.Clause(dag.Kind.AFTER_OK, -9),)))
        with pytest.raises(Refused) as caught:
            await store.submit([a_new(), bad])
        assert caught.value.code == "bad_dependency"
        assert await store.list_jobs(JobQuery()) == []
        assert (await submit(store)).id == 1


@in_loop
async def test_a_value_that_no_column_holds_harms_nobody_else(url: str) -> None:
    async with opened(url) as store:
        calls = [store.submit([a_new(uid=2**70 if k == 3 else 1001, name=f"j{k}")]) for k in range(8)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, BaseException)]
        assert [type(one) for one in refused] == [Refused]
        assert answers.index(refused[0]) == 3
        taken = [answer[0] for answer in answers if isinstance(answer, list)]
        assert sorted(job.request.name for job in taken) == [f"j{k}" for k in range(8) if k != 3]
        assert await store.list_jobs(JobQuery()) == sorted(taken, key=lambda job: job.id)


@in_loop
async def test_ids_of_concurrent_submissions_are_all_different(url: str) -> None:
    async with opened(url) as store:
        answers = await asyncio.gather(*(store.submit([a_new(name=f"j{k}")]) for k in range(300)))
        jobs = [job for [job] in answers]
        assert sorted(job.id for job in jobs) == list(range(1, 301))
        assert await store.list_jobs(JobQuery()) == sorted(jobs, key=lambda job: job.id)
        rows = await store.history_since(0, 1000)
        assert [row.seq for row in rows] == list(range(1, 301))


@in_loop
async def test_concurrent_submissions_share_transactions(url: str) -> None:
    async with opened(url) as store:
        commits: list[object] = []
        event.listen(store._writes, "commit", commits.append)
        await asyncio.gather(*(store.submit([a_new()]) for _ in range(200)))
        assert 1 <= len(commits) < 20


@in_loop
async def test_equal_texts_are_stored_once(url: str) -> None:
    async with opened(url) as store:
        await asyncio.gather(*(store.submit([a_new(script=b"#!/bin/sh\n%d" % (k % 3))]) for k in range(30)))
        assert await _count(store, "blobs") == 3 + 1
        await submit(store, script=ENVIRONMENT, environment=SCRIPT)
        assert await _count(store, "blobs") == 6


@in_loop
async def test_a_used_idempotency_key_gives_the_first_call(url: str) -> None:
    async with opened(url) as store:
        first = await store.submit(
            [a_new(idempotency_key="k\udc80", array="1-2"), a_new(name="b", idempotency_key="l")]
        )
        for key in ("k\udc80", "l"):
            assert await store.submit([a_new(name="other", idempotency_key=key)]) == first
        assert [job.id for job in await store.submit([a_new(uid=7, idempotency_key="l")])] == [4]
    async with opened(url) as store:
        assert await store.submit([a_new(idempotency_key="l")]) == first
        assert len(await store.list_jobs(JobQuery())) == 3


@in_loop
async def test_two_concurrent_calls_with_one_key_make_one_job(url: str) -> None:
    async with opened(url) as store:
        answers = await asyncio.gather(*(store.submit([a_new(idempotency_key="k")]) for _ in range(10)))
        assert [[job.id for job in answer] for answer in answers] == [[1]] * 10
        assert await store.last_seq() == 1


@in_loop
async def test_a_caller_that_is_cancelled_leaves_the_others_alone(url: str) -> None:
    async with opened(url) as store:
        calls = [asyncio.create_task(store.submit([a_new(name=f"j{k}")])) for k in range(5)]
        await asyncio.sleep(0)
        calls[2].cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(answer, list) for answer in answers] == [True, True, False, True, True]
        assert isinstance(answers[2], asyncio.CancelledError)


def test_neither_script_nor_environment_shows_when_a_submission_is_printed() -> None:
    new = dataclasses.replace(a_new(), environment=b"SECRET=hush")
    assert "hush" not in repr(new)
    assert "hush" not in repr(a_request())
