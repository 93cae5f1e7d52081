"""One step, as srun sees it: its tasks are started on the nodes; srun is their terminal, their supervisor and
their exit status. One loop, one thread. Words are those of srun 25.11.

It holds one connection for the step and one to each node; when it dies, they close, and the tasks end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence

from bridge.agent import (
    step_end,
    step_files,
    step_input,
    step_mpi,
    step_output,
    step_programs,
    step_request,
    texts,
    wire,
)
from bridge.agent.step_ask import Asked
from bridge.agent.step_options import Given
from bridge.agent.step_say import Fatal, say

_ENDING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
_FORWARDED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT)
_ABORT_GRACE_SECONDS = 2
_READER_SECONDS = 0.2


class Node(step_input.Taker):
    """The connection to one node of the step."""

    def __init__(self, part: Mapping[str, Any], link: wire.Link) -> None:
        super().__init__()
        self.name = str(part["name"])
        self.ranks: Sequence[int] = tuple(part["ranks"])
        self.link = link


class Step:
    def __init__(self, given: Given, environment: Mapping[str, str], job_id: str, key: bytes, asked: Asked) -> None:
        self._given, self._environment, self._job_id, self._key = given, environment, job_id, key
        self._asked, self._parts = asked, asked.parts
        self.tasks = sum(len(part["ranks"]) for part in asked.parts)
        self.name = f"{job_id}.{asked.step_id}"
        self._quiet = given.has("quiet")
        self._ends = step_end.Ends(self.tasks)
        self._selector = selectors.DefaultSelector()
        self._nodes: List[Node] = []
        self._files = step_files.Files(given, self.tasks, os.getcwd(), self._codes())
        self._streams: Dict[int, step_output.Stream] = {}
        self._input: Optional[step_input.Input] = None
        self._input_fd = 0
        self._mpi = step_mpi.Hub([str(part["name"]) for part in asked.parts], self._send_mpi, self._abort_once)
        self._signals: List[int] = []
        self._interrupted_at: Optional[int] = None
        self._limit_at: Optional[float] = None
        self._wait_until: Optional[float] = None
        self._kill_at: Optional[float] = None
        self._give_up_at: Optional[float] = None
        self._is_terminated = False
        self._is_aborted = False
        self._is_cancelled = False
        """By Ctrl-C: whoever did that need not be told how each task ended."""

    def run(self, programs: Sequence[Sequence[str]]) -> int:
        """Each task's words; the exit status of srun. Raises Fatal."""
        self._open_input()
        self._open_streams()
        self._catch_signals()
        try:
            common = self._environment_of_step()
            failed = step_programs.run("prolog", self._given, common, self._given.program)
            self._launch(programs, common)
            if failed:
                say(f"error: srun prolog failed rc = {step_programs.code(failed)}. Aborting step.")
                self._tell(f"StepId={self.name} aborted before step completely launched.")
                self._abort()
            self._begin_input()
            limit = step_request.time_limit_seconds(self._given.values.get("time"))
            self._limit_at = time.monotonic() + limit if limit else None
            self._loop()
        finally:
            for node in self._nodes:
                node.link.close()
        for stream in self._streams.values():
            stream.end()
        if self._ends.are_forced and not self._is_aborted:
            self._tell(f"Force Terminated StepId={self.name}")
        failed = step_programs.run("epilog", self._given, common, self._given.program)
        if failed:
            say(f"error: srun epilog failed status={step_programs.code(failed)}")
        self._report_end()
        return self._mpi.abort_status or self._ends.exit_code()

    # ── start ─────────────────────────────────────────────────────────────────────────────────────

    def _catch_signals(self) -> None:
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, *_ENDING, *_FORWARDED):
            signal.signal(number, lambda number, _: self._signals.append(number))
        for number in (signal.SIGPIPE, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, signal.SIG_IGN)
        self._selector.register(woken, selectors.EVENT_READ, lambda _: _drain(woken))
        self._wake = wake

    def _environment_of_step(self) -> Dict[str, str]:
        of_step = step_request.environment_of_step(self._given, self._environment, self._parts, self._asked.step_id)
        return {**self._asked.job_times, **of_step, "SLURM_UMASK": f"{_umask():04o}"}

    def _launch(self, programs: Sequence[Sequence[str]], common: Mapping[str, str]) -> None:
        directory = os.path.join(os.getcwd(), self._given.get("chdir") or "")
        message = {
            "do": "launch",
            "step_id": self._asked.step_id,
            "environment": common,
            "exports_all": step_request.exports_all(self._given),
            "chdir": directory.rstrip("/") or "/",
            "umask": _umask(),
            "append": self._files.appends,
            "rlimits": [],
            "task-prolog": self._given.get("task-prolog"),
            "task-epilog": self._given.get("task-epilog"),
            "mpi": step_mpi.launch_field(step_mpi.kind_of(self._given, self._asked.mpi), self.name, self._parts),
        }
        for node_rank, part in enumerate(self._parts):
            try:
                connection = wire.connect((part["address"], int(part["port"])), self._key, "launch")
            except (OSError, wire.WireError) as error:
                say(f"error: Task launch for StepId={self.name} failed on node {part['name']}: {error}")
                self._signal_all(signal.SIGKILL)
                self._ends.lose(part["ranks"])
                continue
            here = connection.getsockname()
            tasks = [
                {
                    "rank": rank,
                    "argv": list(programs[rank]),
                    "environment": step_request.environment_of_task(part, node_rank, local, here),
                    **self._files.of_task(part, node_rank, rank),
                }
                for local, rank in enumerate(part["ranks"])
            ]
            node = Node(part, wire.Link(connection))
            self._nodes.append(node)
            node.link.send(wire.control({**message, "tasks": tasks}))
            self._selector.register(
                node.link, selectors.EVENT_READ, lambda events, node=node: self._on_node(node, events)
            )

    def _codes(self) -> Dict[str, Any]:
        """What stands for the codes in names of files, where it is the same in all tasks."""
        environment = self._environment
        return {
            "A": environment.get("SLURM_ARRAY_JOB_ID", self._job_id),
            "a": environment.get("SLURM_ARRAY_TASK_ID", "0"),
            "b": int(environment.get("SLURM_ARRAY_TASK_ID", "0")) % 10,
            "J": self.name,
            "j": int(self._job_id) if self._job_id.isdigit() else self._job_id,
            "s": self._asked.step_id,
            "u": environment.get("USER", ""),
            "x": environment.get("SLURM_JOB_NAME", ""),
        }

    def _open_streams(self) -> None:
        opened: Dict[str, step_output.Sink] = {}
        places = {rank: (k, part) for k, part in enumerate(self._parts) for rank in part["ranks"]}
        for kind, name, stream, own in ((wire.STDOUT, "output", "stdout", 1), (wire.STDERR, "error", "stderr", 2)):
            standard = step_output.Sink(own, self._while_reader_is_slow)
            sinks = []
            for rank in range(self.tasks):
                node_rank, part = places[rank]
                path = self._files.of_srun(name, part, node_rank, rank)
                if path is not None and path not in opened:
                    opened[path] = step_output.Sink(self._create(path, stream), self._while_reader_is_slow)
                sinks.append(standard if path is None else opened[path])
            mode = self._files.mode(name)
            only = mode if isinstance(mode, int) else None
            self._streams[kind] = step_output.Stream(sinks, label=self._given.has("label"), only=only)

    def _create(self, path: str, stream: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_APPEND | (0 if self._files.appends else os.O_TRUNC)
        if path != os.devnull:
            with contextlib.suppress(OSError):  # what is wrong shows when the file is opened
                os.makedirs(os.path.dirname(path), exist_ok=True)
        return _opened(path, flags, stream)

    def _while_reader_is_slow(self, fd: int) -> None:
        """Between two looks at a reader that takes nothing: signals are obeyed all the same."""
        with selectors.DefaultSelector() as either:
            either.register(fd, selectors.EVENT_WRITE)
            either.select(_READER_SECONDS)
        self._obey()

    def _open_input(self) -> None:
        """Before the tasks are started: what cannot be read starts none."""
        path = self._files.input_of_srun()
        if path is not None:
            self._input_fd = _opened(path, os.O_RDONLY | os.O_CLOEXEC, "stdin")

    def _begin_input(self) -> None:
        mode = self._files.mode("input")
        if mode == "all" or isinstance(mode, int) or self._input_fd != 0:
            rank = mode if isinstance(mode, int) else wire.ALL_RANKS
            nodes = self._nodes
            self._input = step_input.Input(self._selector, self._input_fd, rank, lambda: list(nodes), self._send_input)
            self._input.pump()

    def _send_input(self, frame: bytes) -> None:
        for node in self._nodes:
            if not node.is_done:
                node.sent()
                self._send(node, frame)

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────

    def _loop(self) -> None:
        while any(not node.is_done for node in self._nodes):
            for key, events in self._selector.select(self._patience()):
                if self._selector.get_map().get(key.fd) is key:
                    key.data(events)
            self._obey()
            self._mind_clock()
            if self._input is not None:
                self._input.pump()

    def _patience(self) -> Optional[float]:
        if self._input is not None and self._input.is_always_ready:
            return 0.0
        moments = (self._limit_at, self._wait_until, self._kill_at, self._give_up_at)
        due = [at for at in moments if at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _on_node(self, node: Node, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                node.link.flush()
            if events & selectors.EVENT_READ:
                is_open = node.link.receive()
                for kind, rank, body in node.link.frames:
                    self._on_frame(node, kind, rank, body)
                if not is_open and not node.is_done:
                    self._lose(node)
        except (OSError, wire.WireError):
            self._lose(node)
        self._watch(node)

    def _watch(self, node: Node) -> None:
        if node.is_done:
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if node.link.wants_to_write else 0)
        if self._selector.get_key(node.link).events != wanted:
            self._selector.modify(node.link, wanted, lambda events: self._on_node(node, events))

    def _send(self, node: Node, data: bytes) -> None:
        try:
            node.link.send(data)
        except OSError:
            self._lose(node)
            return
        self._watch(node)

    def _on_frame(self, node: Node, kind: int, rank: int, body: bytes) -> None:
        if kind in self._streams and rank < self.tasks:
            self._streams[kind].take(rank, body)
            return
        if kind != wire.CONTROL:
            return
        message = wire.read_control(body)
        if "input_backlog" in message:
            node.answered(int(message["input_backlog"]))
        elif "ended" in message:
            self._tasks_ended(node, message["ended"])
        elif "failed" in message:
            say(f"error: {node.name}: task {message['failed']}: {message['why']}")
            self._ends.statuses[int(message["failed"])] = 1 << 8
        elif "mpi" in message:
            self._mpi.take(node.name, message["mpi"])
        elif "done" in message:
            self._finish(node)

    def _send_mpi(self, name: str, message: Mapping[str, Any]) -> None:
        for node in self._nodes:
            if node.name == name and not node.is_done:
                self._send(node, wire.control({"mpi": message}))

    def _finish(self, node: Node) -> None:
        node.is_done = True
        self._selector.unregister(node.link)

    def _lose(self, node: Node) -> None:
        if node.is_done:
            return
        self._finish(node)
        missing = self._ends.lose(node.ranks)
        if missing:
            say(f"error: Node failure on {node.name}")
            say(f"error: {node.name}: {step_end.task_words(missing)}: Killed")
            if not (self._is_aborted or self._given.has("no-kill")):
                self._abort()

    # ── ends of tasks ─────────────────────────────────────────────────────────────────────────────

    def _tasks_ended(self, node: Node, ended: Sequence[Mapping[str, Any]]) -> None:
        is_bad = False
        for one in ended:
            self._ends.take(one)
            for stream in self._streams.values():
                stream.end_of(int(one["rank"]))
        for status, ranks in step_end.by_status(ended).items():
            if status:
                is_bad = True
                if not self._is_cancelled:
                    self._tell(f"error: {node.name}: {step_end.task_words(ranks)}: {step_end.end_words(status)}")
        if is_bad and self._kills_on_bad_exit() and not (self._is_terminated or self._is_aborted):
            self._terminate()
        seconds = step_request.count(self._given, "wait", 0)
        if seconds and self._wait_until is None:
            self._wait_until = time.monotonic() + seconds

    def _kills_on_bad_exit(self) -> bool:
        value = self._given.get("kill-on-bad-exit")
        return value is not None and value != "0"

    def _terminate(self) -> None:
        """TERM now, KILL after the time that Slurm gives."""
        self._is_terminated = True
        self._tell(f"Terminating StepId={self.name}")
        self._write_cancelled("DUE TO TASK FAILURE")
        self._end_tasks()

    def _end_tasks(self) -> None:
        self._signal_all(signal.SIGCONT)
        self._signal_all(signal.SIGTERM)
        self._kill_at = time.monotonic() + self._asked.kill_wait_seconds

    def _mind_clock(self) -> None:
        now = time.monotonic()
        if self._limit_at is not None and now >= self._limit_at:
            self._limit_at = None
            self._write_cancelled("DUE TO TIME LIMIT")
            self._end_tasks()
        if self._wait_until is not None and now >= self._wait_until and not self._ends.are_all_there:
            self._wait_until = float("inf")
            if not self._is_aborted:
                self._tell(f"First task exited {self._given.get('wait')}s ago")
                self._tell_states()
                self._tell(f"Terminating StepId={self.name}")
                self._abort()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._signal_all(signal.SIGKILL)
        if self._give_up_at is not None and now >= self._give_up_at:
            self._give_up_at = None
            say("error: Timed out waiting for job step to complete")
            for node in self._nodes:
                if not node.is_done:
                    self._finish(node)
                    self._ends.lose(node.ranks)

    def _write_cancelled(self, why: str) -> None:
        """Where the first task's errors go, as its node would write it."""
        at = time.time()
        self._streams[wire.STDERR].take(0, texts.step_cancelled(at, self.name, str(self._parts[0]["name"]), why))

    # ── signals ───────────────────────────────────────────────────────────────────────────────────

    def _obey(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGINT:
                self._interrupt()
            elif number in _ENDING:
                if number == signal.SIGQUIT:
                    self._tell("Quit")
                self._force()
            else:
                self._signal_all(number)

    def _interrupt(self) -> None:
        """Once: how things stand. Twice within a second, by whole seconds as srun counts them: the end."""
        now = int(time.monotonic())
        is_first = self._interrupted_at is None or now - self._interrupted_at > 1
        self._interrupted_at = now
        if is_first and not self._given.has("quit-on-interrupt"):
            if self._given.has("disable-status"):
                self._interrupt_tasks()
                return
            rest = "abort already in progress" if self._is_aborted else "one more within 1 sec to abort"
            self._tell(f"interrupt ({rest})")
            self._tell_states()
            return
        self._is_cancelled = True
        self._interrupt_tasks()
        if self._is_aborted:
            self._tell("job abort in progress")
        else:
            self._force()

    def _interrupt_tasks(self) -> None:
        self._tell(f"sending Ctrl-C to StepId={self.name}")
        self._signal_all(signal.SIGINT)

    def _force(self) -> None:
        if not self._is_aborted:
            self._tell("forcing job termination")
            self._abort()

    def _abort_once(self) -> None:
        if not self._is_aborted:
            self._abort()

    def _abort(self) -> None:
        self._is_aborted = True
        seconds = int(self._asked.kill_wait_seconds) + _ABORT_GRACE_SECONDS
        self._tell(f"Job step aborted: Waiting up to {seconds} seconds for job step to finish.")
        if any(not node.is_done for node in self._nodes):
            self._write_cancelled("DUE to SIGNAL Killed")
            self._signal_all(signal.SIGKILL)
        self._give_up_at = time.monotonic() + seconds

    def _tell_states(self) -> None:
        for ranks, word in self._ends.states():
            self._tell(f"StepId={self.name} {step_end.task_words(ranks)}: {word}")

    def _signal_all(self, number: int) -> None:
        for node in self._nodes:
            if not node.is_done:
                self._send(node, wire.control({"do": "signal", "number": int(number)}))

    # ── the end ───────────────────────────────────────────────────────────────────────────────────

    def _tell(self, line: str) -> None:
        if not self._quiet or line.startswith("error"):
            say(line)

    def _report_end(self) -> None:
        with contextlib.suppress(OSError):  # the job may be ending; its records say so
            self._asked.connection.sendall(wire.control({"do": "ended", **self._ends.record()}))
            self._asked.connection.close()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _opened(path: str, flags: int, stream: str) -> int:
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        raise Fatal(f"error: Could not open {stream} file: {error.strerror}") from None


def _drain(woken: socket.socket) -> None:
    with contextlib.suppress(OSError):
        woken.recv(4096)
