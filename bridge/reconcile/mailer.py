"""Sends mail about jobs through the site's command, off every request's path.

The history is followed from where the last process left it; what a row calls for and how far it was looked at
are written together. A mail is marked before it is handed to the command, and one that was being handed over
when the process ended is not sent again.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.slurm import mail
from adapters.slurm.mail import Attempt, Mail
from adapters.slurm.mail_environment import Context
from bridge.core.errors import Unavailable
from bridge.core.job import Job, JobKey
from bridge.store import mails
from bridge.store.records import HistoryRow, JobQuery
from bridge.store.store import Store

log = logging.getLogger(__name__)

LEASE = "mail:sender"
"""Of several bridges on one database one sends."""
LEASE_SECONDS = 60.0
ROUND_SECONDS = 20.0
"""How late a share of a time limit may be told."""
ROWS_A_ROUND = 500
COMMAND_SECONDS = 60.0
MOST_TRIES = 8
KEPT_SECONDS = 86400.0
FORGET_EVERY_SECONDS = 3600.0
REST_SECONDS = 0.5
"""Between two looks, so that a busy bridge is not asked at every commit."""


@dataclass(frozen=True, slots=True)
class MailSettings:
    command: tuple[str, ...]
    """Gets the message on standard input; `{to}` and `{subject}` are filled in."""
    sender: str | None = None
    domain: str | None = None
    """Appended to plain user names."""
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    """Of the command, with Slurm's variables about the job."""


class Mailer:
    def __init__(
        self,
        store: Store,
        settings: MailSettings,
        cluster: str,
        group_of: Callable[[int], str],
        *,
        owner: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._settings = settings
        self._context = Context(cluster, group_of)
        self._owner = owner
        self._now = now
        self._seq: int | None = None
        self._look_at = self._forget_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            fence = await self._store.acquire_lease(LEASE, self._owner, LEASE_SECONDS, self._now())
            if fence is None:
                await asyncio.sleep(LEASE_SECONDS / 4)
                continue
            lost = await self._store.give_up_handed_mails()
            if lost:
                log.warning("mails that were being sent at the last end are not sent again", extra={"mails": lost})
            self._seq = None
            while await self._store.renew_lease(fence, LEASE_SECONDS, self._now()):
                try:
                    await self.turn()
                    await self._wait()
                except Unavailable as error:
                    log.warning("mail waits", extra={"why": error.sentence})
                    await asyncio.sleep(ROUND_SECONDS)

    async def _wait(self) -> None:
        due = await self._store.next_mail_due()
        wait = ROUND_SECONDS if due is None else max(0.1, min(ROUND_SECONDS, due - self._now()))
        await self._store.wait_for_change(self._seq or 0, wait)
        await asyncio.sleep(REST_SECONDS)

    async def turn(self) -> None:
        """Look at what happened, then send what is due."""
        while await self._follow():
            pass
        if self._now() >= self._look_at:
            self._look_at = self._now() + ROUND_SECONDS
            await self._mind_clocks()
        for one, tries in await self._store.due_mails(self._now(), ROWS_A_ROUND):
            await self._send(one, tries)
        if self._now() >= self._forget_at:
            self._forget_at = self._now() + FORGET_EVERY_SECONDS
            await self._store.forget_mails(self._now() - KEPT_SECONDS)

    async def _mind_clocks(self) -> None:
        clocked = [job for job in await self._store.unfinished() if mail.wants_clock(job)]
        reached = [one for job in clocked for one in mail.on_clock(job, self._now(), self._context)]
        if reached:
            await self._store.add_mails(reached, None, self._now())

    # ── what happened ─────────────────────────────────────────────────────────────────────────────

    async def _follow(self) -> bool:
        """True while there may be more."""
        if self._seq is None:
            self._seq = await self._store.mail_cursor()
            if self._seq is None:
                # Where mail was never sent before, nobody wants to hear of the past.
                self._seq = await self._store.last_seq()
                await self._store.add_mails([], self._seq, self._now())
        rows = await self._store.history_since(self._seq, ROWS_A_ROUND)
        if not rows:
            return False
        jobs = await self._store.get_many({row.key for row in rows})
        new: list[Mail] = []
        for row in rows:
            job = jobs.get(row.key)
            if job is not None and job.request.mail_types:
                new += await self._of_row(row, job)
        self._seq = rows[-1].seq
        # A position that moves without mail is written now and then only.
        await self._store.add_mails(new, self._seq if new or len(rows) == ROWS_A_ROUND else None, self._now())
        return len(rows) == ROWS_A_ROUND

    async def _of_row(self, row: HistoryRow, job: Job) -> list[Mail]:
        if mail.is_summary(job):
            return await self._of_array(row, job)
        before = await self._attempt_before(row) if row.kind == "Requeued" else None
        return mail.on_event(row.kind, row.state, row.seq, row.at, job, self._context, before)

    async def _of_array(self, row: HistoryRow, job: Job) -> list[Mail]:
        if row.kind == "Began":
            return mail.array_began(job, self._context)
        if not mail.is_end(row.state):
            return []
        tasks = await self._store.list_jobs(JobQuery(keys=(JobKey(job.key.id),)))
        if any(not one.is_final for one in tasks):
            return []
        ended = [one for one in tasks if one.task_index is not None] or tasks
        return mail.array_ended(job, ended, self._context)

    async def _attempt_before(self, row: HistoryRow) -> Attempt | None:
        """The attempt that this row ended."""
        rows = [one for one in await self._store.history(row.key) if one.seq < row.seq]
        began = next((one for one in reversed(rows) if one.kind == "Began"), None)
        if began is None:
            return None
        placed = next((one for one in reversed(rows) if one.kind == "Placed" and one.seq < began.seq), None)
        shares = placed.data.get("nodes", ()) if placed is not None else ()
        return Attempt(began.at, tuple((str(share["node"]), int(share["cpus"])) for share in shares))

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    async def _send(self, one: Mail, tries: int) -> None:
        to = mail.addresses(one.to, self._settings.domain)
        if not to:
            log.warning("mail to nobody", extra={"job": one.key_id, "to": one.to})
            await self._store.mark_mail(one.id, mails.SENT, tries, self._now())
            return
        await self._store.mark_mail(one.id, mails.HANDED, tries + 1, self._now())
        failure = await self._hand_over(one, to)
        if failure is None:
            await self._store.mark_mail(one.id, mails.SENT, tries + 1, self._now())
        elif tries + 1 >= MOST_TRIES:
            log.error("mail given up", extra={"job": one.key_id, "subject": one.subject, "why": failure})
            await self._store.mark_mail(one.id, mails.SENT, tries + 1, self._now())
        else:
            log.warning("mail not taken, tried again later", extra={"job": one.key_id, "why": failure})
            again_at = self._now() + 30.0 * 2**tries
            await self._store.mark_mail(one.id, mails.WAITING, tries + 1, again_at)

    async def _hand_over(self, one: Mail, to: Sequence[str]) -> str | None:
        """Why it was not taken; None: it was."""
        values = {"to": ",".join(to), "subject": mail.one_line(one.subject)}
        command = mail.filled(self._settings.command, values)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={**self._settings.environment, **dict(one.environment)},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return str(error)
        text = mail.message(one, to, self._settings.sender, self._context.cluster)
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                _, said = await process.communicate(text)
        except TimeoutError:
            return f"the command took more than {COMMAND_SECONDS:.0f} s"
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode == 0:
            return None
        words = said.decode("utf-8", "replace").strip().splitlines()
        return words[-1] if words else f"the command ended with {process.returncode}"
