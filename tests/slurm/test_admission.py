"""What real Slurm's controller refused, with the error that it gave; and what it took and let wait, with its reason."""

import dataclasses

import pytest

from adapters.slurm import errors
from bridge.core import admission, placement, queue
from bridge.core.errors import Refused
from bridge.core.job import Job
from bridge.core.reasons import Reason
from tests.builders import NOON
from tests.slurm import recorded

FAILED = "Batch job submission failed: "
NOT_OF_ADMISSION = {
    "invalid_array",
    "bad_dependency",
    "preemption_off",
    "invalid_reservation",
    "invalid_tres",
    "unavailable",
}
"""Decided where the option is read, or by the service."""

CASES = {
    case["id"]: case
    for case in recorded.cases(
        "sizes", "gres", "memory", "time", "unheld", "enforce", "options", "basic", "other", "more", "environment"
    )
    if case["how"].get("user", "{USER}") == "{USER}"
}


def refused_code(case: recorded.Case) -> str | None:
    for line in case["expect"]["stderr"].splitlines():
        _, mark, text = line.partition(FAILED)
        if mark:
            return next(code for code, (_, known) in errors.ERRORS.items() if known == text)
    return None


def site_of(case: recorded.Case) -> recorded.Site:
    return dataclasses.replace(recorded.SITE, enforce_part_limits=case["group"] == "enforce")


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_controllers_answer(case):
    expected = refused_code(case)
    if expected in NOT_OF_ADMISSION or (case["expect"]["exit_code"] != 0 and expected is None):
        return  # sbatch itself said no
    try:
        admission.admit(
            recorded.request_of(case), site_of(case), recorded.NODES, recorded.ALICE, NOON, is_operator=False
        )
        code, sentence = None, ""
    except Refused as refused:
        code, sentence = refused.code, refused.sentence
    assert code == expected
    if code is not None:
        further = [line for line in case["expect"]["stderr"].splitlines() if FAILED not in line]
        assert further in ([], [f"sbatch: error: {sentence}"])


PENDING = {
    key: case
    for key, case in CASES.items()
    if isinstance(case["expect"].get("job"), dict) and case["expect"]["job"].get("JobState") == "PENDING"
}


@pytest.mark.parametrize("case", PENDING.values(), ids=list(PENDING))
def test_the_reason_of_a_job_that_waits(case):
    request = recorded.request_of(case)
    shown = Reason(case["expect"]["job"]["Reason"].partition(",")[0].split(":")[0])
    admitted = admission.admit(request, recorded.SITE, recorded.NODES, recorded.ALICE, NOON, is_operator=False)
    job = Job(
        id=12,
        request=request,
        partition=admitted.partition,
        submitted_at=NOON,
        priority=0 if request.hold else 1,
        begin_at=request.begin_at,
        time_limit_seconds=admitted.time_limit_seconds,
        waiting=request.array.indices if request.array else None,
    )
    assert reason_of(job) is shown


def reason_of(job: Job) -> Reason:
    if job.priority == 0:
        return Reason.HELD_USER
    view = queue.view([job], recorded.SITE, NOON)
    if job.key in view.reasons:
        return view.reasons[job.key][0]
    plan = placement.plan(view.candidates, (), recorded.NODES, recorded.PARTITIONS, view.licenses_free, NOON)
    return next((reason for reason, _ in plan.reasons.values()), Reason.NONE)


def shown_by_squeue(case: recorded.Case) -> tuple[str, Reason] | None:
    """(state, reason) of the one job that a squeue of %T and %r showed."""
    for step, result in zip(case["how"].get("then", []), case["expect"].get("then", []), strict=True):
        argv = step.get("argv", [""])
        if argv[0] == "squeue" and argv[-1][:5] in ("%T|%r", "%T %r"):
            state, reason = result["stdout"].replace("|", " ").split()[:2]
            return state, Reason(reason)
    return None


SHOWN = {key: case for key, case in CASES.items() if shown_by_squeue(case)}


@pytest.mark.parametrize("case", SHOWN.values(), ids=list(SHOWN))
def test_the_reason_that_squeue_shows(case):
    request = recorded.request_of(case)
    admitted = admission.admit(request, recorded.SITE, recorded.NODES, recorded.ALICE, NOON, is_operator=False)
    job = Job(
        id=12,
        request=request,
        partition=admitted.partition,
        submitted_at=NOON,
        time_limit_seconds=admitted.time_limit_seconds,
    )
    state, reason = shown_by_squeue(case)
    assert (reason_of(job), admitted.reason) == (reason, reason)
    assert state == ("COMPLETED" if reason is Reason.NONE else "PENDING")
