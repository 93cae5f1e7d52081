"""sprio, sdiag, sbcast and the commands that are refused, over a real store and service."""

import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.core.job import Share
from bridge.core.nodes import Host
from bridge.slurmcli.wire import Copy, Reply
from tests.slurm.views import NODES
from tests.slurmcli.bridge import ALICE, BOB, ROOT, Bridge, a_bridge
from tests.slurmcli.test_data import REAL, differences

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def bridge(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Bridge]:
    async with a_bridge(tmp_path) as bridge:
        yield bridge


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
    bridge.service.forget_nodes()


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
