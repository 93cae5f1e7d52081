"""Every recorded submission of a real Slurm 25.11.8, read again: the same words, exit codes and job records.

What only the controller refuses is not the reader's; of an accepted job the fields that it decides are compared
with the record that scontrol showed.
"""

import dataclasses
import re

import pytest

from adapters.slurm import request, scontrol_show, sizes
from bridge.core import admission
from bridge.core.job import Job
from bridge.core.queue import dependency_text
from bridge.core.reasons import Reason
from tests.builders import NOON
from tests.slurm import recorded
from tests.slurm.calls import DIRECTORY, a_call, answered
from tests.slurm.views import a_view

VIEW = dataclasses.replace(a_view(), site=recorded.SITE, fleet=sizes.fleet_of(recorded.SITE, recorded.NODES))

MEANT_OTHERWISE = {
    "time-bad-neg": "Slurm makes a nonsense limit of -5; it is refused",
    "unheld-time-neg": "the same",
    "dir-hetjob": "jobs of several components are refused in a sentence",
    "dir-hetjob-queue": "the same",
    "cmdline-hetjob": "the same",
    "uid-as-root": "another user's record is found by the identity service",
}
NOT_SBATCH = {"no-controller", "no-conf"}
"""About finding the controller at all."""

CASES = {
    case["id"]: case
    for case in recorded._all()
    if (case["how"].get("argv") or [""])[0] == "sbatch" and case["id"] not in MEANT_OTHERWISE.keys() | NOT_SBATCH
}

BY_CONTROLLER = ("Batch job submission failed: ", "allocation failure: ", "(gres) specification")
JOB_ID = "424242"


def replayed(case: recorded.Case) -> request.Answer | request.Parsed:
    how = case["how"]
    argv = [word.replace("{CWD}", DIRECTORY) for word in how["argv"][1:]]
    site = dataclasses.replace(recorded.SITE, enforce_part_limits=case["group"] == "enforce")
    return answered(a_call(*argv, environ=how.get("env")), how.get("files"), how.get("stdin", ""), site)


def without_placements(text: str) -> str:
    """Without the line of --test-only, which says what the scheduler found."""
    return re.sub(r"^sbatch: Job \S+ to start at .*\n", "", text, flags=re.MULTILINE)


def test_there_are_hundreds_of_cases():
    assert len(CASES) > 300


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_words_and_the_exit_code(case):
    expected = case["expect"]
    found = replayed(case)
    stderr = without_placements(expected.get("stderr", ""))
    if isinstance(found, request.Parsed):
        if expected["exit_code"] == 0 or found.wait:  # whose exit code is the job's
            assert found.stderr == stderr
        else:
            assert any(mark in stderr for mark in BY_CONTROLLER)
        return
    assert (found.exit_code, found.stderr) == (expected["exit_code"], stderr)
    begin = expected["stdout"].partition("…")[0]
    if case["id"] == "usage":  # whose further words are ours
        begin = "Usage: sbatch ["
    elif case["id"] == "help-first-line":
        begin = begin.partition("\n")[0]
    assert found.stdout.startswith(begin)


# Written by the server of ours or of theirs for other reasons than what was asked.
NOT_DECIDED = re.compile(
    r"^(JobId|UserId|GroupId|MCS_label|Priority|Account|QOS|JobState|Reason|Dependency|ExitCode|RunTime|SubmitTime"
    r"|EligibleTime|AccrueTime|StartTime|EndTime|SuspendTime|SecsPreSuspend|LastSchedEval|Scheduler|AllocNode:Sid"
    r"|NodeList|AllocTRES|BatchHost|SubmitLine|LicensesAlloc|Restarts|Reboot|BatchFlag|ContainerID|HetJob.*)$"
)


def shown(parsed: request.Parsed, case: recorded.Case) -> dict[str, str]:
    """What scontrol would show of the job, by name."""
    asked = parsed.request
    admitted = admission.admit(asked, recorded.SITE, recorded.NODES, recorded.ALICE, NOON, is_operator=False)
    job = Job(
        id=int(JOB_ID),
        request=asked,
        partition=admitted.partition,
        submitted_at=NOON,
        reason=Reason.HELD_USER if asked.hold else admitted.reason,
        priority=0 if asked.hold else 1,
        waiting=asked.array.indices if asked.array else None,
        time_limit_seconds=admitted.time_limit_seconds,
        dependency_text=dependency_text(asked.dependency) if asked.dependency else "",
    )
    lines = scontrol_show.job(job, VIEW, details=False)
    return fields_of(" ".join(lines))


def fields_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"(\S+?)=(.*?)(?= [\w:/]+=|$)", text))


SHOWN_IN_OTHER_WORDS = {
    "jobname-newline": "the recorded name ends at the end of its first line",
}

HELD = {
    name: case
    for name, case in CASES.items()
    if isinstance(case["expect"].get("job"), dict)
    and case["expect"]["exit_code"] == 0
    and not case["how"].get("then")
    and case["expect"]["job"].get("JobState", "PENDING") == "PENDING"
    and name not in SHOWN_IN_OTHER_WORDS
}


@pytest.mark.parametrize("case", HELD.values(), ids=list(HELD))
def test_the_job_record(case):
    found = replayed(case)
    assert isinstance(found, request.Parsed)
    ours = shown(found, case)
    for name, expected in case["expect"]["job"].items():
        if NOT_DECIDED.match(name) or "{UNLIMITED}" in expected:
            continue
        text = expected.replace("{CWD}", DIRECTORY).replace("{JOBID}", JOB_ID)
        assert ours.get(name) == text, name


@pytest.mark.parametrize("case", HELD.values(), ids=list(HELD))
def test_the_report_has_an_entry_for_every_option(case):
    found = replayed(case)
    assert isinstance(found, request.Parsed)
    told = [entry.text for entry in found.report.entries]
    assert all(entry.sentence and entry.source for entry in found.report.entries)
    assert len(told) >= sum(word.startswith("-") and len(word) > 1 for word in case["how"]["argv"][1:-1]) - 1


def test_a_negative_time_limit_is_refused():
    found = answered(a_call("--time=-5", "job.sh"), {"job.sh": "#!/bin/sh\n"})
    assert found == request.Answer("", "sbatch: error: Invalid --time specification\n", 255)
