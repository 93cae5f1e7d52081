"""The monitor's side of the step service: started when first asked for, told of signals and of the end.

The service runs as the job's user: what it reports is checked for shape and size, and nothing depends on it
but the records of steps.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from typing import Any, Callable, Dict, NoReturn, Optional

from bridge.agent import cage, launch, lines, mpi_launchers, namespaces, stepd, user

_FIELDS: Dict[str, Any] = {
    "step_id": int,
    "name": str,
    "node_list": list,
    "tasks": int,
    "cpus": int,
    "started_at": (int, float),
    "ended_at": (int, float, type(None)),
    "exit_status": int,
    "signal": int,
    "max_rss_kib": int,
    "user_seconds": (int, float),
    "system_seconds": (int, float),
}
_MOST_RECORDS = 200_000
_MOST_RECORD_BYTES = 16 * 1024


class Steps:
    def __init__(
        self,
        inside: cage.Cage,
        job: launch.Launch,
        index: int,
        listener: Optional[socket.socket],
        watch: Callable[[Any, int, Callable[[int], Any]], None],
        unwatch: Callable[[Any], None],
    ) -> None:
        self._cage, self._job, self._index, self._listener = inside, job, index, listener
        self._watch, self._unwatch = watch, unwatch
        self._pid: Optional[int] = None
        self._channel: Optional[lines.Lines] = None
        self._records = 0
        self._open: Dict[int, Dict[str, Any]] = {}
        """Records of steps that have not ended, by their number."""
        self._next_step_id = 0
        """A service that takes over from a dead one goes on counting."""
        self._began_at: Optional[int] = None
        self._is_over = False
        self.all_reported = False
        self.worst_exit_status = 0
        self.on_record: Callable[[Dict[str, Any]], None] = lambda fields: None
        self.on_all_reported: Callable[[], None] = lambda: None
        self._wait_for_first()

    @property
    def is_running(self) -> bool:
        return self._pid is not None

    def _wait_for_first(self) -> None:
        """The service accepts the connection itself; here it is only seen."""
        if self._listener is not None and not self._is_over:
            self._watch(self._listener, selectors.EVENT_READ, lambda _: self.start())

    def start(self) -> None:
        if self._pid is not None or self._listener is None:
            return
        self._unwatch(self._listener)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._pid = self._cage.fork(lambda: self._serve(theirs))
        self._cage.ours.add(self._pid)
        theirs.close()
        self._channel = lines.Lines(ours)
        channel = self._channel
        self._watch(channel, selectors.EVENT_READ, lambda _: self._hear(channel))

    def _serve(self, channel: socket.socket) -> NoReturn:
        """In the child, inside the cage. What is imported is so while it may still be read."""
        assert self._listener is not None
        cage.close_all_but(self._listener.fileno(), channel.fileno())
        os.setsid()
        user.default_signals()
        user.become(self._job)
        namespaces.die_with_parent()
        os.chdir("/")
        os.umask(self._job.batch.umask & 0o777)
        user.set_limits(self._job.batch.rlimits)
        known = {"first_step_id": self._next_step_id, "began_at": self._began_at}
        stepd.serve(self._listener, channel, {**self._job.raw, **known}, self._index)

    def is_dead(self, pid: int) -> bool:
        """Whether `pid`, which has ended, was the service; the next connection starts another."""
        if pid != self._pid:
            return False
        self._pid = None
        if self._channel is not None:
            channel = self._channel
            self._hear(channel)
            self._let_go(channel)
        self._end_what_is_open()
        self._wait_for_first()
        return True

    def _end_what_is_open(self) -> None:
        """A service that was killed told no ends; its tasks went with it."""
        now = time.time()
        for fields in list(self._open.values()):
            self._keep({**fields, "ended_at": now, "signal": int(signal.SIGKILL)})

    def _let_go(self, channel: lines.Lines) -> None:
        self._unwatch(channel)
        channel.close()
        if self._channel is channel:
            self._channel = None

    def _hear(self, channel: lines.Lines) -> None:
        if self._channel is not channel:
            return
        try:
            for message in channel.receive():
                if message.get("event") == "all_reported":
                    self.all_reported = True
                    self.on_all_reported()
                elif message.get("event") == "step":
                    self._record(message)
        except lines.Closed:
            self._let_go(channel)

    def _record(self, message: Dict[str, Any]) -> None:
        fields = {name: message.get(name) for name in _FIELDS}
        fields["max_rss_kib"] = fields["max_rss_kib"] or 0
        fields["user_seconds"] = fields["user_seconds"] or 0.0
        fields["system_seconds"] = fields["system_seconds"] or 0.0
        if not all(isinstance(fields[name], kind) for name, kind in _FIELDS.items()):
            return
        self._records += 1
        if self._records > _MOST_RECORDS or len(repr(fields)) > _MOST_RECORD_BYTES:
            return
        self._keep(fields)

    def _keep(self, fields: Dict[str, Any]) -> None:
        number = int(fields["step_id"])
        if fields["ended_at"] is None:
            self._open[number] = fields
        else:
            self._open.pop(number, None)
        self._next_step_id = max(self._next_step_id, number + 1)
        self.worst_exit_status = max(self.worst_exit_status, min(255, int(fields["exit_status"] or 0)))
        self.on_record(fields)

    def script_begins(self, at: int) -> None:
        """`at`: seconds since 1970."""
        self._began_at = at
        self._tell({"do": "began", "at": at})

    def signal(self, number: int) -> None:
        self._tell({"do": "signal", "number": number})

    def end(self) -> None:
        """TERM to the ranks; the service goes when they have gone, and no other is started."""
        self._is_over = True
        if self._listener is not None:
            self._unwatch(self._listener)
        self._tell({"do": "end"})

    def clear_up(self) -> None:
        """When no process of the job is left on this node; on the first one, on any."""
        if self._index == 0:
            mpi_launchers.remove_memory_folders(self._job.raw)
        else:
            mpi_launchers.remove_memory_folder(self._job.raw, self._index)

    def _tell(self, message: Dict[str, Any]) -> None:
        if self._channel is None:
            return
        try:
            self._channel.send(message)
        except lines.Closed:
            self._let_go(self._channel)
