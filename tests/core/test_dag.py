"""The graph's answers, by example and against a slow, obvious model."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import dag
from bridge.core.dag import Answer, Clause, Dependency, Kind, Target

NOW = 1_000_000.0
WAITING = Target(started=False, started_at=None, ended=False, failed=False)
RUNNING = Target(started=True, started_at=NOW - 30, ended=False, failed=False)
DONE = Target(started=True, started_at=NOW - 30, ended=True, failed=False)
FAILED = Target(started=True, started_at=NOW - 30, ended=True, failed=True)
CANCELLED_BEFORE_START = Target(started=True, started_at=None, ended=True, failed=True)
TARGETS = [WAITING, RUNNING, DONE, FAILED, CANCELLED_BEFORE_START]

R, W, N = Answer.READY, Answer.WAIT, Answer.NEVER


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        (Kind.AFTER, [W, R, R, R, R]),
        (Kind.AFTER_ANY, [W, W, R, R, R]),
        (Kind.AFTER_OK, [W, W, R, N, N]),
        (Kind.AFTER_NOT_OK, [W, W, N, R, R]),
        (Kind.AFTER_CORR, [W, W, R, N, N]),
        (Kind.AFTER_BURST_BUFFER, [W, W, R, R, R]),
        (Kind.SINGLETON, [W, W, R, R, R]),
    ],
)
def test_each_kind_answers_for_each_standing_of_its_target(kind, answers):
    one = Dependency((Clause(kind, 1),))
    assert [dag.judge(one, lambda _, target=t: target, NOW).answer for t in TARGETS] == answers


def test_a_delay_counts_from_the_start():
    clause = Clause(Kind.AFTER, 1, delay_minutes=1)
    verdict = dag.judge(Dependency((clause,)), lambda _: RUNNING, NOW)
    assert (verdict.answer, verdict.again_at) == (W, NOW + 30)
    assert dag.judge(Dependency((clause,)), lambda _: RUNNING, NOW + 30).answer is R


@pytest.mark.parametrize(
    ("kind", "answer"),
    [(Kind.AFTER_OK, N), (Kind.AFTER_NOT_OK, N), (Kind.AFTER_ANY, R), (Kind.AFTER, R), (Kind.AFTER_CORR, R)],
)
def test_a_target_that_is_no_longer_known(kind, answer):
    assert dag.judge(Dependency((Clause(kind, 1),)), lambda _: None, NOW).answer is answer


clauses = st.lists(
    st.builds(Clause, st.sampled_from(list(Kind)), st.integers(0, 4), delay_minutes=st.sampled_from([0, 0, 1])),
    max_size=5,
)


def model(dependency: Dependency, world: list[Target | None]) -> Answer:
    """Try every way the open targets could still go: ready now, or is there a future in which it is?"""

    def holds(clause: Clause, target: Target | None) -> bool:
        if target is None:
            return clause.kind not in (Kind.AFTER_OK, Kind.AFTER_NOT_OK)
        if clause.kind is Kind.AFTER:
            return target.started and (
                target.started_at is None or target.started_at + 60 * clause.delay_minutes <= NOW
            )
        if not target.ended:
            return False
        if clause.kind in (Kind.AFTER_OK, Kind.AFTER_CORR):
            return not target.failed
        if clause.kind is Kind.AFTER_NOT_OK:
            return target.failed
        return True

    def met(state: list[Target | None]) -> bool:
        results = [holds(c, state[c.job_id]) for c in dependency.clauses]
        return (any(results) or not results) if dependency.any_of else all(results)

    def futures(target: Target | None) -> list[Target | None]:
        if target is None or target.ended:
            ended = target if target is None or target.started_at is None else Target(True, 0.0, True, target.failed)
            return [ended]
        return [Target(True, 0.0, True, False), Target(True, 0.0, True, True)]

    if met(world):
        return R
    return W if any(met(list(f)) for f in itertools.product(*map(futures, world))) else N


@given(clauses, st.booleans(), st.lists(st.sampled_from([*TARGETS, None]), min_size=5, max_size=5))
def test_the_answer_agrees_with_a_slow_obvious_model(parts, any_of, world):
    """Clauses that contradict each other (afterok and afternotok of one job) are known as never only once it ended."""
    by_job: dict[int, set[Kind]] = {}
    for clause in parts:
        by_job.setdefault(clause.job_id, set()).add(clause.kind)
    if any({Kind.AFTER_NOT_OK} < kinds and kinds & {Kind.AFTER_OK, Kind.AFTER_CORR} for kinds in by_job.values()):
        return
    dependency = Dependency(tuple(parts), any_of)
    assert dag.judge(dependency, lambda c: world[c.job_id], NOW).answer is model(dependency, world)


class TestCycles:
    def test_a_way_back_is_told(self):
        assert dag.find_cycle({1: [2], 2: [3], 3: [1]}, 1) == [1, 2, 3, 1]

    def test_a_job_that_waits_for_itself(self):
        assert dag.find_cycle({1: [1]}, 1) == [1, 1]

    def test_a_diamond_is_no_cycle(self):
        assert dag.find_cycle({1: [2, 3], 2: [4], 3: [4]}, 1) is None

    def test_a_cycle_elsewhere_does_not_matter(self):
        assert dag.find_cycle({1: [2], 2: [3], 3: [2]}, 1) is None

    @given(st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=4), max_size=8))
    def test_it_agrees_with_the_transitive_closure(self, edges):
        reach = {(a, b) for a, targets in edges.items() for b in targets}
        for _ in range(8):
            reach |= {(a, d) for a, b in reach for c, d in reach if b == c}
        way = dag.find_cycle(edges, 0)
        assert (way is not None) == ((0, 0) in reach)
        if way is not None:
            assert way[0] == way[-1] == 0
            assert all(b in edges.get(a, ()) for a, b in itertools.pairwise(way))
