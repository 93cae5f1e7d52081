"""When a job is warned and when its time is up. Pure: `now` is given, in seconds of any clock that never goes back."""

from __future__ import annotations

from typing import Optional


class Clock:
    """Runs from the script's start; stands still while the job is paused."""

    def __init__(self, began: float, limit_seconds: Optional[float], warn_before_seconds: Optional[float]) -> None:
        self._began = began
        self._limit = limit_seconds
        self._warn_before = warn_before_seconds
        """None: no warning is wanted, or it has been given."""
        self._paused_at: Optional[float] = None
        self._paused_seconds = 0.0

    def set_limit(self, limit_seconds: Optional[float]) -> None:
        self._limit = limit_seconds

    def pause(self, now: float) -> None:
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        if self._paused_at is not None:
            self._paused_seconds += now - self._paused_at
            self._paused_at = None

    def used(self, now: float) -> float:
        until = now if self._paused_at is None else self._paused_at
        return until - self._began - self._paused_seconds

    def take_warning(self, now: float) -> bool:
        """True once, when the warning is due."""
        if self._limit is None or self._warn_before is None or self.used(now) < self._limit - self._warn_before:
            return False
        self._warn_before = None
        return True

    def is_over(self, now: float) -> bool:
        return self._limit is not None and self._paused_at is None and self.used(now) >= self._limit

    def next_due(self, now: float) -> Optional[float]:
        """Seconds until something is to be done; None: nothing is."""
        if self._limit is None or self._paused_at is not None:
            return None
        left = self._limit - self.used(now)
        if self._warn_before is not None:
            left -= self._warn_before
        return max(0.0, left)
