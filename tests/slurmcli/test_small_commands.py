"""sprio, sdiag, sbcast and the commands that are refused, over a real store and service."""

import dataclasses
import json

import pytest

from bridge.backends.port import TaskUsage
from bridge.core.job import End, Job, Share
from bridge.core.nodes import Host
from bridge.slurmcli.wire import Copy, Reply
from bridge.store.records import StepRow
from tests.slurm.views import NODES
from tests.slurmcli.bridge import ALICE, BOB, ROOT, Bridge
from tests.slurmcli.test_data import REAL, differences

pytestmark = pytest.mark.anyio


def failed(stderr: str, exit_code: int = 1) -> Reply:
    return Reply("", stderr, exit_code)


async def test_sprio_lists_what_waits_for_room(bridge: Bridge):
    job = await bridge.submit(nice=3)
    await bridge.submit(hold=True)
    assert await bridge.out("sprio", "-h", "-o", "%i %u %Y %N") == f"{job.id} alice 1 3\n"


async def test_sdiag_counts_what_was_done(bridge: Bridge):
    await bridge.submit()
    bridge.world.calls.since = bridge.now - 1
    text = await bridge.out("sdiag")
    assert "Jobs submitted: 1\n" in text and "Jobs pending:   1\n" in text
    assert await bridge.run("sdiag", "-r") == failed("slurm_reset_statistics: Access/permission denied\n", 255)
    assert await bridge.out("sdiag", "-r", caller=ROOT) == "Reset scheduling statistics\n"
    told = json.loads(await bridge.out("sdiag", "--json"))
    assert differences(told, json.loads((REAL / "sdiag.json").read_text())) == []


@pytest.mark.parametrize("name", ["sattach", "sshare", "strigger", "scrontab"])
async def test_what_is_not_here_is_refused_in_a_sentence(bridge: Bridge, name: str):
    reply = await bridge.run(name, "1.0")
    assert (reply.stdout, reply.exit_code) == ("", 1)
    assert reply.stderr.startswith(f"{name}: ") and reply.stderr.count("\n") == 1


async def test_probes_of_what_is_not_here(bridge: Bridge):
    assert await bridge.out("strigger", "--get") == ""
    for name in ("sattach", "sshare", "strigger"):
        assert await bridge.out(name, "-V") == "slurm 25.11.8\n"
    assert (await bridge.run("scrontab", "-V")).stderr.startswith("usage:\tscrontab [-u user] file\n")


# ── sbcast ────────────────────────────────────────────────────────────────────────────────────────


def see_hosts(bridge: Bridge) -> None:
    """As the local backend has it: every node is this machine."""
    bridge.backend.show([dataclasses.replace(node, host=Host("here", "127.0.0.1")) for node in NODES])
    bridge.service.nodes.forget()


async def test_sbcast_tells_the_client_what_to_copy(bridge: Bridge):
    see_hosts(bridge)
    job = await bridge.submit(working_directory="/home/alice")
    await bridge.start(job, (Share("n1", 1, 256, 1), Share("n2", 1, 256, 1)))
    copy = Copy("data", "/tmp/data", "here", "n1", force=True, preserve=False)
    assert await bridge.run("sbcast", "-f", "-j", str(job.id), "data", "/tmp/data") == Reply(copy=copy)
    inside = {"environ": {"SLURM_JOB_ID": str(job.id)}}
    relative = await bridge.run("sbcast", "-p", "data", "sub/data", **inside)
    assert relative.copy == Copy("data", "/home/alice/sub/data", "here", "n1", force=False, preserve=True)


async def test_sbcast_refuses(bridge: Bridge):
    waiting = await bridge.submit()
    running = await bridge.submit()
    await bridge.start(running, (Share("n1", 1, 256, 1),))
    two = ["a", "/tmp/b"]
    pending = f"sbcast: error: Slurm job {waiting.id} lookup error: Job is pending execution\n"
    for argv, caller, reply in (
        (["a"], ALICE, failed('Need two file names, have 1 names\nTry "sbcast --help" for more information\n')),
        (["-j", "999", *two], ALICE, failed("sbcast: error: Failed to load JobId=999: 'Invalid job id specified'\n")),
        (["-j", "abc", *two], ALICE, failed("sbcast: error: Failed to load JobId=0: 'Invalid job id specified'\n")),
        (["-j", str(waiting.id), *two], ALICE, failed(pending, 255)),
        (
            ["-j", str(running.id), *two],
            BOB,
            failed(f"sbcast: error: Slurm job {running.id} lookup error: Access/permission denied\n", 255),
        ),
        (["-j", str(running.id), "a", "b/"], ALICE, failed("sbcast: error: Target filename cannot be a directory.\n")),
        (
            two,
            ALICE,
            failed(
                "sbcast: error: Need a job id to run this command.  Run from within a Slurm job or use the --jobid "
                "option.\n"
            ),
        ),
        (  # nodes of which nobody knows the machine
            ["-j", str(running.id), *two],
            ALICE,
            failed(f"sbcast: error: files cannot be copied to the nodes of job {running.id}\n"),
        ),
    ):
        assert await bridge.run("sbcast", *argv, caller=caller) == reply


# ── steps ─────────────────────────────────────────────────────────────────────────────────────────


async def a_job_with_steps(bridge: Bridge) -> Job:
    job = await bridge.submit()
    await bridge.start(job, (Share("n1", 2, 512, 2),))
    steps = [
        StepRow(job.key, 1, number, "sleep", ("n1",), 1, 1, bridge.now, ended, 0, 0, 0, 0.0, 0.0)
        for number, ended in ((0, None), (1, None), (2, bridge.now))
    ]
    await bridge.store.record_steps(steps, fence=None)
    return job


async def test_sstat_asks_the_agents(bridge: Bridge):
    job = await a_job_with_steps(bridge)
    bridge.backend.usage = (
        TaskUsage(0, "0", 0, (77,), 1.0, 0.0, 1660, 2920),
        TaskUsage(0, "batch", 0, (76,), 0.0, 0.0, 900, 1800),
    )
    look = ["sstat", "-nP", "-o", "jobid,maxrss,pids", "-j"]
    assert await bridge.out(*look, str(job.id)) == f"{job.id}.0|1660K|77\n"
    assert await bridge.out(*look, str(job.id), "-a") == (
        f"{job.id}.batch|900K|76\n{job.id}.0|1660K|77\n{job.id}.1||\n"
    )
    for word, said in (
        ("999", "couldn't get steps for JobId=999"),
        (f"{job.id}.2", f"StepId={job.id}.2 not found running."),
    ):
        assert await bridge.run(*look, word) == Reply(stderr=f"sstat: error: {said}\n")
    other = await bridge.run(*look, str(job.id), caller=BOB)
    assert other.stderr == (
        f"sstat: error: problem getting step_layout for StepId={job.id}.0: Access/permission denied\n"
    )


async def test_scancel_of_one_step(bridge: Bridge):
    job = await a_job_with_steps(bridge)
    assert await bridge.run("scancel", f"{job.id}.0") == Reply()
    verbose = await bridge.run("scancel", "-v", "-s", "USR1", f"{job.id}.1")
    assert verbose == Reply(stderr=f"scancel: Signal 10 to step {job.id}.1\n")
    signals = [told for told in bridge.backend.told if told[0] == "signal"]
    assert [told[-2:] for told in signals] == [(9, "step:0"), (10, "step:1")]
    assert await bridge.out("squeue", "-h", "-o", "%T") == "RUNNING\n"


async def test_scancel_of_steps_that_are_not_there(bridge: Bridge):
    job = await a_job_with_steps(bridge)
    invalid, denied = "Invalid job id specified", "Access/permission denied"
    for word, caller, shown, text, code in (
        (f"{job.id}.2", ALICE, f"{job.id}", invalid, 225),
        (f"{job.id}.9", ALICE, f"{job.id}", invalid, 225),
        ("999.0", ALICE, "999.0", invalid, 1),
        (f"{job.id}.0", BOB, f"{job.id}", denied, 210),
    ):
        said = f"scancel: error: Kill job error on job step id {shown}: {text}\n"
        assert await bridge.run("scancel", word, caller=caller) == failed(said, code)
    await bridge.end(job, End())
    said = f"scancel: error: Kill job error on job step id {job.id}.0: {invalid}\n"
    assert await bridge.run("scancel", f"{job.id}.0") == failed(said)
