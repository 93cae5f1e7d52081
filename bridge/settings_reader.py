"""Reads TOML tables strictly: every value is typed, every key known, and all mistakes are told at once.

A `Table` is asked for its keys by kind; what does not fit becomes a `Problem` and the default stands in for it,
so that reading goes on. Knows nothing of what the keys mean.
"""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.core.errors import Refused


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, with all that is needed to mend it."""

    file: str
    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: found {self.found}, expected {self.expected}"


class SiteFileError(Refused):
    """All mistakes of a site file; the sentence has one line each."""

    default_code = "invalid_site_file"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class Problems:
    """Where a file's mistakes are gathered."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Problem] = []

    def add(self, key: str, found: object, expected: str) -> None:
        self.found.append(Problem(self.file, key, shown(found), expected))

    def raise_if_any(self) -> None:
        if self.found:
            raise SiteFileError(self.found)


def shown(value: object) -> str:
    """A value as the file has it, cut where long. A `Said` is shown as it is."""
    if isinstance(value, Said):
        return value
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


class Said(str):
    """What was found, already in words."""


class Table:
    def __init__(self, values: Mapping[str, Any], key: str, problems: Problems) -> None:
        self._values = values
        self._key = key
        self._problems = problems
        self._asked: set[str] = set()

    def path(self, name: str) -> str:
        return f"{self._key}.{name}" if self._key else name

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def wrong(self, name: str, found: object, expected: str) -> None:
        self._problems.add(self.path(name), found, expected)

    # ── single values ─────────────────────────────────────────────────────────────────────────────

    def text(
        self, name: str, default: str | None = None, *, expected: str = "a text", fits: Callable[[str], bool] = bool
    ) -> str | None:
        """`fits` is told texts only."""
        found: str | None = self._value(name, default, expected, lambda v: isinstance(v, str) and fits(v))
        return found

    def required_text(self, name: str, *, expected: str = "a text", fits: Callable[[str], bool] = bool) -> str:
        """Empty where it is missing or wrong, which is then a problem."""
        if name not in self._values:
            self._asked.add(name)
            self.wrong(name, Said("nothing"), expected)
            return ""
        return self.text(name, expected=expected, fits=fits) or ""

    def choice(self, name: str, default: str, among: Collection[str]) -> str:
        expected = "one of " + ", ".join(f'"{word}"' for word in among)
        return self.text(name, default, expected=expected, fits=lambda value: value in among) or default

    def boolean(self, name: str, default: bool) -> bool:
        found: bool = self._value(name, default, "true or false", lambda value: isinstance(value, bool))
        return found

    def integer(self, name: str, default: int | None, low: int = 0, high: int = 2**31 - 1) -> int | None:
        expected = f"a whole number from {low} to {high}"
        found: int | None = self._value(name, default, expected, lambda value: _is_integer(value, low, high))
        return found

    def count(self, name: str, default: int, low: int = 0, high: int = 2**31 - 1) -> int:
        """An integer that always has a value."""
        found = self.integer(name, default, low, high)
        return default if found is None else found

    def number(self, name: str, default: float | None, low: float = 0.0) -> float | None:
        found: float | None = self._value(
            name,
            default,
            f"a number of at least {low:g}",
            # nan compares false with everything
            lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value < 1e12,
        )
        return found

    # ── several values ────────────────────────────────────────────────────────────────────────────

    def texts(self, name: str, default: tuple[str, ...] | None = ()) -> tuple[str, ...] | None:
        found = self._value(name, default, 'a list of texts such as ["a", "b"]', _are_texts)
        return None if found is None else tuple(found)

    def texts_by_name(self, name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """A table whose values are lists of texts."""
        found = self.table(name)
        return tuple((key, found.texts(key) or ()) for key in found.names())

    def integers_by_name(self, name: str, low: int, high: int) -> tuple[tuple[str, int], ...]:
        found = self.table(name)
        return tuple((key, found.count(key, low, low, high)) for key in found.names())

    def names(self) -> list[str]:
        return list(self._values)

    def table(self, name: str) -> "Table":
        """Empty where there is none."""
        found = self._value(name, {}, f"a table: [{self.path(name)}]", lambda value: isinstance(value, dict))
        return Table(found, self.path(name), self._problems)

    def tables(self, name: str) -> list["Table"]:
        expected = f"tables: [[{self.path(name)}]]"
        found = self._value(name, [], expected, lambda value: isinstance(value, list) and all(map(_is_table, value)))
        return [Table(values, f"{self.path(name)}[{index}]", self._problems) for index, values in enumerate(found)]

    def close(self) -> None:
        """Every key that was never asked for is a mistake."""
        for name in self._values:
            if name not in self._asked:
                near = difflib.get_close_matches(name, self._asked, 1, 0.6)
                known = f"the key {near[0]!r}?" if near else "one of the keys " + ", ".join(sorted(self._asked))
                self.wrong(name, Said("an unknown key"), known)

    def _value(self, name: str, default: Any, expected: str, fits: Callable[[Any], bool]) -> Any:
        self._asked.add(name)
        if name not in self._values:
            return default
        value = self._values[name]
        if fits(value):
            return value
        self.wrong(name, value, expected)
        return default


def _is_integer(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _is_table(value: object) -> bool:
    return isinstance(value, dict)
