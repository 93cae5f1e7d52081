"""Plays the monitors of an allocation: a step service a node, in processes of their own, and srun as a real command."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.agent import mpi_launchers, stepd

SRUN = Path(stepd.__file__).with_name("srun.py")
DEADLINE_SECONDS = 30


@dataclass
class Ran:
    out: str
    err: str
    code: int


@dataclass
class Allocation:
    """Nodes n1..nN with so many CPUs each."""

    directory: Path
    cpus: list[int]
    mpi_default: str = "none"
    key: str = field(default_factory=lambda: os.urandom(32).hex())
    ports: list[int] = field(default_factory=list)
    services: list[int] = field(default_factory=list)
    channels: list[socket.socket] = field(default_factory=list)

    def start(self, *, but: int | None = None) -> None:
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in self.cpus]
        self.ports = [listener.getsockname()[1] for listener in listeners]
        (self.directory / "key").write_text(self.key)
        for index, listener in enumerate(listeners):
            if index == but:
                listener.close()
                self.services.append(0)
                ours, theirs = socket.socketpair()
                theirs.close()
                self.channels.append(ours)
                continue
            self._fork(index, listener)
        for listener in listeners:
            listener.close()

    def _fork(self, index: int, listener: socket.socket) -> None:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                null = os.open("/dev/null", os.O_RDWR)
                os.dup2(null, 0)
                log = os.open(self.directory / f"stepd{index}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(log, 1)
                os.dup2(log, 2)
                sys.stderr = os.fdopen(2, "w", closefd=False)
                os.setsid()
                stepd.serve(listener, theirs, self.launch(), index)
            finally:
                os._exit(99)
        theirs.close()
        ours.settimeout(DEADLINE_SECONDS)
        self.services.append(pid)
        self.channels.append(ours)

    def launch(self) -> dict[str, Any]:
        nodes = [
            {"name": f"n{k + 1}", "cpus": cpus, "tasks": cpus, "address": "127.0.0.1", "port": port}
            for k, (cpus, port) in enumerate(zip(self.cpus, self.ports, strict=True))
        ]
        return {
            "version": 1,
            "job_id": 12,
            "instance": self.key[:8],
            "uid": os.geteuid(),
            "key": self.key,
            "kill_wait_seconds": 2,
            "mpi_default": self.mpi_default,
            "nodes": nodes,
            "node_environment": [{"SLURMD_NODENAME": n["name"]} for n in nodes],
        }

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "SLURM_JOB_ID": "12",
            "SLURM_JOBID": "12",
            "SLURM_JOB_NODELIST": "n1" if len(self.cpus) == 1 else f"n[1-{len(self.cpus)}]",
            "SLURM_JOB_NUM_NODES": str(len(self.cpus)),
            "BRIDGE_AGENT": f"127.0.0.1:{self.ports[0]}",
            "BRIDGE_KEY_FILE": str(self.directory / "key"),
            **more,
        }

    def command(self, *argv: str) -> list[str]:
        return [sys.executable, "-I", "-S", "-E", str(SRUN), *argv]

    def srun(self, *argv: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
        done = subprocess.run(
            self.command(*argv),
            input=stdin,
            capture_output=True,
            env=self.environment(**(env or {})),
            cwd=self.directory,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        return Ran(done.stdout.decode(), done.stderr.decode(), done.returncode)

    def popen(self, *argv: str, **options: Any) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self.command(*argv),
            env=self.environment(),
            cwd=self.directory,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def hear(self, index: int = 0) -> dict[str, Any]:
        """The next message of a node's service to its monitor."""
        line = b""
        while not line.endswith(b"\n"):
            byte = self.channels[index].recv(1)
            assert byte, self.log(index)
            line += byte
        return json.loads(line)

    def tell(self, message: Mapping[str, Any], index: int = 0) -> None:
        self.channels[index].sendall(json.dumps(message).encode() + b"\n")

    def log(self, index: int) -> str:
        path = self.directory / f"stepd{index}.log"
        return path.read_text() if path.exists() else ""

    def end(self) -> None:
        for channel in self.channels:
            channel.close()
        for pid in self.services:
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        if self.ports:
            mpi_launchers.remove_memory_folders(self.launch())


@contextlib.contextmanager
def an_allocation(*cpus: int, but: int | None = None, mpi_default: str = "none") -> Iterator[Allocation]:
    with tempfile.TemporaryDirectory(prefix="bridge-steps-") as directory:
        made = Allocation(Path(directory), list(cpus), mpi_default)
        made.start(but=but)
        try:
            yield made
        finally:
            made.end()
