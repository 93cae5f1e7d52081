"""The first command of the README, where it is run by somebody who has nothing of ours."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
TIMEOUT_SECONDS = 120


def _try(root: Path, home: Path, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "deploy" / "try"],
        env={"HOME": str(home), "PATH": path, "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def _a_clone(folder: Path) -> Path:
    (folder / "deploy").mkdir(parents=True)
    shutil.copy(REPOSITORY / "deploy" / "try", folder / "deploy" / "try")
    return folder


def _a_python(folder: Path, script: str) -> str:
    """A PATH on which python3 is this script."""
    folder.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("exit 1", "It did not work: python3 of at least 3.11 was not found"),
        (
            f'case "$*" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"',
            "It did not work: {python} lacks its module venv (Debian and Ubuntu: apt install python3-venv)",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_line(tmp_path: Path, python: str, said: str):
    root = _a_clone(tmp_path / "clone")
    path = _a_python(tmp_path / "bin", python)
    done = _try(root, tmp_path, path)
    text = said.format(python=tmp_path / "bin" / "python3")
    assert (done.stdout, done.stderr, done.returncode) == ("", f"\n{text}\n", 1)
    assert not (root / ".venv").exists()


@pytest.mark.slow
def test_it_runs_and_runs_again_and_writes_plain_text_into_a_pipe(tmp_path: Path):
    """From a clone that is installed already: what pip fetches is not under test."""
    root = _a_clone(tmp_path / "clone")
    shutil.copytree(REPOSITORY / "deploy" / "demo", root / "deploy" / "demo")
    commands = root / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name, start in (("python", sys.executable), ("bridge", f"{sys.executable} -m bridge.main")):
        (commands / name).write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {start} "$@"\n')
        (commands / name).chmod(0o755)
    for _ in range(2):
        done = _try(root, tmp_path, "/usr/local/bin:/usr/bin:/bin")
        assert done.returncode == 0, done.stderr + done.stdout
        assert "sum of all: 8002000" in done.stdout
        assert "\033" not in done.stdout
        assert done.stdout.rstrip().endswith("Then                  sbatch YOUR-SCRIPT; squeue")
