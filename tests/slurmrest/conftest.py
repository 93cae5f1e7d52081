"""A database for each test, and a real slurmrestd for those that compare."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.store import schema
from tests.e2e import reference
from tests.slurmrest import real as real_slurm


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Comparisons need SLURM_BUNDLE; tests/run says that they are left out without it."""
    if reference.bundle() is not None:
        return
    left_out = [item for item in items if item.path.name.startswith("test_against_")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def rest_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slurmrest") / "bridge.db"
    schema.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def url(tmp_path: Path, rest_template: Path) -> str:
    return f"sqlite:///{shutil.copyfile(rest_template, tmp_path / 'bridge.db')}"


@pytest.fixture(scope="session")
def real() -> Iterator[real_slurm.Real]:
    with real_slurm.started() as found:
        yield found


@pytest.fixture(scope="session")
def real_openapi(real: real_slurm.Real) -> dict[str, Any]:
    status, document = real.call("GET", "/openapi/v3")
    assert status == 200
    found: dict[str, Any] = document
    return found
