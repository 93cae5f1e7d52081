"""What hangs on a job: history, report, script, environment, steps; and the small tables. SQL only."""

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.core.job import JobKey, JobState
from bridge.core.reasons import Reason
from bridge.core.report import Report
from bridge.store import codec, rows, tables
from bridge.store.records import HistoryRow, NodeMark, StepRow
from bridge.store.tables import NO_TASK

_EVENT = tables.events.c
_JOB = tables.jobs.c
_STEP = tables.steps.c

# ── history ───────────────────────────────────────────────────────────────────────────────────────


def last_seq(connection: Connection) -> int:
    return int(connection.execute(select(tables.instance.c.next_seq)).scalar_one()) - 1


def changes_since(connection: Connection, seq: int) -> tuple[int, set[JobKey]]:
    newest = last_seq(connection)
    if seq >= newest:
        return newest, set()
    found = connection.execute(
        select(_EVENT.key_id, _EVENT.task_index).distinct().where(_EVENT.seq > seq, _EVENT.seq <= newest)
    )
    return newest, {rows.job_key(key_id, task_index) for key_id, task_index in found}


def of_job(connection: Connection, key: JobKey) -> list[HistoryRow]:
    """Of an array's id: of all its tasks. Of a task: with what happened to it while it waited in the array."""
    statement = select(tables.events).where(_EVENT.key_id == key.id).order_by(_EVENT.seq)
    if key.task_index is None:
        return [_row(row) for row in connection.execute(statement)]
    own = [_row(row) for row in connection.execute(statement.where(_EVENT.task_index.in_([NO_TASK, key.task_index])))]
    split_at = next((row.seq for row in own if row.key == key), None)
    return [row for row in own if row.key == key or split_at is None or row.seq < split_at]


def since(connection: Connection, seq: int, limit: int) -> list[HistoryRow]:
    statement = select(tables.events).where(_EVENT.seq > seq).order_by(_EVENT.seq).limit(limit)
    return [_row(row) for row in connection.execute(statement)]


def _row(row: Any) -> HistoryRow:
    return HistoryRow(
        row.seq,
        rows.job_key(row.key_id, row.task_index),
        row.at,
        row.kind,
        JobState(row.state),
        Reason(row.reason),
        row.attempt,
        json.loads(row.data),
    )


# ── texts ─────────────────────────────────────────────────────────────────────────────────────────


def report(connection: Connection, job_id: int) -> Report:
    """Empty when there is none, or no such job."""
    text = connection.execute(
        select(tables.reports.c.data).where(tables.reports.c.key_id == job_id)
    ).scalar_one_or_none()
    return Report() if text is None else codec.load(Report, text)


def text_of(connection: Connection, job_id: int, kind: str) -> bytes | None:
    """The script or environment of a job, or of the array that it is a task of."""
    column = _JOB.script_hash if kind == "script" else _JOB.environment_hash
    found = connection.execute(
        select(tables.blobs.c.data)
        .join(tables.jobs, column == tables.blobs.c.sha256)
        .where(tables.blobs.c.kind == kind, _JOB.key_id == job_id, _JOB.task_index == NO_TASK)
    ).scalar_one_or_none()
    return None if found is None else bytes(found)


# ── steps ─────────────────────────────────────────────────────────────────────────────────────────


def steps(connection: Connection, keys: Iterable[JobKey]) -> list[StepRow]:
    """Ordered by job, attempt and step."""
    statement = (
        select(tables.steps)
        .where(rows.among_keys("steps", connection.dialect.name))
        .order_by(_STEP.key_id, _STEP.task_index, _STEP.attempt, _STEP.step_id)
    )
    found: list[StepRow] = []
    for row in connection.execute(statement, {"keys": codec.dump([rows.row_key(key) for key in keys])}):
        values = dict(row._mapping)
        key = rows.job_key(values.pop("key_id"), values.pop("task_index"))
        names = tuple(json.loads(values.pop("node_list")))
        found.append(StepRow(key=key, node_list=names, **values))
    return found


def record_steps(connection: Connection, new: Sequence[StepRow]) -> None:
    """What is known of a step is replaced. Steps of jobs that are gone are let go."""
    if not new:
        return
    among_keys = rows.among_keys("jobs", connection.dialect.name)
    asked = codec.dump([rows.row_key(step.key) for step in new])
    found = connection.execute(select(_JOB.key_id, _JOB.task_index).where(among_keys), {"keys": asked})
    known = {(key_id, task_index) for key_id, task_index in found}
    values = {}
    for step in new:
        if rows.row_key(step.key) in known:
            row = codec.fields_of(step)
            del row["key"]
            row["key_id"], row["task_index"] = rows.row_key(step.key)
            row["node_list"] = codec.dump(step.node_list)
            values[step.key, step.attempt, step.step_id] = row
    if values:
        connection.execute(_upsert("steps", connection.dialect.name), list(values.values()))


# ── nodes and tokens ──────────────────────────────────────────────────────────────────────────────


def mark_node(connection: Connection, mark: NodeMark) -> None:
    values = {"node": mark.node, "state": mark.state, "reason": mark.reason, "set_by": mark.by, "at": mark.at}
    connection.execute(_upsert("node_marks", connection.dialect.name), values)


def node_marks(connection: Connection) -> dict[str, NodeMark]:
    found = connection.execute(select(tables.node_marks))
    return {row.node: NodeMark(row.node, row.state, row.reason, row.set_by, row.at) for row in found}


def revoke_token(connection: Connection, token_id: str, until: float) -> None:
    connection.execute(_upsert("revoked_tokens", connection.dialect.name), {"token_id": token_id, "until": until})


def revoked_tokens(connection: Connection, now: float) -> set[str]:
    table = tables.revoked_tokens.c
    return set(connection.execute(select(table.token_id).where(table.until > now)).scalars())


def forget_tokens(connection: Connection, now: float) -> int:
    """Tokens that have run out need no mark any more."""
    done = connection.execute(delete(tables.revoked_tokens).where(tables.revoked_tokens.c.until <= now))
    return done.rowcount


def count_tokens(connection: Connection, now: float) -> int:
    table = tables.revoked_tokens
    return int(connection.execute(select(func.count()).select_from(table).where(table.c.until <= now)).scalar_one())


@functools.cache
def _upsert(name: str, dialect: str) -> Any:
    table = tables.metadata.tables[name]
    made: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = made(table)
    keys = [column.name for column in table.primary_key]
    rest = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)
