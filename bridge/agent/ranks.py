"""The tasks of a step on one node: started, fed, listened to, signalled, reaped.

A rank is a session of its own, so that a signal reaches all that it started in the foreground. What it left in
the background is ended with the step (`leftovers`).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from typing import Any, Dict, List, Mapping, NoReturn, Optional, Sequence

from bridge.agent import cage, processes, programs, task_programs, texts, user, wire

_DEVNULL = "/dev/null"


class Rank:
    """One task. Descriptors are None once they are closed, or were never ours."""

    def __init__(
        self, number: int, pid: int, stdout: Optional[int], stderr: Optional[int], stdin: Optional[int]
    ) -> None:
        self.number = number
        self.pid = pid
        self.stdout, self.stderr, self.stdin = stdout, stderr, stdin
        self.wait_status: Optional[int] = None
        self.is_told = False
        self.user_seconds = 0.0
        self.system_seconds = 0.0
        self.max_rss_kib = 0
        self.unread_input: List[bytes] = []
        self.input_ends = False

    @property
    def is_alive(self) -> bool:
        return self.wait_status is None

    def take_end(self, status: int, usage: resource.struct_rusage) -> None:
        self.wait_status = status
        self.user_seconds, self.system_seconds = usage.ru_utime, usage.ru_stime
        self.max_rss_kib = usage.ru_maxrss

    def end(self) -> Dict[str, Any]:
        """As srun is told of it."""
        return {
            "rank": self.number,
            "status": self.wait_status,
            "max_rss_kib": self.max_rss_kib,
            "user_seconds": self.user_seconds,
            "system_seconds": self.system_seconds,
        }

    def outputs(self) -> Dict[int, int]:
        """Open descriptor → kind of frame."""
        found = {}
        if self.stdout is not None:
            found[self.stdout] = wire.STDOUT
        if self.stderr is not None:
            found[self.stderr] = wire.STDERR
        return found

    def close_output(self, fd: int) -> None:
        os.close(fd)
        if fd == self.stdout:
            self.stdout = None
        else:
            self.stderr = None

    def feed(self) -> int:
        """Write what input there is; how many bytes were taken. The pipe is closed when all is through."""
        taken = 0
        while self.stdin is not None and self.unread_input:
            try:
                count = os.write(self.stdin, self.unread_input[0])
            except BlockingIOError:
                return taken
            except OSError:  # it reads no more
                taken += sum(map(len, self.unread_input))
                self.unread_input.clear()
                self.close_input()
                return taken
            taken += count
            self.unread_input[0] = self.unread_input[0][count:]
            if not self.unread_input[0]:
                self.unread_input.pop(0)
        if self.stdin is not None and self.input_ends:
            self.close_input()
        return taken

    def close_input(self) -> None:
        if self.stdin is not None:
            os.close(self.stdin)
            self.stdin = None

    def signal(self, number: int) -> None:
        """To all that it started, its own process group first."""
        if not self.is_alive:
            return
        others = [pid for pid in processes.descendants(self.pid) if _group_of(pid) != self.pid]
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # it leads no group yet
            processes.send(self.pid, number)
        except PermissionError:
            pass
        for pid in others:
            processes.send(pid, number)

    def close(self) -> None:
        for fd in self.outputs():
            self.close_output(fd)
        self.close_input()


def start(number: int, argv: Sequence[str], environment: Mapping[str, str], options: Mapping[str, Any]) -> Rank:
    """`options`: chdir, umask, rlimits, append, task-prolog and task-epilog (paths or nothing); stdin, stdout, stderr
    (None: a pipe; else a path); `inherited`, a descriptor above 2 that stays open. Raises OSError.
    """
    pipes: List[int] = []

    def a_pipe(path: Optional[str]) -> "tuple[Optional[int], Optional[int]]":
        if path is not None:
            return None, None
        ends = os.pipe()
        pipes.extend(ends)
        return ends

    try:
        stdin_read, stdin_write = a_pipe(options["stdin"])
        stdout_read, stdout_write = a_pipe(options["stdout"])
        stderr_read, stderr_write = a_pipe(options["stderr"])
        pid = os.fork()
    except OSError:
        for fd in pipes:
            os.close(fd)
        raise
    if pid == 0:
        try:
            _become(argv, environment, options, (stdin_read, stdout_write, stderr_write))
        finally:
            os._exit(1)
    for theirs in (stdin_read, stdout_write, stderr_write):
        if theirs is not None:
            os.close(theirs)
    for ours in (stdin_write, stdout_read, stderr_read):
        if ours is not None:
            os.set_blocking(ours, False)
    return Rank(number, pid, stdout_read, stderr_read, stdin_write)


def _become(
    argv: Sequence[str], environment: Mapping[str, str], options: Mapping[str, Any], pipes: Sequence[Optional[int]]
) -> NoReturn:
    """In the child. Exits with the error's number where the program cannot be started, as Slurm's tasks do."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    user.default_signals()
    os.umask(options["umask"])
    files: List[int] = []
    for pipe, name in zip(pipes, ("stdin", "stdout", "stderr")):  # noqa: B905 — Python 3.9 knows no strict
        files.append(pipe if pipe is not None else _open(name, options, files))
    # Copies above the standard three first: one of them may be in the way of another.
    for target, source in enumerate([os.dup(fd) if fd < 3 else fd for fd in files]):
        os.dup2(source, target)
    inherited = options.get("inherited")
    if inherited is not None:
        os.set_inheritable(inherited, True)
    cage.close_all_but(0, 1, 2, *([] if inherited is None else [inherited]))
    _enter(options["chdir"])
    user.set_limits(options["rlimits"])
    own = {**environment, "SLURM_TASK_PID": str(os.getpid())}
    _settle_temporary(own)
    if options.get("task-prolog"):
        task_programs.run_prolog(options["task-prolog"], own)
    if options.get("task-epilog"):
        task_programs.run_under_epilog(options["task-epilog"], own)
    try:
        path = programs.find(argv[0], own)
        os.execve(path, [path, *argv[1:]], own)  # noqa: S606 — this is what a step is for
    except OSError as error:
        _say(programs.complaint(path, error.errno or 1))
        os._exit(error.errno or 1)
    except ValueError as error:
        _say(f"execve(): {argv[0]!r}: {error}")
        os._exit(2)


def _settle_temporary(environment: Dict[str, str]) -> None:
    """TMPDIR is made where it is not there; where it cannot be used, or none is named, /tmp is."""
    wanted = environment.setdefault("TMPDIR", "/tmp")  # noqa: S108  (Slurm's choice)
    if os.path.isdir(wanted):
        return
    try:
        os.mkdir(wanted, 0o700)
        return
    except FileExistsError:
        _say(f"TMPDIR [{wanted}] is not a directory")
    except OSError as error:
        _say(f"Unable to create TMPDIR [{wanted}]: {os.strerror(error.errno or 0)}")
    _say("Setting TMPDIR to /tmp")
    environment["TMPDIR"] = "/tmp"  # noqa: S108  (Slurm's choice)


def _open(name: str, options: Mapping[str, Any], before: Sequence[int]) -> int:
    path = options[name]
    if name == "stderr" and path == options["stdout"] and path is not None and len(before) == 2:
        return before[1]
    flags = os.O_RDONLY if name == "stdin" else os.O_WRONLY | os.O_CREAT
    if name != "stdin":
        flags |= os.O_APPEND | (0 if options["append"] else os.O_TRUNC)
    try:
        if name != "stdin" and path != _DEVNULL:
            os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
        return os.open(path, flags, 0o666)
    except OSError as error:
        _say(f"Could not open {name} file {path}: {os.strerror(error.errno or 0)}")
        os._exit(error.errno or 1)


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        sentence = f"couldn't chdir to `{directory}': {os.strerror(error.errno or 0)}: going to /tmp instead"
        _say(sentence)
        _say(sentence)
        with contextlib.suppress(OSError):
            os.chdir("/tmp")  # noqa: S108  (Slurm's choice)


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, texts.error(time.time(), sentence))


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def leftovers(ranks: Sequence[Rank], mark: bytes, *, is_alone: bool) -> List[int]:
    """Processes that the ranks left behind and that have come to us. `is_alone`: no other step runs here."""
    own = {rank.pid for rank in ranks}
    found = []
    for pid in processes.children(os.getpid()):
        if pid in own:
            continue
        try:
            session = os.getsid(pid)
        except OSError:
            continue
        if is_alone or session in own or processes.is_any_in_environment(pid, {mark}):
            found.append(pid)
    return found


def kill_leftovers(pids: Sequence[int]) -> None:
    for pid in pids:
        processes.kill_tree(pid)
        processes.send(pid, signal.SIGKILL)
