"""srun inside a job: asks the first node's step service for a step, starts its tasks on the nodes, and is their
terminal, their supervisor and their exit status. Run as a program: `python -I -S -E srun.py ARGUMENTS`.

It holds one connection for the step and one to each node; when it dies, they close, and the step ends.
Words and exit codes are those of srun 25.11.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

if not __package__:  # run as a program, by a path: our own package is two folders up
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from bridge.agent import step_options, step_output, step_request, texts, wire

_VERSION = "slurm 25.11.8"
_INPUT_AHEAD_BYTES = 256 * 1024
_INTERRUPT_SECONDS = 1.0
_USAGE = "Usage: srun [OPTIONS...] executable [args...]\n"
_FORWARDED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT)


class Fatal(Exception):
    """(line for standard error, exit code)"""

    def __init__(self, line: str, code: int = 1) -> None:
        super().__init__(line)
        self.line, self.code = line, code


def say(line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"srun: {line}\n".encode("utf-8", "surrogateescape"))


def main(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        given = step_options.read(argv, environment)
    except step_options.Unreadable as error:
        say(str(error))
        os.write(2, b'Try "srun --help" for more information\n')
        return 255
    try:
        return _run(given, environment)
    except step_request.Bad as bad:
        say(f"error: {bad}")
        return 1
    except Fatal as fatal:
        say(fatal.line)
        return fatal.code


def _run(given: step_options.Given, environment: Mapping[str, str]) -> int:
    if "version" in given.values:
        os.write(1, f"{_VERSION}\n".encode())
        return 0
    if "help" in given.values or "usage" in given.values:
        os.write(1, (_USAGE + _help()).encode())
        return 0
    if given.get("mpi") == "list":
        os.write(1, b"MPI plugin types are...\n\tnone\n")
        return 0
    _refuse(given)
    if not given.program:
        raise Fatal("fatal: No command given to execute.")
    wish, warnings = step_request.make_wish(given, environment)
    if not given.has("quiet"):
        for warning in warnings:
            say(f"warning: {warning}")
    step = Step(given, environment)
    step.create(wish)
    return step.run()


def _help() -> str:
    lines = ["\nOptions within a job (the class says what becomes of each):\n"]
    for option in step_options.TABLE:
        short = f"-{option.short}, " if option.short else "    "
        lines.append(f"  {short}--{option.name:<24} {option.does}{': ' + option.because if option.because else ''}\n")
    return "".join(lines)


def _refuse(given: step_options.Given) -> None:
    for name in given.values:
        option = step_options.BY_NAME[name]
        if option.does == step_options.REFUSE:
            raise Fatal(f"error: --{name} is refused: {option.because}")
        if option.does == step_options.RECORD and given.verbose:
            say(f"note: --{name} changes nothing here: {option.because}")
    mpi = given.get("mpi")
    if mpi in ("pmi2", "pmix") and "mpi" in given.values:
        raise Fatal(f"error: --mpi={mpi} is refused: the bridge serves no PMI yet; mpirun starts MPI programs")
    if mpi not in (None, "none", "pmi2", "pmix"):
        raise Fatal(f"error: Invalid MPI type '{mpi}', --mpi=list for acceptable types")


class Node:
    """The connection to one node of the step."""

    def __init__(self, part: Mapping[str, Any], link: wire.Link) -> None:
        self.name = str(part["name"])
        self.ranks: Tuple[int, ...] = tuple(part["ranks"])
        self.link = link
        self.is_done = False
        self.unanswered_input = 0
        self.input_backlog = 0


class Step:
    def __init__(self, given: step_options.Given, environment: Mapping[str, str]) -> None:
        self.given = given
        self.environment = environment
        self.quiet = given.has("quiet")
        self.job_id = environment.get("SLURM_JOB_ID", "?")
        wanted = given.values.get("jobid")
        if wanted is not None and wanted != self.job_id:
            raise Fatal(f"error: --jobid={wanted} is refused: steps start in their own job only ({self.job_id})")
        self.step_id = -1
        self.parts: List[Dict[str, Any]] = []
        self.statuses: Dict[int, int] = {}
        self.usage = {"max_rss_kib": 0, "user_seconds": 0.0, "system_seconds": 0.0}
        self._selector = selectors.DefaultSelector()
        self._nodes: List[Node] = []
        self._signals: List[int] = []
        self._interrupted_at: Optional[float] = None
        self._deadline: Optional[float] = None
        self._wait_deadline: Optional[float] = None
        self._kill_at: Optional[float] = None
        self._is_terminated = False
        self._input_fd: Optional[int] = None
        self._key = self._read_key()

    @property
    def name(self) -> str:
        return f"{self.job_id}.{self.step_id}"

    @property
    def tasks(self) -> int:
        return sum(len(part["ranks"]) for part in self.parts)

    def _read_key(self) -> bytes:
        path = self.environment.get("BRIDGE_KEY_FILE")
        if not path or not self.environment.get("BRIDGE_AGENT"):
            raise Fatal("error: not within a job of the bridge: BRIDGE_AGENT and BRIDGE_KEY_FILE are not set")
        try:
            with open(path, "rb") as file:
                return bytes.fromhex(file.read(4096).decode().strip())
        except (OSError, ValueError) as error:
            raise Fatal(f"error: the job's key cannot be read: {error}") from None

    # ── the step is made ──────────────────────────────────────────────────────────────────────────

    def create(self, wish: Any) -> None:
        """Waits for room in the allocation, with Slurm's words. Raises Fatal."""
        host, _, port = self.environment["BRIDGE_AGENT"].rpartition(":")
        address = (host, int(port))
        program = os.path.basename(self.given.program[0])
        message = {"do": "create", "wish": _as_json(wish), "name": self.given.values.get("job-name") or program}
        _catch_until_created()
        while True:
            self._holder = self._connect(address, "step")
            self._holder.sendall(wire.control(message))
            answer, has_waited = self._await_step()
            if "first" not in answer:
                break
            self._holder.close()
            address = (answer["first"][0], int(answer["first"][1]))
        if "refused" in answer:
            raise Fatal(self._refusal(str(answer["refused"]), wish))
        self.step_id, self.parts = int(answer["step_id"]), answer["parts"]
        if has_waited and not self.quiet:
            say(f"Step created for StepId={self.name}")

    def _connect(self, address: Tuple[str, int], purpose: str) -> socket.socket:
        try:
            return wire.connect(address, self._key, purpose)
        except (OSError, wire.WireError) as error:
            raise Fatal(f"error: Unable to contact the step service at {address[0]}:{address[1]}: {error}") from None

    def _await_step(self) -> Tuple[Dict[str, Any], bool]:
        frames, has_waited = wire.Frames(), False
        immediate = self.given.get("immediate")
        if immediate is not None:
            self._holder.settimeout(float(immediate) if immediate.isdigit() else 1.0)
        while True:
            try:
                data = self._holder.recv(wire.CHUNK_BYTES)
            except socket.timeout:
                raise Fatal(f"error: Unable to create step for job {self.job_id}: Requested nodes are busy") from None
            except OSError as error:
                raise Fatal(f"error: the step service was lost: {error}") from None
            if not data:
                raise Fatal(f"error: Unable to create step for job {self.job_id}: the step service is gone")
            frames.feed(data)
            for _, _, body in frames:
                answer = wire.read_control(body)
                if "waits" in answer:
                    has_waited = True
                    if self.given.verbose:
                        say(f"Job {self.job_id} step creation temporarily disabled, retrying ({answer['waits']})")
                    continue
                return answer, has_waited

    def _refusal(self, why: str, wish: Any) -> str:
        nodes = int(self.environment.get("SLURM_JOB_NUM_NODES") or 1)
        if wish.nodes_min is not None and wish.nodes_min > nodes:
            return f"error: Only allocated {nodes} nodes asked for {wish.nodes_min}"
        return f"error: Unable to create step for job {self.job_id}: {why}"

    # ── its tasks are started ─────────────────────────────────────────────────────────────────────

    def run(self) -> int:
        """The exit status."""
        programs = self._programs()
        self._open_streams()
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, *_FORWARDED):
            signal.signal(number, lambda number, _: self._signals.append(number))
        for number in (signal.SIGPIPE, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, signal.SIG_IGN)
        self._selector.register(woken, selectors.EVENT_READ, lambda _: self._drain(woken))
        try:
            self._launch(programs)
            self._open_input()
            limit = step_request.time_limit_seconds(self.given.values.get("time"))
            self._deadline = time.monotonic() + limit if limit else None
            self._loop()
        finally:
            for node in self._nodes:
                node.link.close()
        for stream in self._streams.values():
            stream.end()
        code = self._worst()
        if any(os.WIFSIGNALED(status) for status in self.statuses.values()) and not self._interrupted_at:
            self._tell(f"Force Terminated StepId={self.name}")
        self._report_end(code)
        return code

    def _programs(self) -> List[List[str]]:
        if not self.given.has("multi-prog"):
            return [self.given.program] * self.tasks
        path = self.given.program[0]
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read(1 << 20)
        except OSError as error:
            raise Fatal(f"error: Unable to open configuration file {path}: {error.strerror}") from None
        return step_request.multi_prog(text, path, self.tasks)

    def _launch(self, programs: Sequence[Sequence[str]]) -> None:
        common = step_request.exported(self.given, self.environment)
        common.update(step_request.step_variables(self.parts, self.step_id, self.tasks))
        common["SLURM_DISTRIBUTION"] = self.given.get("distribution") or "block"
        cpus = self.given.get("cpus-per-task")
        if cpus:
            common["SLURM_CPUS_PER_TASK"], common["SLURM_TRES_PER_TASK"] = cpus, f"cpu={cpus}"
        mask = os.umask(0o022)
        os.umask(mask)
        common["SLURM_UMASK"] = f"{mask:04o}"
        directory = os.path.join(os.getcwd(), self.given.get("chdir") or "")
        message = {
            "do": "launch",
            "step_id": self.step_id,
            "environment": common,
            "chdir": directory.rstrip("/") or "/",
            "umask": mask,
            "append": self._appends(),
            "rlimits": [],
        }
        for node_rank, part in enumerate(self.parts):
            try:
                connection = wire.connect((part["address"], int(part["port"])), self._key, "launch")
            except (OSError, wire.WireError) as error:
                say(f"error: Task launch for StepId={self.name} failed on node {part['name']}: {error}")
                self._signal_all(signal.SIGKILL)
                for rank in part["ranks"]:
                    self.statuses[rank] = int(signal.SIGKILL)
                continue
            host = connection.getsockname()[0]
            tasks = [
                {
                    "rank": rank,
                    "argv": list(programs[rank]),
                    "environment": {
                        **step_request.task_variables(part, node_rank, local),
                        "SLURM_LAUNCH_NODE_IPADDR": host,
                        "SLURM_SRUN_COMM_HOST": host,
                    },
                    **self._files_of(part, node_rank, rank, directory),
                }
                for local, rank in enumerate(part["ranks"])
            ]
            node = Node(part, wire.Link(connection))
            self._nodes.append(node)
            node.link.send(wire.control({**message, "tasks": tasks}))
            self._selector.register(
                node.link, selectors.EVENT_READ, lambda events, node=node: self._on_node(node, events)
            )

    # ── files and streams ─────────────────────────────────────────────────────────────────────────

    def _appends(self) -> bool:
        return (self.given.get("open-mode") or "").lower().startswith("a")

    def _values(self, part: Mapping[str, Any], node_rank: int, rank: int) -> Dict[str, Any]:
        environment = self.environment
        return {
            "A": environment.get("SLURM_ARRAY_JOB_ID", self.job_id),
            "a": environment.get("SLURM_ARRAY_TASK_ID", "4294967294"),
            "J": self.name,
            "j": int(self.job_id) if self.job_id.isdigit() else self.job_id,
            "s": self.step_id,
            "N": part["name"],
            "n": node_rank,
            "t": rank,
            "u": environment.get("USER", ""),
            "x": environment.get("SLURM_JOB_NAME", ""),
        }

    def _files_of(self, part: Mapping[str, Any], node_rank: int, rank: int, directory: str) -> Dict[str, Optional[str]]:
        """For each standard file of a task: a path that the task opens itself, or None for a pipe to us."""
        values = self._values(part, node_rank, rank)
        files: Dict[str, Optional[str]] = {}
        for name in ("input", "output", "error"):
            mode = self._mode(name)
            path: Optional[str] = None
            if mode == "none" or (isinstance(mode, int) and name == "input" and mode != rank):
                path = "/dev/null"
            elif isinstance(mode, str) and mode != "all" and (name == "input" or step_request.is_per_task(mode)):
                path = step_request.file_name(mode, values, directory)
            files[{"input": "stdin", "output": "stdout", "error": "stderr"}[name]] = path
        return files

    def _mode(self, name: str) -> "str | int":
        """all, none, a task's number, or a file's pattern. Errors go where the output goes unless told otherwise."""
        text = self.given.get(name)
        if text is None and name == "error":
            text = self.given.get("output")
            if text is not None and text.isdigit() and int(text) < self.tasks:
                return "all"
        if text is None or text.lower() in ("all", "-"):
            return "all"
        if text.lower() == "none":
            return "none"
        if text.isascii() and text.isdigit() and int(text) < self.tasks:
            return int(text)
        return text

    def _open_streams(self) -> None:
        label = self.given.has("label")
        opened: Dict[str, step_output.Sink] = {}
        self._streams: Dict[int, step_output.Stream] = {}
        for kind, name, own in ((wire.STDOUT, "output", 1), (wire.STDERR, "error", 2)):
            mode = self._mode(name)
            only = mode if isinstance(mode, int) else None
            sink = step_output.Sink(own, self._while_reader_is_slow)
            if isinstance(mode, str) and mode not in ("all", "none") and not step_request.is_per_task(mode):
                path = step_request.file_name(mode, self._values(self.parts[0], 0, 0), os.getcwd())
                if path not in opened:
                    opened[path] = step_output.Sink(self._create(path), self._while_reader_is_slow)
                sink = opened[path]
            self._streams[kind] = step_output.Stream(sink, self.tasks, label=label, only=only)

    def _create(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_APPEND | (0 if self._appends() else os.O_TRUNC)
        try:
            if path != "/dev/null":
                os.makedirs(os.path.dirname(path), exist_ok=True)
            return os.open(path, flags, 0o666)
        except OSError as error:
            raise Fatal(f"error: Could not open stdout file {path}: {error.strerror}") from None

    def _while_reader_is_slow(self, fd: int) -> None:
        """Between two looks at a reader that takes nothing: signals are obeyed all the same."""
        with selectors.DefaultSelector() as either:
            either.register(fd, selectors.EVENT_WRITE)
            either.select(0.2)
        self._obey()

    # ── input ─────────────────────────────────────────────────────────────────────────────────────

    def _open_input(self) -> None:
        mode = self._mode("input")
        if mode == "none" or (isinstance(mode, str) and mode != "all"):
            return
        self._input_rank = mode if isinstance(mode, int) else wire.ALL_RANKS
        self._input_fd = 0
        self._watch_input()

    def _watch_input(self) -> None:
        """Read only while all nodes keep up."""
        if self._input_fd is None:
            return
        ready = all(
            n.unanswered_input < 4 and n.input_backlog < _INPUT_AHEAD_BYTES for n in self._nodes if not n.is_done
        )
        watched = self._input_fd in self._selector.get_map()
        if ready and not watched:
            try:
                self._selector.register(self._input_fd, selectors.EVENT_READ, lambda _: self._read_input())
            except PermissionError:  # a regular file is always readable; epoll does not take it
                self._read_input()
            except (OSError, ValueError):
                self._end_input()
        elif not ready and watched:
            self._selector.unregister(self._input_fd)

    def _read_input(self) -> None:
        assert self._input_fd is not None
        try:
            data = os.read(self._input_fd, wire.CHUNK_BYTES)
        except OSError:
            data = b""
        if not data:
            self._end_input()
            return
        self._send_input(wire.frame(wire.STDIN, self._input_rank, data))
        if self._input_fd not in self._selector.get_map():
            self._watch_input_soon = True

    _watch_input_soon = False
    _input_rank = wire.ALL_RANKS

    def _end_input(self) -> None:
        if self._input_fd is not None and self._input_fd in self._selector.get_map():
            self._selector.unregister(self._input_fd)
        self._input_fd = None
        self._send_input(wire.frame(wire.STDIN_END, self._input_rank, b""))

    def _send_input(self, frame: bytes) -> None:
        for node in self._nodes:
            if not node.is_done:
                node.unanswered_input += 1
                self._send(node, frame)

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────

    def _loop(self) -> None:
        while any(not node.is_done for node in self._nodes):
            moments = [at for at in (self._deadline, self._wait_deadline, self._kill_at) if at is not None]
            patience = max(0.0, min(moments) - time.monotonic()) if moments else None
            for key, events in self._selector.select(0 if self._watch_input_soon else patience):
                if self._selector.get_map().get(key.fd) is key:
                    key.data(events)
            self._obey()
            self._mind_clock()
            self._watch_input_soon = False
            self._watch_input()

    @staticmethod
    def _drain(woken: socket.socket) -> None:
        with contextlib.suppress(OSError):
            woken.recv(4096)

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
        if kind in self._streams:
            self._streams[kind].take(rank, body)
            return
        if kind != wire.CONTROL:
            return
        message = wire.read_control(body)
        if "input_backlog" in message:
            node.unanswered_input = max(0, node.unanswered_input - 1)
            node.input_backlog = int(message["input_backlog"])
        elif "ended" in message:
            self._tasks_ended(node, message["ended"])
        elif "failed" in message:
            say(f"error: {node.name}: task {message['failed']}: {message['why']}")
            self.statuses[int(message["failed"])] = 1 << 8
        elif "done" in message:
            self._finish(node)

    def _finish(self, node: Node) -> None:
        node.is_done = True
        self._selector.unregister(node.link)

    def _lose(self, node: Node) -> None:
        if node.is_done:
            return
        self._finish(node)
        missing = [rank for rank in node.ranks if rank not in self.statuses]
        if missing:
            say(f"error: Node failure on {node.name}")
            say(f"error: {node.name}: {_task_words(missing)}: Killed")
            for rank in missing:
                self.statuses[rank] = int(signal.SIGKILL)

    # ── ends of tasks ─────────────────────────────────────────────────────────────────────────────

    def _tasks_ended(self, node: Node, ended: Sequence[Mapping[str, Any]]) -> None:
        by_status: Dict[int, List[int]] = {}
        for one in ended:
            rank, status = int(one["rank"]), int(one["status"])
            self.statuses[rank] = status
            by_status.setdefault(status, []).append(rank)
            self.usage["max_rss_kib"] = max(self.usage["max_rss_kib"], one["max_rss_kib"])
            for name in ("user_seconds", "system_seconds"):
                self.usage[name] += float(one[name])
        for status, ranks in by_status.items():
            if status:
                self._tell(f"error: {node.name}: {_task_words(ranks)}: {_end_words(status)}")
        if any(by_status) and self._kills_on_bad_exit() and not self._is_terminated:
            self._terminate()
        seconds = self.given.get("wait")
        if seconds and seconds.isdigit() and int(seconds) and self._wait_deadline is None:
            self._wait_deadline = time.monotonic() + int(seconds)

    def _kills_on_bad_exit(self) -> bool:
        value = self.given.get("kill-on-bad-exit")
        return value is not None and value != "0"

    def _terminate(self) -> None:
        """TERM now, KILL after the time that Slurm gives."""
        self._is_terminated = True
        self._tell(f"Terminating StepId={self.name}")
        self._signal_all(signal.SIGCONT)
        self._signal_all(signal.SIGTERM)
        self._kill_at = time.monotonic() + self._kill_wait_seconds()

    def _kill_wait_seconds(self) -> float:
        text = self.environment.get("BRIDGE_KILL_WAIT", "30")
        return float(text) if text.isdigit() else 30.0

    def _mind_clock(self) -> None:
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._reach_limit()
        if self._wait_deadline is not None and now >= self._wait_deadline and len(self.statuses) < self.tasks:
            self._wait_deadline = float("inf")
            self._tell(f"First task exited {self.given.get('wait')}s ago")
            self._tell_states()
            self._tell(f"Terminating StepId={self.name}")
            self._abort()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._signal_all(signal.SIGKILL)

    def _reach_limit(self) -> None:
        at = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at))
        node = self.parts[0]["name"]
        line = texts.error(at, f"*** STEP {self.name} ON {node} CANCELLED AT {stamp} DUE TO TIME LIMIT ***")
        self._streams[wire.STDERR].take(0, line)
        self._signal_all(signal.SIGCONT)
        self._signal_all(signal.SIGTERM)
        self._kill_at = time.monotonic() + self._kill_wait_seconds()

    # ── signals ───────────────────────────────────────────────────────────────────────────────────

    def _obey(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGINT:
                self._interrupt()
            elif number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
                self._tell("forcing job termination")
                self._abort()
            else:
                self._signal_all(number)

    def _interrupt(self) -> None:
        now = time.monotonic()
        recent = self._interrupted_at is not None and now - self._interrupted_at <= _INTERRUPT_SECONDS
        self._interrupted_at = now
        if not (recent or self.given.has("quit-on-interrupt") or self.given.has("disable-status")):
            self._tell("interrupt (one more within 1 sec to abort)")
            self._tell_states()
            return
        self._tell(f"sending Ctrl-C to StepId={self.name}")
        self._signal_all(signal.SIGINT)
        self._kill_at = time.monotonic() + self._kill_wait_seconds()

    def _abort(self) -> None:
        self._tell(
            f"Job step aborted: Waiting up to {int(self._kill_wait_seconds()) + 2} seconds for job step to finish."
        )
        self._signal_all(signal.SIGKILL)

    def _tell_states(self) -> None:
        running = [rank for rank in range(self.tasks) if rank not in self.statuses]
        exited = sorted(self.statuses)
        for ranks, word in ((running, "running"), (exited, "exited")):
            if ranks:
                self._tell(f"StepId={self.name} {_task_words(ranks)}: {word}")

    def _signal_all(self, number: int) -> None:
        for node in self._nodes:
            if not node.is_done:
                self._send(node, wire.control({"do": "signal", "number": int(number)}))

    # ── the end ───────────────────────────────────────────────────────────────────────────────────

    def _tell(self, line: str) -> None:
        if not self.quiet or line.startswith("error"):
            say(line)

    def _worst(self) -> int:
        codes = [128 + os.WTERMSIG(s) if os.WIFSIGNALED(s) else os.WEXITSTATUS(s) for s in self.statuses.values()]
        return max(codes, default=1)

    def _report_end(self, code: int) -> None:
        signals = [os.WTERMSIG(s) for s in self.statuses.values() if os.WIFSIGNALED(s)]
        message = {
            "do": "ended",
            "exit_status": 0 if signals else code,
            "signal": max(signals, default=0),
            **self.usage,
        }
        with contextlib.suppress(OSError):  # the job may be ending; its records say so
            self._holder.sendall(wire.control(message))
            self._holder.close()


def _catch_until_created() -> None:
    """Ctrl-C while waiting for room ends srun at once; nothing has been started."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _as_json(wish: Any) -> Dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(wish).items()}


def _task_words(ranks: Sequence[int]) -> str:
    """`task 3`, `tasks 0-2,5`"""
    runs: List[List[int]] = []
    for rank in sorted(ranks):
        if runs and runs[-1][1] + 1 == rank:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    text = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f"task{'s' if len(ranks) > 1 else ''} {text}"


def _end_words(status: int) -> str:
    if os.WIFSIGNALED(status):
        core = " (core dumped)" if os.WCOREDUMP(status) else ""
        return f"{signal.strsignal(os.WTERMSIG(status))}{core}"
    return f"Exited with exit code {os.WEXITSTATUS(status)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], dict(os.environ)))
