"""Command words split into options and operands, as GNU getopt_long does it in its `+` mode.

Stops at the first word that is no option. Knows nothing of what the options mean.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar


class Argument(StrEnum):
    NONE = "none"
    REQUIRED = "required"
    OPTIONAL = "optional"
    """With `=` only: the next word is never taken for it."""


class Spelled(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def short(self) -> str: ...
    @property
    def argument(self) -> Argument: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...


class UsageError(ValueError):
    """getopt's own complaint, without the command's name."""


OptionT = TypeVar("OptionT", bound=Spelled)


@dataclass(frozen=True, slots=True)
class Table(Generic[OptionT]):
    long: Mapping[str, OptionT]
    """In the order in which possibilities are listed; aliases included."""
    short: Mapping[str, OptionT]
    cut: dict[str, str] = field(default_factory=dict)
    """Prefixes that stand for exactly one option → a full name of it; precomputed."""

    def found(self, word: str, whole: str) -> tuple[str, OptionT]:
        """(full name, option) of a long option that may be cut short."""
        option = self.long.get(word)
        if option is not None:
            return word, option
        name = self.cut.get(word)
        if name is not None:
            return name, self.long[name]
        possible = [candidate for candidate in self.long if candidate.startswith(word)]
        if not possible:
            raise UsageError(f"unrecognized option '--{whole}'")
        listed = " ".join(f"'--{candidate}'" for candidate in possible)
        raise UsageError(f"option '--{whole}' is ambiguous; possibilities: {listed}")


def table(options: Sequence[OptionT]) -> Table[OptionT]:
    long = {name: option for option in options for name in (*option.aliases, option.name)}
    ordered = {name: long[name] for name in sorted(long, key=lambda n: (n[0], list(long).index(n)))}
    standing_for: dict[str, str | None] = {}
    for name, option in ordered.items():
        for length in range(1, len(name)):
            prefix = name[:length]
            before = standing_for.get(prefix, name)
            same = before is not None and ordered[before] is option
            standing_for[prefix] = before if same else None
    cut = {prefix: name for prefix, name in standing_for.items() if name is not None and prefix not in ordered}
    return Table(ordered, {option.short: option for option in options if option.short}, cut)


@dataclass(slots=True)
class Found(Generic[OptionT]):
    option: OptionT
    value: str | None
    at: int
    """Index of the word in which the option stands."""
    spelled: str
    """As it stood, the value included."""


class Words(Generic[OptionT]):
    """Iterate over it for the options; `operands_at` then says where they ended."""

    def __init__(self, words: Sequence[str], options: Table[OptionT]) -> None:
        self.words = words
        self.options = options
        self.operands_at = 0

    def __iter__(self) -> Iterator[Found[OptionT]]:
        at = 0
        words, options = self.words, self.options
        while at < len(words):
            word = words[at]
            if word == "--":
                self.operands_at = at + 1
                return
            if word[:1] != "-" or len(word) == 1:
                break
            if word[1] == "-":
                name, equals, value = word[2:].partition("=")
                full, option = options.found(name, word[2:])
                begin = at
                at += 1
                if option.argument is Argument.NONE:
                    if equals:
                        raise UsageError(f"option '--{full}' doesn't allow an argument")
                    yield Found(option, None, begin, word)
                elif equals:
                    yield Found(option, value, begin, word)
                elif option.argument is Argument.OPTIONAL:
                    yield Found(option, None, begin, word)
                elif at < len(words):
                    at += 1
                    yield Found(option, words[at - 1], begin, f"{word} {words[at - 1]}")
                else:
                    raise UsageError(f"option '--{full}' requires an argument")
                continue
            begin = at
            at += 1
            letter_at = 1
            while letter_at < len(word):
                letter = word[letter_at]
                letter_at += 1
                short = options.short.get(letter)
                if short is None:
                    raise UsageError(f"invalid option -- '{letter}'")
                if short.argument is Argument.NONE:
                    yield Found(short, None, begin, f"-{letter}")
                    continue
                rest = word[letter_at:]
                if rest or short.argument is Argument.OPTIONAL:
                    yield Found(short, rest or None, begin, f"-{letter}{rest}")
                elif at < len(words):
                    at += 1
                    yield Found(short, words[at - 1], begin, f"-{letter} {words[at - 1]}")
                else:
                    raise UsageError(f"option requires an argument -- '{letter}'")
                break
        self.operands_at = at
