"""Limits as sbatch and squeue show them, over a real store."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.core.errors import Refused
from bridge.service.accounting import Accounting
from tests.slurmcli.bridge import ALICE, ROOT, Bridge, a_bridge

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bridge(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Bridge]:
    async with a_bridge(tmp_path) as bridge:
        bridge.service.site = replace(bridge.service.site, enforce=("associations", "limits", "qos"))
        bridge.service.accounting = Accounting(bridge.store, bridge.service.site, now=lambda: bridge.now)
        for words in (("account", "physics"), ("qos", "short"), ("user", "alice", "account=physics")):
            await manage(bridge, "add", *words)
        yield bridge


async def manage(bridge: Bridge, *words: str) -> None:
    reply = await bridge.run("sacctmgr", "-i", *words, caller=ROOT)
    assert (reply.stderr, reply.exit_code) == ("", 0)


async def refusal(bridge: Bridge, **fields: object) -> tuple[str, str]:
    with pytest.raises(Refused) as refused:
        await bridge.submit(**fields)
    return refused.value.code, refused.value.sentence.partition(":")[0]


async def test_a_user_without_an_association_is_refused(bridge: Bridge):
    assert (await refusal(bridge, account="chem"))[0] == "invalid_account"
    assert (await refusal(bridge, qos="short"))[0] == "invalid_qos"
    assert (await refusal(bridge, qos="unheard"))[0] == "invalid_qos"


async def test_account_and_qos_come_from_the_defaults(bridge: Bridge):
    await manage(bridge, "modify", "user", "alice", "set", "qos=normal,short", "defaultqos=short")
    job = await bridge.submit(account=None)
    assert (job.request.account, job.request.qos) == ("physics", "short")


async def test_a_change_by_sacctmgr_counts_at_once(bridge: Bridge):
    await bridge.submit()
    await manage(bridge, "modify", "user", "alice", "set", "maxsubmit=1")
    assert await refusal(bridge) == ("policy_limit", "AssocMaxSubmitJobLimit")
    await manage(bridge, "modify", "user", "alice", "set", "maxsubmit=-1")
    await bridge.submit()


async def test_jobs_submitted_at_the_same_time_do_not_pass_a_limit_together(bridge: Bridge):
    await manage(bridge, "modify", "user", "alice", "set", "maxsubmit=3")
    done = await asyncio.gather(*(bridge.submit() for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(one, Refused) for one in done) == 5


async def test_each_task_of_an_array_counts(bridge: Bridge):
    await manage(bridge, "modify", "account", "physics", "set", "grpsubmit=3")
    assert await refusal(bridge, array="0-3") == ("policy_limit", "AssocGrpSubmitJobsLimit")
    await bridge.submit(array="0-1")
    assert await refusal(bridge, array="0-1") == ("policy_limit", "AssocGrpSubmitJobsLimit")
    await bridge.submit()


async def test_what_the_qos_denies_is_refused_with_the_reason_before_slurm_s_line(bridge: Bridge):
    await manage(bridge, "modify", "user", "alice", "set", "qos+=short")
    await manage(bridge, "modify", "qos", "short", "set", "maxwall=1", "flags=DenyOnLimit")
    fields = {"qos": "short", "time_limit_seconds": 300}
    assert await refusal(bridge, **fields) == ("policy_limit", "QOSMaxWallDurationPerJobLimit")
    await manage(bridge, "modify", "qos", "short", "set", "flags=-1")
    job = await bridge.submit(**fields)
    assert job.request.qos == "short"


async def test_the_qos_of_higher_priority_goes_first_where_the_site_weighs_it(bridge: Bridge):
    bridge.service.site = replace(bridge.service.site, priority_weight_qos=1000)
    await manage(bridge, "modify", "user", "alice", "set", "qos+=short")
    await manage(bridge, "modify", "qos", "short", "set", "priority=50")
    high, usual = await bridge.submit(qos="short"), await bridge.submit()
    assert (high.priority, usual.priority) == (1000, 1)
    held = await bridge.submit(qos="short", hold=True)
    assert held.priority == 0
    await bridge.out("scontrol", "release", str(held.id), caller=ALICE)
    released = await bridge.store.get(held.key)
    assert released is not None and released.priority == 1000
