"""The state database: the only way to it.

Reads run on connections of their own in a few threads and never wait for the writer. Writes go to one
thread and answer after the commit (`writer`). What is read here is true for one moment; a change is decided
by `change` on the row as it is when it is written.

Environments are secret: they are kept apart, leave by `environment` only, and are never logged.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine, select, update

from adapters.slurm.mail import Mail
from bridge.core import dag
from bridge.core.accounting import Book
from bridge.core.errors import Unavailable
from bridge.core.job import Job, JobKey, JobState
from bridge.core.report import Report
from bridge.store import (
    accounting,
    change,
    engine,
    history,
    leases,
    mails,
    purge,
    queries,
    rows,
    schema,
    site_records,
    tables,
)
from bridge.store.batch import Batch
from bridge.store.change import EventOf
from bridge.store.purge import Part
from bridge.store.records import Ages, Fence, HistoryRow, JobQuery, NewJob, NodeMark, Outcome, StepRow
from bridge.store.writer import Writer

REQUEUE_WINDOW_SECONDS = 300.0
"""Slurm's MinJobAge: so long after its end a job can be requeued, and keeps its environment."""

CHANGES_AT_ONCE = 500
"""In one write of `change_in_parts`: who cancels thousands does not hold up submissions meanwhile."""

POLL_SECONDS = 1.0
"""PostgreSQL: how long another process's change may go unseen."""

T = TypeVar("T")


class Store:
    """Made by `open`."""

    instance_id: str
    """Part of every name that is given outside; 8 characters [a-z0-9], of this database alone."""

    def __init__(self, url: str, requeue_window_seconds: float) -> None:
        self._url = engine.parse_url(url)
        self._is_shared = not engine.is_sqlite(self._url)
        self._requeue_window_seconds = requeue_window_seconds
        self._lock: engine.FileLock | None = None
        self._cache = rows.Cache()
        self._seq = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._pool = ThreadPoolExecutor(engine.READERS, thread_name_prefix="store-reader")
        self._reads: Engine = engine.make(self._url, writes=False)
        self._writes: Engine = engine.make(self._url, writes=True)
        self._writer: Writer | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        requeue_window_seconds: float = REQUEUE_WINDOW_SECONDS,
        first_job_id: int = 1,
        read_only: bool = False,
    ) -> "Store":
        """Unavailable with code schema_old, schema_new, in_use or database, and a sentence that says what to do.

        No new job gets an id below `first_job_id`. `read_only`: beside a running bridge; whatever writes is refused.
        """
        store = cls(url, requeue_window_seconds)
        try:
            store._must_be_there()
            if read_only:
                await store._read(schema.check)
                return store
            await asyncio.get_running_loop().run_in_executor(store._pool, store._open, first_job_id)
        except BaseException:
            await store.close()
            raise
        store._writer = Writer(store._writes, store._cache, store._grown)
        return store

    def _must_be_there(self) -> None:
        """SQLite would make an empty file."""
        database = self._url.database or ""
        if not self._is_shared and not os.path.exists(database):
            raise Unavailable(f"there is no {database} yet: run `bridge db upgrade`", code="schema_old")

    def _open(self, first_job_id: int) -> None:
        if not self._is_shared:
            self._lock = engine.FileLock(self._url.database or "")
        with engine.translated(), self._writes.connect() as connection:
            schema.check(connection)
            self.instance_id = connection.execute(select(tables.instance.c.instance_id)).scalar_one()
            self._seq = history.last_seq(connection)
            if self._lock is not None:
                # The file's lock proves that its earlier owner is dead: nobody need wait until his leases run out.
                leases.expire_all(connection)
            instance = tables.instance
            connection.execute(
                update(instance).where(instance.c.next_job_id < first_job_id).values(next_job_id=first_job_id)
            )
            connection.commit()

    async def close(self) -> None:
        """After what was handed over is written. May be called twice."""
        if self._writer is not None:
            await self._writer.close()
        self._grown(self._seq)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._reads.dispose()
        self._writes.dispose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def _read(self, query: Callable[[Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._read_now, query)
        except RuntimeError as error:  # the pool is shut down
            raise Unavailable("the store is closed", code="closed") from error

    def _read_now(self, query: Callable[[Connection], T]) -> T:
        with engine.translated(), self._reads.connect() as connection:
            return query(connection)

    async def _write(self, work: Callable[[Batch], T], keys: Iterable[JobKey] = ()) -> T:
        if self._writer is None:
            raise Unavailable("the store is closed", code="closed")
        return await self._writer.do(work, [rows.row_key(key) for key in keys])

    # ── changing ──────────────────────────────────────────────────────────────────────────────────

    async def submit(self, new: Sequence[NewJob]) -> list[Job]:
        """All or none. A used idempotency key gives the jobs of the first call, and nothing is added."""
        return await self._write(lambda batch: change.submit(batch, new))

    async def change(self, keys: Sequence[JobKey], event_of: EventOf, *, fence: Fence | None = None) -> list[Outcome]:
        """The one function that changes a status, with its history, in one transaction.

        `event_of` gets each job as it is in the transaction and says what happened to it (None: nothing). It runs
        in the writer's thread and must be quick; it may be asked twice. An error of ours that it raises, or an
        illegal step, leaves that job as it is and stands in its outcome; another error is raised here, and nothing
        of the call is written. Gone(code="fenced") when the fence is no longer the backend's.
        """
        return await self._write(lambda batch: change.change(batch, keys, event_of, fence), keys)

    async def change_in_parts(
        self, keys: Sequence[JobKey], event_of: EventOf, *, fence: Fence | None = None
    ) -> list[Outcome]:
        """As `change`, in several transactions where there are thousands: others' writes go on between them."""
        outcomes: list[Outcome] = []
        for first in range(0, len(keys), CHANGES_AT_ONCE):
            outcomes += await self.change(keys[first : first + CHANGES_AT_ONCE], event_of, fence=fence)
        return outcomes

    async def set_throttle(self, array_id: int, throttle: int | None, by_uid: int, at: float) -> Job | None:
        """None when there is no such array."""
        return await self._write(lambda batch: change.set_throttle(batch, array_id, throttle, by_uid, at))

    async def record_steps(self, new: Sequence[StepRow], *, fence: Fence | None) -> None:
        def work(batch: Batch) -> None:
            batch.check_fence(fence)
            history.record_steps(batch.connection, new)

        await self._write(work)

    async def draw_id(self) -> int:
        """An id that no job will have."""

        def draw(batch: Batch) -> int:
            drawn = batch.next_job_id
            batch.next_job_id = drawn + 1
            return drawn

        return await self._write(draw)

    async def mark_node(self, mark: NodeMark) -> None:
        await self._write(lambda batch: history.mark_node(batch.connection, mark))

    async def revoke_token(self, token_id: str, until: float) -> None:
        await self._write(lambda batch: history.revoke_token(batch.connection, token_id, until))

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────

    async def get(self, key: JobKey) -> Job | None:
        """A task that still waits in its array is shown as it will be when it has a row."""
        return (await self.get_many([key]))[key]

    async def get_many(self, keys: Iterable[JobKey]) -> dict[JobKey, Job | None]:
        return await self._read(lambda connection: queries.get_many(connection, self._cache, keys))

    async def find_by_raw_id(self, raw_id: int) -> Job | None:
        """A plain job or a task. An array's own id is also that of its last task, which is what is found."""
        return (await self.find_by_raw_ids([raw_id])).get(raw_id)

    async def find_by_raw_ids(self, raw_ids: Iterable[int]) -> dict[int, Job]:
        return await self._read(lambda connection: queries.find_by_raw_ids(connection, self._cache, raw_ids))

    async def list_jobs(self, query: JobQuery) -> list[Job]:
        """Ordered by (id, task index); arrays' own records only while tasks wait in them."""
        return await self._read(lambda connection: queries.list_jobs(connection, self._cache, query))

    async def unfinished(self) -> list[Job]:
        """In the same order; arrays with waiting tasks among them."""
        return await self._read(lambda connection: queries.unfinished(connection, self._cache))

    async def counts(self) -> dict[JobState, int]:
        return await self._read(queries.counts)

    async def targets(self, clauses: Iterable[dag.Clause]) -> dict[tuple[int, int | None], dag.Target | None]:
        return await self._read(lambda connection: queries.targets(connection, clauses))

    # ── what hangs on them ────────────────────────────────────────────────────────────────────────

    async def report(self, key: JobKey) -> Report:
        return await self._read(lambda connection: history.report(connection, key.id))

    async def script(self, key: JobKey) -> bytes | None:
        return await self._read(lambda connection: history.text_of(connection, key.id, "script"))

    async def environment(self, key: JobKey) -> bytes | None:
        """None once the job can no longer be requeued."""
        return await self._read(lambda connection: history.text_of(connection, key.id, "environment"))

    async def steps(self, keys: Sequence[JobKey]) -> list[StepRow]:
        return await self._read(lambda connection: history.steps(connection, keys))

    async def node_marks(self) -> dict[str, NodeMark]:
        return await self._read(history.node_marks)

    async def revoked_tokens(self, now: float) -> set[str]:
        return await self._read(lambda connection: history.revoked_tokens(connection, now))

    async def open_counts(self) -> list[tuple[str, str | None, str, str | None, int]]:
        """(user, account, partition, QOS, jobs that are not over): an array's tasks each count."""
        return await self._read(queries.open_counts)

    # ── mail ──────────────────────────────────────────────────────────────────────────────────────

    async def mail_cursor(self) -> int | None:
        return await self._read(mails.cursor)

    async def add_mails(self, new: Sequence[Mail], seq: int | None, at: float) -> None:
        """`seq`: so far was history looked at; None: as it was."""
        if new or seq is not None:
            await self._write(lambda batch: mails.add(batch.connection, new, seq, at))

    async def due_mails(self, at: float, limit: int) -> list[tuple[Mail, int]]:
        """(mail, tries so far)"""
        return await self._read(lambda connection: mails.due(connection, at, limit))

    async def next_mail_due(self) -> float | None:
        return await self._read(mails.next_due)

    async def mark_mail(self, name: str, state: str, tries: int, due_at: float) -> None:
        await self._write(lambda batch: mails.mark(batch.connection, name, state, tries, due_at))

    async def give_up_handed_mails(self) -> int:
        return await self._write(lambda batch: mails.give_up_handed(batch.connection))

    async def forget_mails(self, before: float) -> int:
        return await self._write(lambda batch: mails.forget(batch.connection, before))

    # ── what operators make at run time ───────────────────────────────────────────────────────────

    async def site_records(self, kinds: Sequence[str]) -> dict[str, dict[str, str]]:
        """kind → name → JSON"""
        return await self._read(lambda connection: site_records.load(connection, kinds))

    async def save_site_record(self, kind: str, name: str, data: str | None) -> None:
        """None: there shall be none."""
        changed, gone = ({}, [(kind, name)]) if data is None else ({(kind, name): data}, [])
        await self._write(lambda batch: site_records.save(batch.connection, changed, gone))

    # ── accounting ────────────────────────────────────────────────────────────────────────────────

    async def accounting_version(self) -> int:
        """0: nobody has changed the site file's book."""
        return await self._read(accounting.version)

    async def accounting_book(self) -> Book | None:
        """None: the site file's counts."""
        return await self._read(accounting.load)

    async def edit_accounting(self, start: Book, edit: accounting.Edit) -> Book:
        """Edited as it is when it is written. `edit` runs in the writer's thread; what it raises is raised here."""
        return await self._write(lambda batch: accounting.edit(batch.connection, start, edit))

    # ── history ───────────────────────────────────────────────────────────────────────────────────

    async def history(self, key: JobKey) -> list[HistoryRow]:
        return await self._read(lambda connection: history.of_job(connection, key))

    async def history_since(self, seq: int, limit: int) -> list[HistoryRow]:
        return await self._read(lambda connection: history.since(connection, seq, limit))

    async def changes_since(self, seq: int) -> tuple[int, set[JobKey]]:
        """(the newest number, what changed after `seq`)"""
        return await self._read(lambda connection: history.changes_since(connection, seq))

    async def last_seq(self) -> int:
        """The newest number that is committed. Of a file that this process alone writes it is known without a look."""
        if not self._is_shared and self._writer is not None and not self._writer.is_closed:
            return self._seq
        return await self._read(history.last_seq)

    async def wait_for_change(self, seq: int, timeout_seconds: float) -> int:
        """The newest number, once it is above `seq` or the time is up."""
        deadline = time.monotonic() + timeout_seconds
        while self._seq <= seq and (left := deadline - time.monotonic()) > 0:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await asyncio.wait({waiter}, timeout=min(left, POLL_SECONDS) if self._is_shared else left)
            finally:
                self._waiters.discard(waiter)
            if self._writer is None or self._writer.is_closed:
                break
            if self._is_shared and self._seq <= seq:
                self._seq = max(self._seq, await self.last_seq())
        return self._seq

    def _grown(self, seq: int) -> None:
        self._seq = max(self._seq, seq)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    # ── leases ────────────────────────────────────────────────────────────────────────────────────

    async def acquire_lease(self, backend: str, owner: str, ttl_seconds: float, now: float) -> Fence | None:
        """None while another owner's has not run out."""
        return await self._write(lambda batch: leases.acquire(batch, backend, owner, ttl_seconds, now))

    async def renew_lease(self, fence: Fence, ttl_seconds: float, now: float) -> bool:
        return await self._write(lambda batch: leases.renew(batch, fence, ttl_seconds, now))

    async def release_lease(self, fence: Fence) -> None:
        await self._write(lambda batch: leases.release(batch, fence))

    # ── forgetting ────────────────────────────────────────────────────────────────────────────────

    async def purge(self, ages: Ages, now: float, *, dry_run: bool, batch: int = 1000) -> dict[str, int]:
        """How many jobs, history rows and scripts went (dry_run: would go).

        Jobs that an unfinished one depends on stay. Other writers get their turn between batches.
        """
        counted = {"jobs": 0, "history": 0, "scripts": 0, "tokens": 0}
        if ages.jobs is not None:
            await self._purge_round(purge.purge_jobs, now - ages.jobs, counted, dry_run, batch)
        if ages.history is not None:
            await self._purge_round(purge.purge_history, now - ages.history, counted, dry_run, batch)
        if ages.scripts is not None:
            age = max(ages.scripts, self._requeue_window_seconds)  # a job that is requeued needs its script
            await self._purge_round(purge.purge_scripts, now - age, counted, dry_run, batch)
        if dry_run:
            counted["tokens"] = await self._read(lambda connection: history.count_tokens(connection, now))
        else:
            counted["tokens"] = await self._write(lambda batch: history.forget_tokens(batch.connection, now))
        return counted

    async def drop_environments(self, now: float) -> int:
        """Of jobs that can no longer be requeued; how many jobs lost theirs."""
        counted = {"environments": 0}
        before = now - self._requeue_window_seconds
        await self._purge_round(purge.purge_environments, before, counted, dry_run=False, size=1000)
        return counted["environments"]

    async def _purge_round(self, part: Part, before: float, counted: dict[str, int], dry_run: bool, size: int) -> None:
        place = purge.START
        while True:
            task = purge.Task(before, place, size, dry_run)
            if dry_run:
                done = await self._read(lambda connection, task=task: part(connection, task))  # type: ignore[misc]
            else:
                done = await self._write(lambda batch, task=task: part(batch.connection, task))  # type: ignore[misc]
            for kind, count in done.counts.items():
                counted[kind] += count
            if done.last is None:
                return
            place = done.last
