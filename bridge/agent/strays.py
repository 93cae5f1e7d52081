"""Ending what a job left behind when its monitor could not do it any more.

Found by two traces: the process that the journal names (pid and start time), and the attempt's own key file
in the environment. With PID namespaces there is nothing left to find.
"""

from __future__ import annotations

import os
import select
import signal
import time
from typing import Any, Dict, Iterable, List, Set

from bridge.agent import launch, processes

_PATIENCE_SECONDS = 5.0
"""A process that the kernel does not let go, as of a dead network file system, must not hold up all others."""


def end(directories: Iterable[str], journals: Iterable[Dict[str, Any]] = ()) -> List[int]:
    """Kill them, and what they started, until none is left; the pids that were found.

    `journals`: `began` events of dead monitors.
    """
    marks = {f"BRIDGE_KEY_FILE={d}/{launch.KEY}".encode("utf-8", "surrogateescape") for d in directories}
    begun = list(journals)
    found: List[int] = []
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        alive = _alive(marks, begun)
        if not alive:
            break
        found.extend(pid for pid in alive if pid not in found)
        killed = set(alive)
        for pid in alive:
            killed.update(processes.kill_tree(pid))
            processes.send(pid, signal.SIGKILL)
        _wait_until_gone(killed, until)
    return found


def _alive(marks: Set[bytes], begun: Iterable[Dict[str, Any]]) -> List[int]:
    alive: List[int] = []
    for event in begun:
        pid, ticks = event.get("pid"), event.get("started_ticks")
        if isinstance(pid, int) and ticks is not None and processes.started_ticks(pid) == ticks:
            alive.append(pid)
    for pid in processes.everyone():
        if pid != os.getpid() and pid not in alive and processes.is_any_in_environment(pid, marks):
            alive.append(pid)
    return alive


def _wait_until_gone(pids: Iterable[int], until: float) -> None:
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            poll.poll(max(0.0, until - time.monotonic()) * 1000)
        finally:
            os.close(fd)
