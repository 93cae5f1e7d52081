import json
import os
import time

import pytest

from bridge.agent import launch, login, texts
from bridge.backends.local import spool
from tests.local.ground import a_group


def a_file(**fields: object) -> dict[str, object]:
    group = a_group("true", "/f", nodes=2)
    return {**spool.launch_file(group, "/d", [7001, 7002], "boot"), **fields}


def test_what_the_bridge_writes_is_what_the_agent_reads() -> None:
    job = launch.parse(json.dumps(a_file()).encode())
    assert (job.job_id, job.attempt, job.uid, job.boot_id) == (1, 1, 1001, "boot")
    assert job.nodes == (launch.Node("n1", "127.0.0.1", 7001), launch.Node("n2", "127.0.0.1", 7002))
    assert (job.poke, job.bin, job.socket) == ("/d/run/poke.sock", "/d/bin", "/d/run/bridge.sock")
    assert job.batch.stdout == "/f/1.out" and job.batch.stderr is None
    assert job.memory_limit_mib == (None, None)


def test_fields_of_a_newer_bridge_are_ignored() -> None:
    assert launch.parse(json.dumps(a_file(novelty={"x": 1})).encode()).job_id == 1


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"version": 1}', json.dumps(a_file(version=2)).encode()])
def test_what_is_no_launch_file_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"launch file|Expecting"):
        launch.parse(data)


def test_texts_are_slurms_and_carry_the_local_time() -> None:
    at = time.mktime((2026, 11, 25, 7, 24, 48, 0, 0, -1)) + 0.25
    expected = "[2026-11-25T07:24:48.250] error: *** JOB 5 ON n1 CANCELLED AT 2026-11-25T07:24:48 "
    assert texts.cancelled(at, 5, "n1", "time_limit").decode() == f"{expected}DUE TO TIME LIMIT ***\n"
    assert texts.cancelled(at, 5, "n1", "cancel").decode() == f"{expected}DUE to SIGNAL Terminated ***\n"
    assert texts.cancelled(at, 5, "n1", "requeue").decode() == f"{expected}DUE TO JOB REQUEUE ***\n"


def test_a_login_shells_block_is_read_entry_by_entry() -> None:
    assert login.parse(b"A=1\0B=x\ny=z\0SHLVL=1\0_=/usr/bin/env\0nonsense\0\xff=1\0") == {
        "A": "1",
        "B": "x\ny=z",
        os.fsdecode(b"\xff"): "1",
    }
