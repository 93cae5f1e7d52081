"""sacctmgr over a real store: the site file's start, changes that stay, the question, and rights."""

from dataclasses import replace

import pytest

from bridge.slurmcli.wire import Reply
from tests.slurmcli.bridge import ALICE, ROOT, Bridge

pytestmark = pytest.mark.anyio

ASKED = (
    " Adding Account(s)\n  chem\n Settings\n  Description     = Account Name\n  Organization    = Parent/Account Name\n"
    " Associations =\n  C = oracle     A = chem                \n"
)
QUESTION = "Would you like to commit changes? (You have 30 seconds to decide)\n(N/y): "


async def accounts(bridge: Bridge) -> str:
    return await bridge.out("sacctmgr", "-n", "-P", "list", "account", "format=account")


async def test_a_change_is_asked_about_and_made_on_yes(bridge: Bridge):
    first = await bridge.run("sacctmgr", "add", "account", "chem", caller=ROOT)
    assert first == Reply(ASKED, question=QUESTION, state={"stage": "commit"})
    assert await accounts(bridge) == "root\n"
    no = await bridge.run("sacctmgr", "add", "account", "chem", caller=ROOT, state=first.state, answer="n")
    assert no == Reply("\n Changes Discarded\n")
    nothing = await bridge.run("sacctmgr", "add", "account", "chem", caller=ROOT, state=first.state)
    assert nothing == Reply("\n Changes Discarded\n")
    yes = await bridge.run("sacctmgr", "add", "account", "chem", caller=ROOT, state=first.state, answer="Y")
    assert yes == Reply("\n")
    assert await accounts(bridge) == "chem\nroot\n"


async def test_users_the_host_does_not_know_are_asked_about_first(bridge: Bridge):
    words = ("sacctmgr", "add", "user", "ghost", "account=root")
    first = await bridge.run(*words, caller=ROOT)
    assert first.question is not None and first.question.startswith("There is no uid for user 'ghost'\n")
    second = await bridge.run(*words, caller=ROOT, state=first.state, answer="y")
    assert second.question == QUESTION
    assert await bridge.run(*words, caller=ROOT, state=second.state, answer="y") == Reply("\n")
    assert await bridge.out("sacctmgr", "-n", "-P", "list", "user", "ghost") == "ghost|root|None\n"


async def test_only_operators_change_anything(bridge: Bridge):
    reply = await bridge.run("sacctmgr", "-i", "add", "account", "chem")
    assert reply == Reply(stderr=" error: Only admins/operators/coordinators can add accounts\n", exit_code=1)
    for words in (("delete", "user", "root"), ("modify", "qos", "normal", "set", "priority=3")):
        assert await bridge.run("sacctmgr", "-i", *words) == Reply(
            stderr="sacctmgr: error: Your user doesn't have privilege to perform this action\n"
            " Error with request: Access/permission denied\n",
            exit_code=1,
        )


async def test_a_coordinator_may_add_users_to_his_accounts_only(bridge: Bridge):
    for words in (("account", "chem,bio"), ("user", "alice", "account=chem"), ("coordinator", "alice", "account=chem")):
        assert (await bridge.run("sacctmgr", "-i", "add", *words, caller=ROOT)).exit_code == 0
    added = await bridge.run("sacctmgr", "-i", "add", "user", "bob", "account=chem", caller=ALICE)
    assert added.exit_code == 0
    refused = await bridge.run("sacctmgr", "-i", "add", "user", "bob", "account=bio", caller=ALICE)
    assert refused.exit_code == 1
    assert await bridge.out("sacctmgr", "-n", "-P", "list", "assoc", "user=bob", "format=account") == "chem\n"


async def test_an_operator_by_the_book_may_what_operators_may(bridge: Bridge):
    await bridge.run("sacctmgr", "-i", "add", "user", "alice", "account=root", "adminlevel=operator", caller=ROOT)
    assert (await bridge.run("sacctmgr", "-i", "add", "account", "chem", caller=ALICE)).exit_code == 0


async def test_what_has_jobs_is_not_deleted(bridge: Bridge):
    for words in (("account", "physics"), ("user", "alice", "account=physics")):
        await bridge.run("sacctmgr", "-i", "add", *words, caller=ROOT)
    job = await bridge.submit(hold=True)
    reply = await bridge.run("sacctmgr", "-i", "delete", "user", "alice", caller=ROOT)
    assert (reply.stdout, reply.exit_code) == ("", 1)
    assert reply.stderr.startswith(
        " Error with request: Job(s) active, cancel job(s) before remove\n"
        f"  JobID = {job.id:<10} C = oracle     A = physics    U = alice    "
    )


async def test_the_first_change_writes_the_whole_book(bridge: Bridge):
    assert await bridge.store.accounting_book() is None
    await bridge.run("sacctmgr", "-i", "add", "account", "chem", "GrpTRES=cpu=4,mem=2G", caller=ROOT)
    kept = await bridge.store.accounting_book()
    assert kept == await bridge.service.accounting.book()
    assert kept is not None and kept.version == 1
    await bridge.run("sacctmgr", "-i", "delete", "account", "chem", caller=ROOT)
    kept = await bridge.store.accounting_book()
    assert kept is not None and (kept.version, sorted(kept.accounts)) == (2, ["root"])


async def test_what_is_kept_without_effect_is_said_to_people(bridge: Bridge):
    words = ("sacctmgr", "-i", "modify", "qos", "normal", "set", "GrpWall=60", "maxwall=5", "preempt=normal")
    assert (await bridge.run(*words, caller=ROOT)).stderr == ""
    assert (await bridge.run(*words, caller=ROOT, writes_to_terminal=True)).stderr == (
        "sacctmgr: note: GrpWall is kept and shown, and has no effect: what jobs used in the past is not added up\n"
        "sacctmgr: note: preempt is kept and shown, and has no effect: no job makes room for another\n"
    )


async def test_an_operator_by_the_book_makes_no_others_and_a_job_s_token_makes_none(bridge: Bridge):
    await bridge.run("sacctmgr", "-i", "add", "user", "alice", "account=root", "adminlevel=operator", caller=ROOT)
    assert bridge.service.accounting.is_admin("alice")
    assert not bridge.service.accounting.is_admin("ALICE")
    refused = await bridge.run("sacctmgr", "-i", "modify", "user", "root", "set", "adminlevel=none", caller=ALICE)
    assert (refused.stdout, refused.exit_code) == (" Modified users...\n", 1)
    from_a_job = replace(ALICE, job_id=12)
    assert (await bridge.run("sacctmgr", "-i", "add", "account", "chem", caller=from_a_job)).exit_code == 1
