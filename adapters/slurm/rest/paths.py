"""What slurmrestd serves, path by path: the table that the server routes by and OpenAPI is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from adapters.slurm.rest.shapes import TEXT, Flags, Record, Text

Half = Literal["slurm", "slurmdb", "util"]
Method = Literal["GET", "POST", "DELETE"]


NO_QUERY = Record("", {})


@dataclass(frozen=True, slots=True)
class Path:
    half: Half
    method: Method
    path: str
    """Behind the version, without slashes at its ends: `job/{job_id}`."""
    operation: str
    """`get_job`; with half and version it names the operation: `slurm_v0044_get_job`."""
    summary: str
    answer: Record
    query: Record = NO_QUERY
    query_parser: str = ""
    """slurmrestd's name for the query, in warnings of unknown parameters."""
    body: Record | None = None
    since: int = 41
    slash: bool = False
    """Listed with a slash at its end; both forms are served."""
    failure: str = ""
    """What it says when the controller does not answer it; parameters in braces are filled in."""
    source: str = ""
    empty: Mapping[str, Any] = field(default_factory=dict)
    """What its answer holds beside that."""
    asks_nobody: bool = False
    """It is answered whatever the token is worth."""

    @property
    def parameters(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


@dataclass(frozen=True, slots=True)
class Switch(Text):
    """A flag in a query that is one bit of a set: unlike a field of type boolean its text is not warned of."""


@dataclass(frozen=True, slots=True)
class Choices(Flags):
    """In a query: a list of flags, each a list of its own to slurmrestd. With an unknown one among them none fits."""


SWITCH = Switch()
TIME = TEXT
"""A point in time in a query: epoch seconds, or as sbatch takes it."""
