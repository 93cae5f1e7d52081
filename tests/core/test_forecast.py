"""Forecasts: the plan made again at each end."""

from bridge.core import forecast
from bridge.core.forecast import Start
from bridge.core.job import JobKey, Share
from bridge.core.placement import FOREVER
from tests.core.test_placement import FIRST, MAIN, NODES, NOW, a_candidate, a_running

BOTH = ("n1", "n2")


def starts(candidates, running=(), **licenses):
    return forecast.starts(candidates, running, NODES, (MAIN, FIRST), licenses, NOW)


def test_jobs_of_all_nodes_follow_each_other():
    running = [a_running(9, NOW + 50, Share("n1", 1, 256, 1))]
    wide = [a_candidate(number, limit=100 * number, nodes_min=2, tasks=8) for number in (1, 2, 3)]
    assert starts(wide, running) == {
        JobKey(1): Start(NOW + 50, BOTH),
        JobKey(2): Start(NOW + 150, BOTH),
        JobKey(3): Start(NOW + 350, BOTH),
    }


def test_tasks_of_an_array_have_each_their_own_start():
    keys = tuple(JobKey(1, index) for index in range(3))
    assert starts([a_candidate(1, limit=60, tasks=4, keys=keys)]) == {
        keys[0]: Start(NOW, ("n1",)),
        keys[1]: Start(NOW, ("n2",)),
        keys[2]: Start(NOW + 60, ("n1",)),
    }


def test_licences_come_back_when_their_job_ends():
    holder = a_running(9, NOW + 30, Share("n1", 1, 256, 1), licenses=(("matlab", 2),))
    assert starts([a_candidate(1, licenses=(("matlab", 1),))], [holder], matlab=0) == {
        JobKey(1): Start(NOW + 30, ("n1",))
    }


def test_what_waits_for_a_job_without_a_limit_has_no_forecast():
    running = [a_running(9, FOREVER, Share("n1", 4, 256, 1), Share("n2", 4, 256, 1))]
    assert starts([a_candidate(1)], running) == {}


def test_what_never_fits_has_no_forecast():
    assert starts([a_candidate(1, tasks=99)], [a_running(9, NOW + 5, Share("n1", 4, 256, 1))]) == {}
