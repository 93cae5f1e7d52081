"""The sockets between the ranks of a step on one node and its PMI server, in the step service's loop.

Each rank inherits its end; there is never more than one open question a rank, so an answer that its socket does
not take at once is for a rank that broke the rules, and it is cut off.
"""

from __future__ import annotations

import fcntl
import selectors
import socket
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from bridge.agent import mpi_ranks, pmi

if TYPE_CHECKING:
    from bridge.agent.stepd import Service

_READ_BYTES = 64 * 1024


class PmiRanks(mpi_ranks.MpiRanks):
    """`tell`: a message for srun."""

    def __init__(
        self,
        service: Service,
        wanted: Mapping[str, Any],
        numbers: Sequence[int],
        tell: Callable[[Dict[str, Any]], None],
    ) -> None:
        self._service = service
        self._tell = tell
        self._name, self._size = str(wanted["name"]), int(wanted["size"])
        self._ours: Dict[int, socket.socket] = {}
        self._theirs: Dict[int, socket.socket] = {}
        is_alone = int(wanted["nodes"]) == 1
        self._server = pmi.Server(
            self._name, self._size, str(wanted["mapping"]), numbers, is_alone=is_alone, answer=self._send, tell=tell
        )

    def before_start(self, number: int) -> Tuple[Dict[str, str], Optional[int]]:
        """(what the rank finds in its environment, the descriptor that it inherits). Raises OSError."""
        ours, theirs = (_above_standard(end) for end in socket.socketpair())
        ours.setblocking(False)
        self._ours[number], self._theirs[number] = ours, theirs
        self._service.selector.register(ours, selectors.EVENT_READ, lambda _, number=number: self.hear(number))
        found = {
            "SLURM_MPI_TYPE": "pmi2",
            "PMI_FD": str(theirs.fileno()),
            "PMI_JOBID": self._name,
            "PMI_RANK": str(number),
            "PMI_SIZE": str(self._size),
        }
        return found, theirs.fileno()

    def after_start(self, number: int) -> None:
        """Its end is the rank's alone, else its end would never be seen."""
        self._theirs.pop(number).close()

    def hear(self, number: int) -> bool:
        """What the rank has said. False when there is no more for now, or ever."""
        if number not in self._ours:
            return False
        try:
            data = self._ours[number].recv(_READ_BYTES)
            if data:
                self._server.hear(number, data)
                return True
        except BlockingIOError:
            return False
        except OSError:  # it left an answer unread
            pass
        except (ValueError, KeyError) as error:
            self._tell({"do": "say", "line": f"error: task {number} speaks no PMI: {error}"})
        self._cut(number)
        return False

    def drain(self, number: int) -> None:
        """A rank that has ended may have said why."""
        while self.hear(number):
            pass

    def _send(self, number: int, data: bytes) -> None:
        ours = self._ours.get(number)
        if ours is None:
            return
        try:
            taken = ours.send(data) == len(data)
        except OSError:
            taken = False
        if not taken:
            self._cut(number)

    def from_srun(self, message: Dict[str, Any]) -> None:
        self._server.from_srun(message)

    def _cut(self, number: int) -> None:
        ours = self._ours.pop(number, None)
        if ours is not None:
            self._service.selector.unregister(ours)
            ours.close()

    def close(self) -> None:
        for number in list(self._ours):
            self._cut(number)
        for theirs in self._theirs.values():
            theirs.close()


def _above_standard(end: socket.socket) -> socket.socket:
    """0, 1 and 2 are for the rank's own files."""
    if end.fileno() > 2:
        return end
    moved = socket.socket(fileno=fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, 3))
    end.close()
    return moved
