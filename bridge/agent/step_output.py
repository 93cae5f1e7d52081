"""Where srun puts what the tasks write: its own streams or files; labelled lines are kept whole."""

from __future__ import annotations

import os
import select
import stat
from typing import Callable, Dict, Optional, Sequence

_PIPE_BYTES = 4096
"""A pipe that select calls writable takes so much without blocking (PIPE_BUF)."""


class Sink:
    """One descriptor. `on_wait` is called while the reader is slow, so that signals are still obeyed."""

    def __init__(self, fd: int, on_wait: Callable[[int], None]) -> None:
        self._fd = fd
        self._on_wait = on_wait
        mode = os.fstat(fd).st_mode
        self._may_block = stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) or (stat.S_ISFIFO(mode) and not self._open_anew())
        self._is_broken = False

    def _open_anew(self) -> bool:
        """A descriptor of our own for the same pipe may be told not to block: who shares the first would notice."""
        try:
            self._fd = os.open(f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        return True

    def write(self, data: bytes) -> None:
        """A reader that is gone loses its output; the step goes on, as under srun."""
        view = memoryview(data)
        while view and not self._is_broken:
            try:
                if self._may_block:
                    while not select.select([], [self._fd], [], 0)[1]:
                        self._on_wait(self._fd)
                    count = os.write(self._fd, view[:_PIPE_BYTES])
                else:
                    count = os.write(self._fd, view)
            except BlockingIOError:
                self._on_wait(self._fd)
            except OSError:
                self._is_broken = True
            else:
                view = view[count:]


class Stream:
    """Standard output or error of all tasks, each into its sink."""

    def __init__(self, sinks: Sequence[Sink], *, label: bool, only: Optional[int] = None) -> None:
        """`sinks`: one a task."""
        self._sinks = sinks
        self._label = label
        self._width = len(str(max(0, len(sinks) - 1)))
        self._only = only
        self._partial: Dict[int, bytes] = {}

    def take(self, rank: int, data: bytes) -> None:
        if self._only is not None and rank != self._only:
            return
        if not self._label:
            self._sinks[rank].write(data)
            return
        data = self._partial.pop(rank, b"") + data
        *whole, rest = data.split(b"\n")
        if rest:
            self._partial[rank] = rest
        if whole:
            mark = self._mark(rank)
            self._sinks[rank].write(b"".join(mark + line + b"\n" for line in whole))

    def end_of(self, rank: int) -> None:
        """What had no newline gets one under a label, so that the next line starts afresh."""
        rest = self._partial.pop(rank, b"")
        if rest:
            self._sinks[rank].write(self._mark(rank) + rest + b"\n")

    def end(self) -> None:
        for rank in sorted(self._partial):
            self.end_of(rank)

    def _mark(self, rank: int) -> bytes:
        return f"{rank:{self._width}d}: ".encode()
