"""What is known of one attempt, from its nodes' journals and from whose monitors live.

Reads little files, starts nothing. The first node's journal says how the attempt stands; those of the others
add the steps that were coordinated there.
"""

import contextlib
import os
import time
from typing import Any

from bridge.agent import journal, launch, mpi_launchers, strays
from bridge.agent import spool as agent_spool
from bridge.backends.local import spool
from bridge.backends.port import Sighting, StepSighting
from bridge.core.job import End


class Attempt:
    def __init__(self, job_id: int, attempt: int, path: str) -> None:
        self.job_id, self.number, self.path = job_id, attempt, path
        self.began: dict[str, Any] | None = None
        self.over: dict[str, Any] | None = None
        """The journal's last word: `ended` or `given_up`; or `lost`, which no journal holds."""
        self.is_asked = False
        """A zygote has been asked to start its monitors, in the life of this bridge."""
        self.steps: dict[int, StepSighting] = {}
        self._offsets: dict[int, int] = {}
        self._since = time.time()

    def read(self) -> bool:
        """True when there was something new. Raises OSError when the folder is gone."""
        is_new = False
        for index, node in spool.node_folders(self.path):
            while True:
                events, self._offsets[index] = journal.read(node, self._offsets.get(index, 0))
                if not events:
                    break
                is_new = True
                for event in events:
                    self._take(index, event)
        return is_new

    def _take(self, index: int, event: dict[str, Any]) -> None:
        match event["event"]:
            case "step":
                step = step_of(event)
                self.steps[step.step_id] = step
            case "began" if index == 0:
                self.began = event
            case "ended" | "given_up" if index == 0:
                self.over = event
            case _:
                pass

    def live_nodes(self) -> list[int]:
        """Whose monitor holds its lock."""
        return [index for index, node in spool.node_folders(self.path) if agent_spool.is_locked(node)]

    def monitors(self) -> dict[int, int]:
        """node → pid of its living monitor."""
        found = {index: agent_spool.holder(node) for index, node in spool.node_folders(self.path)}
        return {index: pid for index, pid in found.items() if pid is not None}

    def booted(self) -> str | None:
        """The machine's boot in which it was started; None when its launch file cannot be read."""
        folder = agent_spool.open_folder(self.path)
        try:
            return launch.parse(agent_spool.read_own(launch.NAME, folder)).boot_id
        except (OSError, ValueError):
            return None
        finally:
            os.close(folder)

    def lose(self, why: str) -> None:
        self.over = {"event": "lost", "at": time.time(), "why": why}

    def give_up(self, why: str) -> bool:
        """Make sure that its script is never started. False: a monitor lives, or has written meanwhile."""
        for _, node in spool.node_folders(self.path):
            held = agent_spool.lock(node)
            if held is None:
                return False
            try:
                self.read()
                if self.began is None and self.over is None:
                    journal.Journal(node).write("given_up", why=why)
                    self.read()
                return self.over is not None
            finally:
                os.close(held)
        return False

    def end_strays(self) -> None:
        strays.end([self.path], [self.began] if self.began else [])
        with contextlib.suppress(OSError, ValueError), open(f"{self.path}/{launch.NAME}", "rb") as file:
            mpi_launchers.remove_memory_folders(launch.parse(file.read()).raw)

    def sighting(self) -> Sighting:
        steps = tuple(self.steps[step_id] for step_id in sorted(self.steps))
        derived = max((step.exit_status for step in steps), default=0)
        began_at = self.began["at"] if self.began else None
        if self.over is None:
            phase, at = ("running", began_at) if began_at is not None else ("starting", self._since)
            return Sighting(self.job_id, self.number, phase, at, began_at, derived_exit_status=derived, steps=steps)  # type: ignore[arg-type]  # a literal by the line above
        at = self.over["at"]
        match self.over["event"]:
            case "ended":
                end = end_of(self.over)
                derived = max(derived, int(self.over.get("derived_exit_status", 0)))
                return Sighting(self.job_id, self.number, "ended", at, began_at, end, end.detail, derived, steps)
            case "given_up":
                return Sighting(self.job_id, self.number, "not_started", at, why=self.over["why"])
            case _:
                return Sighting(self.job_id, self.number, "lost", at, began_at, None, self.over["why"], derived, steps)


def end_of(event: dict[str, Any]) -> End:
    return End(
        exit_status=event["exit_status"],
        signal=event["signal"],
        cause=event["cause"],
        detail=event.get("detail", ""),
        max_rss_kib=event.get("max_rss_kib", 0),
        user_seconds=event.get("user_seconds", 0.0),
        system_seconds=event.get("system_seconds", 0.0),
    )


def step_of(event: dict[str, Any]) -> StepSighting:
    return StepSighting(
        step_id=event["step_id"],
        name=event["name"],
        node_list=tuple(event["node_list"]),
        tasks=event["tasks"],
        cpus=event["cpus"],
        started_at=event["started_at"],
        ended_at=event["ended_at"],
        exit_status=event["exit_status"],
        signal=event["signal"],
        max_rss_kib=event.get("max_rss_kib", 0),
        user_seconds=event.get("user_seconds", 0.0),
        system_seconds=event.get("system_seconds", 0.0),
    )
