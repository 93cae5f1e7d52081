"""The bridge's end of its zygote: starts one where none answers, hands it work, hears who has ended.

What the messages are: `bridge/agent/zygote.py`.
"""

import asyncio
import contextlib
import errno
import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from bridge.agent import zygote
from bridge.backends.port import Rights
from bridge.core.errors import Gone, Unavailable

Place = tuple[str, int]
"""A monitor: the attempt's folder and the node's index."""

_CALL_SECONDS = 15.0
_ROOT = str(pathlib.Path(zygote.__file__).resolve().parents[2])
_START = """
import sys
sys.path.insert(0, sys.argv[1])
from bridge.agent import zygote
sys.exit(zygote.main(sys.argv[2]))
"""


class Nursery:
    def __init__(self, run_folder: str, on_exit: Callable[[list[Place]], None], on_loss: Callable[[], None]) -> None:
        self._run_folder = run_folder
        self._on_exit, self._on_loss = on_exit, on_loss
        self._socket: socket.socket | None = None
        self._hello: asyncio.Future[dict[str, Any]] | None = None
        self._opening: dict[int, asyncio.Future[int]] = {}
        self._next_id = 0

    async def open(self) -> list[Place]:
        """Make sure of a zygote of this release; the monitors that it has. Raises Unavailable."""
        connection = self._connect() or await self._start()
        for _ in range(3):
            answer = await self._say_hello(connection)
            if answer is None:
                connection = self._connect() or await self._start()
                continue
            if answer["hello"] == zygote.version(f"{_ROOT}/bridge/agent"):
                return [(directory, index) for directory, index in answer["monitors"]]
            # Code of another release: it keeps its monitors to their end, a new one takes what comes.
            with contextlib.suppress(OSError):
                connection.send(json.dumps({"do": "retire"}).encode())
            self._let_go()
            connection = await self._start()
        connection.close()
        raise Unavailable("the process that starts jobs does not answer")

    def close(self) -> None:
        self._let_go()

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    async def start(self, monitors: Sequence[Place], listeners: Sequence[socket.socket]) -> None:
        """Raises Unavailable."""
        for first in range(0, len(monitors), zygote.MONITORS_A_PACKET):
            part = slice(first, first + zygote.MONITORS_A_PACKET)
            message = json.dumps({"do": "start", "monitors": monitors[part]}).encode()
            await self._send(message, [listener.fileno() for listener in listeners[part]])

    async def open_file(self, rights: Rights, path: str) -> int:
        """A descriptor, opened with the user's rights. Raises Gone where the user could not."""
        self._next_id += 1
        number = self._next_id
        future = self._opening[number] = asyncio.get_running_loop().create_future()
        try:
            who = {"uid": rights.uid, "gid": rights.gid, "groups": rights.groups}
            await self._send(json.dumps({"do": "open", "id": number, **who, "path": path}).encode())
            async with asyncio.timeout(_CALL_SECONDS):
                fd: int = await future
                return fd
        except TimeoutError:
            raise Unavailable(f"opening {path} takes too long") from None
        except OSError as error:
            raise Gone(f"{path}: {error.strerror}") from None
        finally:
            self._opening.pop(number, None)

    # ── the connection ────────────────────────────────────────────────────────────────────────────

    def _connect(self) -> socket.socket | None:
        folder = os.open(self._run_folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{zygote.SOCKET}")
        except OSError as error:
            connection.close()
            if error.errno not in (errno.ENOENT, errno.ECONNREFUSED):
                raise Unavailable(f"the process that starts jobs cannot be called: {error}") from error
            return None
        finally:
            os.close(folder)
        connection.setblocking(False)
        return connection

    async def _start(self) -> socket.socket:
        code = await asyncio.to_thread(_start_zygote, self._run_folder)
        connection = self._connect()
        if code != 0 or connection is None:
            raise Unavailable(f"the process that starts jobs did not start; see {self._run_folder}/zygote.log")
        return connection

    async def _say_hello(self, connection: socket.socket) -> dict[str, Any] | None:
        """None: it went away. What it says before the answer is news as ever."""
        self._let_go()
        loop = asyncio.get_running_loop()
        self._socket = connection
        hello = self._hello = loop.create_future()
        loop.add_reader(connection, self._hear)
        try:
            await self._send(b'{"do": "hello"}')
            async with asyncio.timeout(_CALL_SECONDS):
                answer: dict[str, Any] = await hello
                return answer
        except (Unavailable, TimeoutError):
            self._let_go()
            return None
        finally:
            self._hello = None

    def _let_go(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for future in self._opening.values():
            if not future.done():
                future.set_exception(Unavailable("the process that opens files is gone"))
        if self._hello is not None and not self._hello.done():
            self._hello.set_exception(Unavailable("the process that starts jobs is gone"))

    async def _send(self, message: bytes, descriptors: Sequence[int] = ()) -> None:
        deadline = asyncio.get_running_loop().time() + _CALL_SECONDS
        while True:
            if self._socket is None:
                raise Unavailable("the process that starts jobs is gone")
            try:
                socket.send_fds(self._socket, [message], list(descriptors))
                return
            except BlockingIOError:
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable("the process that starts jobs is stuck") from None
                await asyncio.sleep(0.005)
            except OSError as error:
                raise Unavailable(f"the process that starts jobs is gone: {error}") from error

    def _hear(self) -> None:
        for _ in range(64):
            if self._socket is None:
                return
            try:
                data, descriptors, _, _ = socket.recv_fds(self._socket, zygote.PACKET_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                was_open = self._hello is None
                self._let_go()
                if was_open:
                    self._on_loss()
                return
            self._take(json.loads(data), descriptors)

    def _take(self, message: dict[str, Any], descriptors: list[int]) -> None:
        if "hello" in message and self._hello is not None and not self._hello.done():
            self._hello.set_result(message)
        elif "exited" in message:
            self._on_exit([(directory, index) for directory, index in message["exited"]])
        elif "opened" in message:
            future = self._opening.get(message["opened"])
            if future is None or future.done():
                for fd in descriptors:
                    os.close(fd)
            elif descriptors:
                future.set_result(descriptors[0])
            else:
                number = message.get("error", errno.EIO)
                future.set_exception(OSError(number, os.strerror(number)))


def _start_zygote(run_folder: str) -> int:
    log = os.open(
        f"{run_folder}/zygote.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        return subprocess.run(  # noqa: S603  (our own code)
            [sys.executable, "-I", "-S", "-c", _START, _ROOT, run_folder],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            cwd="/",
            check=False,
            timeout=30,
        ).returncode
    finally:
        os.close(log)
