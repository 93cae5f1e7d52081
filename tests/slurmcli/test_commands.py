"""The commands over a real store and service."""

import dataclasses

import pytest

from bridge.core import dag
from bridge.core.errors import Refused
from bridge.core.events import Began, Placed
from bridge.core.job import End, JobKey, Share
from bridge.core.request import UNLIMITED_SECONDS
from bridge.slurmcli.wire import Reply
from tests.builders import NOON
from tests.slurm.views import SITE
from tests.slurmcli.bridge import ALICE, BOB, ROOT, Bridge

pytestmark = pytest.mark.anyio

ON_N1 = (Share("n1", 1, 256, 1),)


def failed(stderr: str, exit_code: int = 1, stdout: str = "") -> Reply:
    return Reply(stdout, stderr, exit_code)


# ── squeue ────────────────────────────────────────────────────────────────────────────────────────


async def test_squeue_lists_what_waits_and_runs(bridge: Bridge):
    first = await bridge.submit(hold=True, name="a")
    second = await bridge.submit(caller=BOB, name="b")
    await bridge.start(second, ON_N1)
    bridge.now += 5
    assert await bridge.out("squeue") == (
        "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)\n"
        f"{first.id:>18}      main        a    alice PD       0:00      1 (JobHeldUser)\n"
        f"{second.id:>18}      main        b      bob  R       0:05      1 n1\n"
    )
    assert await bridge.out("squeue", "--me", "-h", "-o", "%j") == "a\n"
    assert await bridge.out("squeue", "-u", "bob", "-h", "-o", "%j") == "b\n"
    assert await bridge.out("squeue", "-t", "R", "-h", "-o", "%j") == "b\n"
    assert await bridge.out("squeue", "-w", "n1", "-h", "-o", "%j") == "b\n"
    assert await bridge.out("squeue", "-p", "gpu", "-h") == ""


async def test_squeue_of_unknown_ids(bridge: Bridge):
    unknown = failed("slurm_load_jobs error: Invalid job id specified\n")
    assert await bridge.run("squeue", "-j", "99999999") == unknown
    assert await bridge.out("squeue", "-h", "-j", "99999998,99999999") == ""


async def test_squeue_forgets_what_ended_long_ago(bridge: Bridge):
    job = await bridge.submit()
    await bridge.start(job, ON_N1)
    await bridge.end(job, End())
    assert await bridge.out("squeue", "-h", "-j", str(job.id)) == ""
    assert await bridge.out("squeue", "-h", "-j", str(job.id), "-t", "CD", "-o", "%T|%r") == "COMPLETED|None\n"
    bridge.now += 301
    assert (await bridge.run("squeue", "-j", str(job.id))).exit_code == 1
    assert await bridge.out("squeue", "-h", "-t", "all") == ""


async def test_squeue_foretells_starts(bridge: Bridge):
    running = await bridge.submit(time_limit_seconds=600)
    await bridge.start(running, (Share("n4", 8, 256, 1),))
    job = await bridge.submit(time_limit_seconds=1200, partitions=("gpu",), name="next")
    assert await bridge.out("squeue", "--start") == (
        "             JOBID PARTITION     NAME     USER ST          START_TIME  NODES SCHEDNODES           "
        "NODELIST(REASON)\n"
        f"{job.id:>18}       gpu     next    alice PD 2023-11-14T22:23:20      1 n4                   (None)\n"
    )
    shown = await bridge.out("scontrol", "show", "job", str(job.id))
    assert "StartTime=2023-11-14T22:23:20 EndTime=2023-11-14T22:43:20" in shown
    assert "\n   NodeList= SchedNodeList=n4\n" in shown


async def test_squeue_comes_again(bridge: Bridge):
    reply = await bridge.run("squeue", "-i", "3")
    assert (reply.again_in_seconds, reply.state) == (3.0, {})
    assert reply.stdout.startswith("Tue Nov 14 22:13:20 2023\n")


async def test_squeue_shows_the_script_as_a_step(bridge: Bridge):
    job = await bridge.submit()
    await bridge.start(job, ON_N1)
    bridge.now += 2
    assert await bridge.out("squeue", "-s") == (
        "         STEPID     NAME PARTITION     USER      TIME NODELIST\n"
        f"{f'{job.id}.batch':>15}    batch      main    alice      0:02 n1\n"
    )


# ── scancel ───────────────────────────────────────────────────────────────────────────────────────


async def test_scancel_ends_a_waiting_job(bridge: Bridge):
    job = await bridge.submit(hold=True)
    assert await bridge.run("scancel", str(job.id), "99999999") == Reply()
    assert await bridge.out("squeue", "-h", "-t", "all", "-o", "%T|%r") == "CANCELLED|JobHeldUser\n"
    assert await bridge.run("scancel", str(job.id)) == Reply()
    assert await bridge.run("scancel", "-v", str(job.id)) == failed(
        f"scancel: Terminating job {job.id}\n"
        f"scancel: error: Kill job error on job id {job.id}: Job/step already completing or completed\n",
        0,
    )


async def test_scancel_of_the_batch_shell_ends_a_job_that_waits(bridge: Bridge):
    job = await bridge.submit(hold=True)
    assert await bridge.run("scancel", "-b", str(job.id)) == Reply()
    assert (await bridge.run("squeue", "-h", "-t", "all", "-o", "%T")).stdout == "CANCELLED\n"


async def test_scancel_of_anothers_job(bridge: Bridge):
    job = await bridge.submit()
    assert await bridge.run("scancel", str(job.id), caller=BOB) == failed(
        f"scancel: error: Kill job error on job id {job.id}: Access/permission denied\n", 210
    )
    assert await bridge.run("scancel", str(job.id), caller=ROOT) == Reply()


async def test_scancel_of_some_tasks(bridge: Bridge):
    array = await bridge.submit(array="0-9", hold=True)
    assert await bridge.run("scancel", f"{array.id}_[2-4,7]") == Reply()
    assert await bridge.out("squeue", "-h", "-o", "%i") == f"{array.id}_[0-1,5-6,8-9]\n"
    assert await bridge.run("scancel", f"{array.id}_99") == Reply()
    assert await bridge.run("scancel", f"{array.id}_5", f"{array.id}_6") == Reply()
    assert await bridge.out("squeue", "-h", "-o", "%i") == f"{array.id}_[0-1,8-9]\n"


async def test_scancel_by_filters(bridge: Bridge):
    await bridge.submit(name="mine", hold=True)
    await bridge.submit(name="mine", caller=BOB, hold=True)
    await bridge.submit(name="other", hold=True)
    assert await bridge.run("scancel", "--me", "-n", "mine") == Reply()
    assert sorted((await bridge.out("squeue", "-h", "-o", "%j-%u")).split()) == ["mine-bob", "other-alice"]


async def test_scancel_asks_before_each_job(bridge: Bridge):
    first, second = await bridge.submit(hold=True), await bridge.submit(hold=True)
    reply = await bridge.run("scancel", "-i", str(first.id), str(second.id))
    assert reply.question == f"Cancel job_id={first.id} name=train partition=main [y/n]? "
    reply = await bridge.run("scancel", "-i", str(first.id), str(second.id), state=reply.state, answer="n")
    assert reply.question == f"Cancel job_id={second.id} name=train partition=main [y/n]? "
    reply = await bridge.run("scancel", "-i", str(first.id), str(second.id), state=reply.state, answer="y")
    assert reply == Reply()
    assert await bridge.out("squeue", "-h", "-o", "%A") == f"{first.id}\n"


async def test_scancel_takes_the_end_of_the_input_for_a_no(bridge: Bridge):
    job = await bridge.submit(hold=True)
    reply = await bridge.run("scancel", "-i", str(job.id))
    assert await bridge.run("scancel", "-i", str(job.id), state=reply.state, answer=None) == Reply()
    assert await bridge.out("squeue", "-h", "-o", "%A") == f"{job.id}\n"


async def test_scancel_sends_signals(bridge: Bridge):
    job = await bridge.submit()
    text = f"scancel: error: Kill job error on job id {job.id}: Job can not be altered now, try again later\n"
    assert await bridge.run("scancel", "-s", "USR1", str(job.id)) == failed(text, 228)
    await bridge.start(job, ON_N1)
    assert await bridge.run("scancel", "-s", "USR1", str(job.id)) == Reply()
    assert await bridge.run("scancel", "-b", "-s", "USR2", str(job.id)) == Reply()
    assert await bridge.run("scancel", "-f", "-s", "TERM", str(job.id)) == Reply()
    signals = [told for told in bridge.backend.told if told[0] == "signal"]
    assert [told[-2:] for told in signals] == [(10, "steps"), (12, "batch"), (15, "all")]


# ── scontrol ──────────────────────────────────────────────────────────────────────────────────────


async def test_scontrol_show_job(bridge: Bridge):
    array = await bridge.submit(array="0-3%2", hold=True)
    text = await bridge.out("scontrol", "show", "job", str(array.id))
    assert text.startswith(
        f"JobId={array.id} ArrayJobId={array.id} ArrayTaskId=0-3%2 ArrayTaskThrottle=2 JobName=train\n"
    )
    text = await bridge.out("scontrol", "show", "job", f"{array.id}_2")
    assert text.startswith(f"JobId={array.id} ArrayJobId={array.id} ArrayTaskId=2 ArrayTaskThrottle=2 ")
    assert await bridge.run("scontrol", "show", "job", f"{array.id}_9") == failed(
        "", stdout=f"Job {array.id}_9 not found\n"
    )


async def test_scontrol_show_of_what_is_not_there(bridge: Bridge):
    assert await bridge.run("scontrol", "show", "job", "abc") == failed(
        "scontrol_print_job error: Invalid job id specified\n"
    )
    assert await bridge.run("scontrol", "show", "job", "999") == failed(
        "slurm_load_jobs error: Invalid job id specified\n"
    )
    assert await bridge.run("scontrol", "show", "node", "n77") == failed("", stdout="Node n77 not found\n")
    assert await bridge.run("scontrol", "show", "partition", "nowhere") == failed(
        "", stdout="Partition nowhere not found\n"
    )
    assert await bridge.out("scontrol", "show", "job") == "No jobs in the system\n"


async def test_scontrol_holds_and_releases(bridge: Bridge):
    job = await bridge.submit(begin_at=NOON + 3600)
    look = ("squeue", "-h", "-o", "%T|%r|%Q")
    assert await bridge.run("scontrol", "hold", str(job.id)) == Reply()
    assert await bridge.out(*look) == "PENDING|JobHeldUser|0\n"
    assert await bridge.run("scontrol", "release", str(job.id)) == Reply()
    assert await bridge.out(*look) == "PENDING|None|1\n"
    assert await bridge.run("scontrol", "hold", str(job.id), caller=ROOT) == Reply()
    assert await bridge.out(*look) == "PENDING|JobHeldAdmin|0\n"
    assert await bridge.run("scontrol", "release", str(job.id)) == failed(
        f"Access/permission denied for job {job.id}\nslurm_suspend error:Access/permission denied\n"
    )


@pytest.mark.parametrize(
    ("argv", "stderr"),
    [
        (["hold", "999"], "Invalid job id specified for job 999\nslurm_suspend error:Invalid job id specified\n"),
        (["hold", "abc"], "Invalid job id specified for job abc\nslurm_suspend error:Invalid job id specified\n"),
        (["requeue", "999"], "Invalid job id specified for job 999\n"),
        (["top", "1"], "Access/permission denied for job 1\n"),
        (["update", "JobId=99999999", "Name=x"], "Invalid job id specified for job 99999999\n"),
        (["update", "JobName=nosuch", "Comment=x"], "scontrol: error: No jobs with name 'nosuch'\n"),
        (["update", "NodeName=n1", "State=DRAIN", "Reason=x"], "slurm_update error: Invalid user id\n"),
        (["reconfigure"], "slurm_reconfigure error:Invalid user id\n"),
    ],
)
async def test_scontrol_refusals(bridge: Bridge, argv: list[str], stderr: str):
    assert await bridge.run("scontrol", *argv) == failed(stderr)


@pytest.mark.parametrize(
    "word", ["OverSubscribe=yes", "Contiguous=1", "Deadline=now+2days", "AdminComment=x", "Reboot=yes"]
)
async def test_what_only_operators_set(bridge: Bridge, word: str):
    job = await bridge.submit(hold=True)
    update = ["scontrol", "update", f"JobId={job.id}", word]
    assert await bridge.run(*update) == failed(f"Access/permission denied for job {job.id}\n")
    assert await bridge.run(*update, caller=ROOT) == Reply()


async def test_users_stay_below_their_partitions_limit(bridge: Bridge):
    job = await bridge.submit(hold=True)
    update = ["scontrol", "update", f"JobId={job.id}"]
    assert await bridge.run(*update, "TimeLimit=1-0") == Reply()
    for limit in ("2-0", "UNLIMITED"):
        refused = failed(f"Access/permission denied for job {job.id}\n")
        assert await bridge.run(*update, f"TimeLimit={limit}") == refused
    assert await bridge.run(*update, "TimeLimit=2-0", caller=ROOT) == Reply()


async def test_a_held_job_is_not_released_by_its_priority(bridge: Bridge):
    job = await bridge.submit(hold=True)
    assert await bridge.run("scontrol", "update", f"JobId={job.id}", "Priority=5") == failed(
        f"Job is in held state, pending scheduler release for job {job.id}\n"
    )


async def test_scontrol_of_anothers_job(bridge: Bridge):
    job = await bridge.submit(hold=True)
    assert await bridge.run("scontrol", "update", f"JobId={job.id}", "Name=x", caller=BOB) == failed(
        f"Invalid user id for job {job.id}\n"
    )
    assert await bridge.run("scontrol", "hold", str(job.id), caller=BOB) == failed(
        f"Invalid user id for job {job.id}\nslurm_suspend error:Invalid user id\n"
    )


async def test_scontrol_requeue_of_a_waiting_job(bridge: Bridge):
    job = await bridge.submit(hold=True)
    for words in (["requeue"], ["requeuehold"], ["requeuehold", "State=SpecialExit"]):
        assert await bridge.run("scontrol", *words, str(job.id)) == failed(
            f"Job is pending execution for job {job.id}\n"
        )


async def test_scontrol_suspends_and_resumes(bridge: Bridge):
    job = await bridge.submit()
    assert await bridge.run("scontrol", "suspend", str(job.id)) == failed(
        f"Access/permission denied for job {job.id}\n"
    )
    await bridge.start(job, ON_N1)
    assert await bridge.run("scontrol", "suspend", str(job.id), caller=ROOT) == Reply()
    assert await bridge.out("squeue", "-h", "-o", "%t") == "S\n"
    assert await bridge.run("scontrol", "resume", str(job.id), caller=ROOT) == Reply()
    assert await bridge.run("scontrol", "resume", str(job.id), caller=ROOT) == failed(
        f"Job is not suspended for job {job.id}\n"
    )


async def test_scontrol_update(bridge: Bridge):
    job = await bridge.submit(hold=True, name="u0", time_limit_seconds=600)
    update = ("scontrol", "update", f"JobId={job.id}")
    for words in (["Name=u1", "TimeLimit=5"], ["TimeLimit=20"], ["TimeLimit=+5"], ["NumNodes=2"], ["Comment=c2"]):
        assert await bridge.run(*update, *words) == Reply()
    assert await bridge.out("squeue", "-h", "-o", "%j|%l|%D|%k") == "u1|25:00|2|c2\n"
    assert await bridge.run(*update, "Partition=nowhere") == failed(
        f"Invalid partition name specified for job {job.id}\n"
    )
    assert await bridge.run(*update, "Nice=-10") == failed(f"Access/permission denied for job {job.id}\n")
    assert await bridge.run(*update, "Bogus=1") == failed(
        "Update of this parameter is not supported: Bogus=1\nRequest aborted\n"
    )


async def test_scontrol_update_names_a_job_in_two_words(bridge: Bridge):
    job = await bridge.submit(hold=True)
    assert await bridge.run("scontrol", "update", "job", str(job.id), "Comment=hi") == Reply()
    assert (await bridge.run("squeue", "-h", "-o", "%k")).stdout == "hi\n"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("Requeue=x", "Invalid Requeue value: x"),
        ("TimeLimit=+5", "Cannot increment/decrement TimeLimit when set to UNLIMITED."),
    ],
)
async def test_scontrol_update_with_a_bad_value(bridge: Bridge, setting: str, said: str):
    job = await bridge.submit(hold=True, time_limit_seconds=UNLIMITED_SECONDS)
    assert await bridge.run("scontrol", "update", f"job={job.id}", setting) == failed(f"scontrol: error: {said}\n")


@pytest.mark.parametrize(
    ("count", "said"),
    [("2-1", "Maximum node count 1 is less than minimum node count 2"), ("x", '"x" is not a valid node count')],
)
async def test_scontrol_update_with_a_bad_number_of_nodes_changes_nothing(bridge: Bridge, count: str, said: str):
    job = await bridge.submit(hold=True)
    words = ("scontrol", "update", f"job={job.id}", "Comment=hi", f"NumNodes={count}")
    assert await bridge.run(*words) == failed(f"scontrol: error: {said}\n", 0)
    assert await bridge.out("squeue", "-h", "-o", "%k") == "(null)\n"


async def test_scontrol_update_of_a_running_job(bridge: Bridge):
    job = await bridge.submit(time_limit_seconds=600)
    await bridge.start(job, ON_N1)
    update = ("scontrol", "update", f"JobId={job.id}")
    assert await bridge.run(*update, "TimeLimit=20") == failed(f"Access/permission denied for job {job.id}\n")
    assert await bridge.run(*update, "TimeLimit=5") == Reply()
    assert await bridge.run(*update, "TimeLimit=20", caller=ROOT) == Reply()
    late = failed(f"Job is no longer pending execution for job {job.id}\n")
    assert await bridge.run(*update, "Partition=short") == late
    assert await bridge.run(*update, "NumCPUs=3") == late


async def test_scontrol_update_of_an_arrays_throttle(bridge: Bridge):
    array = await bridge.submit(array="0-9%2", hold=True)
    for throttle, shown in (("5", "[0-9%5]"), ("0", "[0-9]")):
        assert await bridge.run("scontrol", "update", f"JobId={array.id}", f"ArrayTaskThrottle={throttle}") == Reply()
        assert await bridge.out("squeue", "-h", "-o", "%i") == f"{array.id}_{shown}\n"


async def test_scontrol_update_of_an_array_of_which_some_tasks_run(bridge: Bridge):
    array = await bridge.submit(array="0-3%2")
    await bridge.happen(JobKey(array.id, 0), Placed(bridge.now, ON_N1), Began(bridge.now, 1))
    update = ("scontrol", "update", f"JobId={array.id}")
    assert await bridge.run(*update, "ArrayTaskThrottle=3", "Comment=c") == Reply()
    assert await bridge.run(*update, "StdOut=/o.%a") == failed(f"{array.id}_0: Job is no longer pending execution\n")
    assert await bridge.out("squeue", "-h", "-S", "i", "-o", "%i %k") == f"{array.id}_0 c\n{array.id}_[1-3%3] c\n"


async def test_errors_of_tasks_name_the_tasks(bridge: Bridge):
    array = await bridge.submit(hold=True, array="0-2")
    nowhere = (f"{array.id}", f"{array.id}_1", f"{array.id}_[1-2]", f"{array.id}_[1-2,9]")
    said = [(await bridge.run("scontrol", "update", f"JobId={one}", "Partition=nowhere")).stderr for one in nowhere]
    assert said == [
        f"{array.id}_0-2: Invalid partition name specified\n",
        f"{array.id}_1: Invalid partition name specified\n",
        f"{array.id}_1-2: Invalid partition name specified\n",
        f"{array.id}_1-2: Invalid partition name specified\n{array.id}_9: Invalid job id specified\n",
    ]
    update = ("scontrol", "update", f"JobId={array.id}_1", "ArrayTaskThrottle=2")
    assert await bridge.run(*update) == failed(
        f"{array.id}_1: Requested operation not supported on this system "
        "(Update of ArrayTaskThrottle is only allowed on ArrayJobId)\n"
    )


async def test_scontrol_shows_one_id_at_a_time(bridge: Bridge):
    array = await bridge.submit(hold=True, array="0-2")
    for several in (f"{array.id}_[0-1]", f"{array.id}_0,{array.id}_1", "x"):
        assert await bridge.run("scontrol", "show", "job", several) == failed(
            "scontrol_print_job error: Invalid job id specified\n"
        )


async def test_scontrol_refuses_a_loop(bridge: Bridge):
    first = await bridge.submit(hold=True)
    after = dag.Dependency((dag.Clause(dag.Kind.AFTER_OK, first.id),))
    second = await bridge.submit(hold=True, dependency=after)
    assert await bridge.run("scontrol", "update", f"JobId={first.id}", f"Dependency=afterok:{second.id}") == failed(
        f"Circular job dependency for job {first.id}\n"
    )
    assert await bridge.run("scontrol", "update", f"JobId={first.id}", f"Dependency=afterok:{first.id}") == failed(
        f"Job dependency problem for job {first.id}\n"
    )
    assert await bridge.run("scontrol", "update", f"JobId={second.id}", "Dependency=") == Reply()
    assert await bridge.out("squeue", "-h", "-j", str(second.id), "-o", "%E") == "(null)\n"


async def test_an_operator_drains_a_node(bridge: Bridge):
    words = ("scontrol", "update", "NodeName=n3", "State=DRAIN", "Reason=testing drain")
    assert await bridge.run(*words, caller=ROOT) == Reply()
    assert (
        await bridge.out("sinfo", "-h", "-p", "main", "-o", "%t %N %E") == "drain n3 testing drain\nidle n[1-2] none\n"
    )
    assert await bridge.run("scontrol", "update", "NodeName=n3", "State=RESUME", caller=ROOT) == Reply()
    assert await bridge.run("scontrol", "update", "NodeName=n3", "State=RESUME", caller=ROOT) == failed(
        "slurm_update error: Invalid node state transition\n"
    )


async def test_sinfo_counts_what_runs(bridge: Bridge):
    job = await bridge.submit()
    await bridge.start(job, ON_N1)
    assert await bridge.out("sinfo", "-h", "-p", "main", "-o", "%t %N %C") == "mix n1 1/7/0/8\nidle n[2-3] 0/16/0/16\n"
    assert "\n   CPUAlloc=1 CPUEfctv=8 CPUTot=8 " in await bridge.out("scontrol", "show", "node", "n1")


async def test_the_script_is_for_its_owner(bridge: Bridge):
    job = await bridge.submit()
    script = "#!/bin/sh\necho \udcff\n"
    assert await bridge.out("scontrol", "write", "batch_script", str(job.id), "-") == script
    reply = await bridge.run("scontrol", "write", "batch_script", str(job.id))
    assert reply.stdout == f"batch script for job {job.id} written to slurm-{job.id}.sh\n"
    assert reply.written == ((f"slurm-{job.id}.sh", b"#!/bin/sh\necho \xff\n"),)
    assert await bridge.run("scontrol", "write", "batch_script", str(job.id), "-", caller=BOB) == failed(
        "job script retrieval failed: Access/permission denied\n", 0
    )


async def test_tokens(bridge: Bridge):
    assert await bridge.out("scontrol", "token") == "SLURM_JWT=alice-1800\n"
    assert await bridge.out("scontrol", "token", "lifespan=60") == "SLURM_JWT=alice-60\n"
    assert await bridge.out("scontrol", "token", "username=bob", caller=ROOT) == "SLURM_JWT=bob-1800\n"
    assert (await bridge.run("scontrol", "token", "username=bob")).exit_code == 1
    assert await bridge.out("scontrol", "ping") == "Slurmctld(primary) at here is UP\n"


# ── sacct ─────────────────────────────────────────────────────────────────────────────────────────


async def test_sacct_remembers(bridge: Bridge):
    job = await bridge.submit(name="x")
    await bridge.start(job, ON_N1)
    bridge.now += 61
    await bridge.end(job, End(exit_status=3))
    bridge.now += 3600
    fields = ("-n", "-P", "-o", "jobid,state,exitcode,elapsed,reqtres")
    assert await bridge.out("sacct", "-j", str(job.id), *fields) == (
        f"{job.id}|FAILED|3:0|00:01:01|billing=1,cpu=1,mem=256M,node=1\n{job.id}.batch|FAILED|3:0|00:01:01|\n"
    )
    assert await bridge.out("sacct", "-X", "-n", "-P", "-o", "jobid,jobname") == f"{job.id}|x\n"
    assert await bridge.out("sacct", "-X", "-n", caller=BOB) == ""
    assert await bridge.out("sacct", "-n", "-j", "99999999") == ""


async def test_sacct_prints_scripts(bridge: Bridge):
    job = await bridge.submit()
    assert await bridge.out("sacct", "-B", "-j", str(job.id)) == (
        f"Batch Script for {job.id}\n{'-' * 80}\n#!/bin/sh\necho \udcff\n"
    )
    assert (await bridge.run("sacct", "-B", "-j", str(job.id), caller=BOB)).exit_code == 1


async def test_a_task_goes_its_own_way(bridge: Bridge):
    array = await bridge.submit(array="1-3")
    await bridge.happen(JobKey(array.id, 2))
    assert await bridge.run("scontrol", "hold", f"{array.id}_2", caller=ALICE) == Reply()
    assert await bridge.out("squeue", "-h", "-r", "-S", "i", "-o", "%i %r") == (
        f"{array.id}_1 None\n{array.id}_2 JobHeldUser\n{array.id}_3 None\n"
    )
    assert await bridge.out("squeue", "-h", "-o", "%i %r %R") == (
        f"{array.id}_[1-3] None,JobHeldUser (None,JobHeldUser)\n"
    )


# ── clusters ──────────────────────────────────────────────────────────────────────────────────────


async def test_commands_take_the_own_cluster_by_name(bridge: Bridge):
    job = await bridge.submit(hold=True)
    assert await bridge.out("squeue", "-M", "oracle", "-o", "%i") == f"CLUSTER: oracle\nJOBID\n{job.id}\n"
    assert await bridge.out("squeue", "-M", "all", "-h", "-o", "%i") == f"{job.id}\n"
    assert await bridge.out("sinfo", "-M", "oracle", "-p", "gpu", "-o", "%R") == "CLUSTER: oracle\nPARTITION\ngpu\n"
    assert await bridge.out("scontrol", "-M", "oracle", "ping") == "Slurmctld(primary) at oracle is UP\n"
    assert await bridge.out("sacct", "-M", "all", "-j", f"{job.id}", "-X", "-n", "-P", "-o", "jobid") == f"{job.id}\n"
    assert await bridge.out("scancel", "-M", "oracle", str(job.id)) == ""
    assert await bridge.out("squeue", "-h") == ""


async def test_commands_refuse_other_clusters(bridge: Bridge):
    job = await bridge.submit(hold=True)
    for command, *words in (["squeue"], ["sinfo"], ["scontrol", "ping"], ["scancel", str(job.id)]):
        for argv, environ in (([*words, "-M", "nowhere"], {}), (words, {"SLURM_CLUSTERS": "nowhere"})):
            reply = await bridge.run(command, *argv, environ=environ)
            assert (reply.stdout, reply.exit_code) == ("", 1)
            assert reply.stderr.startswith(f"{command}: error: No cluster 'nowhere' known by database.\n")
    assert await bridge.out("squeue", "-h", "-o", "%i") == f"{job.id}\n"
    assert await bridge.out("sacct", "-M", "nowhere", "-X", "-P", "-o", "jobid") == "JobID\n"


# ── orders of operators ───────────────────────────────────────────────────────────────────────────


async def test_top_moves_a_job_before_its_users_others_only(bridge: Bridge):
    await bridge.start(await bridge.submit(), (Share("n4", 8, 256, 1),))
    first, second, third = [await bridge.submit(partitions=("gpu",), tasks=8, name=name) for name in "abc"]
    others = await bridge.submit(caller=BOB, partitions=("gpu",), tasks=8, name="d")
    assert await bridge.run("scontrol", "top", str(third.id), caller=ROOT) == Reply()
    look = ["squeue", "-h", "-t", "PD", "-S", "i", "-o", "%j %Q %y"]
    assert await bridge.out(*look) == "a 1 1\nb 1 1\nc 1 0\nd 1 0\n"
    assert others.id > third.id > second.id > first.id


async def test_top_is_for_operators_and_for_jobs_that_wait(bridge: Bridge):
    held = await bridge.submit(hold=True)
    running = await bridge.submit()
    await bridge.start(running, ON_N1)
    for job, caller, text in (
        (held, ALICE, "Access/permission denied"),
        (held, ROOT, "Job is in held state, pending scheduler release"),
        (running, ROOT, "Job is no longer pending execution"),
    ):
        assert await bridge.run("scontrol", "top", str(job.id), caller=caller) == failed(f"{text} for job {job.id}\n")


async def test_reconfigure_reads_the_site_again(bridge: Bridge):
    partitions = (dataclasses.replace(SITE.partitions[0], max_time_seconds=60),)

    async def reload() -> None:
        bridge.service.replace_site(dataclasses.replace(SITE, partitions=partitions))

    bridge.world = dataclasses.replace(bridge.world, reload=reload)
    assert await bridge.run("scontrol", "reconfigure", caller=ROOT) == Reply()
    assert await bridge.out("sinfo", "-h", "-o", "%R %l") == "main 1:00\n"


async def test_reconfigure_tells_why_it_did_nothing(bridge: Bridge):
    async def reload() -> None:
        raise Refused("[server] of the site file change with a new start of the bridge only")

    bridge.world = dataclasses.replace(bridge.world, reload=reload)
    assert await bridge.run("scontrol", "reconfigure", caller=ROOT) == failed(
        "slurm_reconfigure error:[server] of the site file change with a new start of the bridge only\n"
    )


# ── scontrol by standard input ────────────────────────────────────────────────────────────────────


async def test_scontrol_reads_commands_from_standard_input(bridge: Bridge):
    asked = await bridge.run("scontrol")
    assert asked == Reply(question="scontrol: ", state={"asked": True})
    shown = await bridge.run("scontrol", state={"asked": True}, answer="show hostnames 'n[1-2]'")
    assert shown == Reply("n1\nn2\n", question="scontrol: ", state={"asked": True})
    bad = await bridge.run("scontrol", state={"asked": True}, answer="frobnicate")
    assert (bad.stderr, bad.question) == ("invalid keyword: frobnicate\n", "scontrol: ")
    for last in ("exit", "quit", None):
        assert await bridge.run("scontrol", state={"asked": True}, answer=last) == Reply()


async def test_hostlists_come_from_files_too(bridge: Bridge):
    assert (await bridge.run("scontrol", "show", "hostlist", "/tmp/names")).needs == ("file: /tmp/names",)
    read = {"file: /tmp/names": b"n3\nn1 n2\n"}
    assert await bridge.out("scontrol", "show", "hostlist", "/tmp/names", files=read) == "n[3,1-2]\n"
    assert await bridge.out("scontrol", "show", "hostlistsorted", "-", files={"stdin": b"n3,n1\n"}) == "n[1,3]\n"
    missing = await bridge.run("scontrol", "show", "hostlist", "/tmp/names", files={"file: /tmp/names": "ENOENT"})
    assert missing.exit_code == 1


async def test_scontrol_says_what_is_not_there(bridge: Bridge):
    job = await bridge.submit(hold=True)
    step = "scontrol: error: scontrol_print_step: slurm_get_job_steps(99.0) failed: Invalid job id specified\n"
    for argv, stderr in (
        (["show", "step", "99.0"], step),
        (["notify", "99", "hello"], "job notify failure: Invalid job id specified\n"),
        (["notify", str(job.id), "hello"], "job notify failure: Requested operation is presently disabled\n"),
        (["wait_job", "99"], "scontrol: Problem running job 99\n"),
        (["-Q", "show", "job", "99"], ""),
        (["-Q", "update", "JobId=99", "Name=x"], ""),
    ):
        assert await bridge.run("scontrol", *argv) == failed(stderr)
    assert await bridge.out("scontrol", "show", "aliases") == "n1 n2 n3 n4\n"


async def test_tables_of_what_is_not_there(bridge: Bridge):
    assert await bridge.out("sprio", "-j", "99") == "Unable to find jobs matching user/id(s) specified\n"
    assert await bridge.out("sacctmgr", "-p", "show", "federation") == "Federation|Cluster|ID|Features|FedState|\n"
    assert await bridge.out("sacctmgr", "-n", "show", "resource") == ""


async def test_sinfo_all(bridge: Bridge):
    told = await bridge.out("sinfo", "-N", "-n", "n1", "-p", "main", "-o", "%all")
    header, row = told.splitlines()
    assert header.startswith("AVAIL|ACTIVE_FEATURES|CPUS|TMP_DISK|FREE_MEM|AVAIL_FEATURES|GROUPS|OVERSUBSCRIBE|")
    assert header.endswith(
        "|S:C:T|NODES(A/I) |MAX_CPUS_PER_NODE |CPUS(A/I/O/T) |NODES |REASON |NODES(A/I/O/T) |GRES "
        "|TIMESTAMP |PRIO_JOB_FACTOR |DEFAULTTIME |PREEMPT_MODE |NODELIST |CPU_LOAD |PARTITION |PARTITION "
        "|ALLOCNODES |STATE |USER |CLUSTER |SOCKETS |CORES |THREADS "
    )
    assert row.startswith("up|intel,ib|8|0|") and row.endswith("|main* |main |all |idle |Unknown |N/A |2 |4 |1 ")


async def test_scancel_tells_that_nothing_matched(bridge: Bridge):
    job = await bridge.submit(hold=True)
    assert await bridge.run("scancel", "-A", "nosuch") == Reply()
    assert await bridge.run("scancel", "-v", "-u", "bob", "-A", "x", "-n", "y", "-p", "main") == Reply(
        stderr="scancel: error: No active jobs match ALL job filters, including: "
        "account=x job_name=y partition=main user_name=bob \n"
    )
    assert await bridge.run("scancel", "-t", "RUNNING", str(job.id)) == Reply()
    unknown = "scancel: error: Kill job error on job id 99: Invalid job id specified\n"
    assert await bridge.run("scancel", "-t", "RUNNING", "99") == failed(unknown)
    assert await bridge.run("scancel", "-Q", "-t", "RUNNING", "99") == failed("")
    await bridge.run("scancel", str(job.id))
    assert await bridge.run("scancel", "-i", str(job.id)) == failed(unknown.replace("99", str(job.id)))
