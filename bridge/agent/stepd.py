"""The step service of one node: runs as the job's user, talks to srun and to the other nodes' services.

The first node's also keeps the allocation: it gives steps their ids and CPUs, and lets them wait for room. What
a connection is for is its purpose: `node` (a service reports to the first one), `step` (srun asks for a step; it
lasts as long as the connection) and `launch` (srun starts ranks here; they end with the connection).
One loop, one thread, nothing in it waits.
"""

from __future__ import annotations

import contextlib
import grp
import os
import selectors
import signal
import socket
import time
from typing import Any, Callable, Dict, List, NoReturn, Optional, Set, Type

from bridge.agent import layout, lines, namespaces, wire
from bridge.agent.step_peer import Greeting, NodeReport, Peer, Reporter
from bridge.agent.step_room import StepRequest
from bridge.agent.step_tasks import Launch

_MOST_STRANGERS = 256
"""Connections that have not proved themselves; further ones wait in the kernel."""

_PURPOSES: Dict[str, Type[Peer]] = {"node": NodeReport, "step": StepRequest, "launch": Launch}


def serve(listener: socket.socket, channel: socket.socket, launch: Dict[str, Any], node_index: int) -> NoReturn:
    """Until the monitor says `end`, or is gone."""
    service = Service(listener, channel, launch, node_index)
    try:
        service.run()
    finally:
        os._exit(0)


class Timer:
    """Something to be done at a moment of the monotonic clock, unless it is called off before."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at, self.call = at, call
        self.is_off = False


class Service:
    def __init__(self, listener: socket.socket, channel: socket.socket, launch: Dict[str, Any], index: int) -> None:
        self.launch, self.index = launch, index
        self.key = bytes.fromhex(launch["key"])
        self.nodes: List[Dict[str, Any]] = launch["nodes"]
        self.selector = selectors.DefaultSelector()
        names, cpus = [node["name"] for node in self.nodes], [node["cpus"] for node in self.nodes]
        self.allocation = layout.Allocation(names, cpus, tuple(launch.get("memory_limit_mib") or ()))
        self.next_step_id = int(launch.get("first_step_id") or 0)
        self.waiting: List[StepRequest] = []
        self.launches: Set[Launch] = set()
        self.environment_of_node = self._environment_of_node()
        self._listener = listener
        self._channel = lines.Lines(channel)
        self._reported = {0}
        self._strangers: Set[Greeting] = set()
        self._timers: List[Timer] = []
        self._is_deaf = False
        self._is_ending = False

    def run(self) -> None:
        with contextlib.suppress(OSError):
            namespaces.become_subreaper()
            namespaces.name_process("bridge-steps")
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
            Reporter(self).report()
        elif len(self.nodes) == 1:
            self.tell_monitor({"event": "all_reported"})
        while not (self._is_ending and not self.launches):
            for key, events in self.selector.select(self._patience()):
                if self.selector.get_map().get(key.fd) is key:  # not closed by one before it
                    key.data(events)
            self._mind_clock()

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = Timer(time.monotonic() + seconds, call)
        self._timers.append(timer)
        return timer

    def _patience(self) -> Optional[float]:
        self._timers = [timer for timer in self._timers if not timer.is_off]
        return max(0.0, min(timer.at for timer in self._timers) - time.monotonic()) if self._timers else None

    def _mind_clock(self) -> None:
        if self._timers:
            now = time.monotonic()
            for timer in [timer for timer in self._timers if timer.at <= now and not timer.is_off]:
                timer.is_off = True
                timer.call()

    def _environment_of_node(self) -> Dict[str, str]:
        """Names and devices of this node, and where its service is. HOSTNAME stays the batch script's, as in Slurm."""
        every = self.launch.get("node_environment") or []
        own = dict(every[self.index]) if self.index < len(every) else {}
        own.pop("HOSTNAME", None)
        node = self.nodes[self.index]
        gpus = own.pop("SLURM_JOB_GPUS", None)
        if gpus is not None:
            own["SLURM_STEP_GPUS"] = gpus
        own["BRIDGE_AGENT"] = f"{node['address']}:{node['port']}"
        with contextlib.suppress(KeyError, OSError):
            own["SLURM_JOB_GROUP"] = grp.getgrgid(os.getgid()).gr_name
        return own

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
            elif message.get("do") == "began":
                self.launch["began_at"] = int(message["at"])
            elif message.get("do") == "end":
                self._is_ending = True
                self._end_all(signal.SIGTERM)

    def _end_all(self, number: int) -> None:
        for one in list(self.launches):
            one.signal(signal.SIGCONT, None)
            one.signal(number, None)

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
            self._strangers.add(Greeting(self, connection))

    def forget_stranger(self, stranger: Greeting) -> None:
        self._strangers.discard(stranger)
        if self._is_deaf:
            self._is_deaf = False
            self.selector.register(self._listener, selectors.EVENT_READ, lambda _: self._accept())

    def welcome(self, connection: socket.socket, purpose: str, rest: bytes) -> None:
        kind = _PURPOSES.get(purpose)
        if kind is None:
            connection.close()
            return
        kind(self, wire.Link(connection, rest)).open()

    # ── steps of the allocation (first node only) ─────────────────────────────────────────────────

    def try_waiting(self) -> None:
        for request in list(self.waiting):
            request.try_to_place()

    # ── children ──────────────────────────────────────────────────────────────────────────────────

    def _reap(self, woken: socket.socket) -> None:
        with contextlib.suppress(OSError):
            woken.recv(4096)
        by_pid = {rank.pid: (one, rank) for one in self.launches for rank in one.ranks if rank.is_alive}
        touched: Set[Launch] = set()
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in by_pid:
                one, rank = by_pid[pid]
                rank.take_end(status, usage)
                touched.add(one)
        for one in touched:
            one.advance()
