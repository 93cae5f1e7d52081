"""Names of a job's files: as recorded, and the rules by example."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import filenames
from bridge.core.job import Job, JobState, Share
from bridge.core.request import Files
from tests.builders import NOON, a_job, a_request
from tests.slurm import recorded

CASES = {
    case["id"]: case
    for case in recorded.cases("files", "basic", "other")
    if isinstance(case["expect"].get("job"), dict) and "StdOut" in case["expect"]["job"]
}


def recorded_job(case: recorded.Case) -> Job:
    request = recorded.request_of(case)
    index = request.array.indices.minimum if request.array else None
    return Job(
        id=123456,
        request=request,
        partition="main",
        submitted_at=NOON,
        array_id=123456 if index is not None else None,
        task_index=index,
        nodes=(Share("n1", 1, 256, 1),),
    )


def filled(text: str) -> str:
    return (
        text.replace("{CWD}", "/home/alice")
        .replace("{JOBID:09}", "000123456")
        .replace("{JOBID}", "123456")
        .replace("{NODE}", "n1")
    )


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_files_have_the_names_that_slurm_shows(case):
    shown = case["expect"]["job"]
    job = recorded_job(case)
    assert filenames.stdout_path(job) == filled(shown["StdOut"])
    assert (filenames.stderr_path(job) or "") == filled(shown["StdErr"])


NAMES = filenames.Names(
    job_id=13, array_id=12, task_index=37, job_name="a b/c", user="alice", node="n3", restart_count=2, sluid="s7"
)
PLAIN = filenames.Names(job_id=13, array_id=None, task_index=None, job_name="x", user="alice", node="n1")


class TestCodes:
    @pytest.mark.parametrize(
        ("pattern", "name"),
        [
            ("%j.%A.%a.%b", "13.12.37.7"),
            ("%J-%s-%t-%n", "13-batch-0-0"),
            ("%x_%u@%N", "a b/c_alice@n3"),
            ("%r%S", "2s7"),
            ("%%j", "%j"),
            ("100%", "100"),
            ("%q%Z%5", "%q%Z%5"),
            ("%4j|%010a", "0013|0000000037"),
            ("%99j", "0000000013"),
            ("%5x", "a b/c"),
            (r"out\%j", "out%j"),
            (r"a\\b%j", "ab%j"),
            ("%é", "%é"),
            ("", ""),
        ],
    )
    def test_a_code_gives_its_value(self, pattern, name):
        assert filenames.expand(pattern, NAMES) == name

    def test_a_plain_job_has_its_own_id_for_the_array_and_no_index(self):
        assert filenames.expand("%A_%a", PLAIN) == "13_4294967294"

    @given(st.text(max_size=40))
    def test_any_text_is_a_pattern(self, pattern):
        assert isinstance(filenames.expand(pattern, NAMES), str)

    @given(st.text(st.characters(exclude_characters="%\\"), max_size=40))
    def test_text_without_codes_stays_as_it_is(self, text):
        assert filenames.expand(text, NAMES) == text


class TestPaths:
    def test_the_defaults(self):
        job = a_job(asked={"working_directory": "/home/alice"})
        assert filenames.stdout_path(job) == "/home/alice/slurm-12.out"
        assert filenames.stderr_path(job) is None
        assert filenames.stdin_path(job) == "/dev/null"

    def test_a_task_of_an_array(self):
        job = a_job(
            request=a_request(array="0-3", working_directory="/w"),
            id=14,
            array_id=12,
            task_index=1,
            state=JobState.CONFIGURING,
        )
        assert filenames.stdout_path(job) == "/w/slurm-12_1.out"

    @pytest.mark.parametrize("none", ["none", "NONE", "None"])
    def test_none_is_dev_null(self, none):
        job = a_job(asked={"files": Files(none, none, none)})
        assert (filenames.stdout_path(job), filenames.stderr_path(job)) == ("/dev/null", "/dev/null")
        assert filenames.stdin_path(job) == "/dev/null"

    def test_relative_names_are_taken_from_the_working_directory_absolute_ones_are_not(self):
        job = a_job(asked={"files": Files("logs/%x.out", "/var/tmp/%j.err"), "working_directory": "/w"})
        assert (filenames.stdout_path(job), filenames.stderr_path(job)) == ("/w/logs/train.out", "/var/tmp/12.err")

    def test_a_waiting_job_has_no_node_yet(self):
        job = a_job(asked={"files": Files("%N.out"), "working_directory": "/w"})
        assert filenames.stdout_path(job, node="n2") == "/w/n2.out"
