import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import indexset
from bridge.core import job as jobs
from bridge.core.job import JobKey
from tests.builders import a_job, a_request


def test_tasks_get_the_ids_of_their_block_in_order_and_the_last_keeps_the_arrays_own():
    array = a_job(id=100, asked={"array": "2,4,6"})
    assert [jobs.task_id(100, array.waiting, i) for i in (2, 4, 6)] == [101, 102, 100]


def test_a_task_that_does_something_leaves_its_array():
    array, task = jobs.split_task(a_job(id=100, asked={"array": "0-3"}), 1)
    assert str(array.waiting) == "0,2-3"
    assert (task.id, task.key, task.display_id, task.waiting) == (102, JobKey(100, 1), "100_1", None)
    with pytest.raises(ValueError, match="has its own record"):
        jobs.split_task(array, 1)


@given(st.data())
def test_tasks_split_off_in_any_order_have_the_ids_of_one_block_and_none_is_lost(data):
    indices = data.draw(st.sets(st.integers(0, 40), min_size=1, max_size=12))
    array = a_job(id=100, request=a_request(array=str(indexset.of(indices))))
    seen = {}
    for index in data.draw(st.permutations(sorted(indices))):
        revision = array.revision
        array, task = jobs.split_task(array, index)
        assert (task.task_index, task.array_id, array.revision) == (index, 100, revision + 1)
        seen[index] = task.id
        assert set(array.waiting) == indices - set(seen)
    assert sorted(seen.values()) == list(range(100, 100 + len(indices)))
    assert seen[max(indices)] == 100
    assert not array.waiting
