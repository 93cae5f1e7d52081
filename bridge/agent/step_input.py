"""srun's standard input on its way to the tasks: read only while all nodes of the step keep up."""

from __future__ import annotations

import os
import selectors
from typing import Callable, List

from bridge.agent import wire

_AHEAD_BYTES = 256 * 1024
_AHEAD_FRAMES = 4


class Taker:
    """A node that takes input."""

    def __init__(self) -> None:
        self.is_done = False
        self._unanswered = 0
        self._backlog = 0

    @property
    def keeps_up(self) -> bool:
        return self.is_done or (self._unanswered < _AHEAD_FRAMES and self._backlog < _AHEAD_BYTES)

    def sent(self) -> None:
        self._unanswered += 1

    def answered(self, backlog: int) -> None:
        self._unanswered = max(0, self._unanswered - 1)
        self._backlog = backlog


class Input:
    def __init__(
        self,
        selector: selectors.BaseSelector,
        fd: int,
        rank: int,
        takers: Callable[[], List[Taker]],
        send: Callable[[bytes], None],
    ) -> None:
        """`send`: a frame to all nodes. `rank`: who gets it, or all."""
        self._selector, self._fd, self._rank, self._takers, self._send = selector, fd, rank, takers, send
        self._has_ended = False
        self.is_always_ready = False
        """A regular file, which cannot be waited for: `pump` is to be called again at once."""

    def pump(self) -> None:
        """Watch, or stop watching, as the nodes keep up; call once a turn of the loop."""
        self.is_always_ready = False
        if self._has_ended:
            return
        may_read = all(taker.keeps_up for taker in self._takers())
        is_watched = self._fd in self._selector.get_map()
        if may_read and not is_watched:
            try:
                self._selector.register(self._fd, selectors.EVENT_READ, lambda _: self._read())
            except PermissionError:  # epoll takes no regular files
                self._read()
                self.is_always_ready = True
            except (OSError, ValueError):  # closed
                self._end()
        elif not may_read and is_watched:
            self._selector.unregister(self._fd)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, wire.CHUNK_BYTES)
        except OSError:
            data = b""
        if data:
            self._send(wire.frame(wire.STDIN, self._rank, data))
        else:
            self._end()

    def _end(self) -> None:
        if self._fd in self._selector.get_map():
            self._selector.unregister(self._fd)
        self._has_ended = True
        self._send(wire.frame(wire.STDIN_END, self._rank, b""))
