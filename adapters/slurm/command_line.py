"""Command lines as GNU getopt_long reads them: for squeue, scancel, sacct, scontrol and sinfo.

Options and operands may be mixed; long names may be shortened while unambiguous; the texts of refusals
are getopt's own, because users and programs know them. sbatch has a parser of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Argument = Literal["no", "required", "optional"]


@dataclass(frozen=True, slots=True)
class Option:
    long: str
    """Its first long name; what it is called in `Read.given`."""
    short: str = ""
    argument: Argument = "no"
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    given: tuple[tuple[str, str | None], ...]
    """(long name, value) in the order written."""
    operands: tuple[str, ...]

    def has(self, name: str) -> bool:
        return any(given == name for given, _ in self.given)

    def last(self, name: str) -> str | None:
        """The value given last; None when it was not given, or without a value."""
        return next((value for given, value in reversed(self.given) if given == name), None)


class BadCommandLine(Exception):
    """Its text is what getopt prints, without the command's name in front."""


class Grammar:
    def __init__(self, options: Sequence[Option]) -> None:
        self._by_short = {option.short: option for option in options if option.short}
        self._by_long = {name: option for option in options for name in (option.long, *option.aliases)}

    def read(self, argv: Sequence[str]) -> Read:
        """Raises BadCommandLine at the first thing that is no option of ours."""
        given: list[tuple[str, str | None]] = []
        operands: list[str] = []
        words = list(argv)
        at = 0
        while at < len(words):
            word = words[at]
            at += 1
            if word == "--":
                operands += words[at:]
                break
            if word.startswith("--"):
                at = self._read_long(word, words, at, given)
            elif word.startswith("-") and word != "-":
                at = self._read_short(word, words, at, given)
            else:
                operands.append(word)
        return Read(tuple(given), tuple(operands))

    def _read_long(self, word: str, words: list[str], at: int, given: list[tuple[str, str | None]]) -> int:
        name, equals, value = word[2:].partition("=")
        option = self._find_long(name, word)
        if equals:
            if option.argument == "no":
                raise BadCommandLine(f"option '--{self._full_name(name)}' doesn't allow an argument")
            given.append((option.long, value))
        elif option.argument == "required":
            if at >= len(words):
                raise BadCommandLine(f"option '--{self._full_name(name)}' requires an argument")
            given.append((option.long, words[at]))
            at += 1
        else:
            given.append((option.long, None))
        return at

    def _find_long(self, name: str, word: str) -> Option:
        if name in self._by_long:
            return self._by_long[name]
        matches = [long for long in self._by_long if long.startswith(name)]
        if not matches:
            raise BadCommandLine(f"unrecognized option '{word}'")
        if len({self._by_long[long].long for long in matches}) > 1:
            possible = " ".join(f"'--{long}'" for long in matches)
            raise BadCommandLine(f"option '{word}' is ambiguous; possibilities: {possible}")
        return self._by_long[matches[0]]

    def _full_name(self, name: str) -> str:
        return name if name in self._by_long else next(long for long in self._by_long if long.startswith(name))

    def _read_short(self, word: str, words: list[str], at: int, given: list[tuple[str, str | None]]) -> int:
        letters = word[1:]
        for k, letter in enumerate(letters):
            option = self._by_short.get(letter)
            if option is None:
                raise BadCommandLine(f"invalid option -- '{letter}'")
            if option.argument == "no":
                given.append((option.long, None))
                continue
            rest = letters[k + 1 :]
            if rest or option.argument == "optional":
                given.append((option.long, rest or None))
                return at
            if at >= len(words):
                raise BadCommandLine(f"option requires an argument -- '{letter}'")
            given.append((option.long, words[at]))
            return at + 1
        return at
