import asyncio

import pytest

from bridge.core import events
from bridge.core.errors import Gone
from bridge.core.job import Job, JobKey
from bridge.store.records import Fence, StepRow
from tests.builders import NOON
from tests.store.support import a_new, in_loop, opened, submit


@in_loop
async def test_a_free_backend_is_given_with_a_number_that_goes_up(url: str) -> None:
    async with opened(url) as store:
        first = await store.acquire_lease("local", "a", 1000.0, NOON)
        assert first == Fence("local", "a", 1)
        assert await store.acquire_lease("local", "b", 1000.0, NOON) is None
        assert await store.acquire_lease("other", "b", 1000.0, NOON) == Fence("other", "b", 1)
        assert await store.acquire_lease("local", "a", 1000.0, NOON) == first
        await store.release_lease(first)
        assert await store.acquire_lease("local", "b", 1000.0, NOON) == Fence("local", "b", 2)


@in_loop
async def test_a_lease_that_ran_out_can_be_taken_and_its_owner_notices(url: str) -> None:
    async with opened(url) as store:
        # Negative: run out as soon as it is given, by whichever clock.
        old = await store.acquire_lease("local", "a", -1.0, NOON)
        assert old is not None
        new = await store.acquire_lease("local", "b", 1000.0, NOON)
        assert new == Fence("local", "b", 2)
        assert not await store.renew_lease(old, 1000.0, NOON)
        await store.release_lease(old)
        assert await store.renew_lease(new, 1000.0, NOON)
        assert await store.acquire_lease("local", "a", 1000.0, NOON) is None


@in_loop
async def test_the_same_owner_gets_a_new_number_after_his_lease_ran_out(url: str) -> None:
    async with opened(url) as store:
        assert await store.acquire_lease("local", "a", -1.0, NOON) == Fence("local", "a", 1)
        assert await store.acquire_lease("local", "a", 5.0, NOON) == Fence("local", "a", 2)


@in_loop
async def test_renewing_late_is_fine_while_nobody_else_took_it(url: str) -> None:
    async with opened(url) as store:
        fence = await store.acquire_lease("local", "a", -1.0, NOON)
        assert fence is not None
        assert await store.renew_lease(fence, 1000.0, NOON)
        assert await store.acquire_lease("local", "b", 1000.0, NOON) is None


@in_loop
async def test_sqlite_goes_by_the_time_that_it_is_told(sqlite_url: str) -> None:
    async with opened(sqlite_url) as store:
        await store.acquire_lease("local", "a", 10.0, NOON)
        assert await store.acquire_lease("local", "b", 10.0, NOON + 9.9) is None
        assert await store.acquire_lease("local", "b", 10.0, NOON + 10) == Fence("local", "b", 2)


@in_loop
async def test_steps_need_the_fence_too(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        step = StepRow(job.key, 1, 0, "hostname", ("n1",), 1, 1, NOON, None, 0, 0, 0, 0.0, 0.0)
        with pytest.raises(Gone):
            await store.record_steps([step], fence=Fence("local", "a", 1))
        assert await store.steps([job.key]) == []


# ── two processes, as far as the database can tell ────────────────────────────────────────────────


@in_loop
async def test_of_two_stores_one_gets_the_lease_and_the_other_is_fenced_off(shared_url: str) -> None:
    async with opened(shared_url) as one, opened(shared_url) as two:
        assert one.instance_id == two.instance_id
        job = await submit(one)
        given = await asyncio.gather(
            one.acquire_lease("local", "one", 1000.0, NOON), two.acquire_lease("local", "two", 1000.0, NOON)
        )
        winner = next(fence for fence in given if fence is not None)
        assert [fence for fence in given if fence is None] == [None]
        first, second = (one, two) if winner.owner == "one" else (two, one)
        await first.release_lease(winner)
        successor = await second.acquire_lease("local", "second", 1000.0, NOON)
        assert successor is not None
        assert successor.number == winner.number + 1
        with pytest.raises(Gone):
            await first.change([job.key], lambda job: events.Held(NOON, 0), fence=winner)
        [outcome] = await second.change([job.key], lambda job: events.Held(NOON, 0), fence=successor)
        assert await first.get(job.key) == outcome.after


@in_loop
async def test_two_stores_share_one_counter_and_one_history(shared_url: str) -> None:
    async with opened(shared_url) as one, opened(shared_url) as two:
        jobs = await asyncio.gather(*((one if k % 2 else two).submit([a_new(name=f"j{k}")]) for k in range(60)))
        assert sorted(job.id for [job] in jobs) == list(range(1, 61))
        assert [row.seq for row in await one.history_since(0, 1000)] == list(range(1, 61))

        def more(job: Job) -> events.Event:
            return events.Held(NOON, 0) if job.priority else events.Released(NOON, 0, job.revision + 5)

        await asyncio.gather(*((one if k % 2 else two).change([JobKey(1)], more) for k in range(20)))
        found = await one.get(JobKey(1))
        assert found is not None
        assert found.revision == 20
        assert await two.get(JobKey(1)) == found


@in_loop
async def test_a_store_hears_of_the_others_changes(shared_url: str) -> None:
    async with opened(shared_url) as one, opened(shared_url) as two:
        seq = await two.last_seq()
        waiting = asyncio.create_task(two.wait_for_change(seq, 30.0))
        job = await submit(one)
        assert await waiting == seq + 1
        assert await two.changes_since(seq) == (seq + 1, {job.key})


@in_loop
async def test_a_sqlite_files_new_user_need_not_wait_for_the_leases_of_a_dead_one(sqlite_url: str) -> None:
    async with opened(sqlite_url) as store:
        old = await store.acquire_lease("local", "killed", 1000.0, NOON)
    async with opened(sqlite_url) as store:
        assert await store.acquire_lease("local", "next", 1000.0, NOON) == Fence("local", "next", 2)
        assert old is not None
        assert not await store.renew_lease(old, 1000.0, NOON)
