"""This machine as a node's host: name, system, load and free memory, read when somebody asks."""

import os
import stat
from pathlib import Path

from bridge.core.nodes import Host


def look(started_at: float) -> Host:
    """`started_at`: since when the backend serves its nodes."""
    kernel = os.uname()
    return Host(
        name=kernel.nodename,
        address="127.0.0.1",
        architecture=kernel.machine,
        system=f"{kernel.sysname} {kernel.release} {kernel.version}",
        boot_at=_number("/proc/stat", "btime"),
        agent_started_at=started_at,
        load=os.getloadavg()[0],
        free_memory_mib=_mib(_number("/proc/meminfo", "MemFree:")),
    )


def closed_to_users(path: str) -> str | None:
    """The first folder on the way to a file, links followed, through which not everybody may pass; None: all are open.

    What root's jobs need must be reached by their users: an interpreter below /root, say, is not.
    """
    for way in (os.path.abspath(path), os.path.realpath(path)):
        for folder in reversed(Path(way).parents):
            try:
                if not folder.stat().st_mode & stat.S_IXOTH:
                    return str(folder)
            except OSError:
                return str(folder)
    return None


def _number(path: str, name: str) -> float | None:
    """The number behind a name that begins a line; None where there is none."""
    try:
        text = Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        words = line.split()
        if words[:1] == [name] and words[1:] and words[1].isdigit():
            return float(words[1])
    return None


def _mib(kib: float | None) -> int | None:
    return None if kib is None else int(kib) >> 10
