"""Output that is kept in a pod: what the log carries, what is fetched, what is given up."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from bridge.agent import outputs
from bridge.agent.outputs import Outputs

MIB = 1 << 20


@pytest.fixture
def kept(tmp_path: Path) -> Outputs:
    return Outputs(str(tmp_path), ["stdout"], 2 * MIB)


def append(folder: Path, data: bytes) -> None:
    with (folder / "stdout").open("ab") as file:
        file.write(data)


def carried(lines: Any) -> bytes:
    return b"".join(base64.b64decode(line["data"]) for line in lines if line["event"] == "output")


class TestTheLog:
    def test_carries_each_byte_once_and_lines_stay_short(self, kept: Outputs, tmp_path: Path) -> None:
        append(tmp_path, b"x" * 20_000)
        lines = list(kept.look(0.0))
        assert (carried(lines), max(len(line["data"]) for line in lines)) == (b"x" * 20_000, 12_288)
        append(tmp_path, b"y")
        assert list(kept.look(1.0)) == [{"event": "output", "stream": "stdout", "from": 20_000, "data": "eQ=="}]
        assert kept.is_taken

    def test_carries_no_more_than_a_kubelet_keeps_and_then_says_that_there_is_more(
        self, kept: Outputs, tmp_path: Path
    ) -> None:
        data = os.urandom(outputs.LOG_BYTES + MIB)
        append(tmp_path, data)
        lines = list(kept.look(100.0))
        assert carried(lines) == data[: outputs.LOG_BYTES]
        assert lines[-1] == {"event": "spooled", "stream": "stdout", "size": len(data)}
        assert (list(kept.look(101.0)), kept.is_taken) == ([], False)

    def test_carries_the_end_where_nobody_came(self, kept: Outputs, tmp_path: Path) -> None:
        data = os.urandom(outputs.LOG_BYTES + MIB)
        append(tmp_path, data)
        list(kept.look(100.0))
        assert carried(kept.last_lines()) == data[outputs.LOG_BYTES :]


class TestTheSpool:
    def test_gives_back_what_was_acknowledged(self, kept: Outputs, tmp_path: Path) -> None:
        append(tmp_path, os.urandom(outputs.LOG_BYTES + 2 * MIB))
        list(kept.look(100.0))
        kept.acknowledge("stdout", outputs.LOG_BYTES + 2 * MIB)
        list(kept.look(101.0))
        assert kept.is_taken
        assert kept.account()["stdout"]["lost"] == 0
        assert (tmp_path / "stdout").stat().st_blocks * 512 < MIB

    def test_gives_up_the_oldest_of_what_is_too_much_and_counts_it(self, kept: Outputs, tmp_path: Path) -> None:
        data = os.urandom(outputs.LOG_BYTES + 5 * MIB)
        append(tmp_path, data)
        list(kept.look(100.0))
        account = kept.account()["stdout"]
        assert account == {"size": len(data), "lost": 3 * MIB, "floor": outputs.LOG_BYTES + 3 * MIB}
        with (tmp_path / "stdout").open("rb") as file:
            file.seek(account["floor"])
            assert file.read() == data[account["floor"] :]
