"""The PMIx server of a step on one node, seen from the step service: started, asked, passed on to, ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from bridge.agent import cage, mpi_ranks, user, wire

if TYPE_CHECKING:
    from bridge.agent.stepd import Service

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pmix_server.py")
_FOLDERS = "/tmp"  # noqa: S108  (paths of sockets must be short)
_FOR_LIBRARIES = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "HOME")


class PmixRanks(mpi_ranks.MpiRanks):
    """`tell`: a message for srun; `environment`: of the step, where libpmix may be looked for."""

    def __init__(
        self,
        service: Service,
        wanted: Mapping[str, Any],
        numbers: Sequence[int],
        environment: Mapping[str, str],
        tell: Callable[[Dict[str, Any]], None],
    ) -> None:
        self._service, self._tell, self._wanted = service, tell, wanted
        self._environments: Dict[int, Dict[str, str]] = {}
        self._start: Optional[Callable[[], None]] = None
        self._folder = os.path.join(_FOLDERS, f"bridge-pmix-{os.urandom(8).hex()}")
        self._link: Optional[wire.Link] = None
        self._watched = selectors.EVENT_READ
        try:
            os.mkdir(self._folder, 0o700)
            self._link = wire.Link(self._start_server(environment))
        except OSError as error:
            self._lose(str(error))
            return
        service.selector.register(self._link, self._watched, self._on_events)
        node = next(place for place, ranks in enumerate(wanted["ranks"]) if numbers[0] in ranks)
        self._send({**wanted, "node": node, "folder": self._folder})

    def _start_server(self, environment: Mapping[str, str]) -> socket.socket:
        """The connection to it. Raises OSError."""
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            try:
                self._become_server(theirs.fileno(), environment)
            finally:
                os._exit(1)
        theirs.close()
        return ours

    @staticmethod
    def _become_server(connection: int, environment: Mapping[str, str]) -> None:
        """The image's own Python: ours may have a loader that does not find the image's libraries."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        user.default_signals()
        os.dup2(connection, 0)
        cage.close_all_but(0, 1, 2)
        python = next(filter(os.path.exists, ("/usr/bin/python3", "/usr/local/bin/python3")), sys.executable)
        kept = {name: environment[name] for name in _FOR_LIBRARIES if name in environment}
        kept["PMIX_MCA_psec"] = "native"  # a program's libpmix need not know munge, nor an image have its service
        os.execve(python, [python, "-I", "-S", "-E", _PROGRAM], kept)  # noqa: S606

    def when_ready(self, start: Callable[[], None]) -> None:
        self._start = start
        if self._link is None:  # lost already
            self._begin()

    def before_start(self, number: int) -> Tuple[Dict[str, str], Optional[int]]:
        if number not in self._environments:
            raise OSError(0, "there is no PMIx server")
        job, step = (int(part) if part.isdigit() else 0 for part in str(self._wanted["name"]).split(".")[-2:])
        transports = f"{job:08x}{step:08x}"
        return {
            **self._environments[number],
            "SLURM_MPI_TYPE": str(self._wanted["kind"]),
            "SLURM_PMIX_MAPPING_SERV": str(self._wanted["mapping"]),
            "OMPI_MCA_orte_precondition_transports": f"{transports}-{transports}",
        }, None

    def from_srun(self, message: Dict[str, Any]) -> None:
        self._send(message)

    def _send(self, message: Dict[str, Any]) -> None:
        if self._link is not None:
            try:
                self._link.send(wire.control(message))
            except OSError:
                self._lose("its process is gone")
            self._watch()

    def _watch(self) -> None:
        if self._link is not None:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._link.wants_to_write else 0)
            if wanted != self._watched:
                self._watched = wanted
                self._service.selector.modify(self._link, wanted, self._on_events)

    def _on_events(self, events: int) -> None:
        link = self._link
        if link is None:
            return
        try:
            if events & selectors.EVENT_WRITE:
                link.flush()
            is_open = link.receive()
            for _, _, body in link.frames:
                self._hear(wire.read_control(body))
        except (OSError, wire.WireError, KeyError, ValueError) as error:
            self._lose(str(error))
            return
        if not is_open:
            self._lose("its process ended")
        self._watch()

    def _hear(self, message: Dict[str, Any]) -> None:
        if message["do"] == "ready":
            self._environments = {int(rank): found for rank, found in message["environments"].items()}
            self._begin()
        elif message["do"] == "failed":
            self._lose(str(message["why"]))
        else:
            self._tell(message)

    def _lose(self, why: str) -> None:
        """Without it no rank starts, and those that run will not find each other."""
        self._let_go()
        self._tell({"do": "say", "line": f"error: --mpi=pmix: no PMIx server: {why}; mpirun starts Open MPI programs"})
        self._tell({"do": "abort"})
        self._begin()

    def _begin(self) -> None:
        start, self._start = self._start, None
        if start is not None:
            start()

    def _let_go(self) -> None:
        if self._link is not None:
            self._service.selector.unregister(self._link)
            self._link.close()
            self._link = None

    def close(self) -> None:
        """Without its connection the server ends by itself."""
        self._let_go()
        for folder, folders, files in os.walk(self._folder, topdown=False):
            with contextlib.suppress(OSError):
                for name in files:
                    os.unlink(os.path.join(folder, name))
                for name in folders:
                    os.rmdir(os.path.join(folder, name))
        with contextlib.suppress(OSError):
            os.rmdir(self._folder)
