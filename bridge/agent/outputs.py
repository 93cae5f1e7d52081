"""The job's standard output and error where no volume takes them: kept in the pod, and told to the bridge.

Each stream is a plain file that the script appends to. What it holds goes to the bridge by two ways: its first bytes
as lines of the pod's log, which cost nothing and outlive the container; what is beyond by a command in the pod, which
the bridge acknowledges. The file is bounded: of bytes that nobody has taken the oldest go first, and are counted.
"""

from __future__ import annotations

import base64
import ctypes
import os
from typing import Any, Dict, Iterable, List

LOG_BYTES = 3 << 20
"""Of all streams together in the log. A kubelet begins a new log at 10 MiB and shows that one only; a frame is a third
larger than what it carries, and as much again may follow at the end."""
FRAME_BYTES = 9 << 10
"""Lines over 16 KiB are cut by the container's runtime."""
NEWS_BYTES, NEWS_SECONDS = 1 << 20, 10.0
"""How often it is told that a file has grown."""
READ_BYTES = 1 << 16
_KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02


class Stream:
    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.in_log = 0
        """Up to here it is in the log."""
        self.acknowledged = 0
        self.lost = 0
        self.floor = 0
        """What is before has been given back to the disk."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._told_size, self._told_at = 0, 0.0

    @property
    def size(self) -> int:
        return os.fstat(self._file).st_size

    @property
    def taken(self) -> int:
        """Somebody has what is before."""
        return max(self.in_log, self.acknowledged, self.floor)

    def frames(self, room: int) -> Iterable[Dict[str, Any]]:
        """What follows in the file, as lines of the log, as long as there is room. One that fell behind is no more
        told here: what is before would be missing."""
        while room > 0 and self.in_log >= self.floor:
            data = os.pread(self._file, min(FRAME_BYTES, room), self.in_log)
            if not data:
                return
            yield self._frame(self.in_log, data)
            self.in_log += len(data)
            room -= len(data)

    def last_frames(self, room: int) -> Iterable[Dict[str, Any]]:
        """Of what nobody has taken the end."""
        at = max(self.taken, self.size - room)
        while True:
            data = os.pread(self._file, FRAME_BYTES, at)
            if not data:
                return
            yield self._frame(at, data)
            at += len(data)

    def _frame(self, at: int, data: bytes) -> Dict[str, Any]:
        return {"event": "output", "stream": self.name, "from": at, "data": base64.b64encode(data).decode()}

    def news(self, now: float) -> List[Dict[str, Any]]:
        """That there is more than the log has, now and then."""
        size = self.size
        grown = size - max(self._told_size, self.taken)
        if grown <= 0 or (grown < NEWS_BYTES and now < self._told_at + NEWS_SECONDS):
            return []
        self._told_size, self._told_at = size, now
        return [{"event": "spooled", "stream": self.name, "size": size}]

    def bound(self, limit: int) -> None:
        """Give back what was taken, and the oldest of what is too much."""
        floor = max(self.acknowledged, self.floor)
        least = self.size - limit
        if least > self.taken:
            self.lost += least - self.taken
            floor = least
        if floor >= self.floor + NEWS_BYTES:
            _punch(self._file, floor)
            self.floor = floor

    def account(self) -> Dict[str, int]:
        return {"size": self.size, "lost": self.lost, "floor": self.floor}


class Outputs:
    def __init__(self, folder: str, names: Iterable[str], limit_bytes: int) -> None:
        self.streams = {name: Stream(name, os.path.join(folder, name)) for name in names}
        self._limit = limit_bytes // max(1, len(self.streams))
        self._room = LOG_BYTES

    def look(self, now: float) -> Iterable[Dict[str, Any]]:
        """Lines for the log."""
        for stream in self.streams.values():
            for frame in stream.frames(self._room):
                yield frame
            self._room = LOG_BYTES - sum(one.in_log for one in self.streams.values())
            for event in stream.news(now):
                yield event
        self.bound()

    def bound(self) -> None:
        for stream in self.streams.values():
            stream.bound(self._limit)

    @property
    def is_taken(self) -> bool:
        return all(stream.taken >= stream.size for stream in self.streams.values())

    def last_lines(self) -> Iterable[Dict[str, Any]]:
        """Nobody came for what is left: its end, by the log."""
        for stream in self.streams.values():
            for frame in stream.last_frames(LOG_BYTES // len(self.streams)):
                yield frame

    def acknowledge(self, name: str, until: int) -> None:
        stream = self.streams[name]
        stream.acknowledged = max(stream.acknowledged, min(until, stream.size))

    def account(self) -> Dict[str, Dict[str, int]]:
        return {name: stream.account() for name, stream in self.streams.items()}


def _punch(file: int, until: int) -> None:
    """Give a file's beginning back to the disk; places stay what they are. Where the kernel cannot, it stays."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate(file, _KEEP_SIZE_PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(until))
