"""The environment that the user's login shell sets up, for jobs that bring none (`--export=NONE` and lists)."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import Dict, Optional

from bridge.agent.launch import Launch

LIMIT_SECONDS = 120.0
"""Slurm's GetEnvTimeout."""
_BEGIN, _END = b"\0<environment>\0", b"\0</environment>\0"
_COMMAND = r"printf '\000<environment>\000'; /usr/bin/env -0; printf '\000</environment>\000'"
_SHELLS_OWN = ("_", "SHLVL", "OLDPWD", "PWD")
_PATH = "/usr/local/bin:/usr/bin:/bin"


def environment(launch: Launch, limit_seconds: float = LIMIT_SECONDS) -> Optional[Dict[str, str]]:
    """Called as the user already. None when the shell fails or takes too long."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _be_login_shell(launch, writing)
        finally:
            os._exit(127)
    os.close(writing)
    data = _read_to_end(reading, time.monotonic() + limit_seconds)
    os.close(reading)
    if data is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None if data is None else parse(data.partition(_BEGIN)[2].partition(_END)[0])


def _be_login_shell(launch: Launch, output: int) -> None:
    os.setpgid(0, 0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(null, 2)
    try:
        os.chdir(launch.home)
    except OSError:
        os.chdir("/")
    basic = {
        "HOME": launch.home,
        "USER": launch.user,
        "LOGNAME": launch.user,
        "SHELL": launch.shell,
        "PATH": _PATH,
    }
    # A dash before its name makes any shell a login shell; not every shell takes -l together with -c.
    dashed = "-" + os.path.basename(launch.shell)
    os.execve(launch.shell, [dashed, "-c", _COMMAND], basic)  # noqa: S606  (it is the shell)


def _read_to_end(fd: int, until: float) -> Optional[bytes]:
    """To the end mark: what a profile starts in the background may keep the pipe open. None: it did not come."""
    data = b""
    while _END not in data:
        left = until - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return None
        part = os.read(fd, 65536)
        if not part:
            return None
        data += part
    return data


def parse(block: bytes) -> Dict[str, str]:
    found = {}
    for entry in block.split(b"\0"):
        name, separator, value = entry.partition(b"=")
        if separator and name:
            found[os.fsdecode(name)] = os.fsdecode(value)
    return {name: value for name, value in found.items() if name not in _SHELLS_OWN}
