"""Turning a forked child into the job's user: ids, groups, limits, umask, signals. There is no way back."""

from __future__ import annotations

import os
import resource
import signal
from typing import Iterable, Tuple

from bridge.agent.launch import Launch


def become(launch: Launch) -> None:
    """Raises OSError. A bridge that is not root can only run jobs of its own user."""
    if os.geteuid() == 0:
        groups = {launch.gid, *launch.groups}
        # A container's root may have no right to change what the container was given already.
        if {launch.gid, *os.getgroups()} != groups:
            os.setgroups(sorted(groups))
        os.setresgid(launch.gid, launch.gid, launch.gid)
        os.setresuid(launch.uid, launch.uid, launch.uid)
    elif os.geteuid() != launch.uid:
        raise PermissionError(f"uid {os.geteuid()} cannot start a job of uid {launch.uid}")


def set_limits(limits: Iterable[Tuple[str, int, int]]) -> None:
    """The soft limits of the submitter, cut to the hard ones in force here; unknown names are passed over."""
    for name, soft, _ in limits:
        kind = getattr(resource, name, None) if name.startswith("RLIMIT_") else None
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        wish = resource.RLIM_INFINITY if soft < 0 else soft
        if hard != resource.RLIM_INFINITY and (wish == resource.RLIM_INFINITY or wish > hard):
            wish = hard
        try:
            resource.setrlimit(kind, (wish, hard))
        except (OSError, ValueError):
            continue


def default_signals() -> None:
    """As a program expects them at its start: nothing ignored, nothing blocked."""
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                continue
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
