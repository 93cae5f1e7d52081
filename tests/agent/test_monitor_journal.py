import errno
import os
import pathlib
import socket
from collections.abc import Iterator

import pytest

from bridge.agent import journal


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def names(folder: int, offset: int = 0) -> tuple[list[str], int]:
    events, after = journal.read(folder, offset)
    return [event["event"] for event in events], after


def test_what_was_written_is_read_from_where_the_last_look_ended(folder: int) -> None:
    assert names(folder) == ([], 0)
    book = journal.Journal(folder)
    book.write("began", pid=7)
    events, offset = journal.read(folder)
    assert [(event["event"], event["pid"]) for event in events] == [("began", 7)]
    book.write("ended", detail="ü\udcff")
    assert journal.read(folder, offset)[0][0]["detail"] == "ü\udcff"
    assert names(folder, names(folder)[1]) == ([], names(folder)[1])


def test_a_line_that_is_not_whole_yet_is_left_for_later(folder: int, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"event": "began", "at": 1}\n{"event": "en')
    seen, offset = names(folder)
    assert seen == ["began"]
    with path.open("a") as file:
        file.write('ded", "at": 2}\n')
    assert names(folder, offset)[0] == ["ended"]


def test_lines_that_mean_nothing_are_passed_over(folder: int, tmp_path: pathlib.Path) -> None:
    (tmp_path / "journal").write_bytes(b'\xff\n[1]\n{"event": 3}\n{"no": 1}\n{"event": "ended"}\n')
    assert names(folder)[0] == ["ended"]


@pytest.mark.parametrize("written", [0, 5])
def test_a_full_disk_leaves_the_journal_as_it_was(folder: int, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    book = journal.Journal(folder)
    book.write("began")
    before = names(folder)
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if not written:
            raise OSError(errno.ENOSPC, "full")
        return real(fd, data[:written])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError):
            book.write("ended")
    assert names(folder) == before
    book.write("ended")
    assert names(folder)[0] == ["began", "ended"]


def test_a_link_in_the_journals_place_is_not_followed(folder: int, tmp_path: pathlib.Path) -> None:
    (tmp_path / "journal").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        journal.Journal(folder)
    with pytest.raises(OSError):
        journal.read(folder)


def test_a_poke_reaches_who_listens_and_nobody_misses_it_else(tmp_path: pathlib.Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)  # longer than a socket's path may be
    deep.mkdir(parents=True)
    poke = journal.Poke(f"{deep}/poke.sock", "/spool/1.1")
    poke()
    fd = os.open(deep, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"/proc/self/fd/{fd}/poke.sock")
        poke()
        assert listener.recv(100) == b"/spool/1.1"
    os.close(fd)
    poke._socket.close()


def test_a_poke_that_a_busy_bridge_cannot_take_is_to_be_given_again(tmp_path: pathlib.Path) -> None:
    poke = journal.Poke(f"{tmp_path}/s", "x")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{tmp_path}/s")
        taken = 0
        while poke():
            taken += 1
            assert taken < 100_000
        listener.recv(10)
        assert poke()
    poke._socket.close()
