"""The schema's revisions: told, raised and lowered. Alembic does the work, with settings made here.

The scripts lie in the package `migrations`, so that an installed bridge has them too.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, exc

from bridge.core.errors import Refused, Unavailable
from bridge.store import engine


def head() -> str:
    """The revision that this release needs."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None
    return found


def current(url: str) -> str | None:
    """The revision of a database; None when it has no schema."""
    parsed = engine.parse_url(url)
    if engine.is_sqlite(parsed) and not Path(parsed.database or "").exists():
        return None
    with _connection(url, writes=False) as connection:
        return current_of(connection)


def current_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def check(connection: Connection) -> None:
    """Raise Unavailable unless the schema is the one this release works with."""
    found = current_of(connection)
    if found == head():
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is None or found in known:
        state = "has no schema yet" if found is None else f"has the older schema {found}"
        raise Unavailable(
            f"the state database {state}, this release needs {head()}: run `bridge db upgrade`", code="schema_old"
        )
    raise Unavailable(
        f"the state database has the schema {found}, which is newer than this release's {head()}: "
        "run a newer bridge, or that one's `bridge db downgrade`; here `bridge db upgrade` cannot help",
        code="schema_new",
    )


def upgrade(url: str, revision: str = "head") -> None:
    _migrate(url, revision, up=True)


def downgrade(url: str, revision: str) -> None:
    """Down to `revision`; `base` removes all tables and what is in them."""
    _migrate(url, revision, up=False)


def _migrate(url: str, revision: str, *, up: bool) -> None:
    """All steps in one transaction. Not while a bridge uses a SQLite file."""
    parsed = engine.parse_url(url)
    with contextlib.ExitStack() as stack:
        if engine.is_sqlite(parsed):
            lock = engine.FileLock(parsed.database or "")
            stack.callback(lock.release)
            engine.create_file(parsed.database or "")
        connection = stack.enter_context(_connection(url, writes=True))
        config = _config()
        config.attributes["connection"] = connection
        try:
            (command.upgrade if up else command.downgrade)(config, revision)
        except CommandError as error:
            known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
            raise Refused(
                f"{error}; the revisions are {', '.join(reversed(known))}", code="invalid_value", field="revision"
            ) from error
        connection.commit()


@contextlib.contextmanager
def _connection(url: str, *, writes: bool) -> Iterator[Connection]:
    made = engine.make(engine.parse_url(url), writes=writes)
    try:
        with made.connect() as connection:
            yield connection
    except exc.SQLAlchemyError as error:
        raise engine.translate(error) from error
    finally:
        made.dispose()


def _config() -> Config:
    found = importlib.util.find_spec("migrations")
    if found is None or not found.submodule_search_locations:
        raise Refused("the package `migrations` is not installed beside the bridge", code="no_migrations")
    config = Config()
    config.set_main_option("script_location", next(iter(found.submodule_search_locations)).replace("%", "%%"))
    return config
