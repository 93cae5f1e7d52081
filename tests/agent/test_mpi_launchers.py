"""Folders for shared memory of nodes that are one host: each node its own, and all go with the job."""

import os
from pathlib import Path
from typing import Any

import pytest

from bridge.agent import mpi_launchers


@pytest.fixture
def launch() -> dict[str, Any]:
    nodes = [{"address": "127.0.0.1"}, {"address": "127.0.0.1"}, {"address": "192.0.2.7"}]
    return {"instance": os.urandom(4).hex(), "job_id": 3, "attempt": 1, "uid": os.geteuid(), "nodes": nodes}


def test_nodes_that_share_their_host_have_one_each(launch: dict[str, Any]) -> None:
    made = [mpi_launchers.make_memory_folder(launch, index) for index in range(3)]
    assert (made[2], made[0] != made[1], [Path(path or "").is_dir() for path in made[:2]]) == (None, True, [True, True])
    (Path(made[0] or "") / "segment").touch()
    mpi_launchers.remove_memory_folders(launch)
    assert [Path(path or "").exists() for path in made[:2]] == [False, False]


def test_what_lies_behind_a_link_is_left_alone(launch: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    link = Path(mpi_launchers.memory_folder(launch, 0) or "")
    link.symlink_to(tmp_path)
    try:
        mpi_launchers.remove_memory_folders(launch)
        assert (tmp_path / "kept").exists()
    finally:
        link.unlink()
