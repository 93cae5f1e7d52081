from typing import Any

from sqlalchemy import select

from bridge.core import dag, events
from bridge.core.job import End, Job, JobKey, JobState
from bridge.store import tables
from bridge.store.records import Ages, JobQuery, StepRow
from bridge.store.store import Store
from tests.builders import NOON
from tests.store.support import ENVIRONMENT, SCRIPT, a_new, in_loop, opened, run_to, submit, tell

DAY = 86400.0
LATER = NOON + 10 * DAY


async def _rows(store: Store, name: str) -> list[Any]:
    return await store._read(lambda connection: list(connection.execute(select(tables.metadata.tables[name]))))


async def _ended(store: Store, at: float = NOON, **fields: Any) -> Job:
    job = await submit(store, **fields)
    return await run_to(store, job.key, JobState.COMPLETED, at)


@in_loop
async def test_an_old_job_goes_with_all_that_hangs_on_it(url: str) -> None:
    async with opened(url) as store:
        job = await _ended(store, idempotency_key="k")
        await store.record_steps(
            [StepRow(job.key, 1, 0, "a", ("n1",), 1, 1, NOON, None, 0, 0, 0, 0.0, 0.0)], fence=None
        )
        expected = {"jobs": 1, "history": 4, "scripts": 1, "tokens": 0}
        assert await store.purge(Ages(jobs=DAY), LATER, dry_run=True) == expected
        assert await store.get(job.key) == job
        assert await store.purge(Ages(jobs=DAY), LATER, dry_run=False) == expected
        assert await store.get(job.key) is None
        for name in ("jobs", "events", "steps", "reports", "blobs", "dependencies", "idempotency"):
            assert await _rows(store, name) == [], name
        assert (await submit(store)).id == job.id + 1  # no id twice
        assert await store.purge(Ages(jobs=DAY), LATER, dry_run=False) == dict.fromkeys(expected, 0)


@in_loop
async def test_young_and_unfinished_jobs_stay(url: str) -> None:
    async with opened(url) as store:
        await _ended(store, NOON)
        young = await _ended(store, LATER - DAY)
        waiting = await submit(store)
        running = await run_to(store, (await submit(store)).key, JobState.RUNNING)
        assert (await store.purge(Ages(jobs=DAY), LATER, dry_run=False))["jobs"] == 1
        assert await store.list_jobs(JobQuery()) == [young, waiting, running]


@in_loop
async def test_without_ages_nothing_goes(url: str) -> None:
    async with opened(url) as store:
        job = await _ended(store)
        await store.purge(Ages(), LATER, dry_run=False)
        assert await store.get(job.key) == job


@in_loop
async def test_an_array_goes_once_all_its_tasks_are_old(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-2")
        await run_to(store, JobKey(array.id, 0), JobState.COMPLETED)
        await run_to(store, JobKey(array.id, 1), JobState.COMPLETED)
        assert (await store.purge(Ages(jobs=DAY), LATER, dry_run=False))["jobs"] == 0
        await run_to(store, JobKey(array.id, 2), JobState.RUNNING)
        assert (await store.purge(Ages(jobs=DAY), LATER, dry_run=False))["jobs"] == 0
        await tell(store, JobKey(array.id, 2), events.Ended(NOON + 5 * DAY, 1, End()))
        assert (await store.purge(Ages(jobs=6 * DAY), LATER, dry_run=False))["jobs"] == 0
        assert (await store.purge(Ages(jobs=4 * DAY), LATER, dry_run=False))["jobs"] == 3
        assert await _rows(store, "jobs") == []


@in_loop
async def test_an_array_cancelled_while_it_waited_counts_by_its_tasks(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-99")
        await tell(store, array.key, events.StopAsked(NOON, 0))
        assert (await store.purge(Ages(jobs=DAY), LATER, dry_run=False))["jobs"] == 100


@in_loop
async def test_a_requeued_job_is_young_again(url: str) -> None:
    async with opened(url) as store:
        job = await _ended(store)
        array = await submit(store, array="0")
        await run_to(store, JobKey(array.id, 0), JobState.COMPLETED)
        for key in (job.key, JobKey(array.id, 0)):
            await tell(store, key, events.Requeued(NOON + 20, 0))
        assert (await store.purge(Ages(jobs=DAY), LATER, dry_run=False))["jobs"] == 0
        assert await store.drop_environments(LATER) == 0


@in_loop
async def test_a_job_that_an_unfinished_one_waits_for_stays(url: str) -> None:
    async with opened(url) as store:
        needed, other = await _ended(store), await _ended(store)
        clause = dag.Clause(dag.Kind.AFTER_OK, needed.id)
        waiting = await submit(store, dependency=dag.Dependency((clause,)))
        assert (await store.purge(Ages(jobs=DAY), LATER, dry_run=False))["jobs"] == 1
        assert (await store.get(needed.key), await store.get(other.key)) == (needed, None)
        await run_to(store, waiting.key, JobState.COMPLETED)
        assert (await store.purge(Ages(jobs=DAY), LATER, dry_run=False))["jobs"] == 2
        assert await store.list_jobs(JobQuery()) == []


@in_loop
async def test_purging_goes_on_over_many_batches(url: str) -> None:
    async with opened(url) as store:
        jobs = await store.submit([a_new(script=b"%d" % (k % 4)) for k in range(25)])
        await store.change([job.key for job in jobs], lambda job: events.StopAsked(NOON + job.id % 3, 0))
        kept = await submit(store, script=b"1")
        counted = await store.purge(Ages(jobs=DAY, history=DAY, scripts=DAY), LATER, dry_run=False, batch=4)
        assert counted == {"jobs": 25, "history": 50, "scripts": 25, "tokens": 0}
        assert await store.list_jobs(JobQuery()) == [kept]
        assert sorted((row.kind, row.data, row.uses) for row in await _rows(store, "blobs")) == [
            ("environment", ENVIRONMENT, 1),
            ("script", b"1", 1),
        ]


@in_loop
async def test_history_and_scripts_can_go_before_their_job(url: str) -> None:
    async with opened(url) as store:
        old, young = await _ended(store), await _ended(store, LATER - 10)
        ages = Ages(history=DAY, scripts=DAY)
        expected = {"jobs": 0, "history": 4, "scripts": 1, "tokens": 0}
        assert await store.purge(ages, LATER, dry_run=True) == expected
        assert await store.purge(ages, LATER, dry_run=False) == expected
        assert await store.get(old.key) == old
        assert (await store.history(old.key), await store.script(old.key)) == ([], None)
        assert (len(await store.history(young.key)), await store.script(young.key)) == (4, SCRIPT)
        assert await store.purge(ages, LATER, dry_run=False) == dict.fromkeys(expected, 0)
        # What happens to it later is history that can be purged in its turn.
        await tell(store, old.key, events.Requeued(LATER, 0), events.StopAsked(LATER, 0))
        assert (await store.purge(ages, LATER + 2 * DAY, dry_run=False))["history"] == 4 + 2


@in_loop
async def test_environments_go_when_no_requeue_can_need_them(url: str) -> None:
    async with opened(url, requeue_window_seconds=300.0) as store:
        old, young = await _ended(store, NOON), await _ended(store, NOON + 200, environment=b"OTHER=1")
        waiting = await submit(store, array="0-1")
        assert await store.drop_environments(NOON + 300) == 0
        assert await store.drop_environments(NOON + 301) == 1
        assert await store.environment(old.key) is None
        assert await store.environment(young.key) == b"OTHER=1"
        assert await store.environment(waiting.key) == ENVIRONMENT
        assert await store.script(old.key) == SCRIPT
        assert await store.drop_environments(NOON + 600) == 1
        assert {(row.kind, row.data) for row in await _rows(store, "blobs")} == {
            ("environment", ENVIRONMENT),
            ("script", SCRIPT),
        }


@in_loop
async def test_a_script_stays_as_long_as_its_job_can_be_requeued(url: str) -> None:
    async with opened(url, requeue_window_seconds=300.0) as store:
        await _ended(store, NOON)
        assert (await store.purge(Ages(scripts=0.0), NOON + 300, dry_run=False))["scripts"] == 0
        assert (await store.purge(Ages(scripts=0.0), NOON + 301, dry_run=False))["scripts"] == 1


@in_loop
async def test_tokens_that_ran_out_are_forgotten(url: str) -> None:
    async with opened(url) as store:
        await store.revoke_token("a", NOON)
        await store.revoke_token("b", NOON + 1)
        for dry_run in (True, False):
            assert (await store.purge(Ages(), NOON, dry_run=dry_run))["tokens"] == 1
        assert await store.revoked_tokens(0.0) == {"b"}
