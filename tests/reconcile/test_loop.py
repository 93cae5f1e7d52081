"""The reconciler over a real store (SQLite) and a stand-in for the backend."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import pytest

from bridge.backends.port import Sighting
from bridge.core.change import Change
from bridge.core.dag import Clause, Dependency, Kind
from bridge.core.errors import Refused, Unavailable
from bridge.core.job import End, Job, JobKey, JobState
from bridge.core.nodes import NodeState
from bridge.core.reasons import Reason
from bridge.core.request import JobRequest
from bridge.core.users import Caller, User
from bridge.reconcile.loop import Reconciler
from bridge.service.service import Service
from bridge.service.terms import Draft, Result, Selector
from bridge.store import schema
from bridge.store.change import EventOf
from bridge.store.records import Fence, NodeMark
from bridge.store.store import Store
from tests.builders import NOON, a_node, a_request, a_site
from tests.reconcile.fake_backend import FakeBackend

ALICE = User("alice", 1001, 1001, (1001,), ("alice",), "/home/alice", "/bin/bash")
pytestmark = pytest.mark.anyio

CALLER = Caller(ALICE)
OPERATOR = Caller(User("root", 0, 0), is_operator=True)
DEADLINE_SECONDS = 10
ON_ITS_WAY = JobState.CONFIGURING


class World:
    """A bridge without front ends; its clock is moved by hand."""

    def __init__(self, store: Store, **site: object) -> None:
        self.now = NOON
        self.store = store
        self.backend = FakeBackend([a_node(n) for n in ("n1", "n2")])
        site_of_test = a_site(**site)
        backends = {"local": self.backend}
        self.service = Service(store, site_of_test, backends, self.find_user, now=lambda: self.now)
        self.reconciler = Reconciler(
            store,
            self.service,
            backends,
            self.find_user,
            lambda job, user: f"token-{job.id}-{job.attempt}",
            owner="test",
            now=lambda: self.now,
        )

    @staticmethod
    def find_user(uid: int) -> User | None:
        return {1001: ALICE}.get(uid)

    async def submit(self, request: JobRequest | None = None, **fields: object) -> Job:
        request = request or a_request(**fields)
        return (await self.service.submit(CALLER, [Draft(request, b"#!/bin/sh\n", b"A=1\0B=2")]))[0]

    async def until(self, key: int | JobKey, what: Callable[[Job], bool]) -> Job:
        """Wait for the change, not for a time."""
        key = key if isinstance(key, JobKey) else JobKey(key)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                seq = await self.store.last_seq()
                job = await self.store.get(key)
                if job is not None and what(job):
                    return job
                await self.store.wait_for_change(seq, DEADLINE_SECONDS)

    async def until_state(self, key: int | JobKey, wanted: JobState) -> Job:
        return await self.until(key, lambda job: job.state is wanted)

    async def started(self, count: int) -> None:
        await self.backend.until(lambda: len(self.backend.started) >= count)

    async def a_running_job(self) -> Job:
        """The first that is submitted."""
        job = await self.submit()
        await self.started(1)
        self.backend.begin(job.id)
        return await self.until_state(job.id, JobState.RUNNING)

    async def later(self, what: Callable[[], bool]) -> None:
        """Let time pass until the backend was told so that `what` holds."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not what():
                self.now += 2
                self.reconciler.wake()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await self.backend.until(what)

    async def run_to_end(self, job: Job, end: End | None = None) -> Job:
        await self.until_state(job.key, JobState.CONFIGURING)
        self.backend.end(job.id, end=end)
        return await self.until(job.key, lambda job: job.is_final)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def a_world(tmp_path: Path, **site: object) -> AsyncIterator[World]:
    url = f"sqlite:///{tmp_path}/bridge.db"
    schema.upgrade(url)
    store = await Store.open(url)
    made = World(store, **site)
    running = asyncio.create_task(made.reconciler.run())
    try:
        yield made
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await store.close()


class TestOneJob:
    async def test_it_is_placed_started_run_and_ended(self, world: World) -> None:
        job = await world.submit()
        await world.started(1)
        group = world.backend.started[0]
        assert (group.job_id, group.attempt, group.job_token) == (job.id, 1, f"token-{job.id}-1")
        assert group.batch.environment["A"] == "1"
        world.backend.begin(job.id)
        running = await world.until_state(job.id, JobState.RUNNING)
        assert running.started_at == NOON + 10
        world.backend.end(job.id, end=End(exit_status=3))
        ended = await world.until(job.id, lambda job: job.is_final)
        assert (ended.state, ended.reason, ended.ended_at) == (JobState.FAILED, Reason.NON_ZERO_EXIT, NOON + 20)

    async def test_the_backend_may_forget_it_once_its_end_is_on_record(self, world: World) -> None:
        job = await world.submit()
        await world.run_to_end(job)
        await world.backend.until(lambda: ("forget", job.id, 1) in world.backend.told)

    async def test_an_attempt_that_was_forgotten_is_not_started_again_from_an_older_look(self, world: World) -> None:
        """A bridge that came back saw the end while it made ready to start the job that it had found placed."""
        read_script = world.store.script

        async def script_read_when_all_is_over(key: JobKey) -> bytes | None:
            world.backend.end(key.id)
            await world.until(key, lambda job: job.is_final)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):  # one that is not kept from it forgets at once
                    await world.backend.until(lambda: ("forget", key.id, 1) in world.backend.told)
            return await read_script(key)

        world.store.script = script_read_when_all_is_over  # type: ignore[method-assign]
        job = await world.submit()
        await world.backend.until(lambda: {("start", job.id, 1), ("forget", job.id, 1)} <= set(world.backend.told))
        assert world.backend.told[-1] == ("forget", job.id, 1)

    async def test_what_two_attempts_did_is_taken_in_together(self, world: World) -> None:
        """As a bridge finds it that was killed before the first one was forgotten."""
        job = await world.a_running_job()
        await world.service.requeue(CALLER, [Selector(job.id)])
        world.backend.end(job.id, end=End(signal=15, cause="stopped"))
        await world.until_state(job.id, JobState.PENDING)
        world.now = NOON + 141
        world.reconciler.wake()
        await world.started(2)
        world.backend.told.clear()
        first = Sighting(job.id, 1, "ended", NOON + 20, NOON + 10, End())
        world.backend.see(Sighting(job.id, 2, "running", NOON + 150, NOON + 150), first, full=True)
        running = await world.until_state(job.id, JobState.RUNNING)
        assert (running.attempt, running.started_at) == (2, NOON + 150)
        await world.backend.until(lambda: ("forget", job.id, 1) in world.backend.told)

    async def test_a_cancel_is_handed_over_and_ends_it(self, world: World) -> None:
        job = await world.a_running_job()
        await world.service.cancel(CALLER, [Selector(job.id)])
        await world.backend.until(lambda: ("stop", job.id, 1, "cancel") in world.backend.told)
        world.backend.end(job.id, end=End(signal=15, cause="stopped"))
        ended = await world.until(job.id, lambda job: job.is_final)
        assert (ended.state, ended.cancelled_by_uid, ended.end) == (
            JobState.CANCELLED,
            1001,
            End(signal=15, cause="stopped"),
        )

    async def test_one_that_cannot_be_told_of_its_cancel_does_not_hold_up_others(self, world: World) -> None:
        world.backend.stuck = asyncio.Event()
        job = await world.a_running_job()
        await world.service.cancel(CALLER, [Selector(job.id)])
        await world.backend.until(lambda: ("stop", job.id, 1, "cancel") in world.backend.told)
        await world.run_to_end(await world.submit())
        world.backend.told.clear()
        world.backend.stuck.set()
        await world.later(lambda: ("stop", job.id, 1, "cancel") in world.backend.told)

    async def test_one_that_the_backend_refuses_waits_and_says_why(self, world: World) -> None:
        world.backend.refuse = Refused("the disk is full")
        job = await world.submit()
        waiting = await world.until(job.id, lambda job: job.reason_detail == "the disk is full")
        assert (waiting.state, waiting.attempt) == (JobState.PENDING, 1)

    async def test_another_user_may_not_cancel_it(self, world: World) -> None:
        job = await world.submit(hold=True)
        result = (await world.service.cancel(Caller(User("bob", 1002, 1002)), [Selector(job.id)]))[0]
        assert result.error is not None
        assert result.error.code == "access_denied"

    async def test_a_requeue_gives_the_same_id_another_attempt_after_two_minutes(self, world: World) -> None:
        job = await world.a_running_job()
        await world.service.requeue(CALLER, [Selector(job.id)])
        world.backend.end(job.id, end=End(signal=15, cause="stopped"))
        waiting = await world.until_state(job.id, JobState.PENDING)
        assert (waiting.restarts, waiting.begin_at, waiting.reason) == (1, NOON + 140, Reason.BEGIN_TIME)
        world.now = NOON + 141
        world.reconciler.wake()
        await world.started(2)
        assert world.backend.started[1].batch.environment["SLURM_RESTART_COUNT"] == "1"


class TestWhatComesBetween:
    """A user's wish, or a failure, between two steps of a turn."""

    @pytest.mark.parametrize("look", [1, 2], ids=["before it is told", "before it is started"])
    async def test_a_cancel_of_a_job_that_was_placed_and_never_started_ends_it(self, world: World, look: int) -> None:
        _at_look(world, look, lambda: world.service.cancel(CALLER, [Selector(1)]))
        job = await world.submit()
        ended = await world.until(job.id, lambda job: job.is_final)
        assert (ended.state, ended.end, world.backend.started) == (JobState.CANCELLED, End(cause="stopped"), [])
        await world.backend.until(lambda: ("forget", job.id, 1) in world.backend.told)

    async def test_a_full_picture_that_is_older_than_a_start_ends_nothing(self, world: World) -> None:
        job = await world.submit()
        await world.started(1)
        await world.service.cancel(CALLER, [Selector(job.id)])
        await world.backend.until(lambda: ("stop", job.id, 1, "cancel") in world.backend.told)
        world.backend.told.clear()
        world.backend.see(full=True)
        await world.backend.until(lambda: ("stop", job.id, 1, "cancel") in world.backend.told)
        assert (await world.until(job.id, lambda job: True)).state is JobState.COMPLETING
        world.backend.end(job.id, end=End(signal=15, cause="stopped"))
        ended = await world.until(job.id, lambda job: job.is_final)
        assert (ended.state, ended.end) == (JobState.CANCELLED, End(signal=15, cause="stopped"))

    async def test_one_that_runs_by_its_row_and_is_in_no_full_picture_is_lost(self, world: World) -> None:
        job = await world.submit(requeue=False)
        await world.started(1)
        world.backend.begin(job.id)
        await world.until_state(job.id, JobState.RUNNING)
        world.backend.see(full=True)
        lost = await world.until(job.id, lambda job: job.is_final)
        assert (lost.state, lost.reason_detail) == (JobState.NODE_FAIL, "its nodes have no trace of it")
        await world.backend.until(lambda: ("forget", job.id, 1) in world.backend.told)

    async def test_a_requeue_of_a_job_that_was_placed_and_never_started_puts_it_back(self, world: World) -> None:
        _at_look(world, 2, lambda: world.service.requeue(CALLER, [Selector(1)]))
        job = await world.submit()
        waiting = await world.until(job.id, lambda job: job.restarts == 1)
        assert (waiting.state, waiting.reason, world.backend.started) == (JobState.PENDING, Reason.BEGIN_TIME, [])

    async def test_a_start_that_the_database_hindered_is_tried_again(self, world: World) -> None:
        read_script, was_away = world.store.script, asyncio.Event()

        async def away_at_first(key: JobKey) -> bytes | None:
            if not was_away.is_set():
                was_away.set()
                raise Unavailable("the database is away")
            return await read_script(key)

        world.store.script = away_at_first  # type: ignore[method-assign]
        await world.submit()
        await was_away.wait()
        await world.later(lambda: len(world.backend.started) == 1)

    async def test_a_job_that_was_changed_while_the_plan_was_made_is_planned_anew(self, world: World) -> None:
        write, has_changed = world.store.change, False

        async def later_meanwhile(keys: Sequence[JobKey], event_of: EventOf, *, fence: Fence | None = None) -> object:
            nonlocal has_changed
            if JobKey(1) in keys and fence is not None and not has_changed:
                has_changed = True
                later = Change(request={"begin_at": NOON + 3600})
                await world.service.update(CALLER, [Selector(1)], later)
            return await write(keys, event_of, fence=fence)

        world.store.change = later_meanwhile  # type: ignore[method-assign,assignment]
        job = await world.submit()
        waiting = await world.until(job.id, lambda job: job.reason is Reason.BEGIN_TIME)
        assert (waiting.state, waiting.attempt, waiting.begin_at) == (JobState.PENDING, 0, NOON + 3600)
        world.now = NOON + 3601
        world.reconciler.wake()
        await world.started(1)

    async def test_a_cancel_of_an_array_catches_the_task_that_leaves_it_meanwhile(self, world: World) -> None:
        array = await world.submit(array="0-9%2")
        await world.started(2)
        write, is_first = world.store.change, True

        async def started_meanwhile(keys: Sequence[JobKey], event_of: EventOf, *, fence: Fence | None = None) -> object:
            nonlocal is_first
            if fence is None and is_first:
                is_first = False
                world.backend.end(world.backend.started[0].job_id)
                await world.started(3)
            return await write(keys, event_of, fence=fence)

        world.store.change = started_meanwhile  # type: ignore[method-assign,assignment]
        await world.service.cancel(CALLER, [Selector(array.id)])
        left = {str(job.key): job.state for job in await world.store.unfinished()}
        assert left == {f"{array.id}_1": JobState.COMPLETING, f"{array.id}_2": JobState.COMPLETING}

    async def test_tasks_that_leave_two_arrays_meanwhile_are_told_of_with_their_own_array(self, world: World) -> None:
        arrays = [await world.submit(array="0-9%1") for _ in range(2)]
        await world.started(2)
        write, is_first = world.store.change, True

        async def started_meanwhile(keys: Sequence[JobKey], event_of: EventOf, *, fence: Fence | None = None) -> object:
            nonlocal is_first
            if fence is None and is_first:
                is_first = False
                for group in world.backend.started[:2]:
                    world.backend.end(group.job_id)
                await world.started(4)
            return await write(keys, event_of, fence=fence)

        world.store.change = started_meanwhile  # type: ignore[method-assign,assignment]
        results = await world.service.cancel(CALLER, [Selector(array.id) for array in arrays])
        told = {str(result.job.key): result.selector.id for result in results if result.job is not None}
        assert {f"{array.id}_1": array.id for array in arrays}.items() <= told.items()

    async def test_a_mark_that_came_while_the_nodes_were_looked_at_is_not_lost(self, world: World) -> None:
        look, is_first = world.store.node_marks, True

        async def marked_meanwhile() -> dict[str, NodeMark]:
            nonlocal is_first
            found = await look()
            if is_first:
                is_first = False
                await world.service.nodes.mark(OPERATOR, ["n1"], "DOWN", "burnt")
            return found

        world.store.node_marks = marked_meanwhile  # type: ignore[method-assign]
        world.service.nodes.forget()
        await world.service.nodes.known()
        assert [node.state for node in await world.service.nodes.known()] == [NodeState.DOWN, NodeState.UP]


class TestRoom:
    async def test_jobs_wait_for_room_and_say_so(self, world: World) -> None:
        jobs = [await world.submit(nodes_min=2, exclusive="node") for _ in range(3)]
        await world.until_state(jobs[0].id, JobState.CONFIGURING)
        second = await world.until(jobs[1].id, lambda job: job.reason is Reason.RESOURCES)
        third = await world.until(jobs[2].id, lambda job: job.reason is Reason.PRIORITY)
        assert (second.state, third.state) == (JobState.PENDING, JobState.PENDING)
        world.backend.end(jobs[0].id)
        await world.until_state(jobs[1].id, JobState.CONFIGURING)

    async def test_a_node_called_down_loses_its_jobs(self, world: World) -> None:
        job = await world.submit(requeue=False)
        await world.started(1)
        world.backend.begin(job.id)
        running = await world.until_state(job.id, JobState.RUNNING)
        await world.service.nodes.mark(OPERATOR, [running.nodes[0].node], "DOWN", "burnt")
        await world.until_state(job.id, JobState.COMPLETING)
        world.backend.end(job.id, end=End(signal=9, cause="stopped"))
        ended = await world.until(job.id, lambda job: job.is_final)
        assert (ended.state, ended.reason) == (JobState.NODE_FAIL, Reason.NODE_DOWN)

    async def test_a_drained_node_takes_nothing_new(self, world: World) -> None:
        await world.service.nodes.mark(OPERATOR, ["n1", "n2"], "DRAIN", "service")
        job = await world.submit()
        waiting = await world.until(job.id, lambda job: job.reason is Reason.NODES_NOT_AVAILABLE)
        assert waiting.state is JobState.PENDING
        await world.service.nodes.mark(OPERATOR, ["n2"], "UP", "")
        placed = await world.until_state(job.id, JobState.CONFIGURING)
        assert [share.node for share in placed.nodes] == ["n2"]


class TestArrays:
    async def test_tasks_that_wait_for_room_say_so(self, world: World) -> None:
        first = await world.submit(nodes_min=2, exclusive="node")
        await world.until_state(first.id, JobState.CONFIGURING)
        arrays = [await world.submit(array="0-3", nodes_min=2, exclusive="node") for _ in range(2)]
        await world.until(arrays[0].id, lambda job: job.reason is Reason.RESOURCES)
        await world.until(arrays[1].id, lambda job: job.reason is Reason.PRIORITY)

    async def test_the_throttle_is_kept(self, world: World) -> None:
        array = await world.submit(array="0-3%2")
        await world.started(2)
        assert [g.task_index for g in world.backend.started] == [0, 1]
        rest = await world.until(array.id, lambda job: job.reason is Reason.ARRAY_TASK_LIMIT)
        assert str(rest.waiting) == "2-3"
        world.backend.end(world.backend.started[0].job_id)
        await world.started(3)
        assert world.backend.started[2].task_index == 2

    async def test_the_last_task_has_the_arrays_own_id(self, world: World) -> None:
        array = await world.submit(array="5,7")
        await world.started(2)
        assert [(g.task_index, g.job_id) for g in world.backend.started] == [(5, array.id + 1), (7, array.id)]

    async def test_one_task_is_cancelled_alone(self, world: World) -> None:
        array = await world.submit(array="0-3", hold=True)
        results = await world.service.cancel(CALLER, [Selector(array.id, _tasks("2"))])
        assert [(r.job.display_id, r.job.state) for r in results if r.job] == [(f"{array.id}_2", JobState.CANCELLED)]
        rest = await world.store.get(JobKey(array.id))
        assert rest is not None
        assert str(rest.waiting) == "0-1,3"

    async def test_thousands_of_tasks_are_cancelled_in_parts(self, world: World) -> None:
        array = await world.submit(array="0-999", hold=True)
        write, sizes = world.store.change, []

        async def counted(keys: Sequence[JobKey], event_of: EventOf, *, fence: Fence | None = None) -> object:
            sizes.append(len(keys))
            return await write(keys, event_of, fence=fence)

        world.store.change = counted  # type: ignore[method-assign,assignment]
        results = await world.service.cancel(CALLER, [Selector(array.id, _tasks("0-898"))])
        assert {result.job.state for result in results if result.job} == {JobState.CANCELLED}
        assert (len(results), [size for size in sizes if size > 0]) == (899, [500, 399])

    async def test_the_history_of_a_task_is_found_by_its_raw_id_too(self, world: World) -> None:
        array = await world.submit(array="0-3%1")
        await world.started(1)
        rows = await world.service.history(CALLER, Selector(world.backend.started[0].job_id))
        assert [(str(row.key), row.kind) for row in rows] == [
            (str(array.id), "Submitted"),
            (f"{array.id}_0", "Placed"),
        ]

    async def test_a_changed_throttle_lets_more_start(self, world: World) -> None:
        array = await world.submit(array="0-3%1")
        await world.started(1)
        await world.store.set_throttle(array.id, 3, 1001, NOON)
        await world.started(3)


class TestDependencies:
    @pytest.mark.parametrize(
        ("kind", "exit_status", "released"),
        [
            (Kind.AFTER_OK, 0, True),
            (Kind.AFTER_OK, 1, False),
            (Kind.AFTER_NOT_OK, 1, True),
            (Kind.AFTER_NOT_OK, 0, False),
            (Kind.AFTER_ANY, 1, True),
        ],
    )
    async def test_an_end_releases_or_never_will(
        self, world: World, kind: Kind, exit_status: int, released: bool
    ) -> None:
        first = await world.submit()
        second = await world.submit(dependency=Dependency((Clause(kind, first.id),)))
        await world.until(second.id, lambda job: job.dependency_text == f"{kind}:{first.id}(unfulfilled)")
        await world.run_to_end(first, End(exit_status=exit_status))
        if released:
            await world.until_state(second.id, JobState.CONFIGURING)
        else:
            stuck = await world.until(second.id, lambda job: job.reason is Reason.DEPENDENCY_NEVER_SATISFIED)
            assert (stuck.state, stuck.dependency_text) == (JobState.PENDING, f"{kind}:{first.id}(failed)")

    async def test_one_that_can_never_start_is_cancelled_where_it_says_so(self, world: World) -> None:
        first = await world.submit()
        second = await world.submit(
            dependency=Dependency((Clause(Kind.AFTER_OK, first.id),)), kill_on_invalid_dependency=True
        )
        await world.run_to_end(first, End(exit_status=1))
        ended = await world.until(second.id, lambda job: job.is_final)
        assert (ended.state, ended.reason) == (JobState.CANCELLED, Reason.DEPENDENCY_NEVER_SATISFIED)

    async def test_aftercorr_follows_task_by_task(self, world: World) -> None:
        first = await world.submit(array="1-2")
        second = await world.submit(array="1-2", dependency=Dependency((Clause(Kind.AFTER_CORR, first.id),)))
        await world.started(2)
        one, two = world.backend.started
        world.backend.end(one.job_id)
        await world.until_state(JobKey(second.id, 1), JobState.CONFIGURING)
        world.backend.end(two.job_id, end=End(exit_status=1))
        stuck = await world.until(JobKey(second.id, 2), lambda job: job.reason is Reason.DEPENDENCY_NEVER_SATISFIED)
        assert stuck.state is JobState.PENDING

    async def test_a_singleton_waits_for_the_earlier_of_its_name(self, world: World) -> None:
        first = await world.submit(name="chain")
        second = await world.submit(name="chain", dependency=Dependency((Clause(Kind.SINGLETON),)))
        await world.until(second.id, lambda job: job.dependency_text == "singleton(unfulfilled)")
        await world.run_to_end(first)
        await world.until_state(second.id, JobState.CONFIGURING)

    async def test_singletons_follow_each_other_by_user_and_name(self, world: World) -> None:
        alone = Dependency((Clause(Kind.SINGLETON),))
        first, second, third = [await world.submit(name="chain", dependency=alone, hold=hold) for hold in (0, 1, 0)]
        other = await world.submit(name="other", dependency=alone)
        await world.until_state(first.id, JobState.CONFIGURING)
        await world.until_state(other.id, JobState.CONFIGURING)
        await world.run_to_end(first)
        waiting = await world.until(third.id, lambda job: job.reason is Reason.DEPENDENCY)
        assert (waiting.state, waiting.dependency_text) == (JobState.PENDING, "singleton(unfulfilled)")
        await world.service.cancel(CALLER, [Selector(second.id)])
        await world.until_state(third.id, JobState.CONFIGURING)

    async def test_thousands_that_wait_for_one_job_hear_of_its_failure_together(self, world: World) -> None:
        first = await world.submit()
        after = Dependency((Clause(Kind.AFTER_OK, first.id),))
        drafts = [Draft(a_request(dependency=after), b"#!/bin/sh\n", b"")] * 1100
        await world.service.submit(CALLER, drafts)
        write, sizes = world.store.change, []

        async def counted(keys: Sequence[JobKey], event_of: EventOf, *, fence: Fence | None = None) -> object:
            sizes.append(len(keys))
            return await write(keys, event_of, fence=fence)

        world.store.change = counted  # type: ignore[method-assign,assignment]
        await world.run_to_end(first, End(exit_status=1))
        last = JobKey(first.id + len(drafts))
        await world.until(last, lambda job: job.reason is Reason.DEPENDENCY_NEVER_SATISFIED)
        assert max(sizes) == 500

    async def test_a_cleared_dependency_no_longer_keeps_a_job(self, world: World) -> None:
        first = await world.submit()
        second = await world.submit(dependency=Dependency((Clause(Kind.AFTER_OK, first.id),)))
        await world.run_to_end(first, End(exit_status=1))
        await world.until(second.id, lambda job: job.reason is Reason.DEPENDENCY_NEVER_SATISFIED)
        await world.service.update(CALLER, [Selector(second.id)], Change(request={"dependency": None}))
        await world.until_state(second.id, JobState.CONFIGURING)

    async def test_an_unknown_target_of_afterok_is_refused(self, world: World) -> None:
        with pytest.raises(Refused, match="no job 999") as refused:
            await world.submit(dependency=Dependency((Clause(Kind.AFTER_OK, 999),)))
        assert refused.value.code == "bad_dependency"

    @pytest.mark.parametrize("kind", [Kind.AFTER, Kind.AFTER_ANY, Kind.AFTER_CORR])
    async def test_other_unknown_targets_are_waited_for_only_while_the_job_is_held(
        self, world: World, kind: Kind
    ) -> None:
        clause = Dependency((Clause(kind, 999),))
        held = await world.submit(dependency=clause, hold=True)
        assert held.dependency_text == f"{kind.value}:999(unfulfilled)"
        assert (await world.submit(dependency=clause)).dependency_text == ""
        await world.service.release(CALLER, [Selector(held.id)])
        await world.until_state(held.id, JobState.CONFIGURING)

    async def test_an_update_that_would_close_a_circle_is_refused(self, world: World) -> None:
        first = await world.submit(hold=True)
        second = await world.submit(dependency=Dependency((Clause(Kind.AFTER_OK, first.id),)))
        circle = Dependency((Clause(Kind.AFTER_OK, second.id),))
        [result] = await world.service.update(CALLER, [Selector(first.id)], Change(request={"dependency": circle}))
        assert result.error is not None and result.error.code == "circular_dependency"

    async def test_of_two_updates_that_together_would_close_a_circle_one_is_refused(self, world: World) -> None:
        first, second = [await world.submit(hold=True) for _ in range(2)]
        array = await world.submit(array="0-1", hold=True)
        await world.service.update(CALLER, [Selector(array.id, _tasks("0"))], Change(request={"comment": "own record"}))

        def wait_for(waits: int, target: int) -> Awaitable[list[Result]]:
            after = Change(request={"dependency": Dependency((Clause(Kind.AFTER_ANY, target),))})
            return world.service.update(CALLER, [Selector(waits)], after)

        answers = await asyncio.gather(wait_for(first.id, second.id), wait_for(second.id, first.id))
        assert [[isinstance(result.error, Refused) for result in results] for results in answers] == [[False], [True]]
        await wait_for(second.id, array.id)
        [result] = await wait_for(array.id + 1, second.id)  # the raw id of a task
        assert "wait for each other" in str(result.error)


class TestClocks:
    async def test_a_begin_time_is_waited_for(self, world: World) -> None:
        job = await world.submit(begin_at=NOON + 60)
        assert job.reason is Reason.BEGIN_TIME
        world.now = NOON + 61
        world.reconciler.wake()
        await world.started(1)

    async def test_a_deadline_that_passed_removes_the_job(self, world: World) -> None:
        job = await world.submit(hold=True, deadline_at=NOON + 7200, time_limit_seconds=60)
        world.now = NOON + 7199
        world.reconciler.wake()
        ended = await world.until(job.id, lambda job: job.is_final)
        assert (ended.state, ended.reason) == (JobState.DEADLINE, Reason.DEADLINE)


def _at_look(world: World, number: int, wish: Callable[[], Awaitable[object]]) -> None:
    """The wish comes just before the reconciler looks the so many-th time at a job that it has placed."""
    read_rows, test, looks = world.store.get_many, asyncio.current_task(), 0

    async def after_the_wish(keys: Iterable[JobKey]) -> dict[JobKey, Job | None]:
        nonlocal looks
        wanted = list(keys)
        found = await read_rows(wanted)
        if asyncio.current_task() is not test and any(job and job.state is ON_ITS_WAY for job in found.values()):
            looks += 1
            if looks == number:
                await wish()
        return await read_rows(wanted)

    world.store.get_many = after_the_wish  # type: ignore[method-assign]


def _tasks(text: str):
    from bridge.core.indexset import parse

    return parse(text)


class TestEstimate:
    async def test_a_job_without_room_is_told_when_the_running_ones_end(self, world: World) -> None:
        for _ in range(2):
            job = await world.submit(exclusive="node", time_limit_seconds=600)
            await world.until_state(job.id, JobState.CONFIGURING)
            world.backend.begin(job.id, at=NOON)
            await world.until_state(job.id, JobState.RUNNING)
        estimate = await world.service.forecast.estimate(CALLER, Draft(a_request(array="0-1"), b"#!/bin/sh\n", b""))
        assert (estimate.start_at, estimate.partition, estimate.node_list) == (NOON + 600, "main", ("n1",))
