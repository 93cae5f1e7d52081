"""How much memory the processes of a job take, looked at as seldom as is safe.

Far below the limit a look every few seconds is enough; close to it, twenty a second. What is found over the
limit is counted again with shared pages counted once, so that a fork of a large process ends nobody.
"""

from __future__ import annotations

from typing import Callable, List, Optional

from bridge.agent import processes

_FIRST_SECONDS, _CLOSE_SECONDS, _LIMITED_SECONDS, _UNLIMITED_SECONDS = 0.05, 0.05, 1.0, 10.0


class Meter:
    def __init__(self, limit_mib: Optional[int], members: Callable[[], List[int]]) -> None:
        self._limit_kib = limit_mib * 1024 if limit_mib else None
        self._members = members
        self._interval = _FIRST_SECONDS
        self.next_at = 0.0
        self.peak_kib = 0

    def look(self, now: float) -> bool:
        """True: over the limit."""
        pids = self._members()
        used = processes.resident_kib(pids)
        self._interval = min(self._interval * 2, _UNLIMITED_SECONDS)
        over = False
        if self._limit_kib is not None:
            if used > self._limit_kib:
                used = processes.proportional_kib(pids) or used
                over = used > self._limit_kib
            share = used / self._limit_kib
            most = _CLOSE_SECONDS if share > 0.75 else _CLOSE_SECONDS * 4 if share > 0.4 else _LIMITED_SECONDS
            self._interval = min(self._interval, most)
        self.peak_kib = max(self.peak_kib, used)
        self.next_at = now + self._interval
        return over
