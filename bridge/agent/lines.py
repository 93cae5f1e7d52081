"""JSON lines over a stream socket, without ever waiting: for the monitor's loop.

What does not fit into the socket waits in a buffer with a cap; a peer that does not read, or sends what is no
JSON object or too long a line, is cut off.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from typing import Any, Dict, List, Optional

LINE_LIMIT_BYTES = 256 * 1024
_UNSENT_LIMIT_BYTES = 1024 * 1024


class Closed(Exception):
    """The peer is gone, or was cut off."""


class Lines:
    def __init__(self, connection: socket.socket, got: bytes = b"") -> None:
        """`got`: what has been read of it already."""
        connection.setblocking(False)
        self.socket = connection
        self._got = got
        self._unsent = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def wants_to_write(self) -> bool:
        return bool(self._unsent)

    def receive(self) -> List[Dict[str, Any]]:
        """What has come; call when readable. Raises Closed, after all that came before has been returned."""
        try:
            data: Optional[bytes] = self.socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            data = None
        except OSError as error:
            raise Closed(str(error)) from None
        if data == b"":
            raise Closed("end of stream")
        self._got += data or b""
        *whole, self._got = self._got.split(b"\n")
        if len(self._got) > LINE_LIMIT_BYTES:
            raise Closed("a line is too long")
        return [self._object(line) for line in whole]

    @staticmethod
    def _object(line: bytes) -> Dict[str, Any]:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            raise Closed("no JSON") from None
        if not isinstance(message, dict):
            raise Closed("no JSON object")
        return message

    def send(self, message: Dict[str, Any]) -> None:
        """Raises Closed."""
        self._unsent += json.dumps(message).encode() + b"\n"
        if len(self._unsent) > _UNSENT_LIMIT_BYTES:
            raise Closed("it does not read")
        self.flush()

    def flush(self) -> None:
        while self._unsent:
            try:
                sent = self.socket.send(self._unsent)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise Closed(str(error)) from None
            self._unsent = self._unsent[sent:]

    def close(self) -> None:
        self.socket.close()


def peer_uid(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def listen(name: str, dir_fd: int) -> socket.socket:
    """A stream listener in a folder held open; whatever had its name before is replaced."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=dir_fd)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # By the open folder: a socket's path may have no more than 107 bytes.
        listener.bind(f"/proc/self/fd/{dir_fd}/{name}")
        listener.listen(16)
    except OSError:
        listener.close()
        raise
    return listener


def connect(name: str, dir_fd: int) -> socket.socket:
    """Raises OSError at once when nobody listens there."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        connection.connect(f"/proc/self/fd/{dir_fd}/{name}")
    except OSError:
        connection.close()
        raise
    return connection
