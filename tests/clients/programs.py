"""Released programs that drive Slurm, as they come from PyPI, and where each is installed.

Every program has an environment of its own, in a folder that ordinary users can read, and a script in `uses/`
that does with it what its users do; the script runs with the program's interpreter.
"""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e import person

USES = Path(__file__).resolve().parent / "uses"
INSTALL_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    requirements: tuple[str, ...]
    seconds: float
    """How long its uses may take, together."""

    @property
    def script(self) -> Path:
        return USES / f"use_{self.name.replace('-', '_')}.py"


_ALL = (
    Program("submitit", ("submitit==1.5.4",), 240.0),
    Program("dask-jobqueue", ("dask-jobqueue==0.9.0",), 300.0),
    Program("parsl", ("parsl==2026.10.26",), 300.0),
    Program("psij-python", ("psij-python==0.9.11",), 300.0),
    Program("snakemake", ("snakemake==9.27.1", "snakemake-executor-plugin-slurm==2.8.0"), 1100.0),
    Program("reframe-hpc", ("reframe-hpc==4.10.4",), 300.0),
    Program("aiida-core", ("aiida-core==2.9.4",), 180.0),
)
PROGRAMS = {program.name: program for program in _ALL}


class NotInstalled(Exception):
    """The package index does not answer, or has not got the release; the text is pip's."""


def install(program: Program) -> Path:
    """The environment's folder. What is there already is used without asking the index."""
    folder = cache() / program.name
    stamp = folder / "installed"
    wanted = " ".join((*program.requirements, person.python()))
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder
    # Without pip: the interpreter may be one that cannot bring its own (Debian's without python3-venv).
    _run(person.python(), "-m", "venv", "--clear", "--without-pip", str(folder))
    pip = (sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check")
    _run(*pip, "install", "--quiet", "--no-warn-script-location", *program.requirements)
    stamp.write_text(wanted)
    return folder


def cache() -> Path:
    """BRIDGE_CLIENTS names the folder; else the host's cache for root, the user's own for others."""
    named = os.environ.get("BRIDGE_CLIENTS")
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else (Path("/var/cache") if os.geteuid() == 0 else own) / "bridge-clients"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(*argv: str) -> None:
    done = subprocess.run(
        argv, capture_output=True, text=True, errors="replace", umask=0o022, timeout=INSTALL_SECONDS, check=False
    )
    if done.returncode:
        raise NotInstalled((done.stderr or done.stdout).strip())
