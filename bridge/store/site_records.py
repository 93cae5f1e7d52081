"""Records that operators make at run time, by kind and name. Few enough to be read whole."""

import functools
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store import tables

_RECORD = tables.site_records.c


def load(connection: Connection, kinds: Collection[str]) -> dict[str, dict[str, str]]:
    """kind → name → data"""
    found: dict[str, dict[str, str]] = {kind: {} for kind in kinds}
    statement = select(_RECORD.kind, _RECORD.name, _RECORD.data).where(_RECORD.kind.in_(sorted(kinds)))
    for kind, name, data in connection.execute(statement):
        found[kind][name] = data
    return found


def save(connection: Connection, changed: Mapping[tuple[str, str], str], gone: Collection[tuple[str, str]]) -> None:
    if gone:
        connection.execute(_DELETE, [{"the_kind": kind, "the_name": name} for kind, name in sorted(gone)])
    if changed:
        rows = [{"kind": kind, "name": name, "data": data} for (kind, name), data in sorted(changed.items())]
        connection.execute(_upsert(connection.dialect.name), rows)


_DELETE = delete(tables.site_records).where(
    _RECORD.kind == bindparam("the_kind"), _RECORD.name == bindparam("the_name")
)


@functools.cache
def _upsert(dialect: str) -> Any:
    made: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = made(tables.site_records)
    return statement.on_conflict_do_update(index_elements=["kind", "name"], set_={"data": statement.excluded.data})
