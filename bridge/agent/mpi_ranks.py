"""What MPI asks of the start of a step's ranks on one node; this is the kind `none`, others are beside it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

SPAWN_IS_REFUSED = "error: MPI_Comm_spawn is refused: a step has the tasks that it was started with; use mpirun"
"""What srun says, whichever kind the program speaks."""


class MpiRanks:
    def when_ready(self, start: Callable[[], None]) -> None:
        """Calls `start` once ranks may be started."""
        start()

    def before_start(self, number: int) -> Tuple[Dict[str, str], Optional[int]]:
        """(what the rank finds in its environment, a descriptor that it inherits). Raises OSError."""
        return {}, None

    def after_start(self, number: int) -> None: ...

    def drain(self, number: int) -> None:
        """What a rank that has ended may have left to be said."""

    def from_srun(self, message: Dict[str, Any]) -> None: ...

    def close(self) -> None: ...
