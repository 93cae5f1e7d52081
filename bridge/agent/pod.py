"""The agent as the first process of a pod: unpacks the launch file, is the node's monitor, tells the end.

    python agent.pyz run            the pod's command
    python agent.pyz control JSON   a wish for the monitor, by exec into the pod; prints its answer
    python agent.pyz output JSON    a part of the job's output, by exec into the pod
    python agent.pyz copy FROM TO   the agent's folder into another, for the container that brings it into the pod

The bridge sees the pod, not its disk: the journal is copied to standard output line by line, and the end goes into
the termination message. A pod is ended by SIGTERM to its first process; to the monitor that is the wish to stop.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import select
import selectors
import shutil
import signal
import socket
import sys
import traceback
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from bridge.agent import journal, launch, lines, memory, monitor, namespaces, outputs, spool, wire

LAUNCH_PATH, RUN_PATH = "/bridge/launch", "/bridge/run"
TERMINATION_PATH = "/dev/termination-log"
MESSAGE_BYTES = 4096
"""Kubernetes cuts a termination message off here."""
_PART = "launch."
_CA = "ca.pem"
_OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
"""Of cgroup v2 and v1, as a container sees its own."""
_RESOLVE_SECONDS = 0.25
_OUTPUT_SECONDS = 0.25
"""How often output that no volume takes is looked at."""
_LEAVE_SECONDS = 10.0
_STATUS_LOST = 125
"""Of the container, when its script was not started or its end is not known."""
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""A node that vanishes without a word is noticed after half a minute."""


# ── unpacking ─────────────────────────────────────────────────────────────────────────────────────


def read_packed(folder: str) -> bytes:
    """The parts, joined. Raises OSError or ValueError."""
    names = sorted((n for n in os.listdir(folder) if n.startswith(_PART)), key=lambda n: int(n[len(_PART) :]))
    packed = b""
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            packed += file.read()
    return gzip.decompress(packed)


def unpack(data: bytes, index: int) -> Tuple[Dict[str, Any], bytes, int]:
    """(launch file, script, place among the job's nodes) of the pod with this index. Raises ValueError."""
    head_line, separator, script = data.partition(b"\n")
    head = json.loads(head_line)
    if not separator or head.get("version") != 1:
        raise ValueError("a launch package that this agent does not know")
    file: Dict[str, Any] = head["common"]
    if len(file["nodes"]) > 1:
        return file, script, index
    if index > len(head["members"]):
        raise ValueError(f"no member {index} in the launch package")
    if index > 0:
        file = _member(file, head["members"][index - 1])
    return file, script, 0


def _member(common: Dict[str, Any], difference: Dict[str, Any]) -> Dict[str, Any]:
    unset = set(difference["unset"])
    environment = {name: value for name, value in common["batch"]["environment"].items() if name not in unset}
    environment.update(difference["environment"])
    batch = {**common["batch"], **difference["batch"], "environment": environment}
    return {**common, **difference["fields"], "batch": batch}


def write_spool(run_folder: str, file: Dict[str, Any], script: bytes, node: int) -> str:
    """The attempt's folder as every monitor knows it. FileExistsError: this container has been here before."""
    path = os.path.join(run_folder, f"{file['job_id']}.{file['attempt']}")
    os.mkdir(path, 0o700)
    for index in range(node + 1):
        os.mkdir(os.path.join(path, f"node{index}"), 0o700)
    if file.get("url"):
        _point_commands(file, path)
    for stream in file.get("spooled", ()):
        file["batch"][stream] = os.path.join(path, stream)
    for name, data, mode in (
        (_CA, (file.get("ca") or "").encode(), 0o400),
        (launch.SCRIPT, script, 0o500),
        (launch.KEY, file["key"].encode(), 0o400),
        (launch.TOKEN, file["job_token"].encode(), 0o400),
        *((stream, b"", 0o600) for stream in file.get("spooled", ())),
        (launch.NAME, json.dumps(file).encode(), 0o600),
    ):
        fd = os.open(os.path.join(path, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(fd, "wb") as out:
            out.write(data)
    return path


def _point_commands(file: Dict[str, Any], path: str) -> None:
    """sbatch, squeue ... inside of the job reach the bridge by its address, whatever the submitter's did."""
    ours = {"BRIDGE_URL": file["url"]}
    if file.get("ca"):
        ours["BRIDGE_CA_FILE"] = os.path.join(path, _CA)
    file["batch"]["environment"].update(ours)


# ── the monitor ───────────────────────────────────────────────────────────────────────────────────


class PodMonitor(monitor.Monitor):
    """Told to stop by SIGTERM; reaches the other nodes over TCP; tells the bridge by standard output."""

    def __init__(self, directory: str, index: int, listener: socket.socket, member_port: int) -> None:
        super().__init__(directory, index, listener, use_namespaces=False)
        self._member_port = member_port
        self._meter: PodMeter
        self._told = 0
        """How much of the journal has been copied to standard output."""
        self._unsaid = b""
        self._outputs: Optional[outputs.Outputs] = None
        self._output_at = 0.0
        self._leave_at: Optional[float] = None
        """Asked from outside to be gone; what is to be handed over is handed over until then."""
        self._strangers: Dict[socket.socket, wire.Server] = {}
        self._unresolved: List[str] = []
        self._resolve_at = 0.0
        os.set_blocking(1, False)

    def _open(self) -> None:
        # Known only once the launch file has been read, and needed as soon as the monitor opens.
        nodes = self._job.nodes if len(self._job.nodes) > 1 else ()
        self._unresolved = [name for node in nodes for name in (node.name, node.address)]
        super()._open()
        raw = self._job.raw
        if raw.get("spooled") and self._index == 0:
            self._outputs = outputs.Outputs(self._directory, raw["spooled"], int(raw["spool_bytes"]))
        meter = PodMeter(self._job.memory_limit_mib[self._index], self._cage.measured)
        meter.next_at, self._meter = self._meter.next_at, meter
        if self._index == 0 and len(self._job.nodes) > 1:
            members = listen(self._member_port)
            members.setblocking(False)
            self._watch(members, selectors.EVENT_READ, lambda _: self._accept_member(members))

    def _wake_on_children(self) -> None:
        super()._wake_on_children()
        asked = namespaces.signal_descriptor(signal.SIGTERM)
        self._watch(asked, selectors.EVENT_READ, lambda _: self._hear_stop(asked))

    def _hear_stop(self, asked: int) -> None:
        """From outside of the pod only: what the job's own processes send does not count."""
        if namespaces.sender(os.read(asked, namespaces.SIGNAL_BYTES)) != 0:
            return
        if self._phase == "done":
            self._leave_at = self._leave_at or monitor._now() + _LEAVE_SECONDS
        elif self._index == 0:
            self._stop("stopped", "cancel")
        else:
            self._leave("its pod was ended")

    def _tell_bridge(self) -> None:
        """What does not fit into the pipe is told later."""
        events, self._told = journal.read(self._node_folder, self._told)
        self._say(events)

    def _say(self, events: Iterable[Dict[str, Any]]) -> None:
        for event in events:
            self._unsaid += json.dumps(event).encode() + b"\n"
        try:
            while self._unsaid:
                self._unsaid = self._unsaid[os.write(1, self._unsaid) :]
        except BlockingIOError:
            self._poke_at = monitor._now() + monitor._BUSY_SECONDS
            return
        except OSError:
            self._unsaid = b""
        self._poke_at = None

    # ── output that no volume takes ───────────────────────────────────────────────────────────────

    def _tell_output(self, now: float) -> None:
        assert self._outputs is not None
        self._output_at = now + _OUTPUT_SECONDS
        if self._unsaid:  # whoever reads slowly gets that first
            self._outputs.bound()
            self._say(())
        else:
            self._say(self._outputs.look(now))

    def hand_over(self) -> Dict[str, Dict[str, int]]:
        """The job has ended. Wait until the bridge has its output, as long as it may take; then say what is left of
        it by the log. What there was of each stream."""
        if self._outputs is None:
            return {}
        until = monitor._now() + float(self._job.raw["output_wait_seconds"])
        while monitor._now() < min(until, self._leave_at or until):
            self._tell_output(monitor._now())
            if self._outputs.is_taken and not self._unsaid:
                return self._outputs.account()
            if self._unsaid:
                select.select([], [1], [], _OUTPUT_SECONDS)
            for key, events in self._selector.select(0.0 if self._unsaid else _OUTPUT_SECONDS):
                key.data(events)
        self._say(self._outputs.last_lines())
        until = monitor._now() + _LEAVE_SECONDS
        while self._unsaid and monitor._now() < until:
            select.select([], [1], [], _OUTPUT_SECONDS)
            self._say(())
        return self._outputs.account()

    def _obey(self, message: Dict[str, Any], client: lines.Lines) -> Dict[str, Any]:
        what = message.get("do")
        if what in ("acknowledge", "account") and self._outputs is not None:
            for name, until in message.get("until", {}).items():
                self._outputs.acknowledge(name, int(until))
            return {"ok": True, "account": self._outputs.account()}
        return super()._obey(message, client)

    def _close(self) -> None:
        """The script has ended; if the kernel killed for want of memory, that is why."""
        if self._cause == "exit" and oom_kills() > self._meter.kills_before:
            self._out_of_memory()
        else:
            super()._close()

    # ── the other nodes ───────────────────────────────────────────────────────────────────────────

    def _names_resolve(self) -> bool:
        """Whether all nodes can be found by name from here: what a script starts must not meet one that cannot."""
        now = monitor._now()
        if self._unresolved and now >= self._resolve_at:
            self._resolve_at = now + _RESOLVE_SECONDS
            while self._unresolved and _resolves(self._unresolved[-1]):
                self._unresolved.pop()
        return not self._unresolved

    def _start_if_ready(self) -> None:
        others = len(self._job.nodes) - 1
        if others and (len(self._members) < others or not self._names_resolve()):
            return
        super()._start_if_ready()

    def _keep_time(self) -> None:
        super()._keep_time()
        if self._phase == "waiting" and self._index == 0 and self._unresolved:
            self._start_if_ready()
        if self._outputs is not None and monitor._now() >= self._output_at:
            self._tell_output(monitor._now())

    def _sleep_seconds(self) -> float:
        left = super()._sleep_seconds()
        if self._outputs is not None:
            left = min(left, max(0.0, self._output_at - monitor._now()))
        return min(left, _RESOLVE_SECONDS) if self._phase == "waiting" and self._unresolved else left

    def _reach_first(self) -> socket.socket:
        if not self._names_resolve():
            raise OSError("not all nodes have a name yet")
        key = bytes.fromhex(self._job.raw["key"])
        first = self._job.nodes[0]
        try:
            connection = wire.connect((first.address, self._member_port), key, "monitor", seconds=2.0)
        except wire.WireError as error:
            raise OSError(str(error)) from None
        keep_alive(connection)
        return connection

    def _accept_member(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        if len(self._strangers) > 4 * len(self._job.nodes) + 16:
            connection.close()
            return
        self._strangers[connection] = wire.Server(bytes.fromhex(self._job.raw["key"]))
        self._watch(connection, selectors.EVENT_READ, lambda _: self._greet(connection))

    def _greet(self, connection: socket.socket) -> None:
        server = self._strangers[connection]
        try:
            data = connection.recv(wire.HELLO_LIMIT_BYTES)
            if not data:
                raise wire.WireError("closed")
            answer, rest = server.feed(data)
            if answer:
                connection.sendall(answer)
            if rest is None:
                return
            if server.purpose != "monitor":
                raise wire.WireError("not a monitor")
        except BlockingIOError:
            return
        except (OSError, wire.WireError, ValueError):
            del self._strangers[connection]
            self._unwatch(connection)
            connection.close()
            return
        del self._strangers[connection]
        self._unwatch(connection)
        keep_alive(connection)
        client = lines.Lines(connection, rest)
        self._clients.add(client)
        self._watch(client, selectors.EVENT_READ, lambda _: self._serve(client))
        self._serve(client)


class PodMeter(memory.Meter):
    """The container's limit is the kernel's too, which may kill a process of the job before we see it grow."""

    def __init__(self, limit_mib: Optional[int], members: Callable[[], List[int]]) -> None:
        super().__init__(limit_mib, members)
        self.kills_before = oom_kills()

    def look(self, now: float) -> bool:
        return super().look(now) or oom_kills() > self.kills_before


def oom_kills() -> int:
    """How many processes of this container the kernel has killed for want of memory; 0 where it does not say."""
    for path in _OOM_COUNTERS:
        try:
            with open(path, encoding="ascii") as file:
                for line in file:
                    name, _, count = line.partition(" ")
                    if name == "oom_kill":
                        return int(count)
        except (OSError, ValueError):
            continue
    return 0


def _resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return True
    except OSError:
        return False


def listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))  # noqa: S104  (other pods of the job call; they prove that they are)
    listener.listen(128)
    return listener


def keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


# ── the end ───────────────────────────────────────────────────────────────────────────────────────


def message(events: List[Dict[str, Any]], account: Optional[Dict[str, Dict[str, int]]] = None) -> bytes:
    """The termination message: the journal's last word, when the script began, the steps as far as they fit, and how
    much there was of output that no volume took."""
    last = events[-1] if events and events[-1]["event"] in ("ended", "given_up") else None
    began = next((event for event in events if event["event"] == "began"), None)
    steps: Dict[int, Dict[str, Any]] = {}
    for event in events:
        if event["event"] == "step":
            steps[event["step_id"]] = event
    told: Dict[str, Any] = {"version": 1, "last": last, "began_at": began["at"] if began else None}
    if account:
        told["output"] = account
    if last is not None and len(str(last.get("detail", ""))) > 1024:
        last["detail"] = str(last["detail"])[:1024]
    whole = {**told, "steps": [steps[number] for number in sorted(steps)]}
    data = json.dumps(whole).encode()
    if len(data) <= MESSAGE_BYTES:
        return data
    return json.dumps({**told, "steps_left_out": len(steps)}).encode()


def container_status(events: List[Dict[str, Any]]) -> int:
    """What Kubernetes shows: the script's own, 128 and a signal's number as in a shell."""
    last = events[-1] if events else {}
    if last.get("event") != "ended":
        return _STATUS_LOST
    if last["cause"] != "exit" and last["exit_status"] == 0 and last["signal"] == 0:
        return _STATUS_LOST
    return int(last["exit_status"]) or (128 + int(last["signal"]) if last["signal"] else 0)


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError), open(TERMINATION_PATH, "wb") as file:
        last = {"event": "given_up", "why": sentence[:2048]}
        file.write(json.dumps({"version": 1, "last": last, "began_at": None}).encode())


# ── entry ─────────────────────────────────────────────────────────────────────────────────────────


def run(library: str) -> int:
    """`library`: the folder from which this code was loaded; commands of the job are made from it."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    namespaces.name_process("bridge-monitor")
    index = int(os.environ.get("JOB_COMPLETION_INDEX", "0"))
    try:
        file, script, node = unpack(read_packed(LAUNCH_PATH), index)
        file["bin"] = _write_commands(library)
        directory = write_spool(RUN_PATH, file, script, node)
        listener = listen(file["nodes"][node]["port"])
    except (OSError, ValueError, KeyError) as error:
        _say(f"the launch file cannot be used: {type(error).__name__}: {error}")
        traceback.print_exc()
        return _STATUS_LOST
    here = PodMonitor(directory, node, listener, int(file["member_port"]))
    here.run()
    account = here.hand_over()
    events = _journal(directory, node)
    if node > 0 and events and events[-1]["event"] == "ended":
        # Only the first node's end is the job's.
        return 0
    with contextlib.suppress(OSError), open(TERMINATION_PATH, "wb") as out:
        out.write(message(events, account))
    return container_status(events)


def _write_commands(library: str) -> str:
    from bridge.cli import shims

    folder = os.path.join(RUN_PATH, "bin")
    if os.path.isdir(os.path.join(library, "bridge", "cli")):
        shims.write(folder)
    return folder


def _journal(directory: str, node: int) -> List[Dict[str, Any]]:
    folder = spool.open_folder(directory)
    try:
        node_folder = spool.open_folder(f"node{node}", folder)
    finally:
        os.close(folder)
    try:
        return journal.read(node_folder)[0]
    finally:
        os.close(node_folder)


def copy_into(source: str, target: str) -> None:
    """All that is in one folder into another, which is somebody else's: its mode and times stay as they are."""
    for entry in os.scandir(source):
        to = os.path.join(target, entry.name)
        if entry.is_dir(follow_symlinks=False):
            shutil.copytree(entry.path, to, symlinks=True, copy_function=shutil.copy)
        else:
            shutil.copy(entry.path, to, follow_symlinks=False)


def control(text: str) -> int:
    """Say something to the monitor of this pod; its answer goes to standard output."""
    _, answer = _of_monitor(json.loads(text))
    print(json.dumps(answer if answer is not None else {"gone": True}))
    return 0


def _of_monitor(wish: Dict[str, Any]) -> Tuple[str, Optional[Dict[str, Any]]]:
    """(the attempt's folder, the monitor's answer)"""
    for name in os.listdir(RUN_PATH):
        path = os.path.join(RUN_PATH, name)
        if name[0].isdigit() and os.path.isdir(path):
            nodes = [entry for entry in os.listdir(path) if entry.startswith("node")]
            return path, _ask(os.path.join(path, max(nodes, key=lambda entry: int(entry[4:]))), wish)
    return "", None


def _ask(folder: str, wish: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(10.0)
    try:
        connection.connect(os.path.join(folder, "control"))
        connection.sendall(json.dumps(wish).encode() + b"\n")
        data = b""
        while not data.endswith(b"\n"):
            part = connection.recv(65536)
            if not part:
                return None
            data += part
    except OSError:
        return None
    finally:
        connection.close()
    answer = json.loads(data)
    return answer if isinstance(answer, dict) else None


def output(text: str) -> int:
    """A line that says from where on, and the bytes of a stream that the monitor keeps, or of a file, to where it ends
    now or as many as were asked for."""
    asked = json.loads(text)
    path, at, left = asked.get("path"), int(asked["from"]), int(asked.get("bytes", 1 << 62))
    if path is None:
        folder, answer = _of_monitor({"do": "account"})
        account = (answer or {}).get("account", {}).get(asked["stream"])
        if account is None:
            print(json.dumps({"gone": True}))
            return 0
        path, at = os.path.join(folder, asked["stream"]), max(at, account["floor"])
        left = account["size"] - at
    with open(path, "rb") as file:
        file.seek(at)
        sys.stdout.buffer.write(json.dumps({"from": at}).encode() + b"\n")
        while left > 0:
            data = file.read(min(left, outputs.READ_BYTES))
            if not data:
                break
            sys.stdout.buffer.write(data)
            left -= len(data)
    sys.stdout.buffer.flush()
    return 0


def main(argv: List[str], library: str) -> int:
    if argv[:1] == ["run"]:
        return run(library)
    if argv[:1] == ["control"] and len(argv) == 2:
        return control(argv[1])
    if argv[:1] == ["output"] and len(argv) == 2:
        return output(argv[1])
    if argv[:1] == ["copy"] and len(argv) == 3:
        copy_into(argv[1], argv[2])
        return 0
    print("usage: run | control JSON | output JSON | copy FROM TO", file=sys.stderr)
    return 2
