"""How the scheduler's turns went, for those who watch it. A value; times are microseconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cycles:
    count: int = 0
    last: int = 0
    longest: int = 0
    total: int = 0
    depth: int = 0
    """Jobs that lacked only room, of all turns together."""
    queue_length: int = 0
    """Of the last turn."""

    def after(self, seconds: float, candidates: int) -> "Cycles":
        took = max(0, int(seconds * 1e6))
        return Cycles(
            self.count + 1, took, max(self.longest, took), self.total + took, self.depth + candidates, candidates
        )
