"""One process a node: starts the script on the first node, keeps the clock, ends what is to be ended, and writes
down how it ended. Needs nobody meanwhile: the bridge may be down.

    waiting ──all nodes there──▶ preparing ──start on record──▶ running ──script ended──▶ closing ──▶ done

The monitors of a group's other nodes have no script: each is connected to the first one's, serves the steps
there, and is done when that one says so or is gone. What runs inside, and how it is held: `cage.py`.
Forked by the zygote; nothing but the operating system lies between this file and the job's processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import signal
import socket
import stat
import sys
import time
import traceback
from typing import Any, Callable, Dict, List, NoReturn, Optional, Set, Tuple

from bridge.agent import (
    batch,
    cage,
    clock,
    journal,
    launch,
    lines,
    measure,
    memory,
    mpi_launchers,
    namespaces,
    node_names,
    processes,
    spool,
    steps,
    texts,
)

_PEER_RETRY_SECONDS = 0.02
_BUSY_SECONDS = 0.1
_LONGEST_SLEEP_SECONDS = 60.0
"""So that a clock that went on while the machine slept is seen."""
_MEMBERS_GRACE_SECONDS = 10.0

_STEP = "step:"
"""Before the number of a step that alone is to be signalled."""


def _now() -> float:
    """Goes on while the machine sleeps, and is not set back."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _is_target(to: object) -> bool:
    if not isinstance(to, str):
        return False
    return to in ("batch", "steps", "all") or (to.startswith(_STEP) and to[len(_STEP) :].isdigit())


class Monitor:
    def __init__(self, directory: str, index: int, listener: Optional[socket.socket], use_namespaces: bool) -> None:
        self._directory = directory
        self._index = index
        self._folder = spool.open_folder(directory)
        self._node_folder = spool.open_folder(f"node{index}", self._folder)
        self._selector = selectors.DefaultSelector()
        self._cage = cage.Cage(use_namespaces)
        self._phase = "waiting"
        self._cause = "exit"
        self._detail = ""
        self._batch: Optional[int] = None
        self._batch_status = 0
        self._child: Optional[socket.socket] = None
        self._stderr: Optional[int] = None
        self._clock: Optional[clock.Clock] = None
        self._kill_at: Optional[float] = None
        self._finish_at: Optional[float] = None
        self._limit_override: Tuple[Optional[float], ...] = ()
        """(new limit,) when it was changed before the script began."""
        self._clients: Set[lines.Lines] = set()
        self._members: Dict[int, lines.Lines] = {}
        self._first: Optional[lines.Lines] = None
        self._first_retry_at = 0.0
        self._usage = {"max_rss_kib": 0, "user_seconds": 0.0, "system_seconds": 0.0}
        self._lock: Optional[int] = None
        self._listener = listener
        self._poke_at: Optional[float] = None
        """When the bridge, being busy, is to be told again."""
        self._others_were_killed = False

    # ── start ─────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Until all is over. Does nothing when another holds the node, or the attempt is past its start."""
        self._lock = spool.lock(self._node_folder)
        if self._lock is None:
            return
        past, _ = journal.read(self._node_folder)
        if any(event["event"] in ("began", "ended", "given_up") for event in past):
            return
        self._journal = journal.Journal(self._node_folder)
        self._poke: Callable[[], bool] = lambda: True
        try:
            self._job = launch.parse(spool.read_own(launch.NAME, self._folder))
            self._poke = journal.Poke(self._job.poke, self._directory)
            self._open()
        except (OSError, ValueError) as error:
            self._give_up(str(error))
            return
        while self._phase != "done":
            self._turn()

    def _open(self) -> None:
        self._name = self._job.nodes[self._index].name
        self._wake_on_children()
        # Before the look for a mark: who finds no socket leaves a mark, so one of the two is seen.
        control = lines.listen("control", self._node_folder)
        self._watch(control, selectors.EVENT_READ, lambda _: self._accept(control))
        if spool.exists(spool.STOP_MARK, self._folder):
            raise ValueError("stopped before its start")
        hosts = f"{self._directory}/node{self._index}/{node_names.FILE}"
        if self._cage.has_own_mounts:
            node_names.write(self._node_folder, self._job.nodes)
        self._cage.open(hosts, is_host_shared=mpi_launchers.is_host_shared(self._job.raw, self._index))
        self._meter = memory.Meter(self._job.memory_limit_mib[self._index], self._cage.measured)
        self._meter.next_at = _now() + 0.05
        self._steps = steps.Steps(self._cage, self._job, self._index, self._listener, self._watch, self._unwatch)
        self._steps.on_record = self._record_step
        self._steps.on_all_reported = self._start_if_ready
        self._patience_at = _now() + self._job.patience_seconds
        if len(self._job.nodes) > 1:
            self._record("reported", durable=False)
            self._steps.start()
        self._start_if_ready()

    def _wake_on_children(self) -> None:
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._watch(reading, selectors.EVENT_READ, lambda _: os.read(reading, 4096))

    def _start_if_ready(self) -> None:
        """The first node starts the script when every other one is there."""
        if self._phase != "waiting" or self._index != 0:
            return
        others = len(self._job.nodes) - 1
        if others and (len(self._members) < others or not self._steps.all_reported):
            return
        self._phase = "preparing"
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._child = ours
        self._batch = self._cage.fork(lambda: batch.run(self._job, self._directory, theirs))
        theirs.close()
        self._watch(ours, selectors.EVENT_READ, lambda _: self._hear_child())

    def _hear_child(self) -> None:
        """The child has everything ready, or cannot start the script."""
        assert self._child is not None
        child, self._child = self._child, None
        self._unwatch(child)
        try:
            data, fds, _, _ = socket.recv_fds(child, 65536, 1, socket.MSG_CMSG_CLOEXEC)
            answer = json.loads(data) if data else None
        except (OSError, ValueError):
            answer, fds = None, []
        if answer is None:
            self._abandon("the script's process was killed before its start")
        elif "failed" in answer:
            self._cause, self._detail = "launch_failed", str(answer["failed"])
            self._finish()
        else:
            self._stderr = fds[0] if fds else None
            self._begin(child)
        child.close()

    def _begin(self, child: socket.socket) -> None:
        if self._batch is None:
            self._abandon("the script's process was killed before its start")
            return
        try:
            once = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open("began", once, 0o600, dir_fd=self._node_folder))
            self._record("began", pid=self._batch, started_ticks=processes.started_ticks(self._batch))
        except OSError as error:
            self._abandon(f"its start cannot be put on record: {error}")
            return
        warning = self._job.warning
        limit = self._limit_override[0] if self._limit_override else self._job.time_limit_seconds
        self._clock = clock.Clock(_now(), limit, warning.before_seconds if warning else None)
        self._phase = "running"
        self._steps.script_begins(int(time.time()))
        with contextlib.suppress(OSError):  # it is dead; the loop will find it
            child.send(batch.GO)

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────

    def _turn(self) -> None:
        self._keep_time()
        if self._phase == "done":
            return
        for key, events in self._selector.select(self._sleep_seconds()):
            key.data(events)
            if self._phase == "done":
                return
        for pid, status in self._cage.reap().items():
            self._bury(pid, status)
            if self._phase == "done":
                return

    def _sleep_seconds(self) -> float:
        now = _now()
        due: List[Optional[float]] = [self._meter.next_at, self._poke_at]
        due.append(self._finish_at if self._finish_at is not None else self._kill_at)
        if self._phase in ("waiting", "preparing") and self._index == 0:
            due.append(self._patience_at)
        if self._index != 0 and self._first is None:
            due.append(self._first_retry_at)
        left = [at - now for at in due if at is not None]
        if self._clock is not None and self._phase == "running" and self._kill_at is None:
            until = self._clock.next_due(now)
            left += [] if until is None else [until]
        return max(0.0, min([*left, _LONGEST_SLEEP_SECONDS]))

    def _keep_time(self) -> None:
        now = _now()
        if self._index != 0 and self._first is None and now >= self._first_retry_at:
            self._join_first(now)
        if self._phase in ("waiting", "preparing") and self._index == 0 and now >= self._patience_at:
            self._abandon(f"its nodes were not all ready within {self._job.patience_seconds} seconds")
            return
        if self._clock is not None and self._phase == "running" and self._kill_at is None:
            if self._clock.take_warning(now):
                self._warn()
            if self._clock.is_over(now):
                self._stop("time_limit")
        if self._poke_at is not None and now >= self._poke_at:
            self._tell_bridge()
        if now >= self._meter.next_at and self._meter.look(now) and self._phase != "preparing":
            self._out_of_memory()
            return
        until = self._finish_at if self._finish_at is not None else self._kill_at
        if until is not None and now >= until and self._phase != "done":
            self._finish()

    def _bury(self, pid: int, status: int) -> None:
        if pid == self._batch:
            self._batch_status = status
            self._batch = None
            if self._phase == "running":
                self._close()
        elif self._steps.is_dead(pid):
            if self._phase == "closing":
                self._finish_when_alone()
            else:
                self._cage.kill_orphans(b"SLURM_STEP_ID")

    def _watch(self, what: Any, events: int, call: Callable[[int], Any]) -> None:
        try:
            self._selector.modify(what, events, call)
        except KeyError:
            self._selector.register(what, events, call)

    def _unwatch(self, what: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(what)

    # ── the end ───────────────────────────────────────────────────────────────────────────────────

    def _warn(self) -> None:
        assert self._job.warning is not None
        if self._job.warning.batch_shell_only:
            self._signal(self._job.warning.number, "batch")
        else:
            self._signal(self._job.warning.number, "steps")

    def _stop(self, cause: str, text: str = "") -> None:
        """TERM to all, and KillWait later the end. The first cause stands."""
        if self._kill_at is not None or self._phase in ("closing", "done"):
            return
        if self._phase in ("waiting", "preparing"):
            self._abandon("stopped before its start")
            return
        self._cause = cause
        self._write_to_job(texts.cancelled(time.time(), self._job.job_id, self._name, text or cause))
        self._kill_at = _now() + self._job.kill_wait_seconds
        self._signal(signal.SIGCONT, "all")
        self._signal(signal.SIGTERM, "all")

    def _out_of_memory(self) -> None:
        if self._index != 0:
            self._tell(self._first, {"out_of_memory": self._name})
        self._detail = f"more than {self._job.memory_limit_mib[self._index]} MiB were used on {self._name}"
        self._end_out_of_memory()

    def _end_out_of_memory(self) -> None:
        self._cause = "out_of_memory"
        self._write_to_job(texts.out_of_memory(time.time(), self._job.job_id))
        self._finish()

    def _close(self) -> None:
        """The script has ended: steps that still run get TERM and KillWait, all else goes at once."""
        self._phase = "closing"
        for member in list(self._members.values()):
            self._tell(member, {"do": "end"})
        self._steps.end()
        until = self._kill_at if self._kill_at is not None else _now() + self._job.kill_wait_seconds
        self._finish_at = until + (_MEMBERS_GRACE_SECONDS if self._members else 0.0)
        self._finish_when_alone()

    def _finish_when_alone(self) -> None:
        if not self._steps.is_running and not self._members:
            self._finish()

    def _finish(self) -> None:
        """Nothing is left alive on any node; then it is put on record. A full disk delays the record, no more."""
        self._steps.end()
        for pid, status in self._cage.end().items():
            if pid == self._batch:
                self._batch_status = status
            else:
                self._steps.is_dead(pid)
        self._steps.clear_up()
        self._batch = None
        if self._members and not self._others_were_killed:
            self._others_were_killed = True
            self._phase = "closing"
            self._finish_at = _now() + _MEMBERS_GRACE_SECONDS
            for member in list(self._members.values()):
                self._tell(member, {"do": "kill"})
            return
        self._add_usage(self._cage.user_seconds, self._cage.system_seconds, self._peak_kib())
        self._phase = "done"
        if self._index != 0:
            self._tell(self._first, {"usage": self._usage})
        if self._cause == "launch_failed":
            exit_status, by_signal = 0, 53
        elif os.WIFSIGNALED(self._batch_status):
            exit_status, by_signal = 0, os.WTERMSIG(self._batch_status)
        else:
            exit_status, by_signal = os.WEXITSTATUS(self._batch_status), 0
        self._record_at_last(
            "ended",
            exit_status=exit_status,
            signal=by_signal,
            cause=self._cause,
            detail=self._detail,
            derived_exit_status=self._steps.worst_exit_status,
            **self._usage,
        )

    def _peak_kib(self) -> int:
        return max(self._meter.peak_kib, self._cage.max_rss_kib)

    def _add_usage(self, user_seconds: float, system_seconds: float, max_rss_kib: int) -> None:
        """Times are summed over the nodes; memory is that of the node with most."""
        self._usage = {
            "user_seconds": round(self._usage["user_seconds"] + user_seconds, 6),
            "system_seconds": round(self._usage["system_seconds"] + system_seconds, 6),
            "max_rss_kib": max(int(self._usage["max_rss_kib"]), max_rss_kib),
        }

    def _abandon(self, why: str) -> None:
        """Before the script's start only."""
        self._cage.end()
        for member in list(self._members.values()):
            self._tell(member, {"do": "end"})
        self._give_up(why)

    def _give_up(self, why: str) -> None:
        self._phase = "done"
        self._record_at_last("given_up", why=why)

    def _record(self, event: str, *, durable: bool = True, **fields: Any) -> None:
        self._journal.write(event, durable=durable, **fields)
        self._tell_bridge()

    def _tell_bridge(self) -> None:
        self._poke_at = None if self._poke() else _now() + _BUSY_SECONDS

    def _record_at_last(self, event: str, **fields: Any) -> None:
        while True:
            try:
                self._record(event, **fields)
                return
            except OSError as error:
                print(f"{self._directory}: {event} cannot be written, trying again: {error}", file=sys.stderr)
                time.sleep(1.0)

    def _record_step(self, fields: Dict[str, Any]) -> None:
        try:
            # Its place on disk is made sure of together with the end's.
            self._record("step", durable=False, **fields)
        except OSError as error:
            print(f"{self._directory}: a step's record is lost: {error}", file=sys.stderr)

    def _write_to_job(self, line: bytes) -> None:
        """Into its standard error, if that takes it at once."""
        if self._stderr is None:
            return
        try:
            if stat.S_ISREG(os.fstat(self._stderr).st_mode) or select.select([], [self._stderr], [], 0)[1]:
                os.write(self._stderr, line)
        except OSError:
            pass

    # ── signals ───────────────────────────────────────────────────────────────────────────────────

    def _signal(self, number: int, to: str) -> None:
        if to == "batch":
            if self._batch is not None:
                os.kill(self._batch, number)
            return
        self._signal_here(number, to)
        for member in list(self._members.values()):
            self._tell(member, {"do": "signal", "number": number, "to": to})

    def _signal_here(self, number: int, to: str) -> None:
        if to == "all":
            self._cage.signal_all([number])
        elif to.startswith(_STEP):
            for pid in measure.of_step(self._cage.members(), to[len(_STEP) :]):
                processes.send(pid, number)
        else:
            self._steps.signal(number)

    def _pause(self, resume: bool) -> None:
        self._cage.signal_all([signal.SIGCONT if resume else signal.SIGSTOP])
        if self._clock is not None:
            if resume:
                self._clock.resume(_now())
            else:
                self._clock.pause(_now())
        for member in list(self._members.values()):
            self._tell(member, {"do": "resume" if resume else "pause"})

    # ── who talks to us ───────────────────────────────────────────────────────────────────────────

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        if lines.peer_uid(connection) not in (0, os.geteuid()):
            connection.close()
            return
        client = lines.Lines(connection)
        self._clients.add(client)
        self._watch(client, selectors.EVENT_READ, lambda _: self._serve(client))

    def _serve(self, client: lines.Lines) -> None:
        try:
            for message in client.receive():
                client.send(self._obey(message, client))
                if self._phase == "done":
                    return
        except lines.Closed:
            self._drop(client)

    def _drop(self, client: lines.Lines) -> None:
        self._unwatch(client)
        client.close()
        self._clients.discard(client)
        for index, member in list(self._members.items()):
            if member is client:
                del self._members[index]
                self._lose_member(index)

    def _obey(self, message: Dict[str, Any], client: lines.Lines) -> Dict[str, Any]:
        what = message.get("do")
        try:
            if what == "signal":
                if self._phase != "running":
                    return {"error": "not running"}
                if not _is_target(message["to"]):
                    return {"error": f"signal: to {message['to']!r}"}
                self._signal(int(message["number"]), str(message["to"]))
            elif what == "stop":
                if message["why"] not in ("cancel", "requeue", "node_fail"):
                    return {"error": f"stop: why {message['why']!r}"}
                self._stop("stopped", message["why"])
            elif what == "time_limit":
                seconds = None if message["seconds"] is None else float(message["seconds"])
                self._limit_override = (seconds,)
                if self._clock is not None:
                    self._clock.set_limit(seconds)
            elif what in ("pause", "resume"):
                self._pause(what == "resume")
            elif what == "join":
                self._members[int(message["node"])] = client
                self._start_if_ready()
            elif "usage" in message or "out_of_memory" in message:
                self._hear_member(message)
            elif what == "measure":
                return {"ok": True, "tasks": measure.tasks(self._cage.measured())}
            elif what != "ping":
                return {"error": f"unknown request {what!r}"}
        except (KeyError, TypeError, ValueError, OSError) as error:
            return {"error": f"{type(error).__name__}: {error}"}
        return {"ok": True}

    # ── the other nodes of a group ────────────────────────────────────────────────────────────────

    def _hear_member(self, message: Dict[str, Any]) -> None:
        if "usage" in message:
            usage = message["usage"]
            self._add_usage(usage["user_seconds"], usage["system_seconds"], usage["max_rss_kib"])
        elif self._phase == "running":
            self._detail = f"too much memory was used on {message['out_of_memory']}"
            self._end_out_of_memory()

    def _lose_member(self, index: int) -> None:
        name = self._job.nodes[index].name
        if self._phase == "closing":
            self._finish_when_alone()
        elif self._phase == "running":
            self._detail = f"node {name} was lost"
            self._stop("node_fail")
        elif self._phase in ("waiting", "preparing"):
            self._abandon(f"node {name} was lost before the start")

    def _join_first(self, now: float) -> None:
        """Keep trying while the first node's monitor is not there yet; patience ends it."""
        try:
            connection = self._reach_first()
        except OSError:
            if now >= self._patience_at:
                self._leave("the first node did not report")
            self._first_retry_at = now + _PEER_RETRY_SECONDS
            return
        self._first = lines.Lines(connection)
        first = self._first
        self._tell(first, {"do": "join", "node": self._index})
        self._watch(first, selectors.EVENT_READ, lambda _: self._hear_first(first))

    def _reach_first(self) -> socket.socket:
        """Raises OSError when it is not there yet."""
        folder = spool.open_folder("node0", self._folder)
        try:
            return lines.connect("control", folder)
        finally:
            os.close(folder)

    def _hear_first(self, first: lines.Lines) -> None:
        try:
            for message in first.receive():
                what = message.get("do")
                if what == "end":
                    self._leave("")
                elif what == "kill":
                    self._finish()
                elif what == "signal":
                    self._signal_here(int(message["number"]), str(message["to"]))
                elif what in ("pause", "resume"):
                    self._pause(what == "resume")
                if self._phase == "done":
                    return
        except lines.Closed:
            self._unwatch(first)
            self._cause = "node_fail"
            self._detail = "the first node is gone"
            self._finish()

    def _leave(self, why: str) -> None:
        """A node without the script: its steps get TERM and KillWait."""
        self._detail = self._detail or why
        if self._phase == "closing":
            return
        self._phase = "closing"
        self._steps.end()
        self._finish_at = _now() + self._job.kill_wait_seconds
        self._finish_when_alone()

    def _tell(self, peer: Optional[lines.Lines], message: Dict[str, Any]) -> None:
        """Short lines to a peer that reads; one that is gone is found by its reader."""
        if peer is None:
            return
        with contextlib.suppress(lines.Closed):
            peer.send(message)


def main(directory: str, index: int, listener: Optional[socket.socket], use_namespaces: bool) -> NoReturn:
    """In a process of its own, which holds nothing but `listener`."""
    status = 1
    try:
        os.setsid()
        namespaces.name_process("bridge-monitor")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        Monitor(directory, index, listener, use_namespaces).run()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
