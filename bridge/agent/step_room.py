"""srun at the first node's step service: asks for a step, waits for room, holds what it got, says how it ended."""

from __future__ import annotations

import signal
import time
from typing import Any, Dict, Optional

from bridge.agent import batch, layout, wire
from bridge.agent.step_peer import Peer


class StepRequest(Peer):
    """srun at the first node: asks for a step, holds it while connected, says how it ended."""

    step_id: Optional[int] = None
    wish: Optional[layout.Wish] = None
    record: Optional[Dict[str, Any]] = None

    def on_frame(self, kind: int, rank: int, data: bytes) -> None:
        message = wire.read_control(data)
        if message.get("do") == "create" and self.wish is None:
            if self.service.index != 0:
                first = self.service.nodes[0]
                self.send(wire.control({"first": [first["address"], first["port"]]}))
                return
            self.wish = layout.read_wish(message["wish"])
            self._name = str(message["name"])
            self.service.waiting.append(self)
            self.try_to_place(is_first=True)
        elif message.get("do") == "ended" and self.record is not None:
            for name in ("exit_status", "signal", "max_rss_kib"):
                self.record[name] = int(message.get(name) or 0)
            for name in ("user_seconds", "system_seconds"):
                self.record[name] = float(message.get(name) or 0.0)
            self._told_end = True

    _told_end = False

    def try_to_place(self, *, is_first: bool = False) -> None:
        assert self.wish is not None
        try:
            parts = self.service.allocation.place(self.wish)
        except layout.Busy as busy:
            if is_first:
                self.send(wire.control({"waits": str(busy)}))
            return
        except layout.Refused as refused:
            self.service.waiting.remove(self)
            self.send(wire.control({"refused": str(refused), "by_srun": refused.by_srun}))
            return
        self.service.waiting.remove(self)
        self.step_id = self.service.next_step_id
        self.service.next_step_id += 1
        self.service.allocation.take(self.step_id, parts)
        nodes = self.service.nodes
        self.record = {
            "event": "step",
            "step_id": self.step_id,
            "name": self._name[:256],
            "node_list": [nodes[part.node]["name"] for part in parts],
            "tasks": sum(len(part.ranks) for part in parts),
            "cpus": sum(part.cpus for part in parts),
            "started_at": time.time(),
            "ended_at": None,
            "exit_status": 0,
            "signal": 0,
        }
        self.service.tell_monitor(dict(self.record))
        shown = [
            {
                "node": part.node,
                "name": nodes[part.node]["name"],
                "address": nodes[part.node]["address"],
                "port": nodes[part.node]["port"],
                "ranks": list(part.ranks),
                "cpus": part.cpus,
            }
            for part in parts
        ]
        launch = self.service.launch
        given: Dict[str, Any] = {
            "step_id": self.step_id,
            "parts": shown,
            "kill_wait_seconds": launch["kill_wait_seconds"],
            "mpi": launch.get("mpi_default") or "none",
        }
        if launch.get("began_at"):
            given["job_times"] = batch.times(launch["began_at"], launch.get("time_limit_seconds"))
        self.send(wire.control(given))

    def on_close(self) -> None:
        if self in self.service.waiting:
            self.service.waiting.remove(self)
        if self.step_id is not None and self.record is not None:
            if not self._told_end:  # srun was killed: its ranks are killed too
                self.record["signal"] = int(signal.SIGKILL)
            self.record["ended_at"] = time.time()
            self.service.tell_monitor(self.record)
            self.service.allocation.give_back(self.step_id)
            self.service.try_waiting()
