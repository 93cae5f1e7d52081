import dataclasses

from bridge.backends.port import Sighting
from bridge.core import events, state
from bridge.core.job import End, JobState
from bridge.core.reasons import Reason
from bridge.reconcile import observe
from tests.builders import NOON, a_job


class TestEventsOf:
    def test_a_start_is_told_once(self):
        seen = Sighting(12, 1, "running", NOON + 5)
        assert observe.events_of(a_job(state=JobState.CONFIGURING), seen, NOON) == [events.Began(NOON + 5, 1)]
        assert observe.events_of(a_job(state=JobState.RUNNING), seen, NOON) == []

    def test_a_start_and_an_end_seen_together_are_two_events(self):
        seen = Sighting(12, 1, "ended", NOON + 9, began_at=NOON + 5, end=End(3))
        assert observe.events_of(a_job(state=JobState.CONFIGURING), seen, NOON) == [
            events.Began(NOON + 5, 1),
            events.Ended(NOON + 9, 1, End(3)),
        ]

    def test_an_end_is_never_before_its_start_even_if_the_clock_was_set_back(self):
        seen = Sighting(12, 1, "ended", NOON - 9, began_at=NOON + 5, end=End(0))
        assert observe.events_of(a_job(state=JobState.CONFIGURING), seen, NOON)[1].at == NOON + 5

    def test_an_old_attempt_that_ended_may_be_forgotten(self):
        job = a_job(state=JobState.RUNNING, attempt=2)
        news = observe.events_of(job, Sighting(12, 1, "ended", NOON + 9, end=End(0)), NOON)
        after, instructions = state.advance(job, news[0])
        assert (after, instructions) == (job, [events.Forget(1)])

    def test_a_try_that_came_to_nothing_is_made_again_after_a_while(self):
        news = observe.events_of(a_job(state=JobState.CONFIGURING), Sighting(12, 1, "not_started", NOON, why="x"), NOON)
        after, _ = state.advance(a_job(state=JobState.CONFIGURING), news[0])
        assert (after.state, after.reason_detail, after.begin_at) == (JobState.PENDING, "x", NOON + 4)

    def test_a_fault_ends_the_job_after_another_placement(self):
        seen = Sighting(12, 1, "not_started", NOON, why="ErrImagePull: x", hindrance="fault")
        (first,) = observe.events_of(a_job(state=JobState.CONFIGURING), seen, NOON)
        assert first == events.NotStarted(NOON, 1, "ErrImagePull: x", Reason.LAUNCH_FAILURE, NOON + 4)
        again = dataclasses.replace(seen, attempt=2)
        (second,) = observe.events_of(a_job(state=JobState.CONFIGURING, attempt=2), again, NOON)
        assert second == events.Ended(NOON, 2, End(signal=53, cause="launch_failed", detail="ErrImagePull: x"))

    def test_what_waits_for_room_is_never_given_up(self):
        seen = Sighting(12, 9, "not_started", NOON, why="0/1 nodes are available", hindrance="room")
        (news,) = observe.events_of(a_job(state=JobState.CONFIGURING, attempt=9), seen, NOON)
        assert news == events.NotStarted(NOON, 9, "0/1 nodes are available", Reason.RESOURCES, NOON + 300)

    def test_a_hindrance_is_told_once_however_long_its_words_grow(self):
        seen = Sighting(12, 1, "starting", NOON, why="ErrImagePull: x")
        job = a_job(state=JobState.CONFIGURING)
        assert observe.events_of(job, seen, NOON) == [events.Delayed(NOON, 1, "ErrImagePull: x")]
        job = dataclasses.replace(job, reason_detail="ErrImagePull: x, at length")
        assert observe.events_of(job, seen, NOON) == []
