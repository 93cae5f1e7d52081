from adapters.slurm import squeue_merging
from bridge.core import indexset
from bridge.core.job import JobKey, JobState, split_task
from bridge.core.reasons import Reason
from tests.builders import a_job


def _an_array():
    """Task 2 is held by itself, 4 was changed, 5 runs, 7 was cancelled; 0-1, 3, 6 and 8-9 wait together."""
    rest = a_job(id=10, asked={"array": "0-9%3"}, reason=Reason.ARRAY_TASK_LIMIT)
    tasks = []
    for index, fields in (
        (2, {"reason": Reason.HELD_USER}),
        (4, {}),
        (5, {"state": JobState.RUNNING, "attempt": 1}),
        (7, {"state": JobState.CANCELLED, "ended_at": 1.0}),
    ):
        rest, task = split_task(rest, index)
        tasks.append(task.changed(**fields))
    return rest, tasks


def test_tasks_that_wait_stand_in_one_row_without_the_throttle():
    rest, tasks = _an_array()
    rows, reasons = squeue_merging.merged([*tasks, rest])
    assert [row.key for row in rows] == [JobKey(10, 5), JobKey(10, 7), JobKey(10)]
    assert rows[-1].waiting == indexset.parse("0-4,6,8-9")
    assert rows[-1].request.array is not None and rows[-1].request.array.throttle is None
    assert reasons == {JobKey(10): "JobArrayTaskLimit,JobHeldUser"}


def test_what_waits_alone_stays_alone():
    rest, tasks = _an_array()
    other = a_job(id=20, asked={"array": "0-1"})
    for jobs in (tasks, [rest, tasks[2], other], [a_job(id=30)]):
        assert squeue_merging.merged(jobs) == (jobs, {})
