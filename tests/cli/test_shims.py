"""`bridge shims DIR`."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli import shims
from tests.cli.server import Server

TIMEOUT_SECONDS = 30


def test_every_command_is_written_and_can_be_run(tmp_path: Path):
    paths = shims.write(str(tmp_path / "bin"))
    assert [os.path.basename(path) for path in paths] == [
        "sbatch",
        "squeue",
        "scancel",
        "sacct",
        "sacctmgr",
        "scontrol",
        "sinfo",
        "srun",
        "sattach",
        "sbcast",
        "scrontab",
        "sdiag",
        "sprio",
        "sshare",
        "sstat",
        "strigger",
        "bridge",
    ]
    assert all(os.access(path, os.X_OK) for path in paths)


@pytest.mark.parametrize("folder", ["plain", "with blank"])
def test_a_command_reaches_the_bridge(tmp_path: Path, folder: str):
    python = tmp_path / folder / "python"
    python.parent.mkdir()
    python.symlink_to(shims.sys.executable)
    shims.write(str(tmp_path / "bin"), str(python))
    with Server(tmp_path / "s", [{"out": "ok\n", "err": "", "code": 4}]) as server:
        done = subprocess.run(
            [tmp_path / "bin" / "squeue", "-n", "a b"],
            env={"BRIDGE_SOCKET": str(tmp_path / "s")},
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    assert (done.stdout, done.stderr, done.returncode) == (b"ok\n", b"", 4)
    assert server.bodies[0]["argv"] == ["-n", "a b"]


@pytest.mark.parametrize("folder", ["plain", "it's blank"])
def test_bridge_itself_is_there_for_whoever_has_not_the_installation(tmp_path: Path, folder: str):
    python = tmp_path / folder / "python3"
    python.parent.mkdir()
    python.symlink_to(shims.sys.executable)
    shims.write(str(tmp_path / "bin"), str(python))
    environment = {"BRIDGE_SOCKET": str(tmp_path / "nobody"), "PATH": "/usr/bin:/bin"}
    for words, said, code in (
        (["--version"], "bridge ", 0),
        (["history", "12"], f"no bridge answers at {tmp_path / 'nobody'}", 1),
        (["logs", "--help"], "usage: bridge logs ", 0),
    ):
        done = subprocess.run(
            [tmp_path / "bin" / "bridge", *words],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert said in done.stdout + done.stderr
        assert done.returncode == code


def test_what_commands_run_is_compiled_for_users_who_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "cache"))
    shims.write(str(tmp_path / "bin"))
    package = Path(shims.__file__).parents[1]
    for source in (package / "cli" / "client.py", package / "agent" / "srun.py", package / "agent" / "step_ask.py"):
        assert Path(importlib.util.cache_from_source(str(source))).exists()


def test_writing_again_renews_our_own(tmp_path: Path):
    shims.write(str(tmp_path))
    (tmp_path / "sbatch").write_text(f"#!/old/python\n{shims.MARK}\n")
    shims.write(str(tmp_path))
    assert "/old/python" not in (tmp_path / "sbatch").read_text()


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_not_ours_is_left_alone_and_nothing_is_written(tmp_path: Path, kind: str):
    foreign = tmp_path / "squeue"
    if kind == "file":
        foreign.write_text("#!/bin/sh\necho real\n")
    elif kind == "link":
        foreign.symlink_to("/usr/bin/true")
    else:
        foreign.mkdir()
    with pytest.raises(shims.NotOurs, match=str(foreign)):
        shims.write(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["squeue"]


def test_srun_outside_a_job_says_what_to_do(tmp_path: Path):
    shims.write(str(tmp_path))
    done = subprocess.run(
        [tmp_path / "srun", "hostname"], env={}, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert (done.stdout, done.returncode) == (b"", 1)
    assert done.stderr == (
        b"srun: error: the bridge starts no allocations from srun yet; put the srun line into a script and submit it "
        b"with sbatch\n"
    )


@pytest.mark.parametrize("interpreter", ["python3", "a folder of no #! line/python3"])
def test_srun_in_a_job_is_the_agents(tmp_path: Path, interpreter: str):
    python = tmp_path / interpreter
    python.parent.mkdir(exist_ok=True)
    python.symlink_to(sys.executable)
    shims.write(str(tmp_path / "bin"), str(python))
    done = subprocess.run(
        [tmp_path / "bin" / "srun", "-N1", "--mpi=no such"],
        env={"BRIDGE_AGENT": "127.0.0.1:1"},
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert (done.stdout, done.returncode) == (b"", 1)
    assert b"srun: error: Invalid MPI type 'no such', --mpi=list for acceptable types\n" in done.stderr
