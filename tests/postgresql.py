"""A PostgreSQL server for tests: Debian's package, data in a temporary directory, reached by a Unix socket only."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

START_SECONDS = 60.0
LEFT_OUT = "PostgreSQL's server programs were not found (apt: postgresql): the store was tested with SQLite alone"


def programs() -> Path | None:
    """The directory of initdb and postgres, of the newest version installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path and shutil.which("initdb") else None


class Server:
    """Databases are made from a template, which takes some hundredths of a second."""

    def __init__(self, socket_directory: str, user: str) -> None:
        self._directory, self._user = socket_directory, user
        self._made = 0

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{self._user}@/{database}?host={self._directory}"

    def make_database(self, template: str = "template0") -> str:
        """The new database's name."""
        self._made += 1
        name = f"test_{self._made}"
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        self.run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def run(self, statement: str, database: str = "postgres") -> None:
        with self.connect(database) as connection:
            connection.execute(statement)

    def connect(self, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(host=self._directory, user=self._user, dbname=database, autocommit=True)


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Refuses to run as root, so another user owns it then."""
    binaries = programs()
    assert binaries is not None
    as_root = os.geteuid() == 0
    owner = pwd.getpwnam("postgres" if _exists("postgres") else "nobody") if as_root else pwd.getpwuid(os.geteuid())
    identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if as_root else {}
    directory = tempfile.mkdtemp(prefix="bridge-pg-")
    os.chown(directory, owner.pw_uid, owner.pw_gid)
    data, log = f"{directory}/data", f"{directory}/log"
    process: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=directory,
            **identity,  # type: ignore[call-overload]
        )
        settings = {"listen_addresses": "", "unix_socket_directories": directory, "fsync": "off"}
        settings |= {"synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with open(log, "wb") as stream:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, *options],
                stdout=stream,
                stderr=stream,
                cwd=directory,
                **identity,  # type: ignore[call-overload]
            )
        server = Server(directory, "tests")
        _wait(server, process, log)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # "fast": open sessions are ended
            process.wait(timeout=30)
        shutil.rmtree(directory, ignore_errors=True)


def _exists(user: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(user))
    return False


def _wait(server: Server, process: "subprocess.Popen[bytes]", log: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.run("SELECT 1")
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start:\n{Path(log).read_text()}") from None
            time.sleep(0.05)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    with running() as server:
        yield server
