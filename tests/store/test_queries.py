import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from bridge.core import events
from bridge.core.job import FINAL, Job, JobKey, JobState, Share, split_task
from bridge.store import engine, queries, rows
from bridge.store.records import JobQuery
from bridge.store.store import Store
from tests.builders import NOON
from tests.store.support import a_new, in_loop, opened, run_to, submit, tell


def _ids(jobs: list[Job]) -> list[str]:
    return [str(job.key) for job in jobs]


async def _fill(store: Store) -> None:
    """1 completed on n1, 2 running on n1, 3 array 0-3 (0 failed, 1 running), 7 cancelled, 8 pending."""
    await store.submit([a_new(name="a"), a_new(name="b", uid=7, submitted_at=NOON + 1)])
    await submit(store, name="c", array="0-3", submitted_at=NOON + 2, account="acc", qos="q")
    await store.submit(
        [a_new(name="d", submitted_at=NOON + 3), a_new(name="e", partition="gpu", submitted_at=NOON + 4)]
    )
    await run_to(store, JobKey(1), JobState.COMPLETED, NOON + 10)
    await tell(store, JobKey(2), events.Placed(NOON + 11, (Share("n1", 1, 1, 1), Share("n10", 1, 1, 1))))
    await run_to(store, JobKey(3, 0), JobState.FAILED, NOON + 20)
    await run_to(store, JobKey(3, 1), JobState.RUNNING, NOON + 30)
    await tell(store, JobKey(7), events.StopAsked(NOON + 40, 1001))


@in_loop
async def test_jobs_are_listed_by_id_and_index_arrays_among_them(url: str) -> None:
    async with opened(url) as store:
        await _fill(store)
        assert _ids(await store.list_jobs(JobQuery())) == ["1", "2", "3", "3_0", "3_1", "7", "8"]
        assert _ids(await store.unfinished()) == ["2", "3", "3_1", "8"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"states": frozenset({JobState.PENDING})}, "3 8"),
        ({"states": frozenset({JobState.COMPLETED, JobState.RUNNING})}, "1 3_1"),
        ({"states": frozenset()}, ""),
        ({"uids": (7,)}, "2"),
        ({"uids": ()}, ""),
        ({"names": ("a", "c")}, "1 3 3_0 3_1"),
        ({"partitions": ("gpu", "none")}, "8"),
        ({"accounts": ("acc",), "qos": ("q",)}, "3 3_0 3_1"),
        ({"nodes": ("n1",)}, "1 2 3_0 3_1"),
        ({"nodes": ("n10",)}, "2"),
        ({"nodes": ("n",)}, ""),
        ({"nodes": ("N1",)}, ""),
        ({"nodes": ("n1,n10",)}, ""),
        ({"active_since": NOON + 15}, "2 3 3_0 3_1 7 8"),
        ({"active_since": NOON + 15, "active_until": NOON + 2.5}, "2 3 3_0 3_1"),
        ({"ended_since": NOON + 40}, "2 3 3_1 7 8"),
        ({"ended_since": NOON + 40.5}, "2 3 3_1 8"),
        ({"limit": 2}, "1 2"),
        ({"limit": 0}, ""),
        ({"newest_first": True, "limit": 4}, "8 7 3_1 3_0"),
        ({"after": JobKey(3, 0)}, "3_1 7 8"),
        ({"after": JobKey(3), "limit": 1}, "3_0"),
        ({"after": JobKey(3, 0), "newest_first": True}, "3 2 1"),
        ({"keys": (JobKey(3),)}, "3 3_0 3_1"),
        ({"keys": (JobKey(3, 1), JobKey(1), JobKey(1))}, "1 3_1"),
        ({"keys": (JobKey(3, 2),)}, "3_2"),
        ({"keys": (JobKey(5),)}, "3_1"),
        ({"keys": (JobKey(6),)}, "3_2"),
        ({"keys": (JobKey(99), JobKey(3, 9), JobKey(2**80), JobKey(-1), JobKey(1, 2**40))}, ""),
        ({"keys": (JobKey(3), JobKey(7)), "states": FINAL}, "3_0 7"),
        ({"keys": ()}, ""),
    ],
)
@in_loop
async def test_filters(url: str, query: dict[str, Any], expected: str) -> None:
    async with opened(url) as store:
        await _fill(store)
        assert " ".join(_ids(await store.list_jobs(JobQuery(**query)))) == expected


@in_loop
async def test_an_arrays_record_is_listed_while_tasks_wait_in_it(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-1")
        await run_to(store, JobKey(array.id, 0), JobState.RUNNING)
        assert _ids(await store.list_jobs(JobQuery())) == ["1", "1_0"]
        await run_to(store, JobKey(array.id, 1), JobState.COMPLETED)
        for query in (JobQuery(), JobQuery(keys=(array.key,)), JobQuery(ended_since=0.0), JobQuery(newest_first=True)):
            assert sorted(_ids(await store.list_jobs(query))) == ["1_0", "1_1"]
        assert _ids(await store.unfinished()) == ["1_0"]


@in_loop
async def test_a_waiting_task_is_shown_as_it_will_be(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-3")
        task = split_task(array, 2)[1]
        assert await store.get(JobKey(array.id, 2)) == task
        assert await store.get_many([JobKey(array.id, 2), array.key, JobKey(array.id, 4), JobKey(99, 1)]) == {
            JobKey(array.id, 2): task,
            array.key: array,
            JobKey(array.id, 4): None,
            JobKey(99, 1): None,
        }


@in_loop
async def test_every_raw_id_finds_its_job(url: str) -> None:
    async with opened(url) as store:
        await store.submit([a_new(), a_new(array="1-9:4,2"), a_new()])
        await run_to(store, JobKey(2, 2), JobState.RUNNING)
        found = {raw_id: await store.find_by_raw_id(raw_id) for raw_id in range(8)}
        assert {raw_id: str(job.key) for raw_id, job in found.items() if job} == {
            1: "1",
            3: "2_1",
            4: "2_2",
            5: "2_5",
            2: "2_9",
            6: "6",
        }
        assert all(job is None or job.id == raw_id for raw_id, job in found.items())
        assert await store.find_by_raw_id(2**90) is None


@in_loop
async def test_counts_are_of_tasks_also_of_waiting_ones(url: str) -> None:
    async with opened(url) as store:
        await _fill(store)
        await tell(store, (await submit(store, array="1-1000")).key, events.StopAsked(NOON, 1001))
        counts = {k.value: n for k, n in (await store.counts()).items() if n}
        assert counts == {
            "PENDING": 3,
            "RUNNING": 1,
            "CONFIGURING": 1,
            "COMPLETED": 1,
            "FAILED": 1,
            "CANCELLED": 1001,
        }


@in_loop
async def test_what_has_not_changed_is_the_same_object(url: str) -> None:
    async with opened(url) as store:
        await store.submit([a_new(name=f"j{k}") for k in range(3)])
        before = await store.unfinished()
        await tell(store, before[1].key, events.Held(NOON, 0))
        after = await store.list_jobs(JobQuery())
        assert [one is two for one, two in zip(before, after, strict=True)] == [True, False, True]


@in_loop
async def test_the_cache_keeps_unfinished_jobs_only_and_not_too_many(url: str) -> None:
    async with opened(url) as store:
        jobs = await store.submit([a_new(name=f"j{k}") for k in range(20)])
        assert len(store._cache) == 20
        await run_to(store, jobs[0].key, JobState.COMPLETED)
        await store.list_jobs(JobQuery())
        assert len(store._cache) == 19
        store._cache._limit = 5
        await submit(store)
        assert len(store._cache) <= 5
        assert len(await store.unfinished()) == 20


@in_loop
async def test_more_jobs_than_one_query_may_name(url: str) -> None:
    async with opened(url) as store:
        jobs = await store.submit([a_new(name=f"j{k % 7}") for k in range(rows.READ_AT_ONCE + 1)])
        store._cache._jobs.clear()
        assert await store.unfinished() == jobs
        assert await store.list_jobs(JobQuery(keys=tuple(job.key for job in jobs))) == jobs


@pytest.mark.parametrize("query", [JobQuery(), JobQuery(uids=(1,)), JobQuery(names=("a",)), JobQuery(ended_since=5.0)])
@in_loop
async def test_unfinished_jobs_are_found_by_their_own_index(sqlite_url: str, query: JobQuery) -> None:
    """So that a million ended ones in the table do not matter."""
    async with opened(sqlite_url) as store:
        conditions = queries._conditions(query, "sqlite")
        statement = queries._paged(queries._REVISIONS.where(queries._IS_OPEN, *conditions), query)
        assert "jobs_open" in await _plan(store, statement)
        assert "jobs_open" in await _plan(store, queries._OPEN)


@pytest.mark.parametrize("query", [JobQuery(ended_since=5.0), JobQuery(ended_since=5.0, limit=3, newest_first=True)])
@in_loop
async def test_recently_ended_jobs_are_found_by_their_end(sqlite_url: str, query: JobQuery) -> None:
    async with opened(sqlite_url) as store:
        seen: list[str] = []

        def list_them(connection: Any) -> None:
            event.listen(connection, "before_cursor_execute", lambda *args: seen.append(_literal(*args[2:4])))
            queries._ended_ones(connection, query)

        await store._read(list_them)
        [statement] = [text for text in seen if text.startswith("SELECT")]
        assert "jobs_ended" in await _explain(store, statement)


@in_loop
async def test_no_question_after_given_keys_reads_the_whole_table(sqlite_url: str) -> None:
    async with opened(sqlite_url) as store:
        for table in ("jobs", "steps"):
            statement = f"SELECT * FROM {table} WHERE {rows.among_keys(table, 'sqlite')}".replace(":keys", "'[[1,-1]]'")
            plan = await _explain(store, statement)
            assert f"SEARCH {table} USING INDEX" in plan
            assert f"SCAN {table}" not in plan


async def _plan(store: Store, statement: Any) -> str:
    return await _explain(store, str(statement.compile(store._reads, compile_kwargs={"literal_binds": True})))


async def _explain(store: Store, statement: str) -> str:
    return await store._read(
        lambda connection: "\n".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}"))
    )


def _literal(statement: str, values: tuple[Any, ...]) -> str:
    for value in values or ():
        statement = statement.replace("?", repr(value), 1)
    return statement


_QUERIES = st.builds(
    JobQuery,
    states=st.none() | st.frozensets(st.sampled_from(JobState)),
    uids=st.none() | st.lists(st.sampled_from([1, 7, 1001])).map(tuple),
    names=st.none() | st.lists(st.sampled_from("abcdex")).map(tuple),
    partitions=st.none() | st.lists(st.sampled_from(["main", "gpu"])).map(tuple),
    accounts=st.none() | st.just(("acc",)),
    nodes=st.none() | st.lists(st.sampled_from(["n1", "n10", "n2"])).map(tuple),
    active_since=st.none() | st.integers(0, 50).map(lambda k: NOON + k),
    active_until=st.none() | st.integers(0, 5).map(lambda k: NOON + k),
    ended_since=st.none() | st.integers(0, 50).map(lambda k: NOON + k),
    newest_first=st.booleans(),
    limit=st.none() | st.integers(0, 8),
    after=st.none() | st.builds(JobKey, st.integers(1, 9), st.none() | st.integers(0, 3)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=_QUERIES)
def test_filters_mean_the_same_to_the_database_and_to_us(filled: tuple[Any, list[Job]], query: JobQuery) -> None:
    reader, everything = filled
    expected = [job for job in everything if queries.matches(job, query)]
    if query.newest_first:
        expected.reverse()
    with reader.connect() as connection:
        assert queries.list_jobs(connection, rows.Cache(), query) == expected[: query.limit]


@pytest.fixture(scope="module")
def filled(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(reading engine, all jobs)"""
    path = tmp_path_factory.mktemp("filled") / "bridge.db"
    shutil.copyfile(sqlite_template, path)
    everything: list[Job] = []

    @in_loop
    async def fill() -> None:
        async with opened(f"sqlite:///{path}") as store:
            await _fill(store)
            everything.extend(await store.list_jobs(JobQuery()))

    fill()
    reader = engine.make(engine.parse_url(f"sqlite:///{path}"), writes=False)
    yield reader, everything
    reader.dispose()
