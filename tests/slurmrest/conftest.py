"""A database for each test."""

import shutil
from pathlib import Path

import pytest

from bridge.store import schema


@pytest.fixture(scope="session")
def rest_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rest") / "bridge.db"
    schema.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def url(tmp_path: Path, rest_template: Path) -> str:
    return f"sqlite:///{shutil.copyfile(rest_template, tmp_path / 'bridge.db')}"
