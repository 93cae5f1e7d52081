"""The agent as an archive: what an init container does with it."""

import os
import subprocess
from pathlib import Path

import pytest

from bridge.backends.kubernetes import archive
from tests.e2e import person


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="a folder of somebody else's")
def test_is_copied_into_a_volume_whose_folder_is_not_the_users(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("copy")
    for part in (root, *root.parents[:2]):
        part.chmod(0o755)
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
