from adapters.slurm import array_answers
from bridge.core import indexset

_DONE = "Job has already finished"


def _some(text: str) -> indexset.IndexSet:
    return indexset.parse(text)


def test_tasks_of_one_fate_share_a_line_in_order_of_their_first():
    fates = [(_some("4-5"), None), (_some("0"), _DONE), (_some("2"), None), (_some("1,3"), "Job is not suspended")]
    assert array_answers.lines(9, fates, tells_success=True) == [
        f"9_0: {_DONE}\n",
        "9_1,3: Job is not suspended\n",
        "9_2,4-5: No error\n",
    ]
    assert array_answers.lines(9, fates, tells_success=False) == [f"9_0: {_DONE}\n", "9_1,3: Job is not suspended\n"]


def test_nothing_is_said_where_all_went_well():
    assert array_answers.lines(9, [(_some("0-3"), None), (_some(""), _DONE)], tells_success=True) == []


def test_all_that_failed_alike_is_one_line():
    assert array_answers.lines(9, [(_some("0-8:2"), _DONE), (_some("1-7:2"), _DONE)], tells_success=True) == [
        f"9_0-8: {_DONE}\n"
    ]
