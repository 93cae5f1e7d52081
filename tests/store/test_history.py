import asyncio
import dataclasses
import time

import pytest

from bridge.core import events
from bridge.core.errors import Unavailable
from bridge.core.job import JobKey, JobState
from bridge.core.report import Report
from bridge.store.records import NodeMark, StepRow
from tests.builders import NOON
from tests.store.support import ENVIRONMENT, REPORT, SCRIPT, a_new, in_loop, opened, run_to, submit, tell


@in_loop
async def test_the_history_of_an_array_is_that_of_all_its_tasks(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-2")
        await tell(store, JobKey(array.id, 1), events.Held(NOON + 1, 1001))
        await tell(store, array.key, events.Held(NOON + 2, 1001))
        await tell(store, JobKey(array.id, 2), events.Released(NOON + 3, 1001))

        async def kinds(key: JobKey) -> list[tuple[str, str]]:
            return [(str(row.key), row.kind) for row in await store.history(key)]

        assert await kinds(array.key) == [("1", "Submitted"), ("1_1", "Held"), ("1", "Held"), ("1_2", "Released")]
        # A task's begins with what happened while it was part of the array's record.
        assert await kinds(JobKey(array.id, 1)) == [("1", "Submitted"), ("1_1", "Held")]
        assert await kinds(JobKey(array.id, 2)) == [("1", "Submitted"), ("1", "Held"), ("1_2", "Released")]
        assert await kinds(JobKey(array.id, 0)) == [("1", "Submitted"), ("1", "Held")]
        assert await kinds(JobKey(9)) == []


@in_loop
async def test_changes_are_told_by_their_keys(url: str) -> None:
    async with opened(url) as store:
        assert await store.changes_since(0) == (0, set())
        job, array = await store.submit([a_new(), a_new(array="0-2")])
        await tell(store, JobKey(array.id, 1), events.Held(NOON, 0))
        assert await store.changes_since(0) == (3, {job.key, array.key, JobKey(array.id, 1)})
        assert await store.changes_since(2) == (3, {JobKey(array.id, 1)})
        assert await store.changes_since(3) == (3, set())
        assert await store.changes_since(2**62) == (3, set())
        assert await store.last_seq() == 3
        assert [row.seq for row in await store.history_since(1, 1)] == [2]


@in_loop
async def test_waiting_ends_with_the_next_change(url: str) -> None:
    async with opened(url) as store:
        waiting = [asyncio.create_task(store.wait_for_change(0, 30.0)) for _ in range(3)]
        await asyncio.sleep(0)
        await submit(store)
        assert await asyncio.gather(*waiting) == [1, 1, 1]
        assert await store.wait_for_change(0, 30.0) == 1


@in_loop
async def test_waiting_ends_with_its_time(url: str) -> None:
    async with opened(url) as store:
        began = time.monotonic()
        assert await store.wait_for_change(0, 0.05) == 0
        assert await store.wait_for_change(0, 0.0) == 0
        assert 0.05 <= time.monotonic() - began < 5


@in_loop
async def test_closing_wakes_those_who_wait_and_refuses_what_comes_after(url: str) -> None:
    async with opened(url) as store:
        waiting = asyncio.create_task(store.wait_for_change(0, 30.0))
        await asyncio.sleep(0)
        writing = asyncio.create_task(store.submit([a_new()]))
        await asyncio.sleep(0)
        await store.close()
        assert len(await writing) == 1  # handed over before
        assert await waiting in (0, 1)
        for call in (store.submit([a_new()]), store.last_seq()):
            with pytest.raises(Unavailable, match="closed"):
                await call


@in_loop
async def test_tasks_share_the_texts_of_their_array(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-2")
        await run_to(store, JobKey(array.id, 1), JobState.RUNNING)
        for key in (array.key, JobKey(array.id, 0), JobKey(array.id, 1)):
            assert await store.script(key) == SCRIPT
            assert await store.environment(key) == ENVIRONMENT
            assert await store.report(key) == REPORT
        assert (await store.script(JobKey(9)), await store.environment(JobKey(9))) == (None, None)
        assert await store.report(JobKey(9)) == Report()


@in_loop
async def test_a_step_is_replaced_by_what_is_known_later(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        begun = StepRow(job.key, 1, 0, "a\udc80", ("n1", "n2"), 2, 4, NOON, None, 0, 0, 0, 0.0, 0.0)
        other = dataclasses.replace(begun, step_id=1, name="b")
        ended = dataclasses.replace(
            begun, ended_at=NOON + 1, exit_status=3, signal=9, max_rss_kib=2**40, user_seconds=0.5
        )
        gone = dataclasses.replace(begun, key=JobKey(77))
        await store.record_steps([other, begun, gone], fence=None)
        assert await store.steps([job.key, JobKey(77)]) == [begun, other]
        await store.record_steps([begun, ended], fence=None)
        assert await store.steps([job.key]) == [ended, other]
        assert await store.steps([]) == []


@in_loop
async def test_node_marks_are_kept(url: str) -> None:
    mark = NodeMark("n1", "DRAIN", "fan \udcff", "root", NOON)
    async with opened(url) as store:
        await store.mark_node(NodeMark("n1", "DOWN", "", "root", NOON - 1))
        await store.mark_node(mark)
    async with opened(url) as store:
        assert await store.node_marks() == {"n1": mark}


@in_loop
async def test_tokens_are_revoked_until_they_would_run_out(url: str) -> None:
    async with opened(url) as store:
        await store.revoke_token("a", NOON)
        await store.revoke_token("b", NOON - 5)
        await store.revoke_token("b", NOON + 5)
        assert await store.revoked_tokens(NOON - 1) == {"a", "b"}
        assert await store.revoked_tokens(NOON) == {"b"}
