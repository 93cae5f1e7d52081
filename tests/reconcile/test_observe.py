from bridge.backends.port import Sighting
from bridge.core import events, state
from bridge.core.job import End, JobState
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
