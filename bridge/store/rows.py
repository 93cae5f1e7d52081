"""Jobs as rows and back, and the cache of unfinished jobs.

A job is the same object as long as its revision is: what has been read once is not decoded again.
"""

import functools
import itertools
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, TextClause, select, text

from bridge.core import job as jobs
from bridge.core.indexset import IndexSet
from bridge.core.job import End, Job, JobKey, JobState, Share, Stop
from bridge.core.reasons import Reason
from bridge.core.request import JobRequest
from bridge.store import codec, tables
from bridge.store.tables import NO_TASK

CHUNK = 400
"""Variables in one query: far below the databases' limits."""

READ_AT_ONCE = 5_000
"""Rows of which the undecoded form is held at a time."""

CACHED_JOBS = 50_000
"""More unfinished jobs than this are read again each time."""

RowKey = tuple[int, int]
"""key_id, task_index (-1 for none)"""

T = TypeVar("T")

_NODES = tuple[Share, ...]

JOB_COLUMNS = [
    column
    for column in tables.jobs.c
    if column.name
    not in (
        *("last_raw_id", "is_open", "counts_as", "uid", "user_name", "name", "account", "qos", "node_names"),
        *("exit_status", "exit_signal", "settled_at", "script_hash", "environment_hash", "has_history"),
    )
]
"""What a Job is made of; the others are there to be searched."""


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(itertools.islice(rest, size)):
        yield part


def row_key(key: JobKey) -> RowKey:
    return key.id, NO_TASK if key.task_index is None else key.task_index


def job_key(key_id: int, task_index: int) -> JobKey:
    return JobKey(key_id, None if task_index == NO_TASK else task_index)


def is_listed(job: Job) -> bool:
    """An array's own record counts only while tasks wait in it."""
    return job.waiting is None or bool(job.waiting)


def is_open(job: Job) -> bool:
    return not job.is_final and is_listed(job)


def state_of(job: Job) -> dict[str, Any]:
    """The columns that change with a job's life, all but the request's."""
    end = job.end
    return {
        "revision": job.revision,
        "is_open": int(is_open(job)),
        "counts_as": 1 if job.waiting is None else len(job.waiting),
        "state": job.state.value,
        "reason": job.reason.value,
        "reason_detail": job.reason_detail,
        "waited_for": job.waited_for.value,
        "partition": job.partition,
        "priority": job.priority,
        "held_by_admin": int(job.held_by_admin),
        "eligible_at": job.eligible_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "suspended_at": job.suspended_at,
        "suspended_seconds": job.suspended_seconds,
        "begin_at": job.begin_at,
        "time_limit_seconds": job.time_limit_seconds,
        "attempt": job.attempt,
        "restarts": job.restarts,
        "node_names": f",{','.join(share.node for share in job.nodes)}," if job.nodes else "",
        "exit_status": None if end is None else end.exit_status,
        "exit_signal": None if end is None else end.signal,
        "cancelled_by_uid": job.cancelled_by_uid,
        "dependency_text": job.dependency_text,
        "derived_exit_status": job.derived_exit_status,
        "waiting": None if job.waiting is None else codec.dump(job.waiting),
        "nodes": codec.dump(job.nodes) if job.nodes else None,
        "end_json": None if end is None else codec.dump(end),
        "stop_json": None if job.stop is None else codec.dump(job.stop),
    }


def request_of(job: Job) -> dict[str, Any]:
    """The request, and the columns taken from it."""
    request = job.request
    return {
        "request": codec.dump(request),
        "uid": request.uid,
        "user_name": request.user,
        "name": request.name,
        "account": request.account,
        "qos": request.qos,
    }


def new_row(job: Job, script_hash: str | None = None, environment_hash: str | None = None) -> dict[str, Any]:
    """The whole row. Tasks have no hashes: their scripts are found with the array's record."""
    array = job.request.array if job.task_index is None else None
    return {
        "key_id": job.key.id,
        "task_index": NO_TASK if job.task_index is None else job.task_index,
        "raw_id": job.id,
        "last_raw_id": job.id if array is None else job.id + len(array.indices) - 1,
        "array_id": job.array_id,
        "submitted_at": job.submitted_at,
        "settled_at": job.ended_at if array is None and job.task_index is None else None,
        "script_hash": script_hash,
        "environment_hash": environment_hash,
        "has_history": 1,
        **state_of(job),
        **request_of(job),
    }


@functools.lru_cache(maxsize=2048)
def _request(text: str) -> JobRequest:
    """Tasks of an array, and many submissions of one script, share their request."""
    return codec.load(JobRequest, text)


def job_of(row: Any) -> Job:
    """From a row of JOB_COLUMNS."""
    return Job(
        id=row.raw_id,
        request=_request(row.request),
        partition=row.partition,
        submitted_at=row.submitted_at,
        state=JobState(row.state),
        reason=Reason(row.reason),
        reason_detail=row.reason_detail,
        waited_for=Reason(row.waited_for),
        revision=row.revision,
        array_id=row.array_id,
        task_index=None if row.task_index == NO_TASK else row.task_index,
        waiting=None if row.waiting is None else codec.load(IndexSet, row.waiting),
        priority=row.priority,
        held_by_admin=bool(row.held_by_admin),
        eligible_at=row.eligible_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        suspended_at=row.suspended_at,
        suspended_seconds=row.suspended_seconds,
        time_limit_seconds=row.time_limit_seconds,
        attempt=row.attempt,
        restarts=row.restarts,
        begin_at=row.begin_at,
        nodes=() if row.nodes is None else codec.load(_NODES, row.nodes),
        end=None if row.end_json is None else codec.load(End, row.end_json),
        stop=None if row.stop_json is None else codec.load(Stop, row.stop_json),
        cancelled_by_uid=row.cancelled_by_uid,
        dependency_text=row.dependency_text,
        derived_exit_status=row.derived_exit_status,
    )


class Cache:
    """Unfinished jobs by key and revision. Filled from committed rows only; used by all threads."""

    def __init__(self, limit: int = CACHED_JOBS) -> None:
        self._jobs: dict[RowKey, Job] = {}
        self._limit = limit
        self._lock = threading.Lock()

    def find(self, key: RowKey, revision: int) -> Job | None:
        job = self._jobs.get(key)
        return job if job is not None and job.revision == revision else None

    def put(self, found: Iterable[tuple[RowKey, Job]]) -> None:
        with self._lock:
            for key, job in found:
                if not is_open(job):
                    self._jobs.pop(key, None)
                elif key in self._jobs or len(self._jobs) < self._limit:
                    self._jobs[key] = job
                else:  # full: of what another process has ended, nobody tells us
                    self._jobs.clear()
                    self._jobs[key] = job

    def __len__(self) -> int:
        return len(self._jobs)


def among_keys(table: str, dialect: str) -> TextClause:
    """Rows of (key_id, task_index) pairs, given as JSON in the parameter `keys`, however many.

    Not `IN (VALUES …)`: SQLite reads the whole table for that.
    """
    if dialect == "postgresql":
        pairs = "CAST(value->>0 AS bigint), CAST(value->>1 AS integer) FROM json_array_elements(CAST(:keys AS json))"
    else:
        pairs = "json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:keys)"
    return text(f"({table}.key_id, {table}.task_index) IN (SELECT {pairs})")


@functools.cache
def _select(dialect: str, *, full: bool) -> Select[Any]:
    job = tables.jobs.c
    columns = JOB_COLUMNS if full else [job.key_id, job.task_index, job.revision]
    return select(*columns).where(among_keys("jobs", dialect))


def load(connection: Connection, keys: Collection[RowKey], cache: Cache) -> dict[RowKey, Job]:
    """The jobs with a row of their own, as they are in this transaction."""
    if not keys:
        return {}
    statement = _select(connection.dialect.name, full=False)
    revisions = connection.execute(statement, {"keys": codec.dump(list(keys))}).all()
    return from_revisions(connection, revisions, cache)


def from_revisions(connection: Connection, revisions: Sequence[Any], cache: Cache) -> dict[RowKey, Job]:
    """The jobs of rows (key_id, task_index, revision), in that order; what the cache lacks is read."""
    found: dict[RowKey, Job | None] = {(k, t): cache.find((k, t), revision) for k, t, revision in revisions}
    missing = [key for key, job in found.items() if job is None]
    if missing:
        statement = _select(connection.dialect.name, full=True)
        for part in chunks(missing, READ_AT_ONCE):
            for row in connection.execute(statement, {"keys": codec.dump(part)}):
                found[row.key_id, row.task_index] = job_of(row)
        cache.put((key, job) for key in missing if (job := found[key]) is not None)
    return {key: job for key, job in found.items() if job is not None}


def task_of(array: Job | None, index: int) -> Job | None:
    """A task that still waits in its array's record, as it will be once it has a row of its own."""
    if array is None or array.waiting is None or index not in array.waiting:
        return None
    return jobs.split_task(array, index)[1]
