"""From a forked child to the batch script: the user's rights first, then files, environment, and the script.

The child tells the monitor that all is ready (and hands over the job's standard error), and starts the script
only when the monitor, having put the start on record, says so. What fails before is a launch failure.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from typing import Dict, List, NoReturn, Optional

from bridge.agent import cage, launch, login, mpi_launchers, programs, texts, user

GO = b"go"
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_UNLIMITED_SECONDS = 365 * 86400
"""Slurm's end of a job without a limit is a year ahead."""
_BUSY_TRIES, _BUSY_SECONDS = 100, 0.01


class LaunchFailure(Exception):
    """The sentence is Slurm's."""


def run(job: launch.Launch, directory: str, monitor: socket.socket) -> NoReturn:
    """In the child. Reports {"ready": true} with a descriptor, or {"failed": sentence}; then waits for GO."""
    cage.close_all_but(monitor.fileno())
    os.setsid()
    try:
        user.default_signals()
        user.become(job)
        os.umask(job.batch.umask & 0o777)
        _open_files(job.batch)
        _enter(job.batch.working_directory)
        environment = make_environment(job, directory)
    except (LaunchFailure, OSError, ValueError) as error:
        monitor.send(json.dumps({"failed": str(error)}).encode())
        os._exit(1)
    socket.send_fds(monitor, [b'{"ready": true}'], [2])
    if monitor.recv(16) != GO:
        os._exit(1)
    environment.update(times(int(time.time()), job.time_limit_seconds))
    # The last thing: a limit may be too tight for this program, which is not the user's.
    user.set_limits(job.batch.rlimits)
    _execute(f"{directory}/{launch.SCRIPT}", list(job.batch.arguments), environment)


def times(began_at: int, time_limit_seconds: Optional[int]) -> Dict[str, str]:
    """`began_at`: seconds since 1970."""
    ends_at = began_at + (time_limit_seconds or _UNLIMITED_SECONDS)
    return {"SLURM_JOB_START_TIME": str(began_at), "SLURM_JOB_END_TIME": str(ends_at)}


def make_environment(job: launch.Launch, directory: str) -> Dict[str, str]:
    """The launch file's, above the login shell's where that is wanted, and what only this node can know."""
    environment: Dict[str, str] = {}
    if job.batch.load_login_environment:
        found = login.environment(job)
        if found is None:
            _say("Unable to get user's local environment, running only with passed environment")
        environment.update(found or {})
    environment.update(job.batch.environment)
    environment.update(job.node_environment[0])
    environment.update(marks(job, directory, 0))
    environment["SLURM_TASK_PID"] = str(os.getpid())
    if job.slurm_conf:
        environment["SLURM_CONF"] = job.slurm_conf
    if job.bin:
        environment["PATH"] = f"{job.bin}:{environment.get('PATH') or _DEFAULT_PATH}"
    mpi_launchers.complete(environment)
    return environment


def marks(job: launch.Launch, directory: str, node_index: int) -> Dict[str, str]:
    """How the commands inside the job find their node's step service and the bridge."""
    node = job.nodes[node_index]
    return {
        "BRIDGE_AGENT": f"{node.address}:{node.port}",
        "BRIDGE_KEY_FILE": f"{directory}/{launch.KEY}",
        "BRIDGE_TOKEN_FILE": f"{directory}/{launch.TOKEN}",
        "BRIDGE_SOCKET": job.socket,
    }


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, texts.error(time.time(), sentence))


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
        return
    except OSError as error:
        sentence = f"couldn't chdir to `{directory}': {os.strerror(error.errno or 0)}: going to /tmp instead"
    # Slurm says it twice, once from its own process and once from the task's.
    _say(sentence)
    _say(sentence)
    try:
        os.chdir("/tmp")  # noqa: S108  (Slurm's choice)
    except OSError:
        raise LaunchFailure("couldn't chdir to /tmp either. dying.") from None


def _open_files(batch: launch.Batch) -> None:
    """As descriptors 0, 1 and 2."""
    stdin = _open("stdin", batch.stdin, os.O_RDONLY)
    # Several jobs, and the steps inside, may write to one file: each write goes to its end, as in Slurm.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if batch.append else os.O_TRUNC)
    stdout = _open("stdout", batch.stdout, flags)
    stderr = stdout if batch.stderr in (None, batch.stdout) else _open("stderr", str(batch.stderr), flags)
    # dup2 from a low number would overwrite one that is still needed.
    kept: List[int] = [os.dup(fd) if fd < 3 else fd for fd in (stdin, stdout, stderr)]
    for target, fd in enumerate(kept):
        os.dup2(fd, target)
    for fd in {*kept, stdin, stdout, stderr}:
        if fd > 2:
            os.close(fd)


def _open(what: str, path: str, flags: int) -> int:
    try:
        try:
            return os.open(path, flags | os.O_NOCTTY, 0o666)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            return os.open(path, flags | os.O_NOCTTY, 0o666)
    except OSError as error:
        raise LaunchFailure(f"Could not open {what} file {path}: {os.strerror(error.errno or 0)}") from None


def _execute(script: str, arguments: List[str], environment: Dict[str, str]) -> NoReturn:
    """Does not come back; where the kernel refuses, the exit status is its error number, as in Slurm."""
    number = 0
    for _ in range(_BUSY_TRIES):
        try:
            os.execve(script, [script, *arguments], environment)  # noqa: S606  (no shell between us and the script)
        except OSError as error:
            number = error.errno or 1
            # Another process may still hold the script open for writing, for as long as a fork takes.
            if number != errno.ETXTBSY:
                break
            time.sleep(_BUSY_SECONDS)
    _say(programs.complaint(script, number))
    os._exit(number)
