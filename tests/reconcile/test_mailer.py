"""Mail from history to the site's command: once for each occasion, whatever is restarted or fails."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.core.events import Began, Ended, Placed
from bridge.core.job import End, Job, JobKey, Share
from bridge.reconcile.mailer import LEASE, LEASE_SECONDS, Mailer, MailSettings
from tests.slurmcli.bridge import Bridge, a_bridge

pytestmark = pytest.mark.anyio

ON_N1 = (Share("n1", 1, 256, 1),)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def bridge(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Bridge]:
    async with a_bridge(tmp_path) as bridge:
        yield bridge


class Post:
    """A command that keeps what it is given, or refuses while `broken` is there."""

    def __init__(self, folder: Path) -> None:
        self.box, self.broken = folder / "box", folder / "broken"
        self.command = folder / "sendmail"
        self.command.write_text(
            f"#!/bin/sh\n[ ! -e {self.broken} ] || {{ echo full >&2; exit 75; }}\n"
            f'{{ echo "== $*"; env | grep ^SLURM_JOB_ | sort; }} >>{self.box}\nexec cat >>{self.box}\n'
        )
        self.command.chmod(self.command.stat().st_mode | stat.S_IXUSR)

    def mailer(self, bridge: Bridge) -> Mailer:
        settings = MailSettings((str(self.command), "-t"), "slurm@x", "example.org")
        return Mailer(bridge.store, settings, "tryout", lambda gid: f"group{gid}", owner="me", now=lambda: bridge.now)

    def subjects(self) -> list[str]:
        text = self.box.read_text() if self.box.exists() else ""
        return [line.removeprefix("Subject: ") for line in text.splitlines() if line.startswith("Subject: ")]


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


async def run(bridge: Bridge, job: Job, end: End | None = None, key: JobKey | None = None) -> None:
    key = key or job.key
    await bridge.happen(key, Placed(bridge.now, ON_N1), Began(bridge.now, 1))
    bridge.now += 5
    await bridge.happen(key, Ended(bridge.now, 1, end or End()))


async def test_a_job_is_told_of_once_also_by_the_next_process(bridge: Bridge, post: Post):
    await post.mailer(bridge).turn()
    job = await bridge.submit(name="ok", mail_types=("BEGIN", "END"))
    await run(bridge, job)
    told = [
        f"Slurm Job_id={job.id} Name=ok Began, Queued time 00:00:00",
        f"Slurm Job_id={job.id} Name=ok Ended, Run time 00:00:05, COMPLETED, ExitCode 0",
    ]
    await post.mailer(bridge).turn()
    assert post.subjects() == told
    text = post.box.read_text()
    assert text.startswith("== -t\nSLURM_JOB_ACCOUNT=physics\n")
    assert "SLURM_JOB_MAIL_TYPE=Began\n" in text and "SLURM_JOB_EXIT_CODE2=0:0\n" in text
    assert "\nFrom: slurm@x\nTo: alice@example.org\n" in text
    await post.mailer(bridge).turn()
    assert post.subjects() == told


async def test_what_happened_before_mail_was_sent_here_is_not_told(bridge: Bridge, post: Post):
    await run(bridge, await bridge.submit(mail_types=("END",)))
    await post.mailer(bridge).turn()
    assert post.subjects() == []


async def test_a_command_that_fails_is_tried_again_later(bridge: Bridge, post: Post):
    mailer = post.mailer(bridge)
    await mailer.turn()
    await run(bridge, await bridge.submit(mail_types=("END",)))
    post.broken.touch()
    await mailer.turn()
    post.broken.unlink()
    await mailer.turn()
    assert post.subjects() == []
    bridge.now += 31
    await mailer.turn()
    assert len(post.subjects()) == 1


async def test_what_was_being_sent_when_a_process_ended_is_not_sent_again(bridge: Bridge, post: Post):
    await post.mailer(bridge).turn()
    await run(bridge, await bridge.submit(mail_types=("END",)))
    killed = post.mailer(bridge)
    while await killed._follow():
        pass
    [(one, tries)] = await bridge.store.due_mails(bridge.now, 10)
    await bridge.store.mark_mail(one.id, "handed", tries + 1, bridge.now)
    assert await bridge.store.give_up_handed_mails() == 1
    await post.mailer(bridge).turn()
    assert post.subjects() == []


async def test_an_array_is_told_of_when_its_first_task_begins_and_its_last_has_ended(bridge: Bridge, post: Post):
    mailer = post.mailer(bridge)
    await mailer.turn()
    job = await bridge.submit(name="arr", array="0-1", mail_types=("BEGIN", "END"))
    name = f"Slurm Array Summary Job_id={job.id}_* ({job.id}) Name=arr"
    await run(bridge, job, key=JobKey(job.id, 0))
    await mailer.turn()
    assert post.subjects() == [f"{name} Began"]
    await run(bridge, job, End(exit_status=1), JobKey(job.id, 1))
    await mailer.turn()
    assert post.subjects() == [f"{name} Began", f"{name} Ended, Mixed, ExitCode [0-1]"]


async def test_a_share_of_the_time_limit_is_told_once(bridge: Bridge, post: Post):
    mailer = post.mailer(bridge)
    await mailer.turn()
    job = await bridge.submit(name="tl", time_limit_seconds=600, mail_types=("TIME_LIMIT_50",))
    await bridge.start(job, ON_N1)
    await mailer.turn()
    assert post.subjects() == []
    bridge.now += 301
    for _ in range(2):
        await post.mailer(bridge).turn()
    assert post.subjects() == [f"Slurm Job_id={job.id} Name=tl Reached 50% of time limit, Run time 00:05:01"]


async def test_old_mail_is_forgotten_once_nothing_of_its_job_is_open(bridge: Bridge, post: Post):
    mailer = post.mailer(bridge)
    await mailer.turn()
    await run(bridge, await bridge.submit(mail_types=("END",)))
    await mailer.turn()
    assert await bridge.store.forget_mails(bridge.now - 1) == 0
    assert await bridge.store.forget_mails(bridge.now + 1) == 1


async def test_of_two_processes_one_sends(bridge: Bridge):
    assert await bridge.store.acquire_lease(LEASE, "one", LEASE_SECONDS, bridge.now) is not None
    assert await bridge.store.acquire_lease(LEASE, "two", LEASE_SECONDS, bridge.now) is None
