"""The agent as an archive: what an init container does with it."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.backends.kubernetes import archive
from tests.e2e import person


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """That another user may enter: those of pytest are closed again whenever another run begins."""
    with tempfile.TemporaryDirectory(prefix="bridge-archive-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.root
def test_is_copied_into_a_volume_whose_folder_is_not_the_users(open_folder: Path) -> None:
    root = open_folder
    source, target = root / "agent", root / "volume"
    (source / "lib").mkdir(parents=True)
    (source / "lib" / "so.1").write_text("so")
    (source / "lib" / "so").symlink_to("so.1")
    (source / "python3").write_text("python3")
    (source / "python3").chmod(0o755)
    (source / "agent.pyz").write_bytes(archive.build()[1])
    target.mkdir()
    target.chmod(0o777)
    words = [person.python(), "-I", "-S", source / "agent.pyz", "copy", source, target]
    subprocess.run(words, check=True, user=person.PLAIN_UID, group=person.PLAIN_UID, extra_groups=[])
    found = {str(one.relative_to(target)): _told(one) for one in sorted(target.rglob("*"))}
    assert found.pop("agent.pyz") == "file"
    assert found == {"lib": "folder", "lib/so": "-> so.1", "lib/so.1": "file", "python3": "program"}


def _told(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return "folder" if path.is_dir() else "program" if os.access(path, os.X_OK) and path.stat().st_mode & 1 else "file"
