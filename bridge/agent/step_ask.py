"""Asking the first node's step service for a step, and waiting for room in the allocation with Slurm's words."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from bridge.agent import wire
from bridge.agent.step_say import Fatal, say

_TELL_AFTER_SECONDS = 60.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@dataclass
class Asked:
    """A step that was given. It lasts as long as `connection`."""

    connection: socket.socket
    step_id: int
    parts: List[Dict[str, Any]]
    kill_wait_seconds: float
    has_waited: bool
    job_times: Dict[str, str]
    mpi: str = "none"
    """What the site gives to steps that name no kind of MPI."""


class Asker:
    def __init__(self, job_id: str, key: bytes, *, immediate_seconds: Optional[float], quiet: bool) -> None:
        self._job_id, self._key, self._quiet = job_id, key, quiet
        self._deadline = time.monotonic() + immediate_seconds if immediate_seconds is not None else None
        self._tell_at = time.monotonic() + _TELL_AFTER_SECONDS
        self._told = 0
        self._has_waited = False

    def ask(self, address: Tuple[str, int], message: Dict[str, Any]) -> Asked:
        """Raises Fatal: refused, no time to wait, or a signal came."""
        woken, wake = os.pipe()
        for end in (woken, wake):
            os.set_blocking(end, False)
        came: List[int] = []
        before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _SIGNALS}
        old_wake = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        try:
            while True:
                connection = wire.connect(address, self._key, "step")
                connection.sendall(wire.control(message))
                answer = self._await(connection, woken, came)
                if "first" not in answer:
                    break
                connection.close()
                address = (str(answer["first"][0]), int(answer["first"][1]))
        except (OSError, wire.WireError) as error:
            raise Fatal(f"error: Unable to contact the step service at {address[0]}:{address[1]}: {error}") from None
        finally:
            signal.set_wakeup_fd(old_wake)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(woken)
            os.close(wake)
        if "refused" in answer:
            if answer.get("by_srun"):
                raise Fatal("\n".join(f"error: {line}" for line in str(answer["refused"]).split("\n")))
            raise self._refusal(str(answer["refused"]))
        connection.setblocking(True)
        return Asked(
            connection,
            int(answer["step_id"]),
            answer["parts"],
            float(answer["kill_wait_seconds"]),
            self._has_waited,
            answer.get("job_times") or {},
            str(answer.get("mpi") or "none"),
        )

    def _refusal(self, why: str) -> Fatal:
        return Fatal(f"error: Unable to create step for job {self._job_id}: {why}")

    def _await(self, connection: socket.socket, woken: int, came: List[int]) -> Dict[str, Any]:
        """The answer that is not `waits`."""
        frames, why = wire.Frames(), ""
        while True:
            until = self._deadline if self._deadline is not None else self._tell_at
            ready, _, _ = select.select([connection.fileno(), woken], [], [], max(0.0, until - time.monotonic()))
            if came:
                self._tell(f"Cancelled pending job step with signal {came[0]}")
                raise self._refusal("Job/step already completing or completed")
            if connection.fileno() in ready:
                data = connection.recv(wire.CHUNK_BYTES)
                if not data:
                    raise self._refusal("the step service is gone")
                frames.feed(data)
                for _, _, body in frames:
                    answer = wire.read_control(body)
                    if "waits" not in answer:
                        return answer
                    self._has_waited, why = True, str(answer["waits"])
            elif self._deadline is not None and time.monotonic() >= self._deadline:
                raise self._refusal("Requested nodes are busy")
            elif time.monotonic() >= self._tell_at:
                self._tell_waiting(why)

    def _tell_waiting(self, why: str) -> None:
        """Once a minute."""
        self._tell_at = time.monotonic() + _TELL_AFTER_SECONDS
        word = "still" if self._told else "temporarily"
        self._told += 1
        self._tell(f"Job {self._job_id} step creation {word} disabled, retrying ({why})")

    def _tell(self, line: str) -> None:
        if not self._quiet:
            say(line)
