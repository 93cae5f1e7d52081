"""How fields of a job's description are taken: gathered as options of sbatch, or kept with a sentence."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapters.slurm import errors, options, readers, values
from adapters.slurm.occurrences import Occurrence, Rank
from adapters.slurm.rest import parsing
from adapters.slurm.rest.envelope import Error, Said
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.shapes import (
    BOOLEAN,
    INFINITE,
    INT32,
    STRINGS,
    TEXT,
    Json,
    Shape,
)
from bridge.core.request import Gres
from bridge.core.users import User

SOURCE = "request"


@dataclass(slots=True)
class Gathered:
    """What the fields of one description come to."""

    context: readers.Context
    find_user: Callable[[int | str], User | None]
    met: list[Occurrence] = field(default_factory=list)
    kept: list[tuple[str, str, str]] = field(default_factory=list)
    """(name, value as text, why nothing more is done with it)"""
    cleared: list[str] = field(default_factory=list)
    """Options that were given as nothing."""
    name: str = ""
    """Of the field being read, as it is told in the report."""
    place: str = ""
    script: str | None = None
    arguments: list[str] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    directory: str = ""
    limits: list[tuple[str, int, int]] = field(default_factory=list)
    user: User | None = None
    gid: int | None = None
    is_immediate: bool = False
    job_id: int = 0
    nodes_least: int | None = None
    nodes_most: int | None = None
    cpus_least: int | None = None
    signal: int | None = None
    signal_before_seconds: int | None = None
    signal_flags: tuple[str, ...] = ()
    plane: int | None = None

    def option(self, name: str, text: str) -> None:
        """As if sbatch had met `--name=text`."""
        option = options.BY_NAME[name]
        try:
            value = option.read(text, self.context)
        except values.BadValue as bad:
            said = "; ".join(bad.lines(name))
            raise parsing.not_converted(said, self.place) from bad
        except (readers.NeedsFile, readers.HelpAsked) as other:
            raise parsing.not_converted(f"{self.name} takes no such value: {text}", self.place) from other
        self.add(name, value, text)

    def add(self, name: str, value: object, text: str | None = None) -> None:
        shown = f"{self.name}={value if text is None else text}"
        self.met.append(Occurrence(options.BY_NAME[name], text, value, Rank.COMMAND_LINE, shown, SOURCE))

    def keep(self, why: str, value: Any) -> None:
        self.kept.append((self.name, value if isinstance(value, str) else parsing.shown(value), why))


Apply = Callable[[Gathered, Any], None]


@dataclass(frozen=True, slots=True)
class Described:
    shape: Shape
    apply: Apply
    reads: Callable[[Json, str, Said], Any] | None = None
    """Instead of the shape's usual reading."""


# ── ways of taking a value ────────────────────────────────────────────────────────────────────────


def text(option: str) -> Described:
    return Described(TEXT, lambda into, value: _option_or_nothing(into, option, value))


def _option_or_nothing(into: Gathered, option: str, value: str) -> None:
    """An empty text is no wish in a submission; in a change it takes the old one away."""
    if value:
        into.option(option, value)
    else:
        into.cleared.append(option)


def count(option: str, shape: Shape = INT32) -> Described:
    """Numbers below one are no wish: slurmctld keeps "not set" in them."""

    def apply(into: Gathered, value: float) -> None:
        if 0 < value < values.PRIORITY_TOP:
            into.option(option, str(int(value)))

    return Described(shape, apply)


def amount(option: str, shape: Shape) -> Described:
    """As a count, but 0 is a wish too."""

    def apply(into: Gathered, value: float) -> None:
        if 0 <= value < INFINITE:
            into.option(option, str(int(value)))

    return Described(shape, apply)


def flag(option: str) -> Described:
    return Described(BOOLEAN, lambda into, value: into.option(option, "") if value else None)


def keep(why: str, shape: Shape = TEXT) -> Described:
    """Nothing and 0 are no wish."""
    return Described(shape, lambda into, value: into.keep(why, value) if value else None)


def names(option: str) -> Described:
    return Described(STRINGS, lambda into, value: _option_or_nothing(into, option, value), reads=parsing.joined)


def set(attribute: str, shape: Shape) -> Described:
    return Described(shape, lambda into, value: setattr(into, attribute, value))


def moment(option: str, shape: Shape) -> Described:
    """Epoch seconds, or a text as sbatch takes it."""

    def reads(value: Json, place: str, said: Said) -> Any:
        return value if isinstance(value, str) else parsing.optional(value, place, said)

    def apply(into: Gathered, value: float | str) -> None:
        if isinstance(value, str):
            into.option(option, value)
        elif 0 < value < INFINITE:
            into.option(option, f"uts{int(value)}")

    return Described(shape, apply, reads=reads)


def of_each_gpu(option: str) -> Described:
    """`gres/gpu:2`: so many CPUs, or MiB, with each GPU."""

    def apply(into: Gathered, value: str) -> None:
        if value:
            name, _, amount = value.replace("=", ":").rpartition(":")
            if name.partition(":")[0] not in ("gres/gpu", "gpu") and not name.startswith("gres:gpu"):
                raise _bad_tres(into, value)
            into.option(option, amount)

    return Described(TEXT, apply)


SUBMISSION_FAILED = "Batch job submission failed"
SUBMIT_SOURCE = "slurm_submit_batch_job()"


def _bad_tres(into: Gathered, value: str) -> Failed:
    return Failed(Error(SUBMISSION_FAILED, errors.number_of("invalid_tres"), SUBMIT_SOURCE))


def tres(option: str) -> Described:
    """`gres/gpu:a100:2,gres/tmp:1`"""

    def apply(into: Gathered, value: str) -> None:
        if value:
            into.add(option, tuple(_one_gres(into, part) for part in value.split(",") if part), value)

    return Described(TEXT, apply)


def _one_gres(into: Gathered, part: str) -> Gres:
    if not part.startswith(("gres/", "gres:")):
        raise _bad_tres(into, part)
    try:
        return values.gres_list(part.replace("=", ":"))[0]
    except values.BadValue as bad:
        raise _bad_tres(into, part) from bad
