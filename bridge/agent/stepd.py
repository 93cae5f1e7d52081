"""The step service of one node: runs as the job's user, talks to srun and to the other nodes' services.

The first node's also keeps the allocation: it gives steps their ids and CPUs, and lets them wait for room. What
a connection is for is its purpose: `node` (a service reports to the first one), `step` (srun asks for a step; it
lasts as long as the connection) and `launch` (srun starts ranks here; they end with the connection).
One loop, one thread, nothing in it waits.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any, Callable, Dict, List, NoReturn, Optional, Set

from bridge.agent import layout, lines, namespaces, ranks, wire

_MOST_STRANGERS = 256
"""Connections that have not proved themselves; further ones wait in the kernel."""

_REPORT_RETRY_SECONDS = 0.05


def serve(listener: socket.socket, channel: socket.socket, launch: Dict[str, Any], node_index: int) -> NoReturn:
    """Until the monitor says `end`, or is gone."""
    service = Service(listener, channel, launch, node_index)
    try:
        service.run()
    finally:
        os._exit(0)


class Service:
    def __init__(self, listener: socket.socket, channel: socket.socket, launch: Dict[str, Any], index: int) -> None:
        self.launch, self.index = launch, index
        self.key = bytes.fromhex(launch["key"])
        self.nodes: List[Dict[str, Any]] = launch["nodes"]
        self.selector = selectors.DefaultSelector()
        self.allocation = layout.Allocation([n["name"] for n in self.nodes], [n["cpus"] for n in self.nodes])
        self.next_step_id = int(launch.get("first_step_id") or 0)
        self.waiting: List[StepRequest] = []
        self.launches: Set[Launch] = set()
        self._listener = listener
        self._channel = lines.Lines(channel)
        self._reported = {0}
        self._strangers: Set[Greeting] = set()
        self._is_deaf = False
        self._is_ending = False
        self._report: Optional[Callable[[], None]] = None
        self._report_at = 0.0

    def run(self) -> None:
        with contextlib.suppress(OSError):
            namespaces.become_subreaper()
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._listener.setblocking(False)
        self.selector.register(woken, selectors.EVENT_READ, lambda _: self._reap(woken))
        self.selector.register(self._listener, selectors.EVENT_READ, lambda _: self._accept())
        self.selector.register(self._channel, selectors.EVENT_READ, lambda _: self._hear_monitor())
        if self.index > 0:
            self._report = self._report_to_first
        elif len(self.nodes) == 1:
            self.tell_monitor({"event": "all_reported"})
        while not (self._is_ending and not self.launches):
            for key, events in self.selector.select(self._patience()):
                if self.selector.get_map().get(key.fd) is key:  # not closed by one before it
                    key.data(events)
            self._mind_clock()

    def _patience(self) -> Optional[float]:
        moments = [stranger.deadline for stranger in self._strangers]
        if self._report is not None:
            moments.append(self._report_at)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _mind_clock(self) -> None:
        now = time.monotonic()
        for stranger in [s for s in self._strangers if s.deadline <= now]:
            self.drop_stranger(stranger)
        if self._report is not None and self._report_at <= now:
            self._report()

    # ── the monitor ───────────────────────────────────────────────────────────────────────────────

    def tell_monitor(self, message: Dict[str, Any]) -> None:
        try:
            self._channel.send(message)
        except lines.Closed:
            self._end_all(signal.SIGKILL)

    def _hear_monitor(self) -> None:
        try:
            messages = self._channel.receive()
        except lines.Closed:
            self._end_all(signal.SIGKILL)
            os._exit(0)
        for message in messages:
            if message.get("do") == "signal":
                for one in self.launches:
                    one.signal(int(message["number"]), None)
            elif message.get("do") == "end":
                self._is_ending = True
                self._end_all(signal.SIGTERM)

    def _end_all(self, number: int) -> None:
        for one in list(self.launches):
            one.signal(signal.SIGCONT, None)
            one.signal(number, None)

    def _report_to_first(self) -> None:
        """The first node may be later than we are: tried until it is there. The monitor's patience ends it."""
        first = self.nodes[0]
        try:
            connection = wire.connect((first["address"], first["port"]), self.key, "node", seconds=2.0)
            connection.sendall(wire.control({"node": self.index}))
        except (OSError, wire.WireError):
            self._report_at = time.monotonic() + _REPORT_RETRY_SECONDS
            return
        connection.close()
        self._report = None

    def node_reported(self, index: object) -> None:
        if isinstance(index, int) and 0 < index < len(self.nodes):
            self._reported.add(index)
            if len(self._reported) == len(self.nodes):
                self.tell_monitor({"event": "all_reported"})

    # ── connections ───────────────────────────────────────────────────────────────────────────────

    def _accept(self) -> None:
        while True:
            if len(self._strangers) >= _MOST_STRANGERS:
                self.selector.unregister(self._listener)
                self._is_deaf = True
                return
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            stranger = Greeting(self, connection)
            self._strangers.add(stranger)
            self.selector.register(connection, selectors.EVENT_READ, stranger.hear)

    def drop_stranger(self, stranger: "Greeting", *, close: bool = True) -> None:
        self._strangers.discard(stranger)
        self.selector.unregister(stranger.connection)
        if self._is_deaf:
            self._is_deaf = False
            self.selector.register(self._listener, selectors.EVENT_READ, lambda _: self._accept())
        if close:
            stranger.connection.close()

    def welcome(self, stranger: "Greeting", purpose: str, rest: bytes) -> None:
        self.drop_stranger(stranger, close=False)
        link = wire.Link(stranger.connection, rest)
        kinds: Dict[str, Callable[[Service, wire.Link], Peer]] = {
            "node": NodeReport,
            "step": StepRequest,
            "launch": Launch,
        }
        if purpose not in kinds:
            link.close()
            return
        kinds[purpose](self, link).open()

    # ── steps of the allocation (first node only) ─────────────────────────────────────────────────

    def try_waiting(self) -> None:
        for request in list(self.waiting):
            request.try_to_place()

    # ── children ──────────────────────────────────────────────────────────────────────────────────

    def _reap(self, woken: socket.socket) -> None:
        with contextlib.suppress(OSError):
            woken.recv(4096)
        by_pid = {rank.pid: (one, rank) for one in self.launches for rank in one.ranks if rank.is_alive}
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in by_pid:
                one, rank = by_pid[pid]
                rank.wait_status = status
                rank.user_seconds, rank.system_seconds = usage.ru_utime, usage.ru_stime
                rank.max_rss_kib = usage.ru_maxrss
                one.advance()


class Greeting:
    """A connection that has not proved itself yet."""

    def __init__(self, service: Service, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.deadline = time.monotonic() + wire.HELLO_SECONDS
        self._service = service
        self._server = wire.Server(service.key)

    def hear(self, _: int) -> None:
        try:
            data = self.connection.recv(wire.HELLO_LIMIT_BYTES)
            if not data:
                raise wire.WireError("closed")
            answer, rest = self._server.feed(data)
            if answer and self.connection.send(answer) != len(answer):
                raise wire.WireError("does not read")
        except BlockingIOError:
            return
        except (OSError, wire.WireError, ValueError):  # ValueError: text that is none
            self._service.drop_stranger(self)
            return
        if rest is not None:
            self._service.welcome(self, self._server.purpose, rest)


class Peer:
    """A proved connection. Subclasses say what a frame means and what its end does."""

    def __init__(self, service: Service, link: wire.Link) -> None:
        self.service, self.link = service, link
        self.is_open = False

    def open(self) -> None:
        with contextlib.suppress(OSError):
            self.link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_open = True
        self._watching = selectors.EVENT_READ
        self.service.selector.register(self.link, self._watching, self._on_events)
        self._take_frames()

    def _on_events(self, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                if not self.link.receive():
                    self._take_frames()
                    self.close()
                    return
                self._take_frames()
            if self.is_open and events & selectors.EVENT_WRITE:
                self.link.flush()
        except OSError:
            self.close()
            return
        self.on_flushed()
        self._watch()

    def _take_frames(self) -> None:
        try:
            for kind, rank, data in self.link.frames:
                self.on_frame(kind, rank, data)
                if not self.is_open:
                    return
        except (wire.WireError, KeyError, TypeError, ValueError, IndexError) as error:
            print(f"step service: a peer is cut off: {error!r}", file=sys.stderr)
            self.close()

    def _watch(self) -> None:
        """Writing is waited for only while something is unsent."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.link.wants_to_write else 0)
        if self.is_open and wanted != self._watching:
            self._watching = wanted
            self.service.selector.modify(self.link, wanted, self._on_events)

    def send(self, data: bytes) -> None:
        if not self.is_open:
            return
        try:
            self.link.send(data)
        except OSError:
            self.close()
            return
        self._watch()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.service.selector.unregister(self.link)
            self.link.close()
            self.on_close()

    def on_frame(self, kind: int, rank: int, data: bytes) -> None: ...

    def on_flushed(self) -> None: ...

    def on_close(self) -> None: ...


class NodeReport(Peer):
    def on_frame(self, kind: int, rank: int, data: bytes) -> None:
        self.service.node_reported(wire.read_control(data).get("node"))


class StepRequest(Peer):
    """srun at the first node: asks for a step, holds it while connected, says how it ended."""

    step_id: Optional[int] = None
    wish: Optional[layout.Wish] = None
    record: Optional[Dict[str, Any]] = None

    def on_frame(self, kind: int, rank: int, data: bytes) -> None:
        message = wire.read_control(data)
        if message.get("do") == "create" and self.wish is None:
            if self.service.index != 0:
                first = self.service.nodes[0]
                self.send(wire.control({"first": [first["address"], first["port"]]}))
                return
            self.wish = layout.read_wish(message["wish"])
            self._name = str(message["name"])
            self.service.waiting.append(self)
            self.try_to_place(is_first=True)
        elif message.get("do") == "ended" and self.record is not None:
            for name in ("exit_status", "signal", "max_rss_kib"):
                self.record[name] = int(message.get(name) or 0)
            for name in ("user_seconds", "system_seconds"):
                self.record[name] = float(message.get(name) or 0.0)
            self._told_end = True

    _told_end = False

    def try_to_place(self, *, is_first: bool = False) -> None:
        assert self.wish is not None
        try:
            parts = self.service.allocation.place(self.wish)
        except layout.Busy as busy:
            if is_first:
                self.send(wire.control({"waits": str(busy)}))
            return
        except layout.Refused as refused:
            self.service.waiting.remove(self)
            self.send(wire.control({"refused": str(refused)}))
            return
        self.service.waiting.remove(self)
        self.step_id = self.service.next_step_id
        self.service.next_step_id += 1
        self.service.allocation.take(self.step_id, parts)
        nodes = self.service.nodes
        self.record = {
            "event": "step",
            "step_id": self.step_id,
            "name": self._name[:256],
            "node_list": [nodes[part.node]["name"] for part in parts],
            "tasks": sum(len(part.ranks) for part in parts),
            "cpus": sum(part.cpus or len(part.ranks) * self.wish.cpus_per_task for part in parts),
            "started_at": time.time(),
            "ended_at": None,
            "exit_status": 0,
            "signal": 0,
        }
        self.service.tell_monitor(dict(self.record))
        shown = [
            {
                "node": part.node,
                "name": nodes[part.node]["name"],
                "address": nodes[part.node]["address"],
                "port": nodes[part.node]["port"],
                "ranks": list(part.ranks),
                "cpus": part.cpus or nodes[part.node]["cpus"],
            }
            for part in parts
        ]
        self.send(wire.control({"step_id": self.step_id, "parts": shown, "job_id": self.service.launch["job_id"]}))

    def on_close(self) -> None:
        if self in self.service.waiting:
            self.service.waiting.remove(self)
        if self.step_id is not None and self.record is not None:
            if not self._told_end:  # srun was killed: its ranks are killed too
                self.record["signal"] = int(signal.SIGKILL)
            self.record["ended_at"] = time.time()
            self.service.tell_monitor(self.record)
            self.service.allocation.give_back(self.step_id)
            self.service.try_waiting()


class Launch(Peer):
    """srun at one node of the step: its ranks here."""

    def __init__(self, service: Service, link: wire.Link) -> None:
        super().__init__(service, link)
        self.ranks: List[ranks.Rank] = []
        self._paused: Set[int] = set()
        self._started = False
        self._is_done = False
        self._mark = b""

    def on_frame(self, kind: int, rank: int, data: bytes) -> None:
        if kind == wire.CONTROL:
            message = wire.read_control(data)
            if message.get("do") == "launch" and not self._started:
                self._start(message)
            elif message.get("do") == "signal":
                self.signal(int(message["number"]), message.get("ranks"))
        elif kind in (wire.STDIN, wire.STDIN_END):
            self._feed(rank, data, ends=kind == wire.STDIN_END)

    def _start(self, message: Dict[str, Any]) -> None:
        self._started = True
        self.service.launches.add(self)
        self._mark = f"SLURM_STEP_ID={message['step_id']}".encode()
        options = {"umask": int(message["umask"]), "chdir": str(message["chdir"]), "append": bool(message["append"])}
        options["rlimits"] = [(str(n), int(s), int(h)) for n, s, h in message["rlimits"]]
        here = self._variables_of_node()
        for task in message["tasks"]:
            environment = {**message["environment"], **here, **task["environment"]}
            files = {name: task.get(name) for name in ("stdin", "stdout", "stderr")}
            try:
                rank = ranks.start(int(task["rank"]), task["argv"], environment, {**options, **files})
            except OSError as error:
                self.send(wire.control({"failed": int(task["rank"]), "why": os.strerror(error.errno or 0)}))
                continue
            self.ranks.append(rank)
            for fd in rank.outputs():
                self._listen(fd, rank)
        self.send(wire.control({"started": [rank.number for rank in self.ranks]}))
        if not self.ranks:
            self._finish()

    def _variables_of_node(self) -> Dict[str, str]:
        """Names and devices of this node, and where its service is. HOSTNAME stays the batch script's, as in Slurm."""
        index = self.service.index
        every = self.service.launch.get("node_environment") or []
        own = dict(every[index]) if index < len(every) else {}
        own.pop("HOSTNAME", None)
        node = self.service.nodes[index]
        own["BRIDGE_AGENT"] = f"{node['address']}:{node['port']}"
        return own

    # ── output ────────────────────────────────────────────────────────────────────────────────────

    def _listen(self, fd: int, rank: ranks.Rank) -> None:
        self.service.selector.register(fd, selectors.EVENT_READ, lambda _, fd=fd, rank=rank: self._hear(fd, rank))

    def _hear(self, fd: int, rank: ranks.Rank) -> bool:
        """Pass on what is there. False when there is no more for now."""
        if self.link.is_full:
            self._paused.add(fd)
            self.service.selector.unregister(fd)
            return False
        kind = rank.outputs()[fd]
        try:
            data = os.read(fd, wire.CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._forget_output(fd, rank)
            return False
        self.send(wire.frame(kind, rank.number, data))
        return self.is_open

    def _forget_output(self, fd: int, rank: ranks.Rank) -> None:
        if fd in self._paused:
            self._paused.discard(fd)
        else:
            self.service.selector.unregister(fd)
        rank.close_output(fd)

    def on_flushed(self) -> None:
        if self._paused and not self.link.is_full:
            for rank in self.ranks:
                for fd in list(rank.outputs()):
                    if fd in self._paused:
                        self._paused.discard(fd)
                        self._listen(fd, rank)
        if self._started:
            self.advance()

    # ── input ─────────────────────────────────────────────────────────────────────────────────────

    def _feed(self, number: int, data: bytes, *, ends: bool) -> None:
        for rank in self.ranks:
            if number not in (wire.ALL_RANKS, rank.number) or rank.stdin is None:
                continue
            if data:
                rank.unread_input.append(data)
            rank.input_ends = rank.input_ends or ends
            self._push(rank)
        self._acknowledge()

    def _push(self, rank: ranks.Rank) -> None:
        had = rank.stdin
        rank.feed()
        if had is None:
            return
        is_watched = had in self.service.selector.get_map()
        if rank.stdin is None or not rank.unread_input:
            if is_watched:
                # A closed descriptor has left the selector's set already; the map has not noticed.
                self.service.selector.unregister(had)
        elif not is_watched:
            self.service.selector.register(had, selectors.EVENT_WRITE, lambda _, rank=rank: self._push_more(rank))

    def _push_more(self, rank: ranks.Rank) -> None:
        self._push(rank)
        self._acknowledge()

    def _acknowledge(self) -> None:
        """srun may send more once the slowest rank has read what it got."""
        backlog = max((sum(map(len, rank.unread_input)) for rank in self.ranks), default=0)
        self.send(wire.control({"input_backlog": backlog}))

    # ── signals and the end ───────────────────────────────────────────────────────────────────────

    def signal(self, number: int, numbers: Optional[List[int]]) -> None:
        for rank in self.ranks:
            if numbers is None or rank.number in numbers:
                rank.signal(number)

    def advance(self) -> None:
        """Tell ends, each after the output that came before it; finish when the last is told."""
        if self._is_done or not self._started:
            return
        told: List[Dict[str, Any]] = []
        for rank in self.ranks:
            if rank.is_alive or rank.is_told:
                continue
            for fd in list(rank.outputs()):
                if fd in self._paused:
                    continue
                while self._hear(fd, rank):
                    pass
            if self.is_open and any(fd in self._paused for fd in rank.outputs()):
                continue  # srun is slow: its output first
            rank.is_told = True
            told.append(
                {
                    "rank": rank.number,
                    "status": rank.wait_status,
                    "max_rss_kib": rank.max_rss_kib,
                    "user_seconds": rank.user_seconds,
                    "system_seconds": rank.system_seconds,
                }
            )
        if told:
            self.send(wire.control({"ended": told}))
        if all(rank.is_told for rank in self.ranks):
            self._finish()

    def _finish(self) -> None:
        if self._is_done:
            return
        self._is_done = True
        others = any(one is not self and not one._is_done for one in self.service.launches)
        ranks.kill_leftovers(ranks.leftovers(self.ranks, self._mark, is_alone=not others))
        for rank in self.ranks:
            for fd in list(rank.outputs()):
                if fd not in self._paused:
                    while self._hear(fd, rank):
                        pass
                if fd in rank.outputs():
                    self._forget_output(fd, rank)
            stdin = rank.stdin
            if stdin is not None and stdin in self.service.selector.get_map():
                self.service.selector.unregister(stdin)
            rank.close()
        self.service.launches.discard(self)
        self.send(wire.control({"done": True}))

    def on_close(self) -> None:
        """srun is gone: what it started goes with it."""
        if not self._is_done and self._started:
            self.signal(signal.SIGCONT, None)
            self.signal(signal.SIGKILL, None)
