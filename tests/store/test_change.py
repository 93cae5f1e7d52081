import asyncio
import dataclasses
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core import dag, events, state
from bridge.core.errors import Conflict, Gone, IllegalStep
from bridge.core.job import End, Job, JobKey, JobState, split_task
from bridge.core.reasons import Reason
from bridge.store.records import JobQuery, Outcome
from tests.builders import NOON
from tests.store.support import N1, a_new, in_loop, opened, run_to, submit, tell

PLACED = events.Placed(NOON + 1, N1)


@in_loop
async def test_a_change_writes_the_job_and_its_history_and_gives_instructions(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        outcome = await tell(store, job.key, PLACED)
        after, todo = state.advance(job, PLACED)
        assert outcome == Outcome(job.key, job, after, tuple(todo))
        assert await store.get(job.key) == after
        last = (await store.history(job.key))[-1]
        assert (last.kind, last.at, last.state, last.attempt) == ("Placed", NOON + 1, JobState.CONFIGURING, 1)
        assert last.data["nodes"][0]["node"] == "n1"
        assert "at" not in last.data


@in_loop
async def test_several_events_are_one_change_with_a_history_row_each(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        ended = await run_to(store, job.key, JobState.FAILED)
        assert (ended.reason, ended.end) == (Reason.NON_ZERO_EXIT, End(exit_status=1))
        assert await store.get(job.key) == ended
        kinds = [(row.kind, row.state) for row in await store.history(job.key)]
        assert kinds == [
            ("Submitted", JobState.PENDING),
            ("Placed", JobState.CONFIGURING),
            ("Began", JobState.RUNNING),
            ("Ended", JobState.FAILED),
        ]


@in_loop
async def test_a_stored_job_of_every_kind_comes_back_as_it_was(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store, account="a", qos="q")
        await run_to(store, job.key, JobState.RUNNING)
        suspended = (await tell(store, job.key, events.Suspended(NOON + 20, 0))).after
        resumed = (await tell(store, job.key, events.Resumed(NOON + 30, 0))).after
        stopping = (await tell(store, job.key, events.StopAsked(NOON + 40, 1001))).after
        assert suspended is not None
        assert resumed is not None
        assert stopping is not None
        assert (suspended.suspended_at, resumed.suspended_seconds) == (NOON + 20, 10.0)
        store._cache._jobs.clear()
        assert await store.get(job.key) == stopping


@in_loop
async def test_nothing_to_do_leaves_no_trace(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        assert await store.change([job.key, JobKey(99)], lambda job: None) == [
            Outcome(job.key, job, job),
            Outcome(JobKey(99), None, None),
        ]
        assert await store.last_seq() == 1


@in_loop
async def test_news_of_an_attempt_that_is_over_is_not_written(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        outcome = await tell(store, job.key, events.Ended(NOON, 7, End()))
        assert outcome == Outcome(job.key, job, job, (events.Forget(7),))
        assert await store.last_seq() == 1


@in_loop
async def test_a_reason_is_told_once(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        for at in (1, 2, 3):
            await tell(store, job.key, events.Waits(NOON + at, Reason.RESOURCES, f"detail {at}", eligible=True))
        found = await store.get(job.key)
        assert found is not None
        assert (found.reason_detail, found.eligible_at) == ("detail 3", NOON + 1)
        assert [row.kind for row in await store.history(job.key)] == ["Submitted", "Waits"]


@in_loop
async def test_an_illegal_step_leaves_its_job_alone_and_the_others_change(url: str) -> None:
    async with opened(url) as store:
        jobs = [await submit(store, name=f"j{k}") for k in range(3)]

        def event_of(job: Job) -> list[events.Event]:
            if job.id == 2:  # the first of the two is legal
                return [PLACED, events.Resumed(NOON, 0)]
            return [PLACED]

        first, second, third = await store.change([job.key for job in jobs], event_of)
        assert isinstance(second.error, IllegalStep)
        assert (second.before, second.after, second.instructions) == (jobs[1], jobs[1], ())
        assert await store.get(jobs[1].key) == jobs[1]
        for outcome in (first, third):
            assert outcome.after is not None
            assert outcome.after.state is JobState.CONFIGURING
        assert [row.kind for row in await store.history(jobs[1].key)] == ["Submitted"]


@in_loop
async def test_an_error_of_ours_from_the_caller_stands_in_the_outcome(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        error = Conflict("not now")

        def event_of(job: Job) -> events.Event:
            raise error

        assert await store.change([job.key], event_of) == [Outcome(job.key, job, job, error=error)]


@in_loop
async def test_a_bug_of_the_caller_is_raised_to_him_alone_and_nothing_of_his_call_is_written(url: str) -> None:
    async with opened(url) as store:
        jobs = [await submit(store, name=f"j{k}") for k in range(4)]

        def broken(job: Job) -> events.Event:
            if job.id == 2:
                raise ZeroDivisionError("a bug")
            return PLACED

        answers = await asyncio.gather(
            store.change([jobs[0].key, jobs[1].key], broken),
            store.change([jobs[2].key, jobs[3].key], lambda job: PLACED),
            store.submit([a_new()]),
            return_exceptions=True,
        )
        assert isinstance(answers[0], ZeroDivisionError)
        assert not isinstance(answers[1], BaseException)
        states = [job.state.value for job in await store.list_jobs(JobQuery())]
        assert states == ["PENDING", "PENDING", "CONFIGURING", "CONFIGURING", "PENDING"]


@in_loop
async def test_changes_of_one_job_follow_each_other_also_when_asked_at_once(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)

        def longer(job: Job) -> events.Event:
            request = dataclasses.replace(job.request, comment=f"{job.request.comment or ''}x")
            return events.Updated(NOON, 1001, "comment", request, job.time_limit_seconds, job.partition, None, 1)

        await asyncio.gather(*(store.change([job.key], longer) for _ in range(20)))
        found = await store.get(job.key)
        assert found is not None
        assert (found.request.comment, found.revision) == ("x" * 20, 20)


@in_loop
async def test_a_key_given_twice_is_changed_twice(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        first, second = await store.change([job.key, job.key], lambda job: events.Held(NOON, 1001))
        assert second.before == first.after


@in_loop
async def test_an_update_is_found_by_its_new_words_and_leaves_the_request_out_of_the_history(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store, name="old")
        dependency = dag.Dependency((dag.Clause(dag.Kind.AFTER_ANY, 77),))
        request = dataclasses.replace(job.request, name="new", account="acc", dependency=dependency)
        event = events.Updated(NOON, 1001, "JobName old → new", request, 60, "other", None, 1)
        after = (await tell(store, job.key, event)).after
        assert await store.list_jobs(JobQuery(names=("old",))) == []
        assert await store.list_jobs(JobQuery(names=("new",), accounts=("acc",), partitions=("other",))) == [after]
        row = (await store.history(job.key))[-1]
        assert row.data["what"] == "JobName old → new"
        assert "request" not in row.data


# ── arrays ────────────────────────────────────────────────────────────────────────────────────────


@in_loop
async def test_a_task_gets_a_row_with_its_first_event(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="1-3")
        rest, task = split_task(array, 2)
        outcome = await tell(store, JobKey(array.id, 2), PLACED)
        placed = state.advance(task, PLACED)[0]
        assert outcome.before == task
        assert outcome.after == placed
        assert await store.get(array.key) == rest
        assert await store.list_jobs(JobQuery()) == [rest, placed]


@in_loop
async def test_several_tasks_of_an_array_are_split_off_in_one_call(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-4")
        keys = [JobKey(array.id, k) for k in (0, 2, 4)]
        outcomes = await store.change(keys, lambda job: PLACED)
        assert [outcome.after.id for outcome in outcomes if outcome.after] == [2, 4, 1]
        found = await store.get(array.key)
        assert found is not None
        assert list(found.waiting or ()) == [1, 3]


@in_loop
async def test_a_waiting_task_that_nothing_happens_to_is_not_split_off(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-4")
        key = JobKey(array.id, 2)
        task = split_task(array, 2)[1]
        assert await store.change([key], lambda job: None) == [Outcome(key, task, task)]
        [outcome] = await store.change([key], lambda job: events.Resumed(NOON, 0))
        assert isinstance(outcome.error, IllegalStep)
        assert await store.get(array.key) == array


@in_loop
async def test_the_record_of_an_array_is_not_placed(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-4")
        [outcome] = await store.change([array.key], lambda job: PLACED)
        assert isinstance(outcome.error, IllegalStep)
        assert outcome.after == array


@in_loop
async def test_an_index_that_the_array_has_not_is_no_job(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-4:2")
        key = JobKey(array.id, 1)
        assert await store.change([key], lambda job: PLACED) == [Outcome(key, None, None)]


@in_loop
async def test_an_array_that_was_cancelled_while_it_waited_can_give_single_tasks_back(url: str) -> None:
    async with opened(url) as store:
        array = await submit(store, array="0-1")
        await tell(store, array.key, events.StopAsked(NOON + 1, 1001))
        again = (await tell(store, JobKey(array.id, 1), events.Requeued(NOON + 2, 1001))).after
        assert again is not None
        assert (again.state, again.task_index) == (JobState.PENDING, 1)
        assert await store.unfinished() == [again]


@in_loop
async def test_a_throttle_is_of_the_arrays_record_and_told_in_the_history(url: str) -> None:
    async with opened(url) as store:
        plain, array = await store.submit([a_new(), a_new(array="0-4%2")])
        changed = await store.set_throttle(array.id, 7, 1001, NOON + 5)
        assert changed is not None
        assert changed.request.array is not None
        assert changed.request.array.throttle == 7
        assert await store.get(array.key) == changed
        assert [(row.kind, row.data) for row in await store.history(array.key)][1:] == [
            ("Throttled", {"by_uid": 1001, "throttle": 7})
        ]
        assert await store.set_throttle(plain.id, 1, 0, NOON) is None
        assert await store.set_throttle(99, 1, 0, NOON) is None


# ── fences ────────────────────────────────────────────────────────────────────────────────────────


@in_loop
async def test_a_write_with_an_old_fence_is_refused_and_nothing_is_written(url: str) -> None:
    async with opened(url) as store:
        job = await submit(store)
        old = await store.acquire_lease("local", "a", 1000.0, NOON)
        assert old is not None
        await store.change([job.key], lambda job: events.Held(NOON, 0), fence=old)
        await store.release_lease(old)
        new = await store.acquire_lease("local", "b", 1000.0, NOON)
        held = await store.get(job.key)
        with pytest.raises(Gone) as caught:
            await store.change([job.key], lambda job: events.Released(NOON, 0), fence=old)
        assert caught.value.code == "fenced"
        assert await store.get(job.key) == held
        [outcome] = await store.change([job.key], lambda job: events.Released(NOON, 0), fence=new)
        assert outcome.error is None


# ── anything may happen ───────────────────────────────────────────────────────────────────────────

_EVENTS: list[events.Event] = [
    PLACED,
    events.Began(NOON + 2, 1),
    events.Ended(NOON + 3, 1, End(exit_status=2)),
    events.Lost(NOON + 3, 1, "gone"),
    events.NotStarted(NOON + 3, 1, "full"),
    events.StopAsked(NOON + 3, 1001),
    events.Requeued(NOON + 4, 1001, hold=True),
    events.Held(NOON, 1001),
    events.Released(NOON, 1001),
    events.Waits(NOON, Reason.PRIORITY, eligible=True),
    events.Suspended(NOON + 3, 0),
    events.Resumed(NOON + 4, 0),
]
_KEYS = [JobKey(1), JobKey(2), *(JobKey(2, k) for k in range(3))]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(_KEYS), st.sampled_from(_EVENTS)), max_size=12))
def test_what_is_stored_is_what_the_state_machine_says(
    sqlite_template: object, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[JobKey, events.Event]]
) -> None:
    """Against a model in memory: rows, lists and cache agree with it after any events."""
    path = tmp_path_factory.mktemp("random") / "bridge.db"
    shutil.copyfile(str(sqlite_template), path)

    async def scenario() -> None:
        async with opened(f"sqlite:///{path}") as store:
            made = await store.submit([a_new(requeue=False), a_new(array="0-2", requeue=False)])
            model = {job.key: job for job in made}
            for key, event in steps:
                task = key.task_index
                array = model[JobKey(2)]
                before = model.get(key) or split_task(array, task if task is not None else 0)[1]
                [outcome] = await store.change([key], lambda job, event=event: event)  # type: ignore[misc]
                assert outcome.before == before
                if outcome.error is not None or outcome.after == before:
                    continue
                if key not in model and task is not None:
                    model[array.key] = split_task(array, task)[0]
                assert outcome.after is not None
                model[key] = outcome.after
            shown = [job for job in model.values() if job.waiting is None or job.waiting]
            shown.sort(key=lambda job: (job.key.id, -1 if job.task_index is None else job.task_index))
            for _ in range(2):
                assert await store.list_jobs(JobQuery()) == shown
                assert await store.unfinished() == [job for job in shown if not job.is_final]
                assert await store.get_many(list(model)) == model
                store._cache._jobs.clear()

    asyncio.run(scenario())
