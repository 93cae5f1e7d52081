"""What /proc tells of processes: a tree, its memory, when one started, what stands in its environment.

Every answer may be stale by the time it is used, and a process may vanish between two looks: then it
counts as not there. Process ids are used with their start time wherever they are kept.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Container, Dict, Iterable, List, Optional

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def children(pid: int) -> List[int]:
    """Of all its threads."""
    found: List[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        found.extend(int(word) for word in _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def descendants(pid: int) -> List[int]:
    """Parents before their children; without `pid` itself."""
    found: List[int] = []
    if not _has_children_files():
        return _descendants_by_parent(pid)
    queue = children(pid)
    while queue:
        found.extend(queue)
        queue = [child for parent in queue for child in children(parent)]
    return found


def _has_children_files() -> bool:
    """Kernels without CONFIG_PROC_CHILDREN have none."""
    return os.path.exists("/proc/self/task/%d/children" % os.getpid())


def _descendants_by_parent(pid: int) -> List[int]:
    by_parent: Dict[int, List[int]] = {}
    for other in everyone():
        fields = _stat(other)
        if fields:
            by_parent.setdefault(int(fields[1]), []).append(other)
    found: List[int] = []
    queue = list(by_parent.get(pid, ()))
    while queue:
        found.extend(queue)
        queue = [child for parent in queue for child in by_parent.get(parent, ())]
    return found


def everyone() -> List[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid: int) -> List[bytes]:
    """Fields from the state on (field 3 of proc(5)); the name before may hold any byte, even `)`."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def started_ticks(pid: int) -> Optional[int]:
    """Clock ticks after boot; with the pid it names one process until the next boot. None: no such process."""
    fields = _stat(pid)
    return int(fields[19]) if len(fields) > 19 and fields[0] not in (b"Z", b"X") else None


_FORKED_ONLY = 0x40
"""PF_FORKNOEXEC of the kernel's task flags: the process has not started a program since it was forked."""


def is_bare_fork(pid: int, parents: Container[int]) -> bool:
    """Whether it still is a copy of one of `parents`, and not yet the program that it is to become."""
    fields = _stat(pid)
    return len(fields) > 6 and int(fields[1]) in parents and bool(int(fields[6]) & _FORKED_ONLY)


def resident_kib(pids: Iterable[int]) -> int:
    """The sum; memory shared by several is counted for each."""
    total = 0
    for pid in pids:
        fields = _read(f"/proc/{pid}/statm").split()
        if len(fields) > 1:
            total += int(fields[1]) * _PAGE_KIB
    return total


def proportional_kib(pids: Iterable[int]) -> int:
    """The sum with shared memory counted once. Dear: the kernel walks all page tables."""
    total = 0
    for pid in pids:
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                total += int(line.split()[1])
                break
    return total


def usage(pid: int) -> Optional[Dict[str, float]]:
    """What it has used so far, with the children that it waited for; None: no such process. Memory at its peak."""
    fields = _stat(pid)
    if len(fields) <= 21 or fields[0] in (b"Z", b"X"):
        return None
    user, system, of_children, system_of_children = (int(word) / _TICKS for word in fields[11:15])
    peaks = _numbers(f"/proc/{pid}/status", (b"VmHWM", b"VmPeak"))
    moved = _numbers(f"/proc/{pid}/io", (b"rchar", b"wchar"))
    return {
        "user_seconds": round(user + of_children, 2),
        "system_seconds": round(system + system_of_children, 2),
        "rss_kib": peaks.get(b"VmHWM", 0),
        "vm_kib": peaks.get(b"VmPeak", 0),
        "read_bytes": moved.get(b"rchar", 0),
        "written_bytes": moved.get(b"wchar", 0),
    }


def _numbers(path: str, names: Container[bytes]) -> Dict[bytes, int]:
    found: Dict[bytes, int] = {}
    for line in _read(path).splitlines():
        name, _, rest = line.partition(b":")
        words = rest.split()
        if name in names and words and words[0].isdigit():
            found[name] = int(words[0])
    return found


def variables(pid: int, names: Container[bytes]) -> Dict[bytes, bytes]:
    """Those of its environment when the program was started."""
    found: Dict[bytes, bytes] = {}
    for entry in _read(f"/proc/{pid}/environ").split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and name in names:
            found[name] = value
    return found


def has_variable(pid: int, name: bytes) -> bool:
    """Whether the variable stood in its environment when the program was started."""
    return any(entry.startswith(name + b"=") for entry in _read(f"/proc/{pid}/environ").split(b"\0"))


def is_any_in_environment(pid: int, entries: Container[bytes]) -> bool:
    """Whether one of the whole `NAME=value` entries stood there when the program was started."""
    return any(entry in entries for entry in _read(f"/proc/{pid}/environ").split(b"\0"))


def send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def kill_tree(root: int, keep: Container[int] = ()) -> List[int]:
    """SIGKILL to all descendants of `root`, however fast they fork: first all are stopped, then killed; their pids.

    Those in `keep` are spared, and so is what they started.
    """
    stopped: List[int] = []
    while True:
        new = [pid for pid in _kept_out(root, keep) if pid not in stopped]
        if not new:
            break
        for pid in new:
            send(pid, signal.SIGSTOP)
        stopped.extend(new)
    for pid in stopped:
        send(pid, signal.SIGKILL)
    return stopped


def _kept_out(root: int, keep: Container[int]) -> List[int]:
    found: List[int] = []
    for child in children(root) if _has_children_files() else _descendants_by_parent(root):
        if child not in keep:
            found.append(child)
            found.extend(descendants(child))
    return found
