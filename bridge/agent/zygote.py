"""Keeps all agent code loaded and forks a monitor in a few milliseconds; started by the bridge, and outlives it.

One a data folder (a lock sees to it). It goes when the bridge has let go and the last monitor has ended.
It is the subreaper of its monitors: what a killed monitor leaves comes to it, and is killed. It also opens
files for the bridge with a user's rights.

Messages are JSON objects, one a packet, over a Unix socket that only our own uid (and root) may use:

    {"do": "start", "monitors": [[DIR, node], ...]} + one listening socket each
    {"do": "open", "id": N, "uid": U, "gid": G, "groups": [G, ...], "path": P}
    {"do": "hello"}       {"do": "retire"}: take no new work, another zygote follows
    answers: {"hello": version, "monitors": [[DIR, node], ...]}  {"exited": [[DIR, node], ...]}
             {"opened": N} + the descriptor, or {"opened": N, "error": errno}
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import hashlib
import json
import os
import selectors
import signal
import socket
import stat
import sys
import time
from typing import Any, Dict, List, Optional, Set, Tuple

from bridge.agent import cage, lines, monitor, namespaces, processes

PACKET_BYTES = 128 * 1024
MONITORS_A_PACKET = 200
"""The kernel passes at most 253 descriptors at a time."""
SOCKET, LOCK = "zygote.sock", "zygote.lock"
_FIRST_CALL_SECONDS = 30.0


def version(folder: str) -> str:
    """Of the agent code in a folder; another one after an upgrade."""
    digest = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), "rb") as file:
                digest.update(name.encode() + b"\0" + file.read())
    return digest.hexdigest()[:16]


class Zygote:
    def __init__(self, run_folder: int) -> None:
        self._version = version(os.path.dirname(os.path.abspath(__file__)))
        self._use_namespaces = namespaces.are_allowed()
        self._monitors: Dict[int, Tuple[str, int]] = {}
        self._openers: Set[int] = set()
        self._exited: List[Tuple[str, int]] = []
        self._client: Optional[socket.socket] = None
        self._unsent: List[bytes] = []
        self._until = time.monotonic() + _FIRST_CALL_SECONDS
        self._selector = selectors.DefaultSelector()
        self._listener: Optional[socket.socket] = _listen(run_folder)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def serve(self) -> None:
        namespaces.become_subreaper()
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._selector.register(reading, selectors.EVENT_READ, lambda: os.read(reading, 4096))
        gc.freeze()
        while True:
            wait = None if self._monitors or self._exited or self._client else self._until - time.monotonic()
            if wait is not None and wait <= 0:
                return
            for key, _ in self._selector.select(wait):
                key.data()
            self._reap()
            self._flush()

    # ── the bridge ────────────────────────────────────────────────────────────────────────────────

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if lines.peer_uid(connection) not in (0, os.geteuid()):
            connection.close()
            return
        self._hang_up()  # the newest bridge is the one
        connection.setblocking(False)
        self._client = connection
        self._selector.register(connection, selectors.EVENT_READ, self._hear)

    def _hang_up(self) -> None:
        if self._client is not None:
            self._selector.unregister(self._client)
            self._client.close()
            self._client = None
            self._unsent.clear()
            self._until = 0.0

    def _hear(self) -> None:
        client = self._client
        if client is None:
            return
        try:
            data, fds, _, _ = socket.recv_fds(client, PACKET_BYTES, 253, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self._hang_up()
            return
        try:
            message = json.loads(data)
            what = message["do"]
            if what == "start":
                for place, fd in enumerate(fds):
                    directory, index = message["monitors"][place]
                    self._fork_monitor(directory, index, fd)
            elif what == "open":
                self._fork_opener(client, message)
            elif what == "hello":
                self._say({"hello": self._version, "monitors": sorted(self._monitors.values())})
            elif what == "retire":
                self._retire()
        except (ValueError, KeyError, TypeError, OSError) as error:
            print(f"zygote: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            for fd in fds:
                os.close(fd)

    def _say(self, message: Dict[str, Any]) -> None:
        if self._client is not None:
            self._unsent.append(json.dumps(message).encode())
            self._flush()

    def _flush(self) -> None:
        while self._unsent and self._client is not None:
            try:
                self._client.send(self._unsent[0])
            except (BlockingIOError, InterruptedError):
                self._selector.modify(self._client, selectors.EVENT_READ | selectors.EVENT_WRITE, self._hear)
                return
            except OSError:
                self._hang_up()
                return
            del self._unsent[0]
            if not self._unsent:
                self._selector.modify(self._client, selectors.EVENT_READ, self._hear)

    def _retire(self) -> None:
        """Free the place for the next; its lock is what that one waits for."""
        self._hang_up()
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        _Place.leave()

    # ── children ──────────────────────────────────────────────────────────────────────────────────

    def _fork_monitor(self, directory: str, index: int, fd: int) -> None:
        pid = os.fork()
        if pid == 0:
            cage.close_all_but(fd)
            monitor.main(directory, index, socket.socket(fileno=fd), self._use_namespaces)
        self._monitors[pid] = (directory, index)

    def _fork_opener(self, client: socket.socket, message: Dict[str, Any]) -> None:
        """A slow file system may keep the child waiting, never us."""
        pid = os.fork()
        if pid == 0:
            try:
                cage.close_all_but(client.fileno())
                client.setblocking(True)
                _open_as(client, message)
            finally:
                os._exit(0)
        self._openers.add(pid)

    def _reap(self) -> None:
        """Exits are told once nothing is left of what the dead monitors held; until then each end wakes us again."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self._openers.discard(pid)
            if pid in self._monitors:
                self._exited.append(self._monitors.pop(pid))
        if self._exited and not self._kill_strays():
            exited, self._exited = self._exited, []
            for start in range(0, len(exited), MONITORS_A_PACKET):
                self._say({"exited": exited[start : start + MONITORS_A_PACKET]})

    def _kill_strays(self) -> bool:
        """Children that we did not make are what a dead monitor has left. True: there are some."""
        ours = set(self._monitors) | self._openers
        if all(pid in ours for pid in processes.children(os.getpid())):
            return False
        processes.kill_tree(os.getpid(), keep=ours)
        return True


def _open_as(client: socket.socket, message: Dict[str, Any]) -> None:
    uid, gid, answer = int(message["uid"]), int(message["gid"]), {"opened": message["id"]}
    try:
        if os.geteuid() == 0:
            os.setgroups(sorted({gid, *map(int, message["groups"])}))
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        fd = os.open(message["path"], os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        socket.send_fds(client, [json.dumps(answer).encode()], [fd])
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
        client.send(json.dumps({**answer, "error": number}).encode())


# ── one a data folder ─────────────────────────────────────────────────────────────────────────────


class _Place:
    """The lock that says who is the zygote of a data folder; held as long as the process takes new work."""

    fd: Optional[int] = None

    @classmethod
    def take(cls, run_folder: int, patience_seconds: float = 10.0) -> bool:
        fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=run_folder)
        until = time.monotonic() + patience_seconds
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    os.close(fd)
                    return False
                time.sleep(0.01)
                continue
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
            cls.fd = fd
            return True

    @classmethod
    def leave(cls) -> None:
        if cls.fd is not None:
            os.close(cls.fd)
            cls.fd = None


def _listen(run_folder: int) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET, dir_fd=run_folder)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    mask = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{run_folder}/{SOCKET}")
    finally:
        os.umask(mask)
    listener.listen(16)
    return listener


def main(run_path: str) -> int:
    """Returns to the starter when the socket can be called, with the zygote in the background; 1: it cannot."""
    run_folder = os.open(run_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir("/")
    reading, writing = os.pipe()
    if os.fork() != 0:
        os.close(writing)
        return 0 if os.read(reading, 1) == b"1" else 1
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    namespaces.name_process("bridge-zygote")
    if not _Place.take(run_folder):
        return 1
    zygote = Zygote(run_folder)
    os.write(writing, b"1")
    os.close(writing)
    os.close(reading)
    zygote.serve()
    return 0
