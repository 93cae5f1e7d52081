import os
import pathlib
import socket

import pytest

from bridge.agent import lines


@pytest.fixture
def ends():  # type: ignore[no-untyped-def]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield lines.Lines(ours), theirs


def receive_often(mine: lines.Lines) -> None:
    for _ in range(10):
        mine.receive()


def send_often(mine: lines.Lines) -> None:
    for _ in range(100):
        mine.send({"text": "x" * 100_000})


def test_messages_come_whole_however_they_were_cut(ends) -> None:  # type: ignore[no-untyped-def]
    mine, theirs = ends
    theirs.sendall(b'{"a": 1}\n{"b"')
    assert mine.receive() == [{"a": 1}]
    assert mine.receive() == []
    theirs.sendall(b": 2}\n")
    assert mine.receive() == [{"b": 2}]


@pytest.mark.parametrize("garbage", [b"nonsense\n", b"[1]\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n"])
def test_garbage_closes(ends, garbage: bytes) -> None:  # type: ignore[no-untyped-def]
    mine, theirs = ends
    theirs.setblocking(False)
    theirs.send(garbage)
    with pytest.raises(lines.Closed):
        receive_often(mine)


def test_a_line_without_end_closes(ends) -> None:  # type: ignore[no-untyped-def]
    mine, theirs = ends
    for _ in range(lines.LINE_LIMIT_BYTES // 4096):
        theirs.sendall(b"x" * 4096)
        assert mine.receive() == []
    theirs.sendall(b"x")
    with pytest.raises(lines.Closed):
        mine.receive()


def test_the_peers_end_closes(ends) -> None:  # type: ignore[no-untyped-def]
    mine, theirs = ends
    theirs.close()
    with pytest.raises(lines.Closed):
        mine.receive()


def test_a_peer_that_does_not_read_is_cut_off_instead_of_waited_for(ends) -> None:  # type: ignore[no-untyped-def]
    mine, _ = ends
    with pytest.raises(lines.Closed, match="does not read"):
        send_often(mine)


def test_a_listener_in_a_deep_folder_is_found_by_its_open_folder(tmp_path: pathlib.Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    folder = os.open(deep, os.O_RDONLY | os.O_DIRECTORY)
    with pytest.raises(OSError):
        lines.connect("control", folder)
    with lines.listen("control", folder), lines.connect("control", folder) as connection:
        assert lines.peer_uid(connection) == os.geteuid()
    with lines.listen("control", folder):
        lines.connect("control", folder).close()
    os.close(folder)
