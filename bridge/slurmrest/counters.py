"""How often each path was asked, by whom, and how long it took: the true figures of `diag`."""

from collections import defaultdict
from dataclasses import dataclass

from adapters.slurm.rest.paths import Path
from bridge.core.users import User


@dataclass(slots=True)
class Count:
    calls: int = 0
    microseconds: int = 0

    def add(self, seconds: float) -> None:
        self.calls += 1
        self.microseconds += max(0, int(seconds * 1e6))


class Counters:
    def __init__(self) -> None:
        self.by_operation: defaultdict[str, Count] = defaultdict(Count)
        self.by_user: defaultdict[tuple[int, str], Count] = defaultdict(Count)

    def count(self, path: Path, user: User, seconds: float) -> None:
        self.by_operation[f"{path.half}_{path.operation}"].add(seconds)
        self.by_user[user.uid, user.name].add(seconds)
