"""Sentences of the history."""

import typing

import pytest

from bridge.core import events, history
from bridge.core.job import JobKey, JobState
from bridge.core.reasons import Reason
from bridge.store.records import HistoryRow
from tests.builders import NOON


def told(kind: str, job_state: JobState = JobState.PENDING, reason: Reason = Reason.NONE, **data: object) -> str:
    row = HistoryRow(1, JobKey(12), NOON, kind, job_state, reason, 2, data)
    return history.sentence(row, lambda uid: {0: "root", 1001: "alice"}[uid])


def test_every_event_of_the_state_machine_has_a_sentence() -> None:
    kinds = {event.__name__ for event in typing.get_args(events.Event)}
    assert kinds | {"Submitted", "Throttled"} == history.KINDS


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (told("Submitted"), "Submitted."),
        (told("Submitted", reason=Reason.HELD_USER), "Submitted; its owner holds it."),
        (
            told("Placed", nodes=[{"node": "n1", "cpus": 2}, {"node": "n2", "cpus": 1}], partition="main"),
            "Attempt 2 was given partition main, n1, n2 (3 CPUs).",
        ),
        (told("Began"), "The script was started (attempt 2)."),
        (
            told(
                "Ended",
                JobState.FAILED,
                end={"exit_status": 3, "max_rss_kib": 1025, "user_seconds": 1.0, "system_seconds": 0.25},
            ),
            "The script ended with status 3; the job is FAILED; it used 2 MiB at most and 1.2 s of CPU time.",
        ),
        (
            told("Ended", JobState.TIMEOUT, end={"signal": 15, "cause": "time_limit"}),
            "The time limit was reached and the job was ended; the job is TIMEOUT.",
        ),
        (
            told("Ended", JobState.PENDING, Reason.BEGIN_TIME, end={"signal": 15, "cause": "stopped"}),
            "It was ended as asked; the job waits again: its begin time is still to come.",
        ),
        (
            told("Lost", JobState.NODE_FAIL, why="n1 is gone"),
            "Attempt 2 is over and nobody saw how (n1 is gone); the job is NODE_FAIL.",
        ),
        (told("StopAsked", JobState.CANCELLED, by_uid=1001, why=""), "Cancelled by alice; it had not started."),
        (
            told("StopAsked", JobState.COMPLETING, by_uid=0, why="maintenance"),
            "Cancelled by root (maintenance); its processes are being ended.",
        ),
        (told("Requeued", by_uid=1001, hold=True), "Requeued and held by alice."),
        (told("Held", by_uid=0, by_admin=True), "Held by root, an operator."),
        (
            told("Waits", reason=Reason.DEPENDENCY, dependency_text="afterok:11(unfulfilled)"),
            "It waits: it waits for other jobs: afterok:11(unfulfilled).",
        ),
        (
            told("NeverSatisfied", kill=False, dependency_text="afterok:11(failed)"),
            "What it waits for can no longer happen (afterok:11(failed)); it stays in the queue.",
        ),
        (told("Updated", by_uid=1001, what="nice=5", time_limit_seconds=60), "Changed by alice: nice=5."),
        (told("Throttled", by_uid=1001, throttle=2), "Changed by alice: at most 2 tasks at a time."),
        (told("FromTomorrow"), "FromTomorrow; it is PENDING now."),
    ],
)
def test_sentence(said: str, sentence: str) -> None:
    assert said == sentence


@pytest.mark.parametrize("kind", sorted(history.KINDS))
def test_a_row_without_its_data_still_gives_a_sentence(kind: str) -> None:
    assert told(kind).endswith(".")
