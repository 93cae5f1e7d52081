"""One write transaction in the making: changes are staged in memory and flushed together.

Everything that writes jobs goes through here, so that a status never changes without its history row and
ids and history numbers come from the one locked row of `instance`.
"""

import functools
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bridge.core.errors import Gone
from bridge.core.job import Job
from bridge.core.report import Report
from bridge.store import codec, rows, tables
from bridge.store.records import Fence
from bridge.store.rows import RowKey
from bridge.store.tables import NO_TASK

_INSTANCE = tables.instance.c
_JOB = tables.jobs.c


@dataclass(frozen=True, slots=True)
class Texts:
    """What belongs to a new job and is kept beside its row."""

    script: bytes
    environment: bytes
    report: Report


class Batch:
    def __init__(self, connection: Connection, cache: rows.Cache) -> None:
        self.connection = connection
        self._cache = cache
        # On PostgreSQL the lock of this row makes the writers of all processes take turns.
        numbers = connection.execute(_TAKE_TURN).one()
        self.next_job_id: int = numbers.next_job_id
        self._next_seq: int = numbers.next_seq
        self._first = (self.next_job_id, self._next_seq)
        self._jobs: dict[RowKey, Job | None] = {}
        self._originals: dict[RowKey, Job] = {}
        self._texts: dict[RowKey, Texts] = {}
        self._inserted: dict[RowKey, None] = {}
        self._updated: dict[RowKey, None] = {}
        self._events: list[dict[str, Any]] = []
        self._idempotency: dict[tuple[int, str], tuple[int, int]] = {}
        self._fences: dict[str, tuple[str, int]] = {}

    @property
    def last_seq(self) -> int:
        return self._next_seq - 1

    # ── looking ───────────────────────────────────────────────────────────────────────────────────

    def load(self, keys: Collection[RowKey]) -> None:
        """Read what is not known yet, and the arrays that the tasks among the keys may still wait in."""
        wanted = {key for k, t in keys for key in ((k, t), (k, NO_TASK))} - self._jobs.keys()
        if wanted:
            found = rows.load(self.connection, wanted, self._cache)
            self._originals |= found
            for key in wanted:
                self._jobs[key] = found.get(key)

    def find(self, key: RowKey) -> Job | None:
        """As staged so far."""
        if key not in self._jobs:
            self.load([key])
        return self._jobs[key]

    def check_fence(self, fence: Fence | None) -> None:
        if fence is None:
            return
        if fence.backend not in self._fences:
            lease = tables.leases.c
            row = self.connection.execute(
                select(lease.owner, lease.number).where(lease.backend == fence.backend)
            ).one_or_none()
            self._fences[fence.backend] = ("", 0) if row is None else (row.owner, row.number)
        if self._fences[fence.backend] != (fence.owner, fence.number):
            raise Gone(f"backend {fence.backend} has another owner now", code="fenced")

    def fence_changed(self, backend: str) -> None:
        self._fences.pop(backend, None)

    def used_idempotency(self, uid: int, key_sha256: str) -> tuple[int, int] | None:
        """First and last id of the call that used it."""
        staged = self._idempotency.get((uid, key_sha256))
        if staged is not None:
            return staged
        table = tables.idempotency.c
        row = self.connection.execute(
            select(table.first_id, table.last_id).where(table.uid == uid, table.key_sha256 == key_sha256)
        ).one_or_none()
        return None if row is None else (row.first_id, row.last_id)

    def own_records(self, first_id: int, last_id: int) -> list[RowKey]:
        """Plain jobs and arrays with these ids, those staged just now among them."""
        stored = self.connection.execute(
            select(_JOB.key_id).where(_JOB.key_id.between(first_id, last_id), _JOB.task_index == NO_TASK)
        ).scalars()
        staged = [k for k, t in self._inserted if t == NO_TASK and first_id <= k <= last_id]
        return [(key_id, NO_TASK) for key_id in sorted({*stored, *staged})]

    # ── staging; nothing here can fail half-way ───────────────────────────────────────────────────

    def add(self, job: Job, texts: Texts | None = None) -> None:
        """A row that is not there yet."""
        key = rows.row_key(job.key)
        self._jobs[key] = job
        self._inserted[key] = None
        if texts is not None:
            self._texts[key] = texts

    def replace(self, job: Job) -> None:
        key = rows.row_key(job.key)
        self._jobs[key] = job
        if key not in self._inserted:
            self._updated[key] = None

    def tell(self, job: Job, at: float, kind: str, data: dict[str, Any]) -> None:
        """A history row of the job as it is after the event."""
        key_id, task_index = rows.row_key(job.key)
        self._events.append(
            {
                "seq": self._next_seq,
                "key_id": key_id,
                "task_index": task_index,
                "at": at,
                "kind": kind,
                "state": job.state.value,
                "reason": job.reason.value,
                "attempt": job.attempt,
                "data": codec.dump_all(data),
            }
        )
        self._next_seq += 1

    def use_idempotency(self, uid: int, key_sha256: str, first_id: int, last_id: int) -> None:
        self._idempotency[uid, key_sha256] = (first_id, last_id)

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    def flush(self) -> None:
        self._insert()
        self._update()
        if self._events:
            self.connection.execute(_INSERT_EVENTS, self._events)
        self._settle_arrays()
        if (self.next_job_id, self._next_seq) != self._first:
            self.connection.execute(_SET_NUMBERS, {"job_id": self.next_job_id, "seq": self._next_seq})

    def committed(self) -> None:
        """Let readers find what has become true."""
        changed = [*self._inserted, *self._updated]
        self._cache.put((key, job) for key in changed if (job := self._jobs[key]) is not None)

    def _insert(self) -> None:
        if not self._inserted:
            return
        blobs: dict[tuple[str, str], tuple[int, bytes]] = {}
        new, reports, clauses = [], [], []
        for key in self._inserted:
            job, texts = self._jobs[key], self._texts.get(key)
            assert job is not None
            if texts is None:
                new.append(rows.new_row(job))
                continue
            script_hash = _count(blobs, "script", texts.script)
            environment_hash = _count(blobs, "environment", texts.environment)
            new.append(rows.new_row(job, script_hash, environment_hash))
            reports.append({"key_id": job.key.id, "data": codec.dump(texts.report)})
            clauses += _clauses(job)
        if blobs:
            self.connection.execute(
                _upsert_blobs(self.connection.dialect.name),
                # In one order, as locks of rows are taken in it.
                [{"kind": k, "sha256": h, "uses": n, "data": data} for (k, h), (n, data) in sorted(blobs.items())],
            )
        self.connection.execute(_INSERT_JOBS, new)
        if reports:
            self.connection.execute(_INSERT_REPORTS, reports)
        if clauses:
            self.connection.execute(_INSERT_DEPENDENCIES, clauses)
        if self._idempotency:
            self.connection.execute(
                _INSERT_IDEMPOTENCY,
                [
                    {"uid": uid, "key_sha256": digest, "first_id": first, "last_id": last}
                    for (uid, digest), (first, last) in self._idempotency.items()
                ],
            )

    def _update(self) -> None:
        states, requests, clauses, renewed = [], [], [], []
        for key in self._updated:
            job, before = self._jobs[key], self._originals[key]
            assert job is not None
            row = {"the_key": key[0], "the_task": key[1], **rows.state_of(job)}
            row["has_history"] = 1
            row["settled_at"] = job.ended_at if job.task_index is None and not job.is_array else None
            states.append(row)
            if job.request is not before.request:
                requests.append({"the_key": key[0], "the_task": key[1], **rows.request_of(job)})
                if job.request.dependency != before.request.dependency:
                    renewed.append({"the_key": key[0], "the_task": key[1]})
                    clauses += _clauses(job)
        if states:
            self.connection.execute(_UPDATE_STATES, states)
        if requests:
            self.connection.execute(_UPDATE_REQUESTS, requests)
        if renewed:
            self.connection.execute(_DELETE_DEPENDENCIES, renewed)
        if clauses:
            self.connection.execute(_INSERT_DEPENDENCIES, clauses)

    def _settle_arrays(self) -> None:
        """Keep `settled_at` of the arrays of which something ended, or came back to life."""
        touched = set()
        for key in (*self._inserted, *self._updated):
            job, before = self._jobs[key], self._originals.get(key)
            assert job is not None
            if (job.task_index is not None or job.is_array) and (job.is_final or (before and before.is_final)):
                touched.add(key[0])
        for part in rows.chunks(sorted(touched)):
            still_open = set(self.connection.execute(_OPEN_ARRAYS, {"ids": part}).scalars())
            over = [key_id for key_id in part if key_id not in still_open]
            ends = dict(self.connection.execute(_LAST_ENDS, {"ids": over}).all()) if over else {}
            self.connection.execute(_SETTLE, [{"the_key": key_id, "at": ends.get(key_id)} for key_id in part])


def _count(blobs: dict[tuple[str, str], tuple[int, bytes]], kind: str, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    uses, _ = blobs.get((kind, digest), (0, b""))
    blobs[kind, digest] = (uses + 1, data)
    return digest


def _clauses(job: Job) -> list[dict[str, Any]]:
    if job.request.dependency is None:
        return []
    key_id, task_index = rows.row_key(job.key)
    return [
        {
            "key_id": key_id,
            "task_index": task_index,
            "position": position,
            "kind": clause.kind.value,
            "target_id": clause.job_id,
            "target_task": NO_TASK if clause.task is None else clause.task,
        }
        for position, clause in enumerate(job.request.dependency.clauses)
        if clause.job_id is not None
    ]


_TAKE_TURN = select(_INSTANCE.next_job_id, _INSTANCE.next_seq).with_for_update()
_SET_NUMBERS = update(tables.instance).values(next_job_id=bindparam("job_id"), next_seq=bindparam("seq"))
_INSERT_JOBS = insert(tables.jobs)
_INSERT_EVENTS = insert(tables.events)
_INSERT_REPORTS = insert(tables.reports)
_INSERT_DEPENDENCIES = insert(tables.dependencies)
_INSERT_IDEMPOTENCY = insert(tables.idempotency)


def _of_row(table: Any) -> tuple[Any, Any]:
    return table.c.key_id == bindparam("the_key"), table.c.task_index == bindparam("the_task")


_STATE_NAMES = (
    *("revision", "is_open", "counts_as", "state", "reason", "reason_detail", "partition", "priority"),
    *("held_by_admin", "eligible_at", "started_at", "ended_at", "suspended_at", "suspended_seconds", "begin_at"),
    *("time_limit_seconds", "attempt", "restarts", "node_names", "exit_status", "exit_signal", "cancelled_by_uid"),
    *(
        "dependency_text",
        "derived_exit_status",
        "waiting",
        "nodes",
        "end_json",
        "stop_json",
        "settled_at",
        "has_history",
    ),
)
_REQUEST_NAMES = ("request", "uid", "user_name", "name", "account", "qos")
_UPDATE_STATES = (
    update(tables.jobs).where(*_of_row(tables.jobs)).values({name: bindparam(name) for name in _STATE_NAMES})
)
_UPDATE_REQUESTS = (
    update(tables.jobs).where(*_of_row(tables.jobs)).values({name: bindparam(name) for name in _REQUEST_NAMES})
)
_DELETE_DEPENDENCIES = tables.dependencies.delete().where(*_of_row(tables.dependencies))

_IN_ARRAYS = _JOB.key_id.in_(bindparam("ids", expanding=True))
_OPEN_ARRAYS = select(_JOB.key_id).distinct().where(_IN_ARRAYS, _JOB.is_open == tables.ONE)
_LAST_ENDS = select(_JOB.key_id, func.max(_JOB.ended_at)).where(_IN_ARRAYS).group_by(_JOB.key_id)
_SETTLE = (
    update(tables.jobs)
    .where(_JOB.key_id == bindparam("the_key"), _JOB.task_index == NO_TASK)
    .values(settled_at=bindparam("at"), has_history=1)
)


@functools.cache
def _upsert_blobs(dialect: str) -> Any:
    """A text that is known already is counted once more."""
    made: Callable[[Any], Any] = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = made(tables.blobs)
    return statement.on_conflict_do_update(
        index_elements=["kind", "sha256"], set_={"uses": tables.blobs.c.uses + statement.excluded.uses}
    )
