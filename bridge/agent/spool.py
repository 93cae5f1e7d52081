"""The folder of one attempt on disk, opened so that nobody can swap anything beneath our hands.

Everything is opened relative to a folder that is held open, symbolic links are never followed, and a file
counts only when it is a regular one of ours. What lies in the folder: see `launch.py` and `journal.py`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from typing import Optional

from bridge.agent import processes

LIMIT_BYTES = 64 * 1024 * 1024
STOP_MARK = "stop"
"""A file in the attempt's folder: it is to be stopped, said before its monitor could be told."""


def open_folder(path: str, dir_fd: Optional[int] = None) -> int:
    """Raises OSError when it is a link, or another's, or open to others' writing."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    status = os.fstat(fd)
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        os.close(fd)
        raise PermissionError(errno.EPERM, "not ours alone", path)
    return fd


def read_own(name: str, dir_fd: int) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "not a regular file of ours", name)
        return file.read(LIMIT_BYTES)


def exists(name: str, dir_fd: int) -> bool:
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def lock(node_fd: int, patience_seconds: float = 0.2) -> Optional[int]:
    """The node's lock, held while the descriptor is open; None: another holds it.

    Waits a moment, because a look (`is_locked`) holds it for as long as it takes.
    """
    fd = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=node_fd)
    until = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(fd)
                return None
            time.sleep(0.005)
            continue
        holder = {"pid": os.getpid(), "started_ticks": processes.started_ticks(os.getpid())}
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(holder).encode(), 0)
        return fd


def is_locked(node_fd: int) -> bool:
    try:
        fd = os.open("lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=node_fd)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def holder(node_fd: int) -> Optional[int]:
    """The pid that the lock's last holder wrote, if that very process still lives."""
    try:
        told = json.loads(read_own("lock", node_fd))
        pid = int(told["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    ticks = processes.started_ticks(pid)
    return pid if ticks is not None and ticks == told.get("started_ticks") else None
