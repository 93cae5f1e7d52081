"""srun at one node of its step: the ranks here, their output and input, signals to them and their ends."""

from __future__ import annotations

import os
import selectors
import signal
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Set

from bridge.agent import mpi_launchers, mpi_ranks, pmi_ranks, pmix_ranks, ranks, step_environment, wire
from bridge.agent.step_peer import Peer

if TYPE_CHECKING:
    from bridge.agent.stepd import Service, Timer

_GATHER_SECONDS = 0.05
"""Tasks that end within it are told of together."""


class Launch(Peer):
    """srun at one node of the step: its ranks here."""

    def __init__(self, service: Service, link: wire.Link) -> None:
        super().__init__(service, link)
        self.ranks: List[ranks.Rank] = []
        self._paused: Set[int] = set()
        self._started = False
        self._early: List[Callable[[], None]] = []
        """Signals and input that came while there were no ranks yet: a PMIx server takes its time."""
        self._is_done = False
        self._mark = b""
        self._gathering: Optional[Timer] = None
        self._mpi = mpi_ranks.MpiRanks()

    def on_frame(self, kind: int, rank: int, data: bytes) -> None:
        if kind == wire.CONTROL:
            message = wire.read_control(data)
            if message.get("do") == "launch" and not self._started:
                self._start(message)
            elif message.get("do") == "signal":
                self.signal(int(message["number"]), message.get("ranks"))
            elif "mpi" in message:
                self._mpi.from_srun(message["mpi"])
        elif kind in (wire.STDIN, wire.STDIN_END):
            self._feed(rank, data, ends=kind == wire.STDIN_END)

    def _start(self, message: Dict[str, Any]) -> None:
        self.service.launches.add(self)
        self._mpi = self._serve_mpi(message)
        self._mpi.when_ready(lambda: self._start_ranks(message))

    def _serve_mpi(self, message: Dict[str, Any]) -> mpi_ranks.MpiRanks:
        wanted = message.get("mpi") or {}
        numbers = [int(task["rank"]) for task in message["tasks"]]
        if wanted.get("kind") == "pmix":
            environment = message["environment"]
            return pmix_ranks.PmixRanks(self.service, wanted, numbers, environment, self._tell_mpi)
        if wanted.get("kind") == "pmi2":
            return pmi_ranks.PmiRanks(self.service, wanted, numbers, self._tell_mpi)
        return self._mpi

    def _tell_mpi(self, message: Dict[str, Any]) -> None:
        self.send(wire.control({"mpi": message}))

    def _start_ranks(self, message: Dict[str, Any]) -> None:
        if not self.is_open:
            self._finish()
            return
        self._started = True
        self._mark = f"SLURM_STEP_ID={message['step_id']}".encode()
        options: Dict[str, Any] = {name: message.get(name) for name in ("task-prolog", "task-epilog")}
        options.update(umask=int(message["umask"]), chdir=str(message["chdir"]), append=bool(message["append"]))
        options["rlimits"] = [(str(n), int(s), int(h)) for n, s, h in message["rlimits"]]
        tasks = message["tasks"]
        memory = mpi_launchers.make_memory_folder(self.service.launch, self.service.index)
        common = step_environment.of_job(self.service.launch, message["environment"], tasks[0]["argv"] if tasks else ())
        for task in tasks:
            environment = {**common, **self.service.environment_of_node, **task["environment"]}
            if message.get("exports_all", True):
                mpi_launchers.complete(environment, memory)
            files = {name: task.get(name) for name in ("stdin", "stdout", "stderr")}
            number = int(task["rank"])
            try:
                for_mpi, inherited = self._mpi.before_start(number)
                more = {**files, "inherited": inherited}
                rank = ranks.start(number, task["argv"], {**environment, **for_mpi}, {**options, **more})
            except OSError as error:
                self.send(wire.control({"failed": number, "why": error.strerror or str(error)}))
                continue
            self._mpi.after_start(number)
            self.ranks.append(rank)
            for fd in rank.outputs():
                self._listen(fd, rank)
        self.send(wire.control({"started": [rank.number for rank in self.ranks]}))
        for call in self._early:
            call()
        self._early.clear()
        if not self.ranks:
            self._finish()

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
        if not self._started:
            self._early.append(lambda: self._feed(number, data, ends=ends))
            return
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
        if not self._started:
            self._early.append(lambda: self.signal(number, numbers))
            return
        for rank in self.ranks:
            if numbers is None or rank.number in numbers:
                rank.signal(number)

    def advance(self) -> None:
        """Tell ends, each after the output that came before it; finish when the last is told."""
        if self._is_done or not self._started:
            return
        ready = [rank for rank in self.ranks if not rank.is_alive and not rank.is_told and self._has_said_all(rank)]
        is_last = all(rank.is_told or rank in ready for rank in self.ranks)
        if ready and not is_last and self._gathering is None:
            self._gathering = self.service.later(_GATHER_SECONDS, self.advance)
            return
        if self._gathering is not None:
            if not (is_last or self._gathering.is_off):
                return
            self._gathering.is_off = True
            self._gathering = None
        if ready:
            for rank in ready:
                rank.is_told = True
            self.send(wire.control({"ended": [rank.end() for rank in ready]}))
        if is_last:
            self._finish()

    def _has_said_all(self, rank: ranks.Rank) -> bool:
        """Read what it wrote before its end. False: srun is slow, and gets that first."""
        self._mpi.drain(rank.number)
        for fd in list(rank.outputs()):
            while fd not in self._paused and self._hear(fd, rank):
                pass
        return not (self.is_open and any(fd in self._paused for fd in rank.outputs()))

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
        self._mpi.close()
        self.service.launches.discard(self)
        self.send(wire.control({"done": True}))

    def on_close(self) -> None:
        """srun is gone: what it started goes with it."""
        if not self._is_done and self._started:
            self.signal(signal.SIGCONT, None)
            self.signal(signal.SIGKILL, None)
