import os
import pathlib
import stat

import pytest

from bridge.agent import processes, spool


def opened(path: pathlib.Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def test_a_folder_that_others_may_write_to_is_not_opened(tmp_path: pathlib.Path) -> None:
    (tmp_path / "good").mkdir(0o711)
    os.close(spool.open_folder(str(tmp_path / "good")))
    (tmp_path / "good").chmod(0o722)
    with pytest.raises(PermissionError):
        spool.open_folder(str(tmp_path / "good"))


def test_neither_links_nor_anything_but_our_regular_files_are_read(tmp_path: pathlib.Path) -> None:
    folder = opened(tmp_path)
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "folder").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert spool.read_own("file", folder) == b"text"
    for name in ("link", "pipe", "none"):
        with pytest.raises(OSError):
            spool.read_own(name, folder)
    with pytest.raises(OSError):
        spool.open_folder("folder", folder)
    os.close(folder)


def test_one_holds_the_lock_and_others_see_who(tmp_path: pathlib.Path) -> None:
    folder = opened(tmp_path)
    assert (spool.is_locked(folder), spool.holder(folder)) == (False, None)
    held = spool.lock(folder)
    assert held is not None
    assert spool.lock(folder, patience_seconds=0.0) is None
    assert (spool.is_locked(folder), spool.holder(folder)) == (True, os.getpid())
    os.close(held)
    assert not spool.is_locked(folder)
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
    os.close(folder)


def test_a_process_that_has_the_holders_number_by_chance_is_not_the_holder(tmp_path: pathlib.Path) -> None:
    folder = opened(tmp_path)
    ticks = processes.started_ticks(os.getpid())
    assert ticks is not None
    (tmp_path / "lock").write_text(f'{{"pid": {os.getpid()}, "started_ticks": {ticks + 1}}}')
    assert spool.holder(folder) is None
    (tmp_path / "lock").write_text("no JSON")
    assert spool.holder(folder) is None
    os.close(folder)
