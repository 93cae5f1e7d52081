"""Jobs as processes of this machine, its CPUs and memory counted as virtual nodes.

The bridge may come and go: each node of an attempt has a monitor that needs nobody, and what it saw is in its
journal. Here spools are written, monitors asked for, journals read, wishes handed over.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Literal

from bridge.backends.local import attempts, control, host, nursery, spool
from bridge.backends.port import Observation, Rights, Target, TaskUsage
from bridge.core.errors import BridgeError, Gone, Refused, Unavailable
from bridge.core.group import Group
from bridge.core.job import Job
from bridge.core.nodes import Node

log = logging.getLogger(__name__)

_ZYGOTE_RETRY_SECONDS = 1.0
_STOP_PATIENCE_SECONDS = 5.0
_YOUNG_SECONDS = 5.0
_LOSE_RETRY_SECONDS = 1.0


class LocalBackend:
    def __init__(self, name: str, data_directory: str, nodes: Sequence[Node]) -> None:
        self.name = name
        self._data = data_directory
        self._spool = f"{data_directory}/spool"
        self._run = f"{data_directory}/run"
        self._nodes = tuple(nodes)
        self._started_at = time.time()
        self._attempts: dict[tuple[int, int], attempts.Attempt] = {}
        self._by_path: dict[str, attempts.Attempt] = {}
        self._changed: set[tuple[int, int]] = set()
        self._is_gap = True
        self._news = asyncio.Event()
        self._nursery = nursery.Nursery(self._run, self._on_exits, self._on_zygote_loss)
        self._poke: socket.socket | None = None
        self._lock: int | None = None
        self._watched: dict[tuple[str, int], int] = {}
        """Monitors that no zygote of ours will tell of → pidfd."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._boot_id = spool.current_boot_id()

    # ── open and close ────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        is_root = os.geteuid() == 0
        try:
            for path in (self._data, self._spool, self._run):
                os.makedirs(path, 0o711 if is_root else 0o700, exist_ok=True)
            self._say_what_hinders_jobs()
            self._take_lock()
            self._bind_poke()
            await asyncio.to_thread(spool.sweep, self._spool)
            known = await self._nursery.open()
            for job_id, number in spool.attempts(self._spool):
                await self._find_again(job_id, number, set(known))
        except OSError as error:
            await self.close()
            raise Unavailable(f"the data directory {self._data} cannot be used: {error}") from error
        except BridgeError:
            await self.close()
            raise

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        loop = asyncio.get_running_loop()
        for fd in self._watched.values():
            loop.remove_reader(fd)
            os.close(fd)
        self._watched.clear()
        self._nursery.close()
        if self._poke is not None:
            loop.remove_reader(self._poke)
            self._poke.close()
            self._poke = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _say_what_hinders_jobs(self) -> None:
        """Scripts are executed where the spool lies, by users who must be able to get there."""
        if os.statvfs(self._spool).f_flag & os.ST_NOEXEC:
            log.error("nothing may be executed on this file system: no job can start", extra={"path": self._spool})
        if os.geteuid() == 0:
            closed = host.closed_to_users(f"{self._spool}/1.1")
            if closed is not None:
                log.error("a folder is closed to the users of jobs", extra={"path": closed})
            for needed in (sys.executable, nursery.__file__):
                closed = host.closed_to_users(needed)
                if closed is not None:
                    log.warning("users cannot start sbatch, srun and so on", extra={"path": closed, "needed": needed})

    def _take_lock(self) -> None:
        fd = os.open(f"{self._run}/local.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise Unavailable(f"another bridge runs jobs from {self._data}") from None
        self._lock = fd

    def _bind_poke(self) -> None:
        folder = os.open(self._run, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink("poke.sock", dir_fd=folder)
            self._poke = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._poke.bind(f"/proc/self/fd/{folder}/poke.sock")
            os.chmod("poke.sock", 0o600, dir_fd=folder)
        finally:
            os.close(folder)
        asyncio.get_running_loop().add_reader(self._poke, self._on_poke)

    async def _find_again(self, job_id: int, number: int, known: set[nursery.Place]) -> None:
        """One spool as an earlier bridge left it."""
        attempt = attempts.Attempt(job_id, number, f"{self._spool}/{spool.name_of(job_id, number)}")
        try:
            attempt.read()
            live = attempt.live_nodes()
        except OSError as error:
            log.error("a spool cannot be read", extra={"path": attempt.path, "why": str(error)})
            self._add(attempt)  # it may run: to call it lost could start it a second time
            return
        if 0 in live:
            self._watch_unknown(attempt, known)
            attempt.is_asked = True
        elif attempt.over is None:
            attempt.read()  # it may have ended between the two looks
            if attempt.over is None and attempt.began is None:
                return  # not started, and only `start` may: as if it were not there
        self._add(attempt)
        if attempt.over is None and 0 not in live:
            await self._lose_now(attempt)

    def _watch_unknown(self, attempt: attempts.Attempt, known: set[nursery.Place]) -> None:
        """A monitor of a zygote that is no more, or no longer ours: its process itself says when it ends."""
        for index, pid in attempt.monitors().items():
            place = (attempt.path, index)
            if place in known or place in self._watched:
                continue
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                self._on_exits([place])
                continue
            self._watched[place] = fd
            asyncio.get_running_loop().add_reader(fd, self._on_watched, place)

    def _on_watched(self, place: nursery.Place) -> None:
        fd = self._watched.pop(place)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
        self._on_exits([place])

    def _add(self, attempt: attempts.Attempt) -> None:
        self._attempts[attempt.job_id, attempt.number] = attempt
        self._by_path[attempt.path] = attempt

    # ── start ─────────────────────────────────────────────────────────────────────────────────────

    async def start(self, groups: Sequence[Group]) -> None:
        for group in groups:
            _check(group)
        new = [group for group in groups if self._is_to_start(group)]
        if not new:
            return
        if not self._nursery.is_open:
            raise Unavailable("the process that starts jobs is being started anew")
        listeners: dict[int, list[socket.socket]] = {}
        for group in new:
            self._add_new(group)
        try:
            for group in new:
                listeners[group.job_id] = [_listener() for _ in group.nodes]
            there_before = await asyncio.to_thread(self._write, new, listeners)
            await self._nursery.start(
                [(self._path(g.job_id, g.attempt), index) for g in new for index in range(len(g.nodes))],
                [listener for g in new for listener in listeners[g.job_id]],
            )
            for path in there_before:
                self._read(self._by_path[path])
        except (OSError, BridgeError) as error:
            for group in new:
                self._drop(group.job_id, group.attempt)
            if isinstance(error, OSError):
                raise Unavailable(f"the spool {self._spool} cannot be written: {error}") from error
            raise
        finally:
            for sockets in listeners.values():
                for listener in sockets:
                    listener.close()

    def _is_to_start(self, group: Group) -> bool:
        return (group.job_id, group.attempt) not in self._attempts

    def _add_new(self, group: Group) -> None:
        attempt = attempts.Attempt(group.job_id, group.attempt, self._path(group.job_id, group.attempt))
        attempt.is_asked = True
        self._add(attempt)

    def _drop(self, job_id: int, number: int) -> None:
        attempt = self._attempts.pop((job_id, number), None)
        if attempt is not None:
            self._by_path.pop(attempt.path, None)
        self._changed.discard((job_id, number))

    def _write(self, groups: Sequence[Group], listeners: dict[int, list[socket.socket]]) -> list[str]:
        """The paths of those that were there already, from a start that nobody saw succeed."""
        there_before = []
        for group in groups:
            ports = [listener.getsockname()[1] for listener in listeners[group.job_id]]
            if not spool.write(self._spool, group, spool.launch_file(group, self._data, ports, self._boot_id)):
                there_before.append(self._path(group.job_id, group.attempt))
        spool.sync(self._spool)
        return there_before

    def _path(self, job_id: int, number: int) -> str:
        return f"{self._spool}/{spool.name_of(job_id, number)}"

    # ── observe ───────────────────────────────────────────────────────────────────────────────────

    async def observe(self) -> AsyncIterator[Observation]:
        self._is_gap = True
        while True:
            if self._is_gap:
                self._is_gap = False
                self._changed.clear()
                everything = tuple(attempt.sighting() for attempt in self._attempts.values())
                yield Observation(everything, full=True)
            elif self._changed:
                changed, self._changed = self._changed, set()
                found = [self._attempts[key] for key in sorted(changed) if key in self._attempts]
                yield Observation(tuple(attempt.sighting() for attempt in found))
            else:
                self._news.clear()
                await self._news.wait()

    def _tell(self, attempt: attempts.Attempt) -> None:
        self._changed.add((attempt.job_id, attempt.number))
        self._news.set()

    def _on_poke(self) -> None:
        """Anything may stand in a datagram; only what names an attempt of ours makes us look."""
        poked: set[str] = set()
        for _ in range(256):
            try:
                assert self._poke is not None
                poked.add(os.fsdecode(self._poke.recv(4096)))
            except BlockingIOError:
                break
            except OSError:
                continue
        for path in poked:
            attempt = self._by_path.get(path)
            if attempt is not None:
                self._read(attempt)

    def _read(self, attempt: attempts.Attempt) -> None:
        if attempt.over is not None and attempt.over["event"] == "lost":
            return
        try:
            if attempt.read():
                self._tell(attempt)
        except OSError as error:
            log.error("a spool cannot be read", extra={"path": attempt.path, "why": str(error)})

    def _on_exits(self, places: list[nursery.Place]) -> None:
        for path, index in places:
            attempt = self._by_path.get(path)
            if attempt is None:
                continue
            self._read(attempt)
            if index == 0 and attempt.over is None:
                self._spawn(self._lose(attempt))

    async def _lose(self, attempt: attempts.Attempt) -> None:
        """Again and again while its journal cannot be written, as on a full disk: an end is owed to every attempt."""
        while True:
            try:
                await self._lose_now(attempt)
                return
            except FileNotFoundError:
                return  # forgotten meanwhile
            except OSError as error:
                log.error("a lost attempt cannot be ended yet", extra={"path": attempt.path, "why": str(error)})
            await asyncio.sleep(_LOSE_RETRY_SECONDS)

    async def _lose_now(self, attempt: attempts.Attempt) -> None:
        """Its first monitor is gone without a last word. Nothing of the attempt is left alive before it is said."""
        key = (attempt.job_id, attempt.number)
        if attempt.began is None:
            if await asyncio.to_thread(attempt.give_up, "its monitor was lost before the script was started"):
                await asyncio.to_thread(attempt.end_strays)
                self._tell(attempt)
            return
        if attempt.booted() != self._boot_id:
            attempt.lose("the machine was started anew")
        else:
            await self._end_other_nodes(attempt)
            await asyncio.to_thread(attempt.end_strays)
            attempt.lose("its monitor was killed")
        if key in self._attempts:
            self._tell(attempt)

    async def _end_other_nodes(self, attempt: attempts.Attempt) -> None:
        """Their monitors see that the first is gone, and end what they have."""
        until = asyncio.get_running_loop().time() + _STOP_PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < until:
            pids = attempt.monitors()
            pids.pop(0, None)
            if not pids:
                return
            await _gone(next(iter(pids.values())), until)

    def _on_zygote_loss(self) -> None:
        self._spawn(self._new_zygote())

    async def _new_zygote(self) -> None:
        """Another one; its predecessor's monitors are watched from here, or were taken along."""
        while True:
            try:
                known = set(await self._nursery.open())
                break
            except Unavailable as error:
                log.error("no process to start jobs", extra={"why": error.sentence})
                await asyncio.sleep(_ZYGOTE_RETRY_SECONDS)
        for attempt in list(self._attempts.values()):
            if attempt.over is not None or not attempt.is_asked:
                continue
            self._read(attempt)
            try:
                self._watch_unknown(attempt, known)
                is_alive = 0 in attempt.live_nodes()
            except OSError:
                continue
            if not is_alive and attempt.over is None:
                await self._lose(attempt)

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ── wishes ────────────────────────────────────────────────────────────────────────────────────

    async def signal(self, job_id: int, attempt: int, number: int, to: Target) -> None:
        await self._ask(job_id, attempt, {"do": "signal", "number": number, "to": to})

    async def measure(self, job_id: int, attempt: int) -> tuple[TaskUsage, ...]:
        found = self._attempts.get((job_id, attempt))
        if found is None or found.over is not None:
            raise Gone(f"attempt {attempt} of job {job_id} does not run here")
        tasks: list[TaskUsage] = []
        for index in await asyncio.to_thread(found.live_nodes):
            answer = await control.ask(found.path, index, {"do": "measure"})
            tasks += [TaskUsage(node=index, **{**one, "pids": tuple(one["pids"])}) for one in answer["tasks"]]
        return tuple(tasks)

    async def stop(self, job_id: int, attempt: int, why: Literal["cancel", "requeue", "node_fail"]) -> None:
        path = self._path(job_id, attempt)
        try:
            await control.ask(path, 0, {"do": "stop", "why": why})
            return
        except Gone:
            pass
        if (job_id, attempt) not in self._attempts:
            await self._give_up_unknown(job_id, attempt)
        # No monitor: it has ended, or is not there yet. In the second case it will find the mark.
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(spool.mark_stopped, path)
            with contextlib.suppress(Gone):
                await control.ask(path, 0, {"do": "stop", "why": why})

    async def _give_up_unknown(self, job_id: int, number: int) -> None:
        """Of an attempt that an earlier bridge made ready, if at all. Gone: it will not be started any more."""
        attempt = attempts.Attempt(job_id, number, self._path(job_id, number))
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(attempt.give_up, "it was to be ended before it was started")
            if 0 in attempt.live_nodes():
                self._add(attempt)
                self._watch_unknown(attempt, set())
                return
        raise Gone(f"attempt {number} of job {job_id} is not here")

    async def set_time_limit(self, job_id: int, attempt: int, time_limit_seconds: int | None) -> None:
        await self._ask(job_id, attempt, {"do": "time_limit", "seconds": time_limit_seconds})

    async def pause(self, job_id: int, attempt: int, *, resume: bool) -> None:
        await self._ask(job_id, attempt, {"do": "resume" if resume else "pause"})

    async def _ask(self, job_id: int, number: int, message: dict[str, Any]) -> None:
        """Of a first node's monitor, which may be so young that it does not listen yet."""
        if self._lock is None:
            raise Unavailable("another bridge runs the jobs of this backend now")
        until = asyncio.get_running_loop().time() + _YOUNG_SECONDS
        while True:
            attempt = self._attempts.get((job_id, number))
            if attempt is None or attempt.over is not None:
                raise Gone(f"attempt {number} of job {job_id} does not run here")
            try:
                await control.ask(attempt.path, 0, message)
                return
            except Gone:
                if attempt.began is not None or asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(0.01)

    async def forget(self, job_id: int, attempt: int) -> None:
        self._drop(job_id, attempt)
        await asyncio.to_thread(spool.remove, self._path(job_id, attempt))

    def set_nodes(self, nodes: Sequence[Node]) -> None:
        """From now on; what runs on nodes that are no more goes on to its end."""
        self._nodes = tuple(nodes)

    # ── looks ─────────────────────────────────────────────────────────────────────────────────────

    async def nodes(self) -> tuple[Node, ...]:
        seen = host.look(self._started_at)
        return tuple(replace(node, host=seen) for node in self._nodes)

    async def read_output(self, rights: Rights, path: str, offset: int, limit_bytes: int) -> bytes:
        if os.geteuid() == rights.uid:
            return await asyncio.to_thread(_read_part, path, offset, limit_bytes)
        fd = await self._nursery.open_file(rights, path)
        try:
            return await asyncio.to_thread(os.pread, fd, limit_bytes, offset)
        finally:
            os.close(fd)

    async def read_kept(
        self, job: Job, stream: Literal["stdout", "stderr"], path: str, offset: int, limit_bytes: int
    ) -> None:
        """All output is in files."""

    async def retain(self, known: Callable[[Collection[int]], Awaitable[Collection[int]]]) -> None:
        """Nothing is kept here."""


def _read_part(path: str, offset: int, limit_bytes: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise Gone(f"{path}: {error}") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Gone(f"{path}: not a regular file")
        return os.pread(fd, limit_bytes, offset)
    finally:
        os.close(fd)


def _listener() -> socket.socket:
    """For a node's step service. Bound here, so that the port is known and ours before anybody needs it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


async def _gone(pid: int, until: float) -> None:
    """Wait for the end of a process that is not our child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        async with asyncio.timeout_at(until):
            await ended.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def _check(group: Group) -> None:
    """What no monitor could start. Raises Refused."""
    if not group.nodes or len(group.node_environment) != len(group.nodes):
        raise Refused(f"job {group.display_id}: one environment for each of {len(group.nodes)} nodes is needed")
    if os.geteuid() not in (0, group.uid):
        raise Refused(
            f"job {group.display_id} is of uid {group.uid}; a bridge that runs as uid {os.geteuid()} "
            "can only run its own user's jobs"
        )
    words = [*group.batch.arguments, *group.batch.environment, *group.batch.environment.values()]
    if any("\0" in word for word in words) or any("=" in name or not name for name in group.batch.environment):
        raise Refused(
            f"job {group.display_id}: environment or arguments hold a NUL, or a variable without a proper name"
        )
