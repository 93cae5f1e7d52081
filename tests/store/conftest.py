"""The same tests on SQLite and, where its server is installed, on PostgreSQL."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.store import schema
from tests import postgresql
from tests.postgresql import postgresql_server  # noqa: F401  # a fixture

DATABASES = ["sqlite", *(["postgresql"] if postgresql.programs() else [])]
_EACH = [pytest.param(name, marks=[pytest.mark.slow] if name == "postgresql" else []) for name in DATABASES]
"""The same tests once more are for the whole run."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if "postgresql" not in DATABASES:
        terminalreporter.write_line(postgresql.LEFT_OUT, yellow=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "bridge.db"
    schema.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(request: pytest.FixtureRequest) -> str:
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    name = server.make_database()
    schema.upgrade(server.url(name))
    return name


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A database with the schema and nothing in it."""
    path = tmp_path / "bridge.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest) -> Iterator[str]:
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    name = server.make_database(request.getfixturevalue("postgresql_template"))
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture(params=_EACH)
def url(request: pytest.FixtureRequest) -> str:
    """Of each kind."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture(params=_EACH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
        return
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    name = server.make_database()
    yield server.url(name)
    server.drop_database(name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of several processes on one database need PostgreSQL; the summary says what is left out."""
    left_out = [item for item in items if "postgresql" not in DATABASES and "shared_url" in _fixtures(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


@pytest.fixture
def shared_url(postgresql_url: str) -> str:
    """A database that several processes may use."""
    return postgresql_url
