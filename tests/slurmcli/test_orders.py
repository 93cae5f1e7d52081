"""Orders of scontrol to jobs in every state, and what is said of an array's tasks; as slurmctld 25.11 answers."""

import pytest

from bridge.core.events import Began, Ended, Placed
from bridge.core.job import End, Job, JobKey
from bridge.service.terms import Selector
from bridge.slurmcli.wire import Reply
from tests.slurmcli.bridge import ALICE, BOB, ROOT, Bridge
from tests.slurmcli.test_commands import ON_N1, failed

LOOK = ("squeue", "-h", "-t", "all", "-o", "%t %r %Q", "-j")


async def _an_array_of_each(bridge: Bridge) -> Job:
    """0 has ended, 1 and 2 run, 3 and 4 wait."""
    array = await bridge.submit(array="0-4%2")
    for task in (0, 1, 2):
        await bridge.happen(JobKey(array.id, task), Placed(bridge.now, ON_N1), Began(bridge.now, 1))
    await bridge.happen(JobKey(array.id, 0), Ended(bridge.now, 1, End()))
    return array


async def _orders(bridge: Bridge, verb: str, *words: str, caller=ROOT) -> Reply:
    return await bridge.run("scontrol", verb, *words, caller=caller)


async def test_a_running_job_is_held_and_released_and_runs_on(bridge: Bridge):
    job = await bridge.submit()
    await bridge.start(job, ON_N1)
    for caller, verb, shown in (
        (ALICE, "hold", "R JobHeldUser 0"),
        (ALICE, "release", "R None 1"),
        (ROOT, "hold", "R JobHeldAdmin 0"),
        (ALICE, "hold", "R JobHeldAdmin 0"),
        (ALICE, "uhold", "R JobHeldAdmin 0"),
        (ROOT, "uhold", "R JobHeldUser 0"),
        (ALICE, "release", "R None 1"),
    ):
        assert await _orders(bridge, verb, str(job.id), caller=caller) == Reply()
        assert await bridge.out(*LOOK, str(job.id)) == shown + "\n"
    await _orders(bridge, "hold", str(job.id))
    assert await _orders(bridge, "release", str(job.id), caller=ALICE) == failed(
        f"Access/permission denied for job {job.id}\nslurm_suspend error:Access/permission denied\n"
    )


async def test_priority_0_holds_and_no_priority_releases(bridge: Bridge):
    waiting, running = await bridge.submit(), await bridge.submit()
    await bridge.start(running, ON_N1)
    for job, state in ((waiting, "PD"), (running, "R")):
        update = ("scontrol", "update", f"JobId={job.id}")
        assert await bridge.run(*update, "Priority=0", caller=ROOT) == Reply()
        assert await bridge.out(*LOOK, str(job.id)) == f"{state} JobHeldAdmin 0\n"
        for caller in (ALICE, ROOT):
            assert await bridge.run(*update, "Priority=7", caller=caller) == failed(
                f"Job is in held state, pending scheduler release for job {job.id}\n"
            )


@pytest.mark.parametrize("verb", ["hold", "uhold", "release"])
async def test_a_job_that_has_ended_is_neither_held_nor_released(bridge: Bridge, verb: str):
    job = await bridge.submit()
    await bridge.start(job, ON_N1)
    await bridge.end(job, End())
    assert await _orders(bridge, verb, str(job.id)) == failed(
        f"Job has already finished for job {job.id}\nslurm_suspend error:Job has already finished\n"
    )


@pytest.mark.parametrize("verb", ["suspend", "resume"])
async def test_what_is_not_running_is_neither_suspended_nor_resumed(bridge: Bridge, verb: str):
    waiting, ended = await bridge.submit(), await bridge.submit()
    await bridge.start(ended, ON_N1)
    await bridge.end(ended, End())
    assert await _orders(bridge, verb, str(waiting.id), str(ended.id)) == failed(
        f"Job is pending execution for job {waiting.id}\nJob/step already completing or completed for job {ended.id}\n"
    )


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("hold", "Invalid user id for job {}\nslurm_suspend error:Invalid user id\n"),
        ("requeue", "Access/permission denied for job {}\n"),
        ("suspend", "Access/permission denied for job {}\n"),
        ("resume", "Access/permission denied for job {}\n"),
    ],
)
async def test_anothers_job_is_left_alone(bridge: Bridge, verb: str, said: str):
    job = await bridge.submit()
    await bridge.start(job, ON_N1)
    assert await _orders(bridge, verb, str(job.id), caller=BOB) == failed(said.format(job.id))


@pytest.mark.parametrize(
    ("verb", "word", "said"),
    [
        ("hold", "{}_0", "{}_0: Job has already finished\n"),
        ("hold", "{}_1", ""),
        ("hold", "{}_[1-4]", ""),
        ("hold", "{}", "{}_0: Job has already finished\n{}_1-4: No error\n"),
        ("uhold", "{}", "{}_0: Job has already finished\n{}_1-4: No error\n"),
        ("release", "{}_[0-1]", "{}_0: Job has already finished\n{}_1: No error\n"),
        ("hold", "{}_99", "{}_99: Invalid job id specified\n"),
        ("hold", "{}_[1-2,7]", "{}_1-2: No error\n{}_7: Invalid job id specified\n"),
        ("hold", "{}_3,{}_4", ""),
        (
            "suspend",
            "{}",
            "{}_0: Job/step already completing or completed\n{}_1-2: No error\n{}_3-4: Job is pending execution\n",
        ),
        ("suspend", "{}_3", "{}_3: Job is pending execution\n"),
        (
            "resume",
            "{}_[0-3]",
            "{}_0: Job/step already completing or completed\n{}_1-2: Job is not suspended\n"
            "{}_3: Job is pending execution\n",
        ),
        ("requeue", "{}_3,{}_4", "{}_3: Job is pending execution\n{}_4: Job is pending execution\n"),
        ("requeue", "{}_[0-3]", "{}_0-2: No error\n{}_3: Job is pending execution\n"),
        ("requeuehold", "{}_[3-4,9]", "{}_3-4: Job is pending execution\n{}_9: Invalid job id specified\n"),
    ],
)
async def test_the_fate_of_each_task_is_told(bridge: Bridge, verb: str, word: str, said: str):
    array = await _an_array_of_each(bridge)
    text = said.replace("{}", str(array.id))
    assert await _orders(bridge, verb, word.replace("{}", str(array.id))) == Reply(
        stderr=text, exit_code=1 if text else 0
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{}", "Features=intel"], "{}_0: Job has already finished\n{}_1-2: Job is no longer pending execution\n"),
        (["{}_[3,9]", "Nice=4"], "{}_9: Invalid job id specified\n"),
        (["{}_9", "Nice=4"], "{}_9: Invalid job id specified\n"),
        (["{}_3", "Partition=nope"], "{}_3: Invalid partition name specified\n"),
        (["{}_3,abc", "Comment=x"], "Invalid job id specified for job {}_3,abc\n"),
        (
            ["{}_3", "ArrayTaskThrottle=2"],
            "{}_3: Requested operation not supported on this system "
            "(Update of ArrayTaskThrottle is only allowed on ArrayJobId)\n",
        ),
    ],
)
async def test_what_an_update_could_not_do_is_told_by_tasks(bridge: Bridge, words: list[str], said: str):
    array = await _an_array_of_each(bridge)
    id_word, setting = words[0].replace("{}", str(array.id)), words[1]
    assert await bridge.run("scontrol", "update", f"JobId={id_word}", setting, caller=ROOT) == failed(
        said.replace("{}", str(array.id))
    )


async def test_tasks_that_were_cancelled_while_they_waited_are_forgotten(bridge: Bridge):
    array = await bridge.submit(array="1-6", hold=True)
    await bridge.run("scancel", f"{array.id}_[4-5]")
    assert await bridge.run("scontrol", "update", f"JobId={array.id}", "Comment=x") == Reply()
    assert await _orders(bridge, "hold", str(array.id)) == Reply()
    assert await _orders(bridge, "hold", f"{array.id}_[3-5]") == failed(
        f"{array.id}_3: No error\n{array.id}_4-5: Invalid job id specified\n"
    )


async def test_a_throttle_is_set_even_where_the_rest_of_the_update_is_refused(bridge: Bridge):
    array = await bridge.submit(array="0-3%1", hold=True)
    words = ("scontrol", "update", f"JobId={array.id}", "ArrayTaskThrottle=2", "Comment=x", "Partition=nope")
    assert await bridge.run(*words) == failed(f"{array.id}_0-3: Invalid partition name specified\n")
    assert await bridge.out("squeue", "-h", "-o", "%i %k") == f"{array.id}_[0-3%2] (null)\n"


async def test_a_circle_is_seen_task_by_task(bridge: Bridge):
    array = await bridge.submit(array="0-3", hold=True)
    after = await bridge.submit(hold=True)

    async def depend(job: object, on: object) -> Reply:
        return await bridge.run("scontrol", "update", f"JobId={job}", f"Dependency=afterany:{on}")

    assert await depend(after.id, f"{array.id}_2") == Reply()
    assert await depend(f"{array.id}_1", after.id) == Reply()
    assert await depend(f"{array.id}_2", after.id) == failed(f"{array.id}_2: Circular job dependency\n")
    assert await depend(array.id, after.id) == failed(f"{array.id}_0,2-3: Circular job dependency\n")
    assert await depend(f"{array.id}_3", f"{array.id}_0") == Reply()
    assert await depend(f"{array.id}_0", f"{array.id}_3") == failed(f"{array.id}_0: Circular job dependency\n")
    assert await depend(after.id, after.id) == failed(f"Job dependency problem for job {after.id}\n")
    assert await depend(f"{array.id}_1", array.id) == failed(f"{array.id}_1: Job dependency problem\n")


async def test_jobs_are_held_and_released_by_name(bridge: Bridge):
    mine = await bridge.submit(name="mine")
    other = await bridge.submit(name="other")
    theirs = await bridge.submit(name="mine", caller=BOB)
    assert await _orders(bridge, "hold", "jobname=mine", caller=ALICE) == failed(
        f"Invalid user id for job {theirs.id}\nslurm_suspend error:Invalid user id\n"
    )
    assert await bridge.out("squeue", "-h", "-S", "i", "-o", "%i %r") == (
        f"{mine.id} JobHeldUser\n{other.id} None\n{theirs.id} None\n"
    )
    assert await _orders(bridge, "release", "name=mine") == Reply()
    assert await _orders(bridge, "release", "name=nobody") == Reply()
    assert await bridge.out("squeue", "-h", "-n", "mine", "-o", "%r") == "None\nNone\n"


async def test_a_list_with_a_word_that_is_no_id_is_refused_as_a_whole(bridge: Bridge):
    job = await bridge.submit()
    assert await _orders(bridge, "hold", f"{job.id},abc") == failed(
        f"Invalid job id specified for job {job.id},abc\nslurm_suspend error:Invalid job id specified\n"
    )
    assert await bridge.out(*LOOK, str(job.id)) == "PD None 1\n"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("Comment=x", ""),
        ("Name=y", ""),
        ("Nice=3", ""),
        ("Requeue=0", ""),
        ("MailUser=x", ""),
        ("MailType=ALL", ""),
        ("Extra=x", ""),
        ("AdminComment=y", ""),
        ("Partition=short", "Job is no longer pending execution"),
        ("Features=intel", "Job is no longer pending execution"),
        ("WCKey=x", "Job is no longer pending execution"),
        ("StdOut=/x", "Job is no longer pending execution"),
        ("MinMemoryNode=5", "Job is no longer pending execution"),
        ("ExcNodeList=n1", "Job is no longer pending execution"),
    ],
)
async def test_what_may_be_changed_of_a_job_that_runs(bridge: Bridge, setting: str, said: str):
    job = await bridge.submit()
    await bridge.start(job, ON_N1)
    text = f"{said} for job {job.id}\n" if said else ""
    assert await bridge.run("scontrol", "update", f"JobId={job.id}", setting, caller=ROOT) == Reply(
        stderr=text, exit_code=1 if text else 0
    )


async def test_tasks_that_all_wait_together_are_changed_together(bridge: Bridge):
    array = await bridge.submit(array="0-3")
    await bridge.happen(JobKey(array.id, 0), Placed(bridge.now, ON_N1), Began(bridge.now, 1))
    assert await _orders(bridge, "hold", f"{array.id}_[1-3]") == Reply()
    jobs = await bridge.service.show(ALICE, Selector(array.id))
    assert sorted((str(job.key), job.priority) for job in jobs) == [(str(array.id), 0), (f"{array.id}_0", 1)]
    assert await _orders(bridge, "release", f"{array.id}_[2-3]") == Reply()
    assert await bridge.out("squeue", "-h", "-r", "-S", "i", "-o", "%K %r") == (
        "0 None\n1 JobHeldAdmin\n2 None\n3 None\n"
    )
