"""Programs that srun runs before and after its step: --prolog and --epilog. Words are Slurm's."""

from __future__ import annotations

import os
from typing import Mapping, Sequence

from bridge.agent import programs
from bridge.agent.step_options import Given
from bridge.agent.step_say import say


def run(name: str, given: Given, environment: Mapping[str, str], argv: Sequence[str]) -> int:
    """`name`: prolog or epilog; `argv`: the step's program with its arguments, which it gets. Its wait status."""
    wanted = given.get(name)
    if not wanted or wanted == "none":
        return 0
    path = programs.find(wanted, environment)
    try:
        pid = os.posix_spawn(path, [path, *argv], environment)
    except OSError as error:
        say(f"Access denied for {wanted}: {os.strerror(error.errno or 0)}")
        return 0
    return os.waitpid(pid, 0)[1]


def code(status: int) -> int:
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else status
