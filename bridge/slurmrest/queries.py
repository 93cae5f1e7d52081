"""The part of an address behind the question mark, read by the path's table."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.slurm import timespec, values
from adapters.slurm.rest import envelope, parsing
from adapters.slurm.rest.envelope import Error, Said
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.paths import Choices, Half, Switch
from adapters.slurm.rest.shapes import Boolean, Flags
from bridge.slurmrest.asking import Ask


@dataclass(frozen=True, slots=True)
class Query:
    found: Mapping[str, Any]
    source: str
    """slurmrestd's name of what handles the request, for errors."""
    half: Half = "slurm"

    def text(self, name: str) -> str | None:
        value: str | None = self.found.get(name)
        return value

    def listed(self, name: str) -> tuple[str, ...] | None:
        """Parts between commas; None: not given."""
        value = self.text(name)
        return None if value is None else tuple(part for part in value.split(",") if part)

    def is_true(self, name: str) -> bool:
        return bool(self.found.get(name))

    def words(self, name: str) -> tuple[str, ...]:
        value: tuple[str, ...] = self.found.get(name, ())
        return value

    def moment(self, name: str, now: float) -> int | None:
        """Epoch seconds."""
        value = self.text(name)
        if not value:
            return None
        if value.isascii() and value.isdigit() and len(value) < 16:
            return int(value)
        try:
            return int(timespec.parse_past(value, now))
        except values.BadValue as bad:
            problem = Error(f"Parsing of {value} for timestamp failed", envelope.NOT_CONVERTED, f"#/{name}/")
            raise NotRead(problem, self.source, self.half) from bad


class NotRead(Failed):
    """Both what is wrong and that the query is refused for it are told."""

    def __init__(self, first: Error, source: str, half: Half) -> None:
        what = "query parameters" if half == "slurmdb" else "query."
        super().__init__(Error(f"Rejecting request. Failure parsing {what}", envelope.INVALID_QUERY, source))
        self.first = first


def read(ask: Ask, source: str) -> Query:
    """Unknown parameters are warned of, unknown words of flags are errors that stop nothing."""
    known = ask.path.query.of_version(ask.version)
    found: dict[str, Any] = {}
    for name, shape in known.items():
        if name in ask.query:
            value = ask.query[name]
            if isinstance(shape, Flags):
                words = value.split(",") if value or isinstance(shape, Choices) else []
                place = f"#/{name}[0]/" if isinstance(shape, Choices) else f"#/{name}/"
                found[name] = parsing.flags(words, shape, ask.version, place, ask.said)
            elif isinstance(shape, Boolean):
                found[name] = True if value == "" else parsing.boolean(value, f"#/{name}/", ask.said)
            elif isinstance(shape, Switch):
                found[name] = parsing.boolean(value, f"#/{name}/", Said())
            else:
                found[name] = value
    parsing.warn_of_unknown(ask.query, known.keys(), "#/", ask.said, ask.path.query_parser)
    return Query(found, source, ask.path.half)


def stamp(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at))
