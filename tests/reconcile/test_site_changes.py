"""What operators change while jobs wait and run: reservations and limits, as the reconciler sees it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.core import accounting_start
from bridge.core.accounting import Association, Book, Limits
from bridge.core.job import JobState
from bridge.core.reasons import Reason
from bridge.core.reservations import Reservation
from tests.builders import NOON
from tests.reconcile.test_loop import World, a_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, accounts=(("alice", ("physics",)),)) as made:
        yield made


def a_reservation(start: float = 0, length: float = 900) -> Reservation:
    return Reservation("r", NOON + start, NOON + start + length, ("n1", "n2"), users=("alice",))


async def test_a_job_ends_with_its_reservation_and_keeps_its_limit_on_record(world: World):
    await world.service.runtime.put_reservation(a_reservation())
    job = await world.submit(reservation="r", time_limit_seconds=3600)
    await world.started(1)
    world.backend.begin(job.id)
    running = await world.until_state(job.id, JobState.RUNNING)
    await world.backend.until(lambda: ("limit", job.id, 1, 890) in world.backend.told)
    assert running.time_limit_seconds == 3600
    await world.service.runtime.put_reservation(a_reservation(length=1800))
    await world.backend.until(lambda: ("limit", job.id, 1, 1790) in world.backend.told)


async def test_a_job_waits_for_its_reservation_to_begin(world: World):
    await world.service.runtime.put_reservation(a_reservation(start=600))
    job = await world.submit(reservation="r")
    await world.until(job.id, lambda job: job.reason is Reason.RESERVATION)
    world.now += 601
    world.reconciler.wake()
    await world.until_state(job.id, JobState.CONFIGURING)


async def test_a_job_whose_reservation_is_gone_says_so(world: World):
    await world.service.runtime.put_reservation(a_reservation(start=600))
    job = await world.submit(reservation="r")
    await world.until(job.id, lambda job: job.reason is Reason.RESERVATION)
    await world.service.runtime.drop_reservation("r")
    await world.until(job.id, lambda job: job.reason is Reason.RESERVATION_DELETED)


async def test_a_limit_that_is_lifted_lets_waiting_jobs_start(world: World):
    def limited(book: Book, limits: Limits) -> Book:
        return accounting_start.add_association(
            book, Association(0, "physics", "alice", is_default=True, limits=limits)
        )

    await world.service.accounting.edit(lambda book: limited(book, Limits(max_jobs=1)))
    first, second = await world.submit(), await world.submit()
    await world.until_state(first.id, JobState.CONFIGURING)
    waiting = await world.until(second.id, lambda job: job.reason is Reason.ASSOC_MAX_JOBS)
    assert waiting.state is JobState.PENDING
    await world.service.accounting.edit(lambda book: limited(book, Limits()))
    await world.until_state(second.id, JobState.CONFIGURING)
