"""What became of every directive: the promise that nothing is dropped in silence.

An adapter writes one entry for each option it met, in order. The report is stored with the job.
"""

from dataclasses import dataclass
from enum import StrEnum


class Treatment(StrEnum):
    ACTED_ON = "acted on"
    APPROXIMATED = "approximated"
    RECORDED = "recorded"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Entry:
    text: str
    """The directive as it stood, e.g. `--mem=8G`."""
    source: str
    """`train.sh:4`, `environment SBATCH_PARTITION`, `command line`, `backend local`."""
    treatment: Treatment
    sentence: str
    """What was done and why, for people."""
    changes_results: bool = False
    """True when the loss of this option changes what the job computes; sbatch then always says it."""


@dataclass(frozen=True, slots=True)
class Report:
    entries: tuple[Entry, ...] = ()
    warnings: tuple[str, ...] = ()
    """Slips that the user probably does not know of, each a sentence with file:line."""

    def joined(self, other: "Report") -> "Report":
        return Report(self.entries + other.entries, self.warnings + other.warnings)
