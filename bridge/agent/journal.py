"""What a monitor saw, one JSON line an event, on disk before anybody acts on it.

    reported   {"at"}                                  the node is ready (groups of several nodes)
    began      {"at", "pid", "started_ticks"}          written before the script is started
    step       {"at", "step_id", ...}                  a step began or ended; the later line counts
    ended      {"at", "exit_status", "signal", "cause", "detail", "max_rss_kib", "user_seconds",
                "system_seconds", "derived_exit_status"}
    given_up   {"at", "why"}                           the script was not started and never will be

A reader takes whole lines only; a line cut off by a full disk is taken back by the writer.
"""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any, Dict, List, Tuple

NAME = "journal"
_READ_BYTES = 16 * 1024 * 1024


class Journal:
    def __init__(self, node_fd: int) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(NAME, flags, 0o600, dir_fd=node_fd)
        self._node_fd = node_fd
        self._is_new = os.fstat(self._fd).st_size == 0

    def write(self, event: str, *, durable: bool = True, **fields: Any) -> None:
        """Raises OSError, the journal being as it was before."""
        line = json.dumps({"event": event, "at": time.time(), **fields}).encode() + b"\n"
        size = os.fstat(self._fd).st_size
        try:
            if os.write(self._fd, line) != len(line):
                raise OSError("the journal's disk is full")
            if durable:
                os.fdatasync(self._fd)
                if self._is_new:
                    os.fsync(self._node_fd)
                    self._is_new = False
        except OSError:
            os.ftruncate(self._fd, size)
            raise


def read(node_fd: int, offset: int = 0) -> Tuple[List[Dict[str, Any]], int]:
    """The events after `offset`, and the offset behind them. No journal yet: none."""
    try:
        fd = os.open(NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=node_fd)
    except FileNotFoundError:
        return [], offset
    try:
        data = os.pread(fd, _READ_BYTES, offset)
    finally:
        os.close(fd)
    whole = data[: data.rfind(b"\n") + 1]
    events = []
    for line in whole.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            events.append(event)
    return events, offset + len(whole)


class Poke:
    """Tells the bridge, if it is there, that there is something new to read.

    One that starts later reads by itself; one that is busy (the kernel queues few datagrams) is to be told again.
    """

    def __init__(self, path: str, text: str) -> None:
        self._path, self._text = path, text.encode("utf-8", "surrogateescape")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def __call__(self) -> bool:
        """False: the bridge is there and could not take it now."""
        if not self._path:
            return True
        folder, name = os.path.split(self._path)
        try:
            fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return True
        try:
            # By the open folder: a socket's path may have no more than 107 bytes.
            self._socket.sendto(self._text, f"/proc/self/fd/{fd}/{name}")
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            os.close(fd)
        return True
