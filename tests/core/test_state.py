"""The state machine: single steps by name, and any sequence of legal events keeps the invariants."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import events, state
from bridge.core.errors import IllegalStep
from bridge.core.job import FINAL, ON_NODES, End, Job, JobState, Share, Stop
from bridge.core.reasons import SENTENCES, Reason
from tests.builders import NOON, a_job

SHARES = (Share("n1", 1, 256, 1),)


class TestSteps:
    def test_a_placement_names_a_new_attempt(self):
        job, todo = state.advance(a_job(), events.Placed(NOON + 1, SHARES, "short"))
        assert (job.state, job.attempt, job.nodes, job.partition) == (JobState.CONFIGURING, 1, SHARES, "short")
        assert todo == [events.Start(1)]

    @pytest.mark.parametrize(
        ("deadline_in", "least", "limit"),
        [(1000, 60, 960), (90, 60, 60), (50, 60, 60), (3600, 60, 1800), (1000, None, 1800), (None, 60, 1800)],
    )
    def test_a_limit_that_may_be_less_is_cut_to_end_before_the_deadline(self, deadline_in, least, limit):
        at = None if deadline_in is None else NOON + deadline_in
        waiting = a_job(asked={"deadline_at": at, "time_min_seconds": least})
        job, _ = state.advance(waiting, events.Placed(NOON, SHARES))
        assert job.time_limit_seconds == limit

    @pytest.mark.parametrize(
        ("end", "wanted", "reason", "code"),
        [
            (End(), JobState.COMPLETED, Reason.NONE, (0, 0)),
            (End(exit_status=3), JobState.FAILED, Reason.NON_ZERO_EXIT, (3, 0)),
            (End(signal=9), JobState.FAILED, Reason.RAISED_SIGNAL, (0, 9)),
            (End(signal=15, cause="time_limit"), JobState.TIMEOUT, Reason.TIME_LIMIT, (0, 15)),
            (End(signal=9, cause="out_of_memory"), JobState.OUT_OF_MEMORY, Reason.OUT_OF_MEMORY, (0, 125)),
            (End(signal=53, cause="launch_failed"), JobState.FAILED, Reason.LAUNCH_FAILURE, (0, 53)),
        ],
    )
    def test_the_end_decides_state_reason_and_code(self, end, wanted, reason, code):
        job, todo = state.advance(a_job(state=JobState.RUNNING), events.Ended(NOON + 9, 1, end))
        assert (job.state, job.reason, job.ended_at) == (wanted, reason, NOON + 9)
        assert (job.end.exit_status, job.end.signal) == code
        assert todo == [events.Forget(1), events.WakeDependants(12)]

    def test_a_cancelled_script_that_exits_by_itself_keeps_its_code(self):
        job, _ = state.advance(a_job(state=JobState.RUNNING), events.StopAsked(NOON + 5, 1001))
        job, _ = state.advance(job, events.Ended(NOON + 6, 1, End(exit_status=11, cause="stopped")))
        assert (job.state, job.end.exit_status, job.cancelled_by_uid) == (JobState.CANCELLED, 11, 1001)

    @pytest.mark.parametrize(
        ("cause", "wanted", "reason"),
        [("preempted", JobState.PREEMPTED, Reason.NONE), ("stopped", JobState.NODE_FAIL, Reason.NODE_DOWN)],
    )
    def test_what_ends_a_job_from_outside_requeues_it_where_it_may_run_again(self, cause, wanted, reason):
        end = End(signal=15, cause=cause, detail="who did it")
        again, _ = state.advance(a_job(state=JobState.RUNNING), events.Ended(NOON + 6, 1, end))
        assert (again.state, again.restarts, again.reason_detail) == (JobState.PENDING, 1, "who did it")
        once = a_job(state=JobState.RUNNING, asked={"requeue": False})
        ended, _ = state.advance(once, events.Ended(NOON + 6, 1, end))
        assert (ended.state, ended.reason, ended.reason_detail) == (wanted, reason, "who did it")

    def test_a_waiting_job_that_is_cancelled_keeps_its_reason(self):
        job, _ = state.advance(a_job(reason=Reason.DEPENDENCY), events.StopAsked(NOON, 1001))
        assert (job.state, job.reason, job.started_at, job.ended_at) == (
            JobState.CANCELLED,
            Reason.DEPENDENCY,
            NOON,
            NOON,
        )

    def test_a_lost_job_is_requeued_where_it_may_be(self):
        job = a_job(state=JobState.RUNNING, asked={"requeue": True})
        again, todo = state.advance(job, events.Lost(NOON + 9, 1, "rebooted"))
        assert (again.state, again.restarts, again.reason_detail) == (JobState.PENDING, 1, "rebooted")
        assert todo == [events.Forget(1)]

    def test_a_lost_job_that_may_not_be_requeued_ends_as_node_fail(self):
        job = a_job(state=JobState.RUNNING, asked={"requeue": False})
        ended, _ = state.advance(job, events.Lost(NOON + 9, 1, "rebooted"))
        assert (ended.state, ended.reason, ended.end.signal) == (JobState.NODE_FAIL, Reason.NODE_DOWN, 1)

    def test_a_job_on_a_node_that_went_down_is_ended_as_such(self):
        job = a_job(state=JobState.RUNNING)
        stopping, todo = state.advance(job, events.NodeFailed(NOON + 9, 1, "node n1 is down"))
        assert (stopping.state, todo) == (JobState.COMPLETING, [events.EndGroup(1, "node_fail")])

    def test_a_cancelled_job_that_is_lost_is_cancelled(self):
        job, _ = state.advance(a_job(state=JobState.RUNNING), events.StopAsked(NOON + 5, 1001))
        assert state.advance(job, events.Lost(NOON + 9, 1, "x"))[0].state is JobState.CANCELLED

    def test_a_requeue_with_hold_waits_for_a_release(self):
        job, _ = state.advance(a_job(state=JobState.RUNNING), events.Requeued(NOON + 5, 1001, hold=True))
        job, _ = state.advance(job, events.Ended(NOON + 6, 1, End(signal=15, cause="stopped")))
        assert (job.state, job.priority, job.reason) == (JobState.PENDING, 0, Reason.REQUEUED_HELD)
        assert job.begin_at == NOON + 6 + state.REQUEUE_DELAY_SECONDS
        job, _ = state.advance(job, events.Released(NOON + 7, 1001))
        assert (job.priority, job.reason) == (1, Reason.NONE)

    def test_a_special_exit_is_a_state_of_its_own(self):
        job = a_job(state=JobState.COMPLETED, attempt=1, started_at=NOON, ended_at=NOON + 1, end=End())
        job, _ = state.advance(job, events.Requeued(NOON + 5, 1001, special_exit=True))
        assert (job.state, job.priority, job.restarts) == (JobState.SPECIAL_EXIT, 0, 1)

    def test_news_of_an_older_attempt_change_nothing(self):
        job = a_job(state=JobState.RUNNING, attempt=2)
        assert state.advance(job, events.Ended(NOON + 9, 1, End())) == (job, [events.Forget(1)])

    def test_a_step_that_is_not_in_the_table_tells_the_story(self):
        with pytest.raises(IllegalStep, match=r"job 12, attempt 1, is RUNNING: no step for DeadlineMissed"):
            state.advance(a_job(state=JobState.RUNNING), events.DeadlineMissed(NOON))

    def test_a_job_that_could_not_begin_is_placed_again(self):
        job, _ = state.advance(a_job(), events.Placed(NOON, SHARES))
        job, todo = state.advance(job, events.NotStarted(NOON + 5, 1, "no room", Reason.LAUNCH_FAILURE, NOON + 9))
        assert (job.state, job.restarts, job.attempt, job.begin_at) == (JobState.PENDING, 0, 1, NOON + 9)
        assert todo == [events.Forget(1)]

    def test_what_keeps_a_job_from_starting_is_said_until_it_starts(self):
        job, _ = state.advance(a_job(), events.Placed(NOON, SHARES))
        job, _ = state.advance(job, events.Delayed(NOON + 5, 1, "ErrImagePull: no such image"))
        assert (job.state, job.reason_detail) == (JobState.CONFIGURING, "ErrImagePull: no such image")
        job, _ = state.advance(job, events.Began(NOON + 9, 1))
        assert (job.state, job.reason_detail) == (JobState.RUNNING, "")

    def test_a_suspended_job_counts_the_time_it_stood_still(self):
        job, todo = state.advance(a_job(state=JobState.RUNNING), events.Suspended(NOON + 10, 0))
        assert todo == [events.Pause(1, resume=False)]
        job, _ = state.advance(job, events.Resumed(NOON + 25, 0))
        assert (job.state, job.suspended_seconds) == (JobState.RUNNING, 15.0)

    def test_a_suspended_job_that_is_cancelled_no_longer_stands_still(self):
        job, _ = state.advance(a_job(state=JobState.RUNNING), events.Suspended(NOON + 10, 0))
        job, _ = state.advance(job, events.StopAsked(NOON + 30, 1001))
        assert (job.state, job.suspended_at, job.suspended_seconds) == (JobState.COMPLETING, None, 20.0)

    def test_a_plain_requeue_of_a_waiting_job_does_nothing_and_one_with_hold_holds_it(self):
        waiting = a_job(reason=Reason.RESOURCES)
        assert state.advance(waiting, events.Requeued(NOON, 1001)) == (waiting, [])
        held, _ = state.advance(waiting, events.Requeued(NOON, 1001, hold=True))
        assert (held.state, held.priority, held.reason) == (JobState.PENDING, 0, Reason.REQUEUED_HELD)

    @pytest.mark.parametrize(
        ("by_admin", "reason"), [(False, Reason.HELD_USER), (True, Reason.HELD_ADMIN)], ids=["user", "operator"]
    )
    def test_a_hold_outlives_a_cancel_and_a_requeue(self, by_admin, reason):
        job, _ = state.advance(a_job(), events.Held(NOON, 0, by_admin))
        job, _ = state.advance(job, events.StopAsked(NOON + 1, 1001))
        job, _ = state.advance(job, events.Requeued(NOON + 2, 1001))
        assert (job.state, job.priority, job.reason, job.held_by_admin) == (JobState.PENDING, 0, reason, by_admin)
        assert (job.restarts, job.begin_at) == (1, NOON + 122)
        assert state.broken_invariants(job) == []

    def test_what_runs_is_held_for_the_time_after_a_requeue(self):
        running = a_job(state=JobState.CONFIGURING, attempt=1, nodes=SHARES)
        job, _ = state.advance(running, events.Held(NOON, 1001))
        job, _ = state.advance(job, events.Began(NOON + 1, 1))
        assert (job.state, job.priority, job.reason) == (JobState.RUNNING, 0, Reason.HELD_USER)
        released, _ = state.advance(job, events.Released(NOON + 2, 1001))
        assert (released.state, released.priority, released.reason) == (JobState.RUNNING, 1, Reason.NONE)
        job, _ = state.advance(job, events.Requeued(NOON + 2, 1001))
        job, _ = state.advance(job, events.Ended(NOON + 3, 1, End()))
        assert (job.state, job.priority, job.reason) == (JobState.PENDING, 0, Reason.HELD_USER)

    def test_a_held_job_that_could_not_begin_stays_held(self):
        job, _ = state.advance(a_job(), events.Placed(NOON, SHARES))
        job, _ = state.advance(job, events.Held(NOON + 1, 0, by_admin=True))
        job, _ = state.advance(job, events.NotStarted(NOON + 5, 1, "no room"))
        assert (job.state, job.priority, job.reason) == (JobState.PENDING, 0, Reason.HELD_ADMIN)

    def test_what_a_job_waited_for_is_kept_once_it_runs(self):
        job, _ = state.advance(a_job(reason=Reason.LICENSES), events.Waits(NOON, Reason.RESOURCES, eligible=True))
        job, _ = state.advance(job, events.Placed(NOON + 1, SHARES))
        assert (job.reason, job.waited_for) == (Reason.NONE, Reason.LICENSES)

    def test_a_later_time_to_begin_outlives_a_requeue(self):
        job, _ = state.advance(a_job(begin_at=NOON + 3600), events.StopAsked(NOON, 1001))
        job, _ = state.advance(job, events.Requeued(NOON + 2, 1001))
        assert (job.priority, job.reason, job.begin_at) == (1, Reason.BEGIN_TIME, NOON + 3600)

    def test_a_change_of_priority_releases_what_an_operator_held(self):
        held, _ = state.advance(a_job(), events.Held(NOON, 0, by_admin=True))
        changed = events.Updated(NOON + 1, 0, "Priority", held.request, 1800, "main", None, priority=5)
        job, _ = state.advance(held, changed)
        assert (job.priority, job.held_by_admin, job.reason) == (5, False, Reason.NONE)


def test_every_reason_has_a_sentence():
    assert set(SENTENCES) == set(Reason)


def test_a_final_job_is_left_by_a_requeue_only():
    leaving = {event for (from_state, event) in state._STEPS if from_state in FINAL} - {
        events.Began,
        events.Ended,
        events.Lost,
        events.NotStarted,
    }
    assert leaving == {events.Requeued}


times = st.floats(min_value=NOON, max_value=NOON + 10_000)
attempts = st.integers(min_value=1, max_value=4)
uids = st.sampled_from([0, 1001])
ends = st.builds(
    End,
    exit_status=st.integers(0, 255),
    signal=st.sampled_from([0, 0, 9, 15]),
    cause=st.sampled_from(
        ["exit", "time_limit", "out_of_memory", "stopped", "preempted", "launch_failed", "node_fail"]
    ),
)
any_event = st.one_of(
    st.builds(events.Placed, times, st.just(SHARES)),
    st.builds(events.Began, times, attempts),
    st.builds(events.Ended, times, attempts, ends),
    st.builds(events.Lost, times, attempts, st.just("gone")),
    st.builds(events.NotStarted, times, attempts, st.just("no")),
    st.builds(events.Delayed, times, attempts, st.just("no image")),
    st.builds(events.NodeFailed, times, attempts, st.just("down")),
    st.builds(events.StopAsked, times, uids),
    st.builds(events.Requeued, times, uids, st.booleans(), st.booleans()),
    st.builds(events.Held, times, uids, st.booleans()),
    st.builds(events.Released, times, uids),
    st.builds(events.Waits, times, st.sampled_from([Reason.RESOURCES, Reason.PRIORITY]), eligible=st.booleans()),
    st.builds(events.NeverSatisfied, times, st.booleans()),
    st.builds(events.DeadlineMissed, times),
    st.builds(events.Suspended, times, uids),
    st.builds(events.Resumed, times, uids),
    st.builds(
        events.Updated,
        times,
        uids,
        st.just("Priority"),
        st.just(a_job().request),
        st.sampled_from([60, 1800]),
        st.just("main"),
        st.none(),
        priority=st.sampled_from([0, 1, 7]),
    ),
)


def test_a_priority_given_to_a_running_job_ends_its_hold():
    running = a_job(state=JobState.RUNNING, attempt=1, nodes=(Share("n1", 1, 256, 1),), started_at=NOON)
    held, _ = state.advance(running, events.Held(NOON + 1, 0, by_admin=True))
    update = events.Updated(NOON + 2, 0, "Priority", held.request, held.time_limit_seconds, "main", None, 7)
    freed, _ = state.advance(held, update)
    assert (freed.priority, freed.held_by_admin, freed.reason) == (7, False, Reason.NONE)
    assert state.broken_invariants(freed) == []


def _is_possible(job: Job, event: events.Event) -> bool:
    """What the callers promise: held jobs are not placed, and clocks of one job do not run backwards."""
    if isinstance(event, events.Placed) and job.priority == 0:
        return False
    latest = max(job.started_at or 0, job.suspended_at or 0)
    return event.at >= latest


@settings(max_examples=300)
@given(st.lists(any_event, max_size=25), st.booleans())
def test_no_sequence_of_legal_events_breaks_an_invariant(sequence, may_requeue):
    job = a_job(asked={"requeue": may_requeue})
    for event in sequence:
        if not state.is_legal(job, type(event)) or not _is_possible(job, event):
            continue
        before = job
        job, todo = state.advance(job, event)
        assert state.broken_invariants(job) == [], (before, event)
        assert job.attempt in (before.attempt, before.attempt + 1)
        assert (job.id, job.array_id, job.task_index) == (before.id, before.array_id, before.task_index)
        if job.is_final and not before.is_final:
            assert events.WakeDependants(job.id) in todo
        if before.state in ON_NODES and job.state not in ON_NODES:
            assert events.Forget(before.attempt) in todo


def test_the_validator_sees_what_is_wrong():
    good = a_job(state=JobState.RUNNING)
    assert state.broken_invariants(good) == []
    assert state.broken_invariants(dataclasses.replace(good, nodes=())) == [
        "nodes are held exactly while it is on nodes"
    ]
    assert state.broken_invariants(dataclasses.replace(good, stop=Stop("cancel", 1, NOON))) == [
        "a stop is on record exactly while completing"
    ]
