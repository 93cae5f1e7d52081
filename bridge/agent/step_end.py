"""How the tasks of a step ended: what srun says of each end, and srun's own exit status. Pure.

Statuses are wait statuses of the kernel. Words and the order of what outweighs what are those of srun 25.11.
"""

from __future__ import annotations

import os
import signal
from typing import Any, Dict, List, Mapping, Sequence, Tuple

_FORCED = (signal.SIGTERM, signal.SIGKILL)


class Ends:
    def __init__(self, tasks: int) -> None:
        self._tasks = tasks
        self.statuses: Dict[int, int] = {}
        self.max_rss_kib = 0
        self.user_seconds = 0.0
        self.system_seconds = 0.0

    @property
    def are_all_there(self) -> bool:
        return len(self.statuses) >= self._tasks

    def take(self, one: Mapping[str, Any]) -> None:
        """A task's end as its node told it."""
        self.statuses[int(one["rank"])] = int(one["status"])
        self.max_rss_kib = max(self.max_rss_kib, int(one["max_rss_kib"]))
        self.user_seconds += float(one["user_seconds"])
        self.system_seconds += float(one["system_seconds"])

    def lose(self, ranks: Sequence[int]) -> List[int]:
        """Those of `ranks` whose end is not known count as killed; which they are."""
        missing = [rank for rank in ranks if rank not in self.statuses]
        for rank in missing:
            self.statuses[rank] = int(signal.SIGKILL)
        return missing

    @property
    def signals(self) -> List[int]:
        return [os.WTERMSIG(status) for status in self.statuses.values() if os.WIFSIGNALED(status)]

    def exit_code(self) -> int:
        """A signal outweighs every exit status, and a higher one a lower one."""
        if self.signals:
            return 128 + max(self.signals)
        return max((os.WEXITSTATUS(status) for status in self.statuses.values()), default=1)

    @property
    def are_forced(self) -> bool:
        return any(number in _FORCED for number in self.signals)

    def states(self) -> List[Tuple[List[int], str]]:
        """(ranks, word) of the tasks that still run and of those that do not."""
        running = [rank for rank in range(self._tasks) if rank not in self.statuses]
        well = sorted(rank for rank, status in self.statuses.items() if status == 0)
        badly = sorted(rank for rank, status in self.statuses.items() if status != 0)
        return [
            (ranks, word)
            for ranks, word in ((running, "running"), (well, "exited"), (badly, "exited abnormally"))
            if ranks
        ]

    def record(self) -> Dict[str, Any]:
        """What is put down for the step."""
        code, signals = self.exit_code(), self.signals
        return {
            "exit_status": 0 if signals else code,
            "signal": max(signals, default=0),
            "max_rss_kib": self.max_rss_kib,
            "user_seconds": self.user_seconds,
            "system_seconds": self.system_seconds,
        }


def by_status(ended: Sequence[Mapping[str, Any]]) -> Dict[int, List[int]]:
    """Status → ranks, in the order in which they were told."""
    found: Dict[int, List[int]] = {}
    for one in ended:
        found.setdefault(int(one["status"]), []).append(int(one["rank"]))
    return found


def task_words(ranks: Sequence[int]) -> str:
    """`task 3`, `tasks 0-2,5`"""
    runs: List[List[int]] = []
    for rank in sorted(ranks):
        if runs and runs[-1][1] + 1 == rank:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    text = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f"task{'s' if len(ranks) > 1 else ''} {text}"


def end_words(status: int) -> str:
    if os.WIFSIGNALED(status):
        core = " (core dumped)" if os.WCOREDUMP(status) else ""
        return f"{signal.strsignal(os.WTERMSIG(status))}{core}"
    return f"Exited with exit code {os.WEXITSTATUS(status)}"
