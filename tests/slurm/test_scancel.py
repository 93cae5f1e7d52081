"""scancel: what it understands, says and returns, as 25.11 was seen to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import scancel, selectors
from adapters.slurm.answer import Answer
from adapters.slurm.selectors import Selected
from bridge.core.indexset import IndexSet, parse
from bridge.core.job import JobState
from tests.builders import a_job


def read(*argv, environ=None):
    return scancel.read(argv, environ or {}, 1001, {"bob": 1002}.get)


@pytest.mark.parametrize(
    ("argv", "ids"),
    [
        (["12"], (Selected(12),)),
        (["12", "13"], (Selected(12), Selected(13))),
        (["12_3"], (Selected(12, parse("3")),)),
        (["12_[1-5,9]"], (Selected(12, parse("1-5,9")),)),
        (["12_"], (Selected(12, parse("0")),)),
        (["12.0"], (Selected(12, step="0"),)),
        (["12+1"], (Selected(12),)),
    ],
)
def test_ids(argv, ids):
    assert read(*argv).ids == ids


def test_options_after_the_ids():
    order = read("12", "--signal", "USR2", "-bv")
    assert order == scancel.Order((Selected(12),), signal_number=12, batch=True, verbose=True)


def test_filters():
    order = read("--me", "-n", "x", "-p", "main", "-A", "a", "-t", "PENDING", "-w", "n[1-2]", "--wckey=k")
    assert order.uid == 1001
    assert order.states == {JobState.PENDING, JobState.SPECIAL_EXIT}
    assert (order.name, order.partition, order.account, order.nodes, order.wckey) == (
        "x",
        "main",
        "a",
        ("n1", "n2"),
        "k",
    )
    assert order.filters


def test_variables():
    order = read("12", environ={"SCANCEL_VERBOSE": "true", "SCANCEL_NAME": "x", "SCANCEL_USER": "bob"})
    assert (order.verbose, order.name, order.uid) == (True, "x", 1002)


@pytest.mark.parametrize(
    ("argv", "stderr"),
    [
        ([], "scancel: error: No job identification provided\n"),
        (["abc"], "scancel: error: Invalid job id abc\n"),
        (["0"], "scancel: error: Invalid job id 0\n"),
        (["--", "-5"], "scancel: error: Invalid job id -5\n"),
        (["12_x"], "scancel: error: Invalid job id 12_x\n"),
        (["12_[3-"], "scancel: error: Invalid job id 12_[3-\n"),
        (["1.5.5"], "scancel: error: Invalid job id 1.5.5\n"),
        (["2.batch.x"], "scancel: error: Invalid job id 2.batch.x\n"),
        (["2.batch"], "scancel: error: Invalid job id 2.batch\n"),
        (["-s", "FOO", "12"], "Unknown job signal: FOO\n"),
        (["-s", "0", "12"], "Unknown job signal: 0\n"),
        (["-u", "nosuch"], "scancel: error: Invalid user name: nosuch\n"),
        (
            ["-t", "bogus"],
            "Invalid job state specified: bogus\nValid job states are PENDING, RUNNING, and SUSPENDED\n",
        ),
        (["--bogus"], "scancel: unrecognized option '--bogus'\nTry \"scancel --help\" for more information\n"),
    ],
)
def test_refusals(argv, stderr):
    assert read(*argv) == Answer(stderr=stderr, exit_code=1)


@pytest.mark.parametrize(
    ("argv", "code", "stderr", "exit_code"),
    [
        (["12"], "invalid_job_id", "", 0),
        (["12"], "already_done", "", 0),
        (
            ["-v", "12"],
            "already_done",
            "scancel: error: Kill job error on job id 12: Job/step already completing or completed\n",
            0,
        ),
        (["12"], "access_denied", "scancel: error: Kill job error on job id 12: Access/permission denied\n", 210),
        (
            ["-s", "USR1", "12"],
            "cannot_alter",
            "scancel: error: Kill job error on job id 12: Job can not be altered now, try again later\n",
            228,
        ),
        (
            ["-s", "USR1", "12"],
            "already_done",
            "scancel: error: Kill job error on job id 12: Invalid job id specified\n",
            1,
        ),
        (["-Q", "-s", "USR1", "12"], "invalid_job_id", "", 1),
    ],
)
def test_what_a_failure_says_and_returns(argv, code, stderr, exit_code):
    assert scancel.failure(read(*argv), "12", code, "") == Answer(stderr=stderr, exit_code=exit_code)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["12"], "scancel: Terminating job 12\n"),
        (["-s", "KILL", "12"], "scancel: Terminating job 12\n"),
        (["-s", "18", "12"], "scancel: Signal 18 to job 12\n"),
        (["-b", "-s", "TERM", "12"], "scancel: Signal 15 to batch job 12\n"),
    ],
)
def test_what_verbose_says(argv, said):
    assert scancel.announcement(read(*argv), "12") == said


@pytest.mark.parametrize(
    ("argv", "matches"),
    [
        (["-n", "train"], True),
        (["-n", "other"], False),
        (["-t", "R"], False),
        (["-p", "main"], True),
        (["-u", "bob"], False),
        (["-q", "normal"], True),
        (["-w", "n1"], False),
    ],
)
def test_filters_on_a_waiting_job(argv, matches):
    assert scancel.matches(read(*argv), a_job()) is matches


def test_the_question():
    assert scancel.question(a_job(), "12") == "Cancel job_id=12 name=train partition=main [y/n]? "


def test_lists_of_ids_are_split_outside_brackets():
    assert selectors.split("12,13_[1,3],14") == ["12", "13_[1,3]", "14"]


def test_what_is_chosen_of_an_array():
    waiting = parse("0-9")
    assert selectors.narrow(waiting, None, [Selected(12)]) == waiting
    assert selectors.narrow(waiting, None, [Selected(12, parse("3-4")), Selected(12, parse("99"))]) == parse("3-4")
    assert selectors.narrow(IndexSet(), 3, [Selected(12, parse("3"))]) is True
    assert selectors.narrow(IndexSet(), 4, [Selected(12, parse("3"))]) is False


@given(st.text(max_size=20))
def test_any_text_is_an_id_or_none(text):
    selected = selectors.parse(text)
    assert selected is None or selected.id > 0


@given(st.integers(1, 2**40), st.sets(st.integers(0, 5000), max_size=8))
def test_ids_read_back(number, tasks):
    selected = Selected(number, parse(",".join(map(str, tasks))) if tasks else None)
    again = selectors.parse(str(selected))
    assert again is not None
    assert (again.id, again.tasks and set(again.tasks)) == (number, tasks or None)
