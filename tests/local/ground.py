"""A data folder with a local backend on it, for root and for a plain user; nothing of it outlives its test.

The agent code runs from a copy that any user can read, with a step service that only does what tests look at.
A plain user is one with a number of its own, so that a script may even kill everything it can reach.
"""

import asyncio
import contextlib
import functools
import itertools
import os
import pathlib
import pickle
import select
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from bridge.agent import processes
from bridge.backends.local import nursery
from bridge.backends.local.backend import LocalBackend
from bridge.backends.port import Sighting
from bridge.core import group
from bridge.core.job import Share
from bridge.core.nodes import Node

DEADLINE_SECONDS = 20.0
WHO = ("root", "plain") if os.geteuid() == 0 else ("plain",)
EVERY_CAGE = ("confined", *WHO) if os.geteuid() == 0 else WHO
"""confined: root in a container that forbids namespaces."""
_packages: list[str] = []
_uids = itertools.count(100_000 + os.getpid() % 50_000 * 100)

STEP_SERVICE = '''
"""Stands in for the step service: reports, starts what it is sent, ends it when told."""
import json, os, select, signal, socket, subprocess, time

def serve(listener, channel, launch, node_index):
    directory = os.path.dirname(launch["batch"]["stdout"])
    with open(f"{directory}/stepd.{node_index}.{os.getpid()}", "w") as file:
        file.write(f"{os.getuid()} {launch['job_id']}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if len(launch["nodes"]) > 1 and node_index == 0:
        channel.sendall(b'{"event": "all_reported"}\\n')
    ranks, buffer = [], b""
    while True:
        ready = select.select([listener, channel], [], [])[0]
        if listener in ready:
            connection, _ = listener.accept()
            command = connection.makefile().readline()
            at = time.time()
            environment = {**os.environ, "SLURM_STEP_ID": "0"}
            argv = ["/bin/sh", "-c", command]
            rank = subprocess.Popen(argv, start_new_session=True, env=environment, stdin=subprocess.DEVNULL)
            ranks.append(rank.pid)
            step = {"event": "step", "step_id": 0, "name": "sh", "node_list": ["n1"], "tasks": 1, "cpus": 1,
                    "started_at": at, "ended_at": None, "exit_status": 7, "signal": 0}
            channel.sendall(json.dumps(step).encode() + b"\\n")
            connection.sendall(b"started\\n")
            connection.close()
        if channel in ready:
            data = channel.recv(65536)
            if not data:
                os._exit(0)
            buffer += data
            *whole, buffer = buffer.split(b"\\n")
            for line in whole:
                message = json.loads(line)
                for pid in ranks:
                    try:
                        os.killpg(pid, message.get("number", signal.SIGTERM))
                    except ProcessLookupError:
                        pass
                if message["do"] == "end":
                    os._exit(0)
'''


@functools.cache
def package(use_namespaces: bool = True) -> str:
    """The copy's folder; removed at the end of the run by `remove_packages`."""
    folder = tempfile.mkdtemp(prefix="bridge-agent-")
    source = pathlib.Path(__file__).parents[2] / "bridge"
    os.makedirs(f"{folder}/bridge")
    shutil.copy(source / "__init__.py", f"{folder}/bridge")
    shutil.copytree(source / "agent", f"{folder}/bridge/agent", ignore=shutil.ignore_patterns("__pycache__"))
    pathlib.Path(f"{folder}/bridge/agent/stepd.py").write_text(STEP_SERVICE)
    if not use_namespaces:
        with open(f"{folder}/bridge/agent/namespaces.py", "a") as file:
            file.write("\n\ndef are_allowed() -> bool:\n    return False\n")
    _packages.append(folder)
    for path, _, files in os.walk(folder):
        os.chmod(path, 0o755)
        for file in files:
            os.chmod(f"{path}/{file}", 0o644)
    return folder


def remove_packages() -> None:
    package.cache_clear()
    while _packages:
        shutil.rmtree(_packages.pop())


def _python() -> str:
    """One that any user may run: the test's own may lie in a closed folder. The agent needs no other package."""
    own = pathlib.Path(os.path.realpath(sys.executable))
    is_open = all(parent.stat().st_mode & 0o001 for parent in own.parents)
    return str(own) if is_open or os.geteuid() != 0 else "/usr/bin/python3"


PYTHON = _python()


class Ground:
    def __init__(self, who: str) -> None:
        self.who = who
        self.is_root = who != "plain"
        self.uid = 0 if self.is_root else next(_uids) if os.geteuid() == 0 else os.geteuid()
        self.gid = self.uid if os.geteuid() == 0 else os.getegid()
        self.root = tempfile.mkdtemp(prefix="bridge-local-")
        os.chmod(self.root, 0o755)
        self.data = f"{self.root}/data"
        self.files = f"{self.root}/files"
        for path in (self.data, self.files):
            os.mkdir(path)
            os.chmod(path, 0o755)
        self.job_uid = next(_uids) if self.is_root else self.uid
        """Jobs of root's bridge run as somebody else."""
        self.job_gid = self.job_uid if self.is_root else self.gid
        if os.geteuid() == 0:
            os.chown(self.data, self.uid, self.gid)
            os.chown(self.files, self.job_uid, self.job_gid)
        self.package = package(use_namespaces=who != "confined")

    def run(self, scenario: Callable[["Bench"], Awaitable[Any]]) -> Any:
        """Its result. As the user that the bridge is to be; for another than ours that takes a process."""
        if self.uid == os.geteuid():
            return self._run(scenario)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._run_as_user(scenario, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            data = file.read()
        os.waitpid(pid, 0)
        assert data, "the scenario's process was killed"
        is_good, result = pickle.loads(data)
        assert is_good, result
        return result

    def _run_as_user(self, scenario: Callable[["Bench"], Awaitable[Any]], writing: int) -> None:
        try:
            os.setsid()
            os.setgroups([self.gid])
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
            answer = (True, self._run(scenario))
        except BaseException:
            answer = (False, traceback.format_exc())
        with os.fdopen(writing, "wb") as file:
            file.write(pickle.dumps(answer))
        os._exit(0)

    def _run(self, scenario: Callable[["Bench"], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            async with Bench(self) as bench:
                return await scenario(bench)

        root, executable = nursery._ROOT, sys.executable
        nursery._ROOT, sys.executable = self.package, PYTHON
        try:
            return asyncio.run(asyncio.wait_for(whole(), DEADLINE_SECONDS * 2))
        finally:
            nursery._ROOT, sys.executable = root, executable

    def zygote(self) -> int | None:
        try:
            return int(pathlib.Path(f"{self.data}/run/zygote.lock").read_text())
        except (OSError, ValueError):
            return None

    def monitors(self) -> list[int]:
        zygote = self.zygote()
        return [] if zygote is None else processes.children(zygote)

    def log(self) -> str:
        path = pathlib.Path(f"{self.data}/run/zygote.log")
        return path.read_text() if path.exists() else ""

    def leave(self) -> None:
        """End what still runs, wait for the zygote to go, remove the folder."""
        for pid in self.monitors():
            processes.send(pid, signal.SIGKILL)
        zygote = self.zygote()
        if zygote is not None:
            with contextlib.suppress(ProcessLookupError):
                fd = os.pidfd_open(zygote)
                try:
                    wait_readable(fd)
                finally:
                    os.close(fd)
        shutil.rmtree(self.root)


def wait_readable(fd: int) -> None:
    assert select.select([fd], [], [], DEADLINE_SECONDS)[0], "it did not end in time"


class Bench:
    """A backend that is open, and what it has shown."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.files = ground.files
        self.backend = LocalBackend("local", ground.data, [Node("n1", 4, 1000), Node("n2", 4, 1000)])
        self.seen: dict[int, Sighting] = {}
        self.full: list[tuple[int, ...]] = []
        self._news = asyncio.Condition()
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Bench":
        await self.backend.open()
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._watcher is not None
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        await self.backend.close()

    async def again(self) -> None:
        """As if the bridge had been killed and started anew."""
        await self.__aexit__()
        self.backend = LocalBackend("local", self.ground.data, [Node("n1", 4, 1000)])
        self.seen.clear()
        self.full.clear()
        await self.__aenter__()
        async with asyncio.timeout(DEADLINE_SECONDS), self._news:
            await self._news.wait_for(lambda: self.full)

    async def _watch(self) -> None:
        async for observation in self.backend.observe():
            if observation.full:
                self.full.append(tuple(s.job_id for s in observation.sightings))
            for sighting in observation.sightings:
                self.seen[sighting.job_id] = sighting
            async with self._news:
                self._news.notify_all()

    async def start(self, script: str, job_id: int = 1, **fields: Any) -> None:
        await self.backend.start([self.group(script, job_id, **fields)])

    async def phase(self, *phases: str, job_id: int = 1) -> Sighting:
        async with asyncio.timeout(DEADLINE_SECONDS), self._news:
            await self._news.wait_for(lambda: job_id in self.seen and self.seen[job_id].phase in phases)
        return self.seen[job_id]

    async def ended(self, job_id: int = 1) -> Sighting:
        return await self.phase("ended", "lost", "not_started", job_id=job_id)

    async def run(self, script: str, job_id: int = 1, **fields: Any) -> Sighting:
        await self.start(script, job_id, **fields)
        return await self.ended(job_id)

    def path(self, name: str) -> str:
        return f"{self.files}/{name}"

    def text(self, name: str = "1.out") -> str:
        try:
            return pathlib.Path(self.path(name)).read_text()
        except FileNotFoundError:
            return ""

    async def until(self, is_so: Callable[[], Any]) -> Any:
        """Wait for what nobody tells of; its value."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (value := is_so()):  # noqa: ASYNC110  (a process or file that tells nobody)
                await asyncio.sleep(0.01)
        return value

    async def said(self, text: str, name: str = "1.out") -> str:
        return str(await self.until(lambda: self.text(name) if text in self.text(name) else ""))

    def spool(self, job_id: int = 1, attempt: int = 1) -> str:
        return f"{self.ground.data}/spool/{job_id}.{attempt}"

    def group(self, script: str | bytes, job_id: int = 1, nodes: int = 1, **fields: Any) -> group.Group:
        ground = self.ground
        owner = {"uid": ground.job_uid, "gid": ground.job_gid}
        return a_group(script, self.files, job_id, nodes, **{**owner, **fields})


def a_group(script: str | bytes, files: str, job_id: int = 1, nodes: int = 1, **fields: Any) -> group.Group:
    """Fields of Batch may be given too."""
    batch: dict[str, Any] = {
        "script": script if isinstance(script, bytes) else f"#!/bin/sh\n{script}\n".encode(),
        "arguments": (),
        "environment": {"PATH": "/usr/bin:/bin"},
        "working_directory": files,
        "umask": 0o022,
        "rlimits": (),
        "stdin": "/dev/null",
        "stdout": f"{files}/{job_id}.out",
        "stderr": None,
        "append": False,
        "load_login_environment": False,
    }
    batch.update({name: fields.pop(name) for name in list(fields) if name in batch})
    values: dict[str, Any] = {
        "instance": "test",
        "job_id": job_id,
        "display_id": str(job_id),
        "attempt": 1,
        "array_id": None,
        "task_index": None,
        "job_name": "t",
        "user": "somebody",
        "uid": 1001,
        "gid": 1001,
        "groups": (),
        "home": files,
        "shell": "/bin/sh",
        "nodes": tuple(Share(f"n{k + 1}", 1, 100, 1) for k in range(nodes)),
        "node_environment": tuple({} for _ in range(nodes)),
        "time_limit_seconds": 600,
        "kill_wait_seconds": 10,
        "signal": None,
        "memory_limit_mib": (None,) * nodes,
        "patience_seconds": 15,
        "key": "00ff",
        "job_token": "token",
    }
    return group.Group(batch=group.Batch(**batch), **{**values, **fields})


def marked(mark: str) -> list[int]:
    """Living processes with `mark` among their arguments."""
    found = []
    for pid in processes.everyone():
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if mark.encode() in words and processes.started_ticks(pid) is not None:
                found.append(pid)
    return found
