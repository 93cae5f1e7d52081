"""Where srun puts what the tasks write: its own streams or files; labelled lines are kept whole."""

from __future__ import annotations

import os
import select
import stat
from typing import Callable, Dict, Optional

_PIPE_BYTES = 4096
"""A pipe that select calls writable takes so much without blocking (PIPE_BUF)."""


class Sink:
    """One descriptor. `on_wait` is called while the reader is slow, so that signals are still obeyed."""

    def __init__(self, fd: int, on_wait: Callable[[int], None]) -> None:
        self._fd = fd
        self._on_wait = on_wait
        mode = os.fstat(fd).st_mode
        self._may_block = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)
        self._is_broken = False

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
            except OSError:
                self._is_broken = True
                return
            view = view[count:]


class Stream:
    """Standard output or error of all tasks into one sink."""

    def __init__(self, sink: Sink, tasks: int, *, label: bool, only: Optional[int] = None) -> None:
        self._sink = sink
        self._label = label
        self._width = len(str(max(0, tasks - 1)))
        self._only = only
        self._partial: Dict[int, bytes] = {}

    def take(self, rank: int, data: bytes) -> None:
        if self._only is not None and rank != self._only:
            return
        if not self._label:
            self._sink.write(data)
            return
        data = self._partial.pop(rank, b"") + data
        *whole, rest = data.split(b"\n")
        if rest:
            self._partial[rank] = rest
        if whole:
            mark = self._mark(rank)
            self._sink.write(b"".join(mark + line + b"\n" for line in whole))

    def end(self) -> None:
        """What had no newline gets one under a label, so that the next line starts afresh."""
        for rank, rest in sorted(self._partial.items()):
            self._sink.write(self._mark(rank) + rest + b"\n")
        self._partial.clear()

    def _mark(self, rank: int) -> bytes:
        return f"{rank:{self._width}d}: ".encode()
