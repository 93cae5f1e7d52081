"""A real Slurm 25.11 from the bundle that SLURM_BUNDLE names, to compare with. Needs root.

It is a cluster of its own, beside any other, in a directory that outlives the process: once started it is
found again. `stop` ends it.
"""

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.e2e import harness, person
from tests.e2e.person import Person

PORT_BASE = int(os.environ.get("BRIDGE_REFERENCE_PORT", "34500"))
DIRECTORY = Path(os.environ.get("BRIDGE_REFERENCE_DIRECTORY", "/var/tmp/bridge-reference-slurm"))
"""Two who compare at the same time each need their own."""


def bundle() -> Path | None:
    named = os.environ.get("SLURM_BUNDLE")
    return Path(named) if named and (Path(named) / "start").exists() and os.geteuid() == 0 else None


class Slurm:
    def __init__(self, bundle_directory: Path) -> None:
        self._bundle = bundle_directory
        DIRECTORY.mkdir(exist_ok=True)
        DIRECTORY.chmod(0o755)
        extra = DIRECTORY / "extra.conf"
        extra.write_text("PartitionName=closed Nodes=n3 State=DOWN\nMaxJobCount=50000\n")
        try:
            told = self._start(extra)
        except subprocess.CalledProcessError:
            # Stale: some daemons of an earlier one have ended, or its nodes were left drained. Nothing of it is needed.
            self.stop()
            told = self._start(extra, "--fresh")
        exported = dict(re.findall(r"export (\w+)=\"?([^\"\n;]*)\"?", told))
        exported["PATH"] = exported["PATH"].replace("$PATH", os.environ["PATH"])
        self.exported = exported
        entry = next(entry for entry in map(_entry, ("bob", "nobody")) if entry)
        self.user = Person(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)

    def _start(self, extra: Path, *words: str) -> str:
        """What to export, as shell lines."""
        return subprocess.run(
            [
                *(self._bundle / "start", "--dir", DIRECTORY / "slurm", "--port-base", str(PORT_BASE)),
                *("--gpus", "4", "--dbd", "--extra", extra, *words),
            ],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ).stdout

    @property
    def environment(self) -> dict[str, str]:
        return {**self.user.environment(), **self.exported}

    def run(
        self,
        *argv: str,
        cwd: Path | str = "/",
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        umask: int = 0o022,
        as_root: bool = False,
    ) -> harness.Ran:
        identity: dict[str, Any] = {} if as_root else self.user.popen_options()
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            cwd=cwd,
            env={**self.environment, **(env or {})},
            umask=umask,
            check=False,
            **identity,
        )
        return harness.Ran(done.stdout.decode(), done.stderr.decode(), done.returncode)

    def token(self) -> str:
        return self.run("scontrol", "token", "lifespan=3600", as_root=True).out.strip().partition("=")[2]

    def show(self, job_id: int) -> list[dict[str, str]]:
        blocks = self.run("scontrol", "show", "job", str(job_id)).out.split("\n\n")
        return [harness.read_record(block) for block in blocks if block.strip()]

    def cancel_all(self) -> None:
        self.run("scancel", "--user", self.user.name, as_root=True)
        self.run("scancel", "--user", "root", as_root=True)

    def free(self) -> None:
        """No job is left and every node idle, whatever was played here before."""
        self.cancel_all()
        for name, state in self._nodes():
            if state.startswith(("drain", "down", "fail")):
                self.run("scontrol", "update", f"nodename={name}", "state=resume", as_root=True)
        self.until(lambda: not self.run("squeue", "--noheader").out and all(one == "idle" for _, one in self._nodes()))

    def _nodes(self) -> list[tuple[str, str]]:
        """(name, state); a node of two partitions comes twice, one that does not respond with `*`."""
        rows = self.run("sinfo", "--noheader", "--Node", "--format=%N %T").out.splitlines()
        return [(name, state) for name, state in map(str.split, rows)]

    def until(self, look: Callable[[], harness.T], seconds: float = harness.WAIT_SECONDS) -> harness.T:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, f"nothing to see after {seconds} s"
            time.sleep(0.1)  # slurmctld has no events to wait for
        return found

    def stop(self) -> None:
        subprocess.run([self._bundle / "stop", "--dir", DIRECTORY / "slurm"], check=False, stderr=subprocess.DEVNULL)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


class AsBridge(harness.Bridge):
    """The real Slurm in the bridge's place: are the tests' expectations true?

    `BRIDGE_E2E_ON=slurm pytest tests/e2e -k ...`. What a real Slurm without cgroups cannot show fails there.
    """

    def __init__(self, slurm: Slurm, root: Path) -> None:
        self._slurm = slurm
        self.root, self.work = root, root / "work"
        self.user, self.owner = slurm.user, person.myself()

    def command(self, name: str, *argv: str) -> list[str]:
        return [name, *argv]

    def run(
        self,
        name: str,
        *argv: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        umask: int = 0o022,
        as_user: Person | None = None,
        seconds: float = harness.WAIT_SECONDS,
    ) -> harness.Ran:
        as_root = as_user is not None and as_user.uid == 0
        where = cwd or self.work
        return self._slurm.run(name, *argv, cwd=where, stdin=stdin or b"", env=env, umask=umask, as_root=as_root)

    def until(self, look: Callable[[], harness.T], seconds: float = harness.WAIT_SECONDS) -> harness.T:
        return self._slurm.until(look, seconds)

    def log_end(self, lines: int = 40) -> str:
        return ""


@contextlib.contextmanager
def as_bridge(bundle_directory: Path) -> Iterator[AsBridge]:
    slurm = Slurm(bundle_directory)
    root = Path(tempfile.mkdtemp(prefix="bridge-slurm-"))
    root.chmod(0o755)
    (root / "work").mkdir()
    os.chown(root / "work", slurm.user.uid, slurm.user.gid)
    try:
        yield AsBridge(slurm, root)
    finally:
        slurm.cancel_all()
        shutil.rmtree(root, ignore_errors=True)
