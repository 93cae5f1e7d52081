from bridge.core.dag import Answer, Clause, Dependency, Kind, Target
from bridge.core.indexset import parse
from bridge.core.job import JobKey
from bridge.reconcile import waiting
from tests.builders import NOON, a_job

ENDED_WELL = Target(started=True, started_at=NOON, ended=True, failed=False)
FAILED = Target(started=True, started_at=NOON, ended=True, failed=True)
RUNS = Target(started=True, started_at=NOON, ended=False, failed=False)


def a_waiter(*clauses: Clause, any_of: bool = False, **fields):
    return a_job(asked={"dependency": Dependency(clauses, any_of), **fields.pop("asked", {})}, **fields)


class TestIndex:
    def test_an_end_concerns_those_that_wait_for_it_only(self):
        index = waiting.Index()
        index.add(a_waiter(Clause(Kind.AFTER_OK, 1), id=5))
        index.add(a_waiter(Clause(Kind.AFTER_OK, 2), id=6))
        assert index.concerned(a_job(id=1)) == {JobKey(5)}

    def test_a_singleton_is_concerned_by_jobs_of_its_name_and_user(self):
        index = waiting.Index()
        index.add(a_waiter(Clause(Kind.SINGLETON), id=5))
        assert index.concerned(a_job(id=1)) == {JobKey(5)}
        assert index.concerned(a_job(id=1, asked={"name": "other"})) == set()

    def test_a_dropped_waiter_is_concerned_no_more(self):
        index = waiting.Index()
        index.add(a_waiter(Clause(Kind.AFTER_OK, 1), id=5))
        index.discard(JobKey(5))
        assert index.concerned(a_job(id=1)) == set()


class TestJudge:
    def test_a_job_without_dependency_is_ready(self):
        assert waiting.judge(a_job(), {}, True, NOON) == waiting.READY

    def test_what_is_left_is_told_in_slurms_words(self):
        job = a_waiter(Clause(Kind.AFTER_OK, 1), Clause(Kind.AFTER_ANY, 2))
        standing = waiting.judge(job, {(1, None): ENDED_WELL, (2, None): RUNS}, True, NOON)
        assert (standing.answer, standing.text) == (Answer.WAIT, "afterany:2(unfulfilled)")

    def test_a_delay_says_when_to_look_again(self):
        job = a_waiter(Clause(Kind.AFTER, 1, delay_minutes=5))
        assert waiting.judge(job, {(1, None): RUNS}, True, NOON + 10).again_at == NOON + 300

    def test_aftercorr_releases_the_tasks_whose_twin_succeeded(self):
        job = a_waiter(Clause(Kind.AFTER_CORR, 1, whole_array=True), asked={"array": "1-3"})
        targets = {(1, 1): ENDED_WELL, (1, 2): FAILED, (1, 3): RUNS}
        standing = waiting.judge(job, targets, True, NOON)
        assert (standing.answer, standing.ready_tasks, standing.never_tasks) == (
            Answer.READY,
            parse("1"),
            {2: "aftercorr:1_*(failed)"},
        )

    def test_a_singleton_waits_for_the_earlier_ones(self):
        job = a_waiter(Clause(Kind.SINGLETON))
        assert waiting.judge(job, {}, False, NOON).answer is Answer.WAIT
        assert waiting.judge(job, {}, True, NOON).answer is Answer.READY
