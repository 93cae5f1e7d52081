"""sbatch at the server, over a real store and service."""

import asyncio
import re
import time

import pytest

from bridge.core.job import End, Share
from bridge.core.report import Entry, Report, Treatment
from bridge.core.users import Caller, User
from bridge.slurmcli import sbatch
from bridge.slurmcli.wire import Call, Reply
from tests.builders import a_job
from tests.slurmcli.bridge import ALICE, Bridge

pytestmark = pytest.mark.anyio

SCRIPT = {"script: job.sh": b"#!/bin/sh\necho running\n"}


async def submit(bridge: Bridge, *argv: str, files: object = SCRIPT, **fields: object) -> Reply:
    call = Call(argv, {"HOME": "/home/alice", **fields.pop("environ", {})}, "/w", files=files, **fields)  # type: ignore[arg-type, dict-item]
    return await sbatch.run(bridge.world, ALICE, call)


async def test_a_submission(bridge: Bridge):
    assert await submit(bridge, "-H", "job.sh", files={}) == Reply(needs=("script: job.sh",))
    assert await submit(bridge, "-H", "job.sh") == Reply("Submitted batch job 1\n")
    assert await submit(bridge, "-H", "--parsable", "job.sh") == Reply("2\n")
    assert await submit(bridge, "-H", "-Q", "job.sh") == Reply()
    assert await submit(bridge, "-H", "-Q", "--parsable", "job.sh") == Reply()
    assert await bridge.out("squeue", "-h", "-S", "i", "-o", "%A %j %r %Z") == (
        "1 job.sh JobHeldUser /w\n2 job.sh JobHeldUser /w\n3 job.sh JobHeldUser /w\n4 job.sh JobHeldUser /w\n"
    )


async def test_a_submission_sent_twice_is_one_job(bridge: Bridge):
    first = await submit(bridge, "job.sh", idempotency_key="k")
    assert await submit(bridge, "job.sh", idempotency_key="k") == first
    assert await submit(bridge, "job.sh", idempotency_key="other") != first


async def test_what_the_service_refuses(bridge: Bridge):
    assert await submit(bridge, "-p", "nowhere", "job.sh") == Reply(
        stderr="sbatch: error: invalid partition specified: nowhere\n"
        "sbatch: error: Batch job submission failed: Invalid partition name specified\n",
        exit_code=1,
    )
    assert await submit(bridge, "-d", "afterok:99999999", "job.sh", environ={"SLURM_EXIT_ERROR": "5"}) == Reply(
        stderr="sbatch: error: Batch job submission failed: Job dependency problem\n", exit_code=5
    )


async def test_what_sbatch_itself_refuses(bridge: Bridge):
    assert await submit(bridge, "--gres=abacus:1", "job.sh") == Reply(
        stderr="sbatch: error: Invalid generic resource (gres) specification\n", exit_code=1
    )
    reply = await submit(bridge, "--bogus", "job.sh")
    assert reply == Reply(
        stderr="sbatch: unrecognized option '--bogus'\nTry \"sbatch --help\" for more information\n", exit_code=255
    )


async def test_test_only_submits_nothing(bridge: Bridge):
    reply = await submit(bridge, "--test-only", "-N2", "job.sh")
    assert (reply.stdout, reply.exit_code) == ("", 0)
    assert re.fullmatch(
        r"sbatch: Job \d+ to start at \S+ a using 2 processors on nodes n\[\S+\] in partition main\n", reply.stderr
    )
    assert await bridge.out("squeue", "-h") == ""


async def test_test_only_uses_up_an_id_and_knows_a_later_time_to_begin(bridge: Bridge):
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(bridge.now + 3600))
    reply = await submit(bridge, "--test-only", "--begin=now+1hour", "job.sh")
    assert reply.stderr == f"sbatch: Job 1 to start at {when} a using 1 processors on nodes n1 in partition main\n"
    assert (await submit(bridge, "--parsable", "job.sh")).stdout == "2\n"


async def test_wait_ends_with_the_jobs_own_status(bridge: Bridge):
    reply = await submit(bridge, "--wait", "job.sh")
    assert (reply.stdout, reply.again_in_seconds) == ("Submitted batch job 1\n", 0.0)
    job = (await bridge.service.show(ALICE, sbatch.Selector(1)))[0]
    await bridge.start(job, (Share("n1", 1, 256, 1),))
    waiting = asyncio.create_task(submit(bridge, "--wait", "job.sh", state=reply.state))
    await bridge.end(job, End(exit_status=6))
    async with asyncio.timeout(10):
        assert await waiting == Reply(exit_code=6)


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ([End()], 0),
        ([End(exit_status=3)], 3),
        ([End(signal=9)], 1),
        ([End(exit_status=2), End(exit_status=6), End()], 6),
        ([None], 0),
    ],
)
def test_exit_codes_of_wait(ends: list[End | None], code: int):
    jobs = [a_job(state="COMPLETED", end=end, ended_at=0.0) for end in ends]
    assert sbatch.exit_code_of(jobs, 1) == code


REPORT = Report(
    (
        Entry("--mem=8G", "job.sh:2", Treatment.ACTED_ON, "yes"),
        Entry("--hint=x", "job.sh:3", Treatment.RECORDED, "kept"),
        Entry("--bad", "job.sh:4", Treatment.RECORDED, "not done", changes_results=True),
    ),
    ("job.sh:9: too late",),
)


def test_notes_are_for_people():
    always = "sbatch: note: --bad (job.sh:4): not done\n"
    assert sbatch.notes(REPORT, everything=False) == always
    assert sbatch.notes(REPORT, everything=True) == (
        "sbatch: note: --hint=x (job.sh:3): kept\n" + always + "sbatch: note: job.sh:9: too late\n"
    )


async def test_root_submits_for_another(bridge: Bridge):
    root = Caller(User("root", 0, 0), is_operator=True)
    call = Call(("-H", "--uid=bob", "job.sh"), {"HOME": "/root"}, "/w", files=SCRIPT)
    assert await sbatch.run(bridge.world, root, call) == Reply("Submitted batch job 1\n")
    assert await bridge.out("squeue", "-h", "-o", "%A %u") == "1 bob\n"
