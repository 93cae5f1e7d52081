from bridge.core.events import EndGroup, NewLimit, Pause, Start
from bridge.core.job import JobState, Stop
from bridge.reconcile.wishes import Told, due
from tests.builders import NOON, a_job


class TestDue:
    def test_a_placed_job_is_started_once(self):
        job = a_job(state=JobState.CONFIGURING)
        todo, told = due(job, None)
        assert todo == [Start(1)]
        assert due(job, told) == ([], told)

    def test_a_new_attempt_is_started_again(self):
        told = Told(1, started=True, time_limit_seconds=1800)
        todo, told = due(a_job(state=JobState.CONFIGURING, attempt=2), told)
        assert todo == [Start(2)]
        assert told == Told(2, started=True, time_limit_seconds=1800)

    def test_a_cancel_is_told_once(self):
        job = a_job(state=JobState.COMPLETING, started_at=NOON, stop=Stop("cancel", 1001, NOON))
        todo, told = due(job, Told(1, started=True, time_limit_seconds=1800))
        assert todo == [EndGroup(1, "cancel")]
        assert due(job, told) == ([], told)

    def test_a_cancel_after_a_requeue_is_told_too(self):
        job = a_job(state=JobState.COMPLETING, started_at=NOON, stop=Stop("cancel", 1001, NOON))
        told = Told(1, started=True, time_limit_seconds=1800, stop_kind="requeue")
        assert due(job, told)[0] == [EndGroup(1, "cancel")]

    def test_after_a_restart_of_the_bridge_the_limit_of_a_running_job_is_told_again(self):
        assert due(a_job(state=JobState.RUNNING), None)[0] == [NewLimit(1, 1800)]

    def test_a_changed_limit_is_told(self):
        told = Told(1, started=True, time_limit_seconds=1800)
        assert due(a_job(state=JobState.RUNNING, time_limit_seconds=60), told)[0] == [NewLimit(1, 60)]

    def test_suspend_and_resume_are_told(self):
        told = Told(1, started=True, time_limit_seconds=1800)
        todo, told = due(a_job(state=JobState.SUSPENDED), told)
        assert todo == [Pause(1, resume=False)]
        todo, told = due(a_job(state=JobState.RUNNING), told)
        assert todo == [Pause(1, resume=True)]

    def test_nothing_is_due_for_a_waiting_job(self):
        assert due(a_job(), Told(1, started=True)) == ([], None)
