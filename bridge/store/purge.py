"""Forgetting: old jobs, their history, scripts and environments, a batch at a time.

Works on whole records (a plain job, or an array with all its tasks) by `settled_at`, the time after which
nothing of it can happen unless it is requeued. Texts go when no row names them any more.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, delete, exists, func, select, tuple_, update

from bridge.store import tables
from bridge.store.rows import chunks
from bridge.store.tables import NO_TASK, ONE

Place = tuple[float, int]
"""settled_at and id of a record"""

START: Place = (float("-inf"), 0)


@dataclass(frozen=True, slots=True)
class Task:
    before: float
    """Records settled earlier than this."""
    after: Place
    """Where the last batch ended."""
    size: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Done:
    counts: Mapping[str, int]
    last: Place | None
    """Where to go on; None: there is no more."""


Part = Callable[[Connection, Task], Done]

_JOB = tables.jobs.c
_IDS: BindParameter[list[int]] = bindparam("ids", expanding=True)
_dependants = tables.jobs.alias("dependants")
_DEPENDENCY = tables.dependencies.c
_NOT_NEEDED = ~exists(
    select(ONE)
    .select_from(tables.dependencies)
    .join(_dependants, _dependants.c.key_id == _DEPENDENCY.key_id)
    .where(_DEPENDENCY.target_id == _JOB.key_id, _dependants.c.is_open == ONE)
)
"""No job that waits, or runs and may be requeued, refers to it."""


def purge_jobs(connection: Connection, task: Task) -> Done:
    """With everything that hangs on them; steps, history and dependencies go by the database's own rules."""
    ids, last = _old(connection, task, _NOT_NEEDED)
    counts = {
        "jobs": _sum(connection, ids, _JOBS),
        "history": _count_history(connection, ids),
        "scripts": _sum(
            connection, ids, select(func.count()).where(_JOB.key_id.in_(_IDS), _JOB.script_hash.is_not(None))
        ),
    }
    if not task.dry_run:
        for part in chunks(ids):
            _drop_texts(connection, part, "script")
            _drop_texts(connection, part, "environment")
            for column in (tables.reports.c.key_id, tables.idempotency.c.first_id, _JOB.key_id):
                connection.execute(delete(column.table).where(column.in_(_IDS)), {"ids": part})
    return Done(counts, last)


def purge_history(connection: Connection, task: Task) -> Done:
    ids, last = _old(connection, task, _JOB.has_history == ONE)
    count = _count_history(connection, ids)
    if not task.dry_run:
        for part in chunks(ids):
            connection.execute(delete(tables.events).where(tables.events.c.key_id.in_(_IDS)), {"ids": part})
            connection.execute(_UNMARK_HISTORY, {"ids": part})
    return Done({"history": count}, last)


def purge_scripts(connection: Connection, task: Task) -> Done:
    ids, last = _old(connection, task, _JOB.script_hash.is_not(None))
    if not task.dry_run:
        for part in chunks(ids):
            _drop_texts(connection, part, "script")
    return Done({"scripts": len(ids)}, last)


def purge_environments(connection: Connection, task: Task) -> Done:
    ids, last = _old(connection, task, _JOB.environment_hash.is_not(None))
    if not task.dry_run:
        for part in chunks(ids):
            _drop_texts(connection, part, "environment")
    return Done({"environments": len(ids)}, last)


def _old(connection: Connection, task: Task, condition: ColumnElement[bool]) -> tuple[list[int], Place | None]:
    statement = (
        select(_JOB.settled_at, _JOB.key_id)
        .where(_JOB.settled_at.is_not(None), _JOB.settled_at < task.before, condition)
        .where(tuple_(_JOB.settled_at, _JOB.key_id) > tuple_(*task.after))
        .order_by(_JOB.settled_at, _JOB.key_id)
        .limit(task.size)
    )
    found = [(float(at), int(key_id)) for at, key_id in connection.execute(statement)]
    return [key_id for _, key_id in found], found[-1] if len(found) == task.size else None


def _sum(connection: Connection, ids: list[int], statement: Any) -> int:
    return sum(int(connection.execute(statement, {"ids": part}).scalar_one()) for part in chunks(ids))


def _count_history(connection: Connection, ids: list[int]) -> int:
    return _sum(connection, ids, select(func.count()).where(tables.events.c.key_id.in_(_IDS)))


def _drop_texts(connection: Connection, ids: list[int], kind: str) -> None:
    """Take the hashes from the records, count down, and delete texts that nobody names any more."""
    column = _JOB.script_hash if kind == "script" else _JOB.environment_hash
    of_ids = (_JOB.key_id.in_(_IDS), column.is_not(None))
    hashes = Counter(connection.execute(select(column).where(*of_ids), {"ids": ids}).scalars().all())
    if not hashes:
        return
    connection.execute(update(tables.jobs).where(*of_ids).values({column.name: None}), {"ids": ids})
    blob = tables.blobs.c
    connection.execute(_COUNT_DOWN, [{"the_kind": kind, "hash": h, "n": n} for h, n in sorted(hashes.items())])
    connection.execute(
        delete(tables.blobs).where(blob.kind == kind, blob.sha256.in_(_IDS), blob.uses <= 0), {"ids": list(hashes)}
    )


_JOBS = select(func.coalesce(func.sum(_JOB.counts_as), 0)).where(_JOB.key_id.in_(_IDS))
_UNMARK_HISTORY = update(tables.jobs).where(_JOB.key_id.in_(_IDS), _JOB.task_index == NO_TASK).values(has_history=0)
_COUNT_DOWN = (
    update(tables.blobs)
    .where(tables.blobs.c.kind == bindparam("the_kind"), tables.blobs.c.sha256 == bindparam("hash"))
    .values(uses=tables.blobs.c.uses - bindparam("n"))
)
