"""Programs around a task: --task-prolog, which may change its environment, and --task-epilog. Words are Slurm's.

Both run as the task's user, in its folder and with its environment, in the process that becomes the task or waits
for it: nothing here is to be called in the step service itself.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Dict, NoReturn, Optional, Tuple

from bridge.agent import texts, user


def run_prolog(path: str, environment: Dict[str, str]) -> None:
    """Does not come back when it fails: the task ends with its status. What it prints is obeyed: `export NAME=value`,
    `unset NAME`, and `print TEXT`, which goes to the task's output; anything else is passed over.
    """
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    pid, why = _start(path, environment, stdout=writing, stderr=null)
    os.close(writing)
    os.close(null)
    if pid is None:
        _say(f"run_command: user task_prolog {why}")
        _say("user task_prolog did not exit normally. reason: Run command failed - configuration error")
        _say("--task-prolog failed status=1")
        os._exit(1)
    with os.fdopen(reading, "rb") as file:
        told = file.read().decode("utf-8", "surrogateescape")
    status = _status(os.waitpid(pid, 0)[1])
    if status:
        _say(f"--task-prolog failed status={status}")
        os._exit(status & 0xFF)
    os.write(1, obey(told, environment).encode("utf-8", "surrogateescape"))


def obey(told: str, environment: Dict[str, str]) -> str:
    """Changes the environment; what is to be printed."""
    printed = ""
    for line in told.splitlines():
        verb, _, rest = line.partition(" ")
        name, equals, value = rest.partition("=")
        if verb == "export" and equals:
            environment[name] = value
        elif verb == "unset":
            environment.pop(rest.strip(), None)
        elif verb == "print":
            printed += f"{rest}\n"
    return printed


def run_under_epilog(path: str, environment: Dict[str, str]) -> None:
    """Comes back in the process that is to become the task. The other one waits, runs the epilog, and ends as the task
    did; a signal that ends the task by its group does not end it.
    """
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        user.default_signals()
        environment["SLURM_TASK_PID"] = str(os.getpid())
        return
    null = os.open(os.devnull, os.O_RDWR)
    _, ended = os.waitpid(pid, 0)
    os.dup2(null, 0)
    epilog, why = _start(path, environment, stdout=null, stderr=2)
    if epilog is None:
        _say(f"run_command: user task_epilog {why}")
        _say("TaskEpilog failed status=1")
    else:
        status = _status(os.waitpid(epilog, 0)[1])
        if status:
            _say(f"TaskEpilog failed status={status}")
    _end_as(ended)


def _end_as(ended: int) -> NoReturn:
    if os.WIFSIGNALED(ended):
        signal.signal(os.WTERMSIG(ended), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(ended))
    os._exit(os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else 1)


def _start(path: str, environment: Dict[str, str], *, stdout: int, stderr: int) -> "Tuple[Optional[int], str]":
    """(its process or None, why not)."""
    if not path.startswith("/"):
        return None, f"is not a fully qualified pathname ({path})"
    if not os.access(path, os.X_OK):
        return None, f"can not be executed ({path}) {_reason(path)}"
    pid = os.fork()
    if pid == 0:
        try:
            user.default_signals()
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.execve(path, [path], environment)  # noqa: S606 — this is what the option is for
        finally:
            os._exit(127)
    return pid, ""


def _reason(path: str) -> str:
    try:
        os.stat(path)
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "Permission denied"


def _status(ended: int) -> int:
    """As Slurm gives it: the exit status, or the signal as a wait status."""
    return os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else ended


def _say(sentence: str) -> None:
    os.write(2, texts.error(time.time(), sentence))
