import pytest

from bridge.core import job as jobs
from bridge.core.job import JobKey
from tests.builders import a_job


def test_tasks_get_the_ids_of_their_block_in_order_and_the_last_keeps_the_arrays_own():
    array = a_job(id=100, asked={"array": "2,4,6"})
    assert [jobs.task_id(100, array.waiting, i) for i in (2, 4, 6)] == [101, 102, 100]


def test_a_task_that_does_something_leaves_its_array():
    array, task = jobs.split_task(a_job(id=100, asked={"array": "0-3"}), 1)
    assert str(array.waiting) == "0,2-3"
    assert (task.id, task.key, task.display_id, task.waiting) == (102, JobKey(100, 1), "100_1", None)
    with pytest.raises(ValueError, match="has its own record"):
        jobs.split_task(array, 1)
