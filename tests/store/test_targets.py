import pytest
from sqlalchemy import event

from bridge.core import events
from bridge.core.dag import Clause, Kind, Target
from bridge.core.job import JobKey, JobState
from bridge.store import queries
from bridge.store.store import Store
from tests.builders import NOON
from tests.store.support import N1, in_loop, opened, run_to, submit, tell

WAITS = Target(started=False, started_at=None, ended=False, failed=False)


async def _look(store: Store, job_id: int, task: int | None = None) -> Target | None:
    found = await store.targets([Clause(Kind.AFTER_OK, job_id, task), Clause(Kind.SINGLETON)])
    assert list(found) == [(job_id, task)]
    return found[job_id, task]


@in_loop
async def test_a_plain_job_through_its_life(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        assert await _look(store, job.id) == WAITS
        await tell(store, job.key, events.Placed(NOON + 1, N1))
        assert await _look(store, job.id) == WAITS
        await tell(store, job.key, events.Began(NOON + 2, 1))
        assert await _look(store, job.id) == Target(True, NOON + 2, ended=False, failed=False)
        await tell(store, job.key, events.StopAsked(NOON + 3, 0), events.Lost(NOON + 4, 1, "gone"))
        assert await _look(store, job.id) == Target(True, NOON + 2, ended=True, failed=True)


@in_loop
async def test_success_is_completed_only(url: str) -> None:
    async with opened(url) as store:
        good, bad = await submit(store), await submit(store)
        await run_to(store, good.key, JobState.COMPLETED)
        await run_to(store, bad.key, JobState.FAILED)
        assert await _look(store, good.id) == Target(True, NOON + 10, ended=True, failed=False)
        assert await _look(store, bad.id) == Target(True, NOON + 10, ended=True, failed=True)


@in_loop
async def test_a_job_cancelled_while_it_waited_never_began(url: str) -> None:
    async with opened(url) as store:
        job, array = await submit(store), await submit(store, array="0-3")
        for key in (job.key, array.key):
            await tell(store, key, events.StopAsked(NOON, 1001))
        never_began = Target(True, None, ended=True, failed=True)
        assert await _look(store, job.id) == never_began
        assert await _look(store, array.id) == never_began
        assert await _look(store, array.id, 2) == never_began


@in_loop
async def test_an_array_stands_for_all_its_tasks(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-2")
        assert await _look(store, array.id) == WAITS
        await run_to(store, JobKey(array.id, 0), JobState.COMPLETED, NOON + 10)
        await run_to(store, JobKey(array.id, 1), JobState.FAILED, NOON + 20)
        assert await _look(store, array.id) == Target(False, NOON + 20, ended=False, failed=True)
        await run_to(store, JobKey(array.id, 2), JobState.RUNNING, NOON + 15)
        assert await _look(store, array.id) == Target(True, NOON + 20, ended=False, failed=True)
        await tell(store, JobKey(array.id, 2), events.StopAsked(NOON, 0), events.Lost(NOON + 30, 1, "gone"))
        assert await _look(store, array.id) == Target(True, NOON + 20, ended=True, failed=True)


@in_loop
async def test_a_single_task_with_and_without_a_row(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-2")
        await run_to(store, JobKey(array.id, 1), JobState.COMPLETED)
        assert await _look(store, array.id, 0) == WAITS
        assert await _look(store, array.id, 1) == Target(True, NOON + 10, ended=True, failed=False)


@pytest.mark.parametrize(("job_id", "task"), [(99, None), (99, 1), (1, 7), (2, 0), (-3, None), (2**80, None)])
@in_loop
async def test_what_is_not_there_is_not_known(url: str, job_id: int, task: int | None) -> None:
    async with opened(url) as store:
        await submit(store, array="0-2")
        assert await _look(store, job_id, task) is None


@in_loop
async def test_many_clauses_need_a_handful_of_queries(sqlite_url: str) -> None:
    async with opened(sqlite_url) as store:
        for _ in range(10):
            await submit(store, array="0-9")
        clauses = [Clause(Kind.AFTER_OK, 1 + 10 * k, task) for k in range(10) for task in (None, 3)]
        executed: list[str] = []

        def look(connection: object) -> int:
            def note(*args: object) -> None:
                executed.append(str(args[2]).split()[0])

            event.listen(connection, "before_cursor_execute", note)
            found = queries.targets(connection, clauses)  # type: ignore[arg-type]
            event.remove(connection, "before_cursor_execute", note)
            return len(found)

        assert await store._read(look) == 20  # type: ignore[arg-type]
        assert executed.count("SELECT") == 2
