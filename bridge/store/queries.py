"""What the store is asked about jobs. Reads only; each function works on one snapshot of the database."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select, tuple_

from bridge.core import dag
from bridge.core.indexset import IndexSet
from bridge.core.job import FINAL, Job, JobKey, JobState
from bridge.store import codec, rows, tables
from bridge.store.records import JobQuery
from bridge.store.rows import Cache, RowKey
from bridge.store.tables import NO_TASK, ONE, ZERO

_JOB = tables.jobs.c
_REVISIONS = select(_JOB.key_id, _JOB.task_index, _JOB.revision)
_IS_OPEN = _JOB.is_open == ONE
_OPEN = _REVISIONS.where(_IS_OPEN).order_by(_JOB.key_id, _JOB.task_index)
_IS_ARRAY = and_(_JOB.task_index == -ONE, _JOB.waiting.is_not(None))

_MAX_ID = 2**63 - 1
_MAX_TASK = 2**31 - 1

_OPEN_COUNTS = (
    select(_JOB.user_name, _JOB.account, _JOB.partition, _JOB.qos, func.sum(_JOB.counts_as))
    .where(_IS_OPEN)
    .group_by(_JOB.user_name, _JOB.account, _JOB.partition, _JOB.qos)
)


def open_counts(connection: Connection) -> list[tuple[str, str | None, str, str | None, int]]:
    return [
        (user, account, partition, qos, int(n)) for user, account, partition, qos, n in connection.execute(_OPEN_COUNTS)
    ]


# ── single jobs ───────────────────────────────────────────────────────────────────────────────────


def _can_be(key: JobKey) -> bool:
    """Numbers that no column could hold name no job."""
    return 0 < key.id <= _MAX_ID and (key.task_index is None or 0 <= key.task_index <= _MAX_TASK)


def get_many(connection: Connection, cache: Cache, keys: Iterable[JobKey]) -> dict[JobKey, Job | None]:
    asked = list(keys)
    keys = [key for key in asked if _can_be(key)]
    found = rows.load(connection, [rows.row_key(key) for key in keys], cache)
    lacking = {(key.id, NO_TASK) for key in keys if key.task_index is not None and rows.row_key(key) not in found}
    arrays = rows.load(connection, lacking, cache) if lacking else {}
    jobs: dict[JobKey, Job | None] = dict.fromkeys(asked)
    for key in keys:
        job = found.get(rows.row_key(key))
        if job is None and key.task_index is not None:
            job = rows.task_of(arrays.get((key.id, NO_TASK)), key.task_index)
        jobs[key] = job
    return jobs


def find_by_raw_ids(connection: Connection, cache: Cache, raw_ids: Iterable[int]) -> dict[int, Job]:
    """Plain jobs, or the tasks that have these ids; an array's own id is that of its last task."""
    keys = {raw_id: _key_of_raw_id(connection, cache, raw_id) for raw_id in raw_ids if _can_be(JobKey(raw_id))}
    jobs = get_many(connection, cache, [key for key in keys.values() if key is not None])
    found = {raw_id: jobs[key] for raw_id, key in keys.items() if key is not None}
    return {raw_id: job for raw_id, job in found.items() if job is not None}


def _key_of_raw_id(connection: Connection, cache: Cache, raw_id: int) -> JobKey | None:
    own = rows.load(connection, [(raw_id, NO_TASK)], cache).get((raw_id, NO_TASK))
    if own is not None and own.request.array is None:
        return own.key
    block = connection.execute(_BLOCK, {"raw_id": raw_id}).one_or_none()
    if block is None or raw_id > block.last_raw_id:
        return None
    array = rows.load(connection, [(block.key_id, NO_TASK)], cache)[block.key_id, NO_TASK]
    assert array.request.array is not None
    indices = array.request.array.indices
    position = len(indices) - 1 if raw_id == block.key_id else raw_id - block.key_id - 1
    return JobKey(block.key_id, indices.at(position))


_BLOCK = (
    select(_JOB.key_id, _JOB.last_raw_id)
    .where(_IS_ARRAY, _JOB.key_id <= bindparam("raw_id"))
    .order_by(_JOB.key_id.desc())
    .limit(1)
)

# ── lists ─────────────────────────────────────────────────────────────────────────────────────────


def unfinished(connection: Connection, cache: Cache) -> list[Job]:
    revisions = connection.execute(_OPEN).all()
    return list(rows.from_revisions(connection, revisions, cache).values())


def list_jobs(connection: Connection, cache: Cache, query: JobQuery) -> list[Job]:
    if query.keys is not None:
        found = [job for job in _of_keys(connection, cache, query.keys) if matches(job, query)]
    else:
        found = _open_ones(connection, cache, query) + _ended_ones(connection, query)
    found.sort(key=_order, reverse=query.newest_first)
    return found if query.limit is None else found[: query.limit]


def _order(job: Job) -> RowKey:
    return rows.row_key(job.key)


def _of_keys(connection: Connection, cache: Cache, keys: Sequence[JobKey]) -> list[Job]:
    """For an id: the record and all tasks; else a task by its raw id. For a task: as `get_many`."""
    keys = [key for key in keys if _can_be(key)]
    ids = [key.id for key in keys if key.task_index is None]
    found: dict[RowKey, Job] = {}
    for part in rows.chunks(dict.fromkeys(ids)):
        revisions = connection.execute(_REVISIONS.where(_JOB.key_id.in_(part))).all()
        found |= rows.from_revisions(connection, revisions, cache)
    known = {key_id for key_id, _ in found}
    wanted = [key for key in keys if key.task_index is not None]
    for raw_id in dict.fromkeys(ids):
        if raw_id not in known and (key := _key_of_raw_id(connection, cache, raw_id)) is not None:
            wanted.append(key)
    for key, job in get_many(connection, cache, wanted).items():
        if job is not None:
            found[rows.row_key(key)] = job
    return list(found.values())


def _open_ones(connection: Connection, cache: Cache, query: JobQuery) -> list[Job]:
    """Those that may still do something: by revision, as most are in the cache."""
    if query.states is not None and query.states <= FINAL:
        return []
    statement = _paged(_REVISIONS.where(_IS_OPEN, *_conditions(query, connection.dialect.name)), query)
    revisions = connection.execute(statement).all()
    return list(rows.from_revisions(connection, revisions, cache).values())


def _ended_ones(connection: Connection, query: JobQuery) -> list[Job]:
    if query.states is not None and not query.states & FINAL:
        return []
    conditions = _conditions(query, connection.dialect.name)
    bounds = [bound for bound in (query.active_since, query.ended_since) if bound is not None]
    if bounds:  # by the index of ends
        conditions.append(_JOB.ended_at >= max(bounds))
    else:  # all that ever ended, in the order of the primary key
        conditions.append(_JOB.is_open == ZERO)
    conditions.append(_JOB.counts_as > 0)
    statement = _paged(select(*rows.JOB_COLUMNS).where(*conditions), query, is_sorted=not bounds)
    return [rows.job_of(row) for row in connection.execute(statement)]


def _paged(statement: Any, query: JobQuery, *, is_sorted: bool = True) -> Any:
    """`is_sorted` False: the rows are found otherwise than in order of their keys, and sorted for a limit only.

    SQLite would read the whole table to spare itself the sorting, were it not for the `+ 0`.
    """
    order = (_JOB.key_id, _JOB.task_index)
    if query.after is not None:
        place, after = tuple_(*order), tuple_(*rows.row_key(query.after))
        statement = statement.where(place < after if query.newest_first else place > after)
    if query.limit is None:
        return statement
    keys = order if is_sorted else (_JOB.key_id + ZERO, _JOB.task_index)
    return statement.order_by(*(key.desc() if query.newest_first else key for key in keys)).limit(query.limit)


def _conditions(query: JobQuery, dialect: str) -> list[ColumnElement[bool]]:
    """All filters but the keys and the times of the end."""
    wanted: list[tuple[Any, Iterable[Any] | None]] = [
        (_JOB.state, None if query.states is None else sorted(state.value for state in query.states)),
        (_JOB.uid, query.uids),
        (_JOB.name, query.names),
        (_JOB.partition, query.partitions),
        (_JOB.account, query.accounts),
        (_JOB.qos, query.qos),
    ]
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in wanted if values is not None]
    if query.nodes is not None:
        find: Callable[[Any, str], Any] = func.strpos if dialect == "postgresql" else func.instr
        conditions.append(
            or_(False, *(find(_JOB.node_names, f",{node},") > 0 for node in query.nodes if "," not in node))
        )
    if query.active_until is not None:
        conditions.append(_JOB.submitted_at < query.active_until)
    return conditions


def matches(job: Job, query: JobQuery) -> bool:
    """The same filters for jobs that were found by their keys."""
    request = job.request
    since = [bound for bound in (query.active_since, query.ended_since) if bound is not None]
    place = rows.row_key(job.key)
    after = None if query.after is None else rows.row_key(query.after)
    return (
        rows.is_listed(job)
        and (query.states is None or job.state in query.states)
        and (query.uids is None or request.uid in query.uids)
        and (query.names is None or request.name in query.names)
        and (query.partitions is None or job.partition in query.partitions)
        and (query.accounts is None or request.account in query.accounts)
        and (query.qos is None or request.qos in query.qos)
        and (query.nodes is None or any(share.node in query.nodes for share in job.nodes))
        and (query.active_until is None or job.submitted_at < query.active_until)
        and (not since or job.ended_at is None or job.ended_at >= max(since))
        and (after is None or (place < after if query.newest_first else place > after))
    )


def counts(connection: Connection) -> dict[JobState, int]:
    """The ended ones come from an index that holds all that is asked, however many there are."""
    total = dict.fromkeys(JobState, 0)
    for condition in (_IS_OPEN, _JOB.ended_at.is_not(None)):
        statement = select(_JOB.state, func.sum(_JOB.counts_as)).where(condition).group_by(_JOB.state)
        for state, count in connection.execute(statement):
            total[JobState(state)] += int(count)
    return total


# ── targets of dependencies ───────────────────────────────────────────────────────────────────────

_ENDED = _JOB.ended_at.is_not(None)
_BEGAN_AT = func.max(_JOB.started_at).filter(_JOB.attempt > 0)
_OVER_TASKS = (
    select(
        _JOB.key_id,
        func.count().label("tasks"),
        func.count().filter(or_(_ENDED, _JOB.started_at.is_not(None))).label("started"),
        func.count().filter(_ENDED).label("ended"),
        func.count().filter(_ENDED, _JOB.state != JobState.COMPLETED.value).label("failed"),
        _BEGAN_AT.label("started_at"),
    )
    .where(_JOB.key_id.in_(bindparam("ids", expanding=True)), _JOB.task_index >= 0)
    .group_by(_JOB.key_id)
)
_STANDING = select(_JOB.key_id, _JOB.task_index, _JOB.state, _JOB.started_at, _JOB.ended_at, _JOB.attempt, _JOB.waiting)


def targets(connection: Connection, clauses: Iterable[dag.Clause]) -> dict[tuple[int, int | None], dag.Target | None]:
    asked = {(clause.job_id, clause.task) for clause in clauses if clause.job_id is not None}
    wanted = {(job_id, task) for job_id, task in asked if _can_be(JobKey(job_id, task))}
    keys: set[RowKey] = {(job_id, NO_TASK) for job_id, _ in wanted}
    keys |= {(job_id, task) for job_id, task in wanted if task is not None}
    standing: dict[RowKey, Any] = {}
    if keys:
        among_keys = rows.among_keys("jobs", connection.dialect.name)
        found_rows = connection.execute(_STANDING.where(among_keys), {"keys": codec.dump(sorted(keys))})
        standing = {(row.key_id, row.task_index): row for row in found_rows}
    whole = [
        job_id
        for job_id, task in wanted
        if task is None and (job_id, NO_TASK) in standing and standing[job_id, NO_TASK].waiting is not None
    ]
    over_tasks: dict[int, Any] = {}
    for ids in rows.chunks(sorted(whole)):
        over_tasks |= {row.key_id: row for row in connection.execute(_OVER_TASKS, {"ids": ids})}
    found: dict[tuple[int, int | None], dag.Target | None] = dict.fromkeys(asked)
    for job_id, task in wanted:
        own = standing.get((job_id, NO_TASK))
        if task is not None:
            row = standing.get((job_id, task))
            found[job_id, task] = _target_of(row) if row is not None else _waiting_target(own, task)
        elif own is not None and own.waiting is None:
            found[job_id, task] = _target_of(own)
        elif own is not None:
            found[job_id, task] = _array_target(own, over_tasks.get(job_id))
    return found


def _target_of(row: Any) -> dag.Target:
    ended = row.ended_at is not None
    return dag.Target(
        started=ended or row.started_at is not None,
        # A job that was cancelled while it waited has a start time for show.
        started_at=row.started_at if row.attempt else None,
        ended=ended,
        failed=ended and row.state != JobState.COMPLETED,
    )


def _waiting_target(own: Any, task: int) -> dag.Target | None:
    """A task without a row stands as its array's own record does."""
    if own is None or own.waiting is None or task not in codec.load(IndexSet, own.waiting):
        return None
    return _target_of(own)


def _array_target(own: Any, tasks: Any) -> dag.Target:
    """Over the tasks with rows and, as one, those that wait in the array's own record."""
    rest = _target_of(own) if codec.load(IndexSet, own.waiting) else None
    if tasks is None:
        return rest or dataclasses.replace(_target_of(own), started=True, ended=True)
    return dag.Target(
        started=tasks.started == tasks.tasks and (rest is None or rest.started),
        started_at=tasks.started_at,
        ended=tasks.ended == tasks.tasks and (rest is None or rest.ended),
        failed=tasks.failed > 0 or (rest is not None and rest.failed),
    )
