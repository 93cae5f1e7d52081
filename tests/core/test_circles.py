from bridge.core import circles, indexset
from bridge.core.dag import Clause, Dependency, Kind
from bridge.core.job import JobKey, split_task
from tests.builders import a_job


def _after(*targets: tuple[int, int | None]) -> Dependency:
    return Dependency(tuple(Clause(Kind.AFTER_ANY, job_id, task=task) for job_id, task in targets))


def _an_array(array_id: int):
    return a_job(id=array_id, asked={"array": "0-3"}, waiting=indexset.parse("0-3"))


def test_a_task_is_in_no_circle_of_its_neighbours():
    array, task = split_task(_an_array(10), 1)
    waits = a_job(id=20, asked={"dependency": _after((10, 2))})
    jobs = [array, task, waits]
    found = circles.find([JobKey(10), JobKey(10, 1)], _after((20, None)), jobs)
    assert found == {JobKey(10): (JobKey(10), JobKey(20), JobKey(10))}


def test_a_task_that_has_no_record_yet_is_seen_as_its_own():
    jobs = [_an_array(10)]
    assert circles.find([JobKey(10, 3)], _after((10, 1)), jobs) == {}
    assert circles.find([JobKey(10, 3)], _after((10, 3)), jobs) == {JobKey(10, 3): (JobKey(10, 3), JobKey(10, 3))}


def test_who_waits_for_a_whole_array_waits_for_each_task():
    array, task = split_task(_an_array(10), 1)
    waits = a_job(id=20, asked={"dependency": _after((10, None))})
    found = circles.find([JobKey(10, 1)], _after((20, None)), [array, task, waits])
    assert found == {JobKey(10, 1): (JobKey(10, 1), JobKey(20), JobKey(10, 1))}
    assert set(circles.find([JobKey(10, 1)], _after((10, None)), [array, task])) == {JobKey(10, 1)}


def test_the_way_of_a_long_circle_is_told():
    jobs = [a_job(id=1), a_job(id=2, asked={"dependency": _after((1, None))})]
    jobs.append(a_job(id=3, asked={"dependency": _after((2, None), (99, None))}))
    [way] = circles.find([JobKey(1)], _after((3, None)), jobs).values()
    assert [key.id for key in way] == [1, 3, 2, 1]
    assert circles.find([JobKey(3)], _after((1, None)), jobs) == {}


def test_singleton_closes_no_circle():
    assert circles.find([JobKey(1)], Dependency((Clause(Kind.SINGLETON, None),)), [a_job(id=1)]) == {}
