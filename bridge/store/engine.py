"""Engines for SQLite and PostgreSQL, the lock of a SQLite file, and database errors in our words."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, exc, make_url

from bridge.core.errors import BridgeError, Refused, Unavailable

READERS = 4
BUSY_SECONDS = 10.0
JOURNAL_LIMIT_BYTES = 64 << 20
CHECKPOINT_PAGES = 4000
"""16 MB between checkpoints: fewer pauses for the writer than SQLite's 1,000 pages make."""


def parse_url(text: str) -> URL:
    """`sqlite:////abs/path/bridge.db` or `postgresql+psycopg://user@host/name`."""
    try:
        url = make_url(text)
    except exc.ArgumentError as error:
        raise Refused(f"not a database URL: {error}", code="invalid_database_url") from error
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in ("sqlite", "sqlite+pysqlite") and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite", database=os.path.abspath(url.database))
    raise Refused(
        f"database URL with {url.drivername!r}: expected sqlite:////path/to/file or postgresql+psycopg://…",
        code="invalid_database_url",
    )


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def make(url: URL, *, writes: bool) -> Engine:
    """One for the writer (a single connection), one for the readers (a few)."""
    size = 1 if writes else READERS
    if not is_sqlite(url):
        return create_engine(
            url,
            pool_size=size,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            # The writer waits for its turn and must then see what the one before it wrote; a reader wants one picture.
            isolation_level="READ COMMITTED" if writes else "REPEATABLE READ",
        )
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,  # errors are logged, and environments are among the parameters
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "cached_statements": 512},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # Python's sqlite3 would begin transactions late and not at all for DDL; we begin them ourselves.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={int(BUSY_SECONDS * 1000)}",
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
            f"journal_size_limit={JOURNAL_LIMIT_BYTES}",
            *(() if writes else ("query_only=ON",)),
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Database errors become ours: Unavailable where waiting or an operator can help, Refused for the values."""
    try:
        yield
    except (exc.SQLAlchemyError, OverflowError) as error:
        raise translate(error) from error


def translate(error: Exception) -> BridgeError:
    cause: Any = getattr(error, "orig", None) or error
    first_line = (str(cause).splitlines() or [type(cause).__name__])[0]
    if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", None) in (
        "53100",
        "53000",
    ):
        return Unavailable(f"the state database has no room left: {first_line}", code="disk_full")
    if isinstance(error, exc.IntegrityError | exc.DataError | OverflowError) or isinstance(cause, OverflowError):
        return Refused(f"a value cannot be stored: {first_line}", code="not_storable")
    return Unavailable(f"the state database cannot be used: {first_line}", code="database")


class FileLock:
    """Keeps a SQLite file to one process: its caches and its counters rely on that."""

    def __init__(self, database: str) -> None:
        self._path = Path(f"{database}.lock")
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}", code="database") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise Unavailable(
                f"{database} is in use by another bridge, process {owner}; stop that one first", code="in_use"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """The file stays: removing it would let two processes lock two files of one name."""
        os.close(self._fd)


def create_file(database: str) -> None:
    """Make a new SQLite file readable by its owner only, before SQLite makes it otherwise."""
    try:
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Unavailable(f"{database}: {error.strerror}", code="database") from error
