"""On which occasions mail is sent, with the subjects that a real 25.11 gave its mail program."""

import pytest

from adapters.slurm import mail
from adapters.slurm.mail import Attempt, Mail
from adapters.slurm.mail_environment import Context
from bridge.core.job import End, Job, Share
from bridge.core.request import UNLIMITED_SECONDS
from tests.builders import NOON, a_job

HERE = Context("oracle", lambda gid: "alice")
ALL = ("INVALID_DEPEND", "BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT")


def ended(state: str, types: tuple[str, ...] = ALL, end: End | None = None, **fields: object) -> Job:
    values = {"started_at": NOON, "ended_at": NOON + 65, "end": end or End(), **fields}
    return a_job(id=220, state=state, asked={"name": "ok", "mail_types": types}, **values)


def subjects(kind: str, job: Job, before: Attempt | None = None) -> list[str]:
    return [one.subject for one in mail.on_event(kind, job.state, 7, NOON + 70, job, HERE, before)]


@pytest.mark.parametrize(
    ("job", "told"),
    [
        (ended("COMPLETED"), ["Slurm Job_id=220 Name=ok Ended, Run time 00:01:05, COMPLETED, ExitCode 0"]),
        (
            ended("FAILED", end=End(exit_status=4)),
            ["Slurm Job_id=220 Name=ok Failed, Run time 00:01:05, FAILED, ExitCode 4"],
        ),
        (
            ended("FAILED", ("END",), End(exit_status=4)),
            ["Slurm Job_id=220 Name=ok Ended, Run time 00:01:05, FAILED, ExitCode 4"],
        ),
        (ended("FAILED", end=End(signal=9)), ["Slurm Job_id=220 Name=ok Failed, Run time 00:01:05, FAILED"]),
        (ended("CANCELLED"), ["Slurm Job_id=220 Name=ok Ended, Run time 00:01:05, CANCELLED, ExitCode 0"]),
        (ended("CANCELLED", ("FAIL",)), []),
        (
            ended("CANCELLED", started_at=None),
            ["Slurm Job_id=220 Name=ok Ended, Run time 00:00:00, CANCELLED, ExitCode 0"],
        ),
        (
            ended("TIMEOUT", (*ALL, "TIME_LIMIT"), End(signal=15)),
            [
                "Slurm Job_id=220 Name=ok Reached time limit, Run time 00:01:05",
                "Slurm Job_id=220 Name=ok Failed, Run time 00:01:05, TIMEOUT, ExitCode 0",
            ],
        ),
        (ended("COMPLETED", ("FAIL",)), []),
        (ended("COMPLETED", ()), []),
    ],
)
def test_ends(job: Job, told: list[str]):
    assert subjects("Ended", job) == told


def test_other_events():
    running = a_job(
        id=220, state="RUNNING", asked={"name": "ok", "mail_types": ALL}, eligible_at=NOON - 3, started_at=NOON
    )
    assert subjects("Began", running) == ["Slurm Job_id=220 Name=ok Began, Queued time 00:00:03"]
    assert subjects("Suspended", running) == []
    waiting = a_job(id=231, asked={"name": "req", "mail_types": ALL})
    assert subjects("Requeued", waiting, Attempt(NOON + 65)) == [
        "Slurm Job_id=231 Name=req Requeued, Run time 00:00:05"
    ]
    assert subjects("Requeued", waiting) == []
    assert subjects("NeverSatisfied", waiting) == ["Slurm Job_id=231 Name=req Invalid dependency"]


def test_a_task_of_an_array_is_told_alone_where_that_is_asked_for():
    job = a_job(
        id=224,
        array_id=224,
        task_index=1,
        state="FAILED",
        asked={"name": "arrt", "array": "0-1", "mail_types": ("ARRAY_TASKS", "END")},
        started_at=NOON,
        ended_at=NOON,
        end=End(exit_status=1),
    )
    assert not mail.is_summary(job)
    assert subjects("Ended", job) == [
        "Slurm Array Task Job_id=224_1 (224) Name=arrt Ended, Run time 00:00:00, FAILED, ExitCode 1"
    ]


def a_task(state: str, types: tuple[str, ...], **end: int) -> Job:
    return a_job(
        id=223,
        array_id=223,
        task_index=0,
        state=state,
        asked={"name": "arr", "array": "0-1", "mail_types": types},
        end=End(**end),
    )


@pytest.mark.parametrize(
    ("types", "tasks", "text"),
    [
        (ALL, [("COMPLETED", {}), ("FAILED", {"exit_status": 1})], "Failed, Mixed, ExitCode [0-1]"),
        (("END",), [("COMPLETED", {}), ("COMPLETED", {})], "Ended, COMPLETED, ExitCode [0-0]"),
        (("FAIL",), [("FAILED", {"exit_status": 3}), ("FAILED", {"exit_status": 3})], "Failed, FAILED, ExitCode [3-3]"),
        (("END",), [("FAILED", {"exit_status": 3}), ("FAILED", {"exit_status": 3})], "Ended, FAILED, ExitCode [3-3]"),
        (ALL, [("FAILED", {"signal": 9}), ("FAILED", {"signal": 9})], "Ended, Mixed, MaxSignal [9]"),
        (("END",), [("COMPLETED", {}), ("CANCELLED", {})], "Ended, Mixed, MaxSignal [9]"),
        (("FAIL",), [("COMPLETED", {}), ("COMPLETED", {})], None),
    ],
)
def test_an_array_is_told_of_as_a_whole(
    types: tuple[str, ...], tasks: list[tuple[str, dict[str, int]]], text: str | None
):
    made = [a_task(state, types, **end) for state, end in tasks]
    assert mail.is_summary(made[0])
    found = mail.array_ended(made[0], made, HERE)
    assert [one.subject for one in found] == (
        [] if text is None else [f"Slurm Array Summary Job_id=223_* (223) Name=arr {text}"]
    )
    assert [one.id for one in found] == ([] if text is None else ["223-END"])


def test_shares_of_the_time_limit_are_told_once_each():
    job = a_job(
        id=232,
        state="RUNNING",
        started_at=NOON,
        time_limit_seconds=100,
        asked={"name": "tl", "mail_types": ("TIME_LIMIT_50", "TIME_LIMIT_90")},
    )
    assert mail.on_clock(job, NOON + 49, HERE) == []
    [half] = mail.on_clock(job, NOON + 60, HERE)
    assert (half.id, half.key_id, half.to, half.subject) == (
        "232.1-TIME_LIMIT_50",
        232,
        "alice",
        "Slurm Job_id=232 Name=tl Reached 50% of time limit, Run time 00:01:00",
    )
    assert [one.id for one in mail.on_clock(job, NOON + 90, HERE)] == ["232.1-TIME_LIMIT_50", "232.1-TIME_LIMIT_90"]
    assert mail.on_clock(ended("TIMEOUT", ("TIME_LIMIT_50",)), NOON + 90, HERE) == []


def test_nothing_of_a_user_becomes_a_header_or_an_option():
    assert mail.addresses("bob,alice@x, -oQ/tmp ,a\nBcc:b", "example.org") == ("bob@example.org", "alice@x")
    text = mail.message(Mail("1", 1, "bob", "Name=a\nBcc: all"), ("bob@x",), "slurm@x", "tryout").decode()
    assert text.split("\n\n")[0].split("\n")[:4] == [
        "From: slurm@x",
        "To: bob@x",
        "Subject: Name=a Bcc: all",
        "Auto-Submitted: auto-generated",
    ]
    assert mail.filled(["mail", "-s", "{subject}", "{to}"], {"to": "a@x", "subject": "S"}) == ["mail", "-s", "S", "a@x"]


def environment(mails: list[Mail]) -> dict[str, str]:
    """Of the only mail, but for what is the same in all."""
    [one] = mails
    same = ("JOBID", "JOB_ID", "JOB_GID", "JOB_GROUP", "JOB_NAME", "JOB_OVERSUBSCRIBE", "JOB_PARTITION", "JOB_SLUID")
    left_out = {f"SLURM_{name}" for name in (*same, "JOB_STDIN", "JOB_STDOUT", "JOB_UID", "JOB_USER", "JOB_WORK_DIR")}
    return {name.removeprefix("SLURM_"): value for name, value in one.environment if name not in left_out}


def test_what_the_mail_program_finds_in_its_environment():
    job = ended(
        "FAILED",
        end=End(exit_status=4),
        nodes=(Share("n1", 1, 256, 1), Share("n2", 1, 256, 1)),
        partition="main",
    )
    told = mail.on_event("Ended", job.state, 7, NOON + 65, job, HERE)
    assert environment(told) == {
        "CLUSTER_NAME": "oracle",
        "JOB_CPUS_PER_NODE": "1(x2)",
        "JOB_DERIVED_EC": "0",
        "JOB_END_TIME": "1700000065",
        "JOB_EXIT_CODE": "1024",
        "JOB_EXIT_CODE2": "4:0",
        "JOB_EXIT_CODE_MAX": "4",
        "JOB_MAIL_TYPE": "Failed",
        "JOB_NODELIST": "n[1-2]",
        "JOB_NUM_NODES": "2",
        "JOB_RESTART_COUNT": "0",
        "JOB_RUN_TIME": "00:01:05",
        "JOB_START_TIME": "1700000000",
        "JOB_STATE": "FAILED",
    }
    requeued = a_job(id=231, asked={"mail_types": ALL})
    told = mail.on_event("Requeued", requeued.state, 7, NOON + 8, requeued, HERE, Attempt(NOON + 5, (("n3", 2),)))
    assert environment(told) == {
        "CLUSTER_NAME": "oracle",
        "JOB_CPUS_PER_NODE": "2",
        "JOB_END_TIME": "1700000008",
        "JOB_MAIL_TYPE": "Requeued",
        "JOB_NODELIST": "n3",
        "JOB_NUM_NODES": "1",
        "JOB_RESTART_COUNT": "0",
        "JOB_RUN_TIME": "00:00:03",
        "JOB_START_TIME": "1700000005",
        "JOB_STATE": "PENDING",
    }
    began = a_job(state="RUNNING", asked={"mail_types": ALL}, started_at=NOON, time_limit_seconds=UNLIMITED_SECONDS)
    told = mail.on_event("Began", began.state, 7, NOON, began, HERE)
    assert environment(told) == {
        "CLUSTER_NAME": "oracle",
        "JOB_CPUS_PER_NODE": "1",
        "JOB_END_TIME": "1731536000",
        "JOB_MAIL_TYPE": "Began",
        "JOB_NODELIST": "n1",
        "JOB_NUM_NODES": "1",
        "JOB_QUEUED_TIME": "00:00:00",
        "JOB_RESTART_COUNT": "0",
        "JOB_START_TIME": "1700000000",
        "JOB_STATE": "RUNNING",
    }
    tasks = [a_task("FAILED", ALL, exit_status=3), a_task("COMPLETED", ALL)]
    summary = environment(mail.array_ended(tasks[0], tasks, HERE))
    assert {name: summary[name] for name in ("JOB_EXIT_CODE_MIN", "JOB_EXIT_CODE_MAX", "ARRAY_TASK_COUNT")} == {
        "JOB_EXIT_CODE_MIN": "0",
        "JOB_EXIT_CODE_MAX": "3",
        "ARRAY_TASK_COUNT": "2",
    }
