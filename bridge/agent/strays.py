"""Ending what a job left behind when its monitor could not do it any more.

Found by two traces: the process that the journal names (pid and start time), and the attempt's own key file
in the environment. With PID namespaces there is nothing left to find.
"""

from __future__ import annotations

import os
import signal
from typing import Any, Dict, Iterable, List

from bridge.agent import launch, processes


def end(directories: Iterable[str], journals: Iterable[Dict[str, Any]] = ()) -> List[int]:
    """Kill them, and what they started; the pids that were found. `journals`: `began` events of dead monitors."""
    marks = {f"SLURM_BRIDGE_KEY_FILE={d}/{launch.KEY}".encode("utf-8", "surrogateescape") for d in directories}
    found: List[int] = []
    for event in journals:
        pid, ticks = event.get("pid"), event.get("started_ticks")
        if isinstance(pid, int) and ticks is not None and processes.started_ticks(pid) == ticks:
            found.append(pid)
    for pid in processes.everyone():
        if pid != os.getpid() and processes.is_any_in_environment(pid, marks):
            found.append(pid)
    for pid in found:
        processes.kill_tree(pid)
        processes.send(pid, signal.SIGKILL)
    return found
