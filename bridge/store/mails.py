"""Mail that is to be sent. A row stays after it was sent for as long as its occasion could come up again."""

import functools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from adapters.slurm.mail import Mail
from bridge.store import codec, site_records, tables

_MAIL = tables.mails.c
_CURSOR = ("mail", "cursor")

WAITING, HANDED, SENT = "waiting", "handed", "sent"


def cursor(connection: Connection) -> int | None:
    """The last row of history that was looked at; None: none ever was."""
    data = site_records.load(connection, [_CURSOR[0]])[_CURSOR[0]].get(_CURSOR[1])
    return None if data is None else int(data)


def add(connection: Connection, new: Sequence[Mail], seq: int | None, at: float) -> None:
    """Together with how far history has been looked at. What is known already is left alone."""
    if new:
        rows = [
            {"id": one.id, "key_id": one.key_id, "state": WAITING, "tries": 0, "due_at": at, "data": codec.dump(one)}
            for one in new
        ]
        connection.execute(_insert(connection.dialect.name), rows)
    if seq is not None:
        site_records.save(connection, {_CURSOR: str(seq)}, [])


def due(connection: Connection, at: float, limit: int) -> list[tuple[Mail, int]]:
    """(mail, tries so far)"""
    statement = (
        select(_MAIL.data, _MAIL.tries)
        .where(_MAIL.state == WAITING, _MAIL.due_at <= at)
        .order_by(_MAIL.due_at)
        .limit(limit)
    )
    return [(codec.load(Mail, data), tries) for data, tries in connection.execute(statement)]


def next_due(connection: Connection) -> float | None:
    return connection.execute(
        select(_MAIL.due_at).where(_MAIL.state == WAITING).order_by(_MAIL.due_at).limit(1)
    ).scalar_one_or_none()


def mark(connection: Connection, name: str, state: str, tries: int, due_at: float) -> None:
    connection.execute(_MARK, {"the_id": name, "the_state": state, "the_tries": tries, "the_due": due_at})


def give_up_handed(connection: Connection) -> int:
    """What was handed over when an earlier process ended may have been sent: it is not sent again."""
    done = connection.execute(update(tables.mails).where(_MAIL.state == HANDED).values(state=SENT))
    return done.rowcount


def forget(connection: Connection, before: float) -> int:
    """Sent ones of jobs of which nothing is open any more."""
    jobs = tables.jobs.c
    is_open = select(jobs.key_id).where(jobs.is_open == tables.ONE)
    done = connection.execute(
        delete(tables.mails).where(_MAIL.state == SENT, _MAIL.due_at < before, _MAIL.key_id.not_in(is_open))
    )
    return done.rowcount


_MARK = (
    update(tables.mails)
    .where(_MAIL.id == bindparam("the_id"))
    .values(state=bindparam("the_state"), tries=bindparam("the_tries"), due_at=bindparam("the_due"))
)


@functools.cache
def _insert(dialect: str) -> Any:
    made: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return made(tables.mails).on_conflict_do_nothing(index_elements=["id"])
