"""The rules by which a replay and its recording are taken for the same: what may differ, and that nothing else may."""

import datetime

import pytest

from tests.oracle import normalise
from tests.oracle.normalise import Known

TODAY = datetime.date(2030, 1, 31)
VALUES = {"USER": "alice", "CWD": "/w/a.b", "JOBID": "100001", "JOBID2": "100002"}
KNOWN = Known(VALUES, TODAY, datetime.datetime(2030, 1, 31, 12, 0, 0))


def agrees(expected: str, actual: str) -> bool:
    return normalise.matches(expected, actual, KNOWN)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("Submitted batch job {JOBID}\n", "Submitted batch job 100001\n"),
        ("{JOBID:09} {JOBID2} {JOBID3}", "000100001 100002 7"),
        ("{CWD}/slurm-{JOBID}.out", "/w/a.b/slurm-100001.out"),
        ("[{TIME}] error", "[2030-01-31T12:00:00.123] error"),
        ("{TODAY}T16:00:00", "2030-02-01T16:00:00"),
        ("{TODAY+1}T00:00:00", "2030-01-31T00:00:00"),
        ("{UNLIMITED}", "365-00:00:00"),
        ("slurm 25.11.8\n", "slurm 25.11.7\n"),
        ("sleep 0:02 {NODE}", "sleep 0:03 n4"),
        ("{SUBMIT+~3600s}", "2030-01-31T13:00:09"),
        ("Usage: sbatch [-N…", "Usage: sbatch [-N nnodes]\n"),
        ("path=${PATH:+set}", "path=${PATH:+set}"),
    ],
)
def test_what_cannot_agree_may_differ(expected: str, actual: str):
    assert agrees(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("Submitted batch job {JOBID}\n", "Submitted batch job 100002\n"),
        ("Submitted batch job {JOBID}\n", "Submitted batch job 100001"),
        ("{JOBID3}", "seven"),
        ("{CWD}", "/w/axb"),
        ("{USER}", "bob"),
        ("{TODAY}T16:00:00", "2030-02-02T16:00:00"),
        ("{NODE}", "n5"),
        ("slurm 25.11.8\n", "slurm 24.11.8\n"),
        ("PENDING 0:00", "PENDING 0:01"),
        ("30:00", "30:01"),
        ("00:00:02", "00:00:03"),
        ("{SUBMIT+~3600s}", "2030-01-31T13:01:00"),
        ("Usage: sbatch [-N…", "Usage: srun [-N nnodes]\n"),
        ("{NO_SUCH_PLACEHOLDER}", "anything"),
    ],
)
def test_nothing_else_may(expected: str, actual: str):
    assert not agrees(expected, actual)


def test_only_known_placeholders_are_filled_in():
    assert normalise.fill("{JOBID} {JOBID:09} {JOBID7} ${PATH:+set} {TODAY+1}", KNOWN) == (
        "100001 000100001 {JOBID7} ${PATH:+set} {TODAY+1}"
    )


def test_an_output_that_ends_within_a_line_is_a_beginning():
    assert [normalise.recorded_output(text) for text in ("", "a\n", "a", "a…")] == ["", "a\n", "a…", "a…"]


class TestJson:
    def differences(self, expected: object, actual: object) -> list[str]:
        return [path for path, _, _ in normalise.json_differences(expected, actual, KNOWN, "body")]

    def test_placeholders_stand_for_numbers_too(self):
        assert self.differences({"job_id": "{JOBID}", "at": "{EPOCH}"}, {"job_id": 100001, "at": 1900000000}) == []
        assert self.differences({"job_id": "{JOBID}"}, {"job_id": 100002}) == ["body.job_id"]

    def test_slurms_own_release_may_be_another(self):
        expected = {"meta": {"slurm": {"release": "25.11.8", "version": {"micro": "8", "minor": "11"}}}}
        actual = {"meta": {"slurm": {"release": "25.11.7", "version": {"micro": "7", "minor": "05"}}}}
        assert self.differences(expected, actual) == ["body.meta.slurm.version.minor"]

    def test_of_records_the_first_and_chosen_keys_are_compared_and_of_all_else_everything(self):
        assert self.differences({"jobs": [{"a": 1}]}, {"jobs": [{"a": 1, "b": 2}, {"a": 3}]}) == []
        assert self.differences({"jobs": [{"a": 1}]}, {"jobs": [{"b": 2}]}) == ["body.jobs[0].a"]
        assert self.differences({"errors": [{"a": 1}]}, {"errors": [{"a": 1, "b": 2}]}) == ["body.errors[0].b"]
        assert self.differences({"errors": []}, {"errors": [1]}) == ["body.errors"]

    def test_true_is_not_one(self):
        assert self.differences({"set": True}, {"set": 1}) == ["body.set"]
