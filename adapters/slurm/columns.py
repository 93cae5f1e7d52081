"""Output formats of squeue and sinfo: `%.18i %.9P` (-o) and `JobID:10,State:.8` (-O), made into printers.

A format is compiled once, so that thousands of rows cost one %-operation each. What the columns mean
is the commands' business: they hand in tables of `Column`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")

DEFAULT_LONG_WIDTH = 20
_NEGATIVE_WIDTH = re.compile(r"-[0-9]+")
"""`jobid:-8`: as wide as its value, and a blank."""
WIDEST = 10_000
"""Widths above it are cut to it: a format comes from outside and must not make rows of gigabytes."""


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    title: str
    value: Callable[[Row], str]
    is_cut: bool = True
    """Whether a width too small cuts the value; times are always whole."""


@dataclass(frozen=True, slots=True)
class Cell(Generic[Row]):
    column: Column[Row]
    width: int = 0
    """0: as long as needed."""
    right: bool = False
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Printer(Generic[Row]):
    """Turns rows to text. Literal text between the columns is part of `template`."""

    template: str
    cells: tuple[Cell[Row], ...]

    def header(self) -> str:
        return self.template % tuple(cell.column.title for cell in self.cells)

    def lines(self, rows: Iterable[Row]) -> list[str]:
        template = self.template
        values = tuple(cell.column.value for cell in self.cells)
        lines = []
        for row in rows:
            shown = tuple([value(row) for value in values])
            line = template % shown
            lines.append(line if line.isascii() else _by_bytes(template, shown))
        return lines


def _by_bytes(template: str, values: tuple[str, ...]) -> str:
    """Slurm's widths count bytes: a letter of two takes two places, and may be cut in its middle."""
    return as_bytes(template, lambda shown: shown % tuple(map(_one_a_byte, values)))


def as_bytes(text: str, work: Callable[[str], str]) -> str:
    """What `work` makes of a text with one character for each byte, as text again."""
    return work(_one_a_byte(text)).encode("latin-1").decode("utf-8", "surrogateescape")


def _one_a_byte(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def compile_letters(
    text: str, letters: Mapping[str, Column[Row]], all_columns: Sequence[Column[Row]] = ()
) -> tuple[Printer[Row], list[str]]:
    """A printer for an -o format, and the codes in it that are none.

    Read as Slurm does: the text is split at every `%`; what stands before the first is copied; a bad
    code is copied with its `%`.
    """
    template: list[str] = []
    cells: list[Cell[Row]] = []
    bad: list[str] = []
    pieces = text.split("%")
    template.append(pieces[0])
    for number, piece in enumerate(pieces[1:], 2):
        if not piece:
            continue
        if piece == "all" and all_columns:
            cells += [Cell(column) for column in all_columns]
            template.append("|".join(["%s"] * len(all_columns)))
            continue
        right, width, letter, suffix = _split_letter(piece)
        if not letter:
            # A width alone is the first column that has no letter, and what follows the next % is its suffix.
            suffix = pieces[number] if number < len(pieces) else ""
        column = letters.get(letter)
        if column is None:
            bad.append(letter)
            template.append(_literal("%" + piece))
            continue
        cells.append(Cell(_without_cut_absence(column, width), width, right, suffix))
        template.append(_directive(width, right, is_cut=column.is_cut) + _literal(suffix))
    return Printer("".join(template), tuple(cells)), bad


def _split_letter(piece: str) -> tuple[bool, int, str, str]:
    at = 1 if piece.startswith(".") else 0
    end = at
    while end < len(piece) and piece[end].isascii() and piece[end].isdigit():
        end += 1
    width = min(int(piece[at:end][:9] or 0), WIDEST)
    return at == 1, width, piece[end : end + 1], piece[end + 1 :]


def compile_names(text: str, names: Mapping[str, Column[Row]]) -> tuple[Printer[Row], list[str]]:
    """A printer for an -O format (`name[:[.][width][suffix]],...`), and the names in it that are none.

    `names` has lower case keys.
    """
    template: list[str] = []
    cells: list[Cell[Row]] = []
    bad: list[str] = []
    for piece in filter(None, text.split(",")):
        name, colon, rest = piece.partition(":")
        column = names.get(name.lower())
        if column is None:
            bad.append(name)
            continue
        right, width, suffix = False, DEFAULT_LONG_WIDTH, ""
        if colon and (negative := _NEGATIVE_WIDTH.match(rest)):
            width, suffix = 0, " " + rest[negative.end() :]
        elif colon:
            right, width, letter, rest_of_suffix = _split_letter(rest)
            suffix = letter + rest_of_suffix
        cells.append(Cell(_without_cut_absence(column, width), width, right, suffix))
        template.append(_directive(width, right, is_cut=column.is_cut) + _literal(suffix))
    return Printer("".join(template), tuple(cells)), bad


def _directive(width: int, right: bool, *, is_cut: bool) -> str:
    """`%18.18s`: padded and cut to the width."""
    if width == 0:
        return "%s"
    return f"%{'' if right else '-'}{width}{f'.{width}' if is_cut else ''}s"


ABSENT = "(null)"


def _without_cut_absence(column: Column[Row], width: int) -> Column[Row]:
    """`(null)` stands whole or not at all: C's printf has it so, by which Slurm prints."""
    if not 0 < width < len(ABSENT):
        return column

    def shown(row: Row) -> str:
        text = column.value(row)
        return "" if text == ABSENT else text

    return Column(column.title, shown, column.is_cut)


def _literal(text: str) -> str:
    return text.replace("%", "%%")
