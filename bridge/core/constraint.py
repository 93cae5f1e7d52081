"""Feature expressions of -C and --prefer: `intel&ib`, `a100|h100`, `[rackA|rackB]`, `[intel*2&amd*1]`, `(a|b)&c`.

The rules of 25.11 about what is an expression at all; whether a feature exists is the admission's question.
"""

import functools
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bridge.core.errors import Refused


@dataclass(frozen=True, slots=True)
class Feature:
    name: str

    def matches(self, features: Container[str]) -> bool:
        return self.name in features

    def names(self) -> Iterable[str]:
        yield self.name


@dataclass(frozen=True, slots=True)
class Group:
    """Parts joined by & (all) or | (any); & binds tighter."""

    kind: Literal["all", "any"]
    parts: tuple["Expression", ...]
    same: bool = False
    """In square brackets with |: all nodes of the job have the same one."""

    def matches(self, features: Container[str]) -> bool:
        judge = all if self.kind == "all" else any
        return judge(part.matches(features) for part in self.parts)

    def names(self) -> Iterable[str]:
        for part in self.parts:
            yield from part.names()


@dataclass(frozen=True, slots=True)
class Count:
    """`intel*2`: at least so many of the job's nodes have it."""

    part: "Expression"
    nodes: int

    def matches(self, features: Container[str]) -> bool:
        return self.part.matches(features)

    def names(self) -> Iterable[str]:
        return self.part.names()


@dataclass(frozen=True, slots=True)
class Counts:
    """`[intel*2&amd*1]`, or one count alone: so many nodes of each; `matches` says if a node serves any of them."""

    parts: tuple[Count, ...]

    def matches(self, features: Container[str]) -> bool:
        return any(part.matches(features) for part in self.parts)

    def names(self) -> Iterable[str]:
        for part in self.parts:
            yield from part.names()


Expression = Feature | Group | Count | Counts


@functools.lru_cache(maxsize=512)
def parse(text: str) -> Expression:
    """Refused (bad_feature) for what is no expression. A comma means &, as sbatch has it."""
    return _Reader(text).read()


def normalized(text: str) -> str:
    """As Slurm keeps it: commas become &."""
    return text.replace(",", "&")


_NO_NAME = set("&|[]()*,!\"' \t\n")


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = normalized(text)
        self.at = 0
        self.brackets = 0

    def read(self) -> Expression:
        if len(self.text) > 4096:
            raise self._refused("it is too long")
        expression = self._any(in_brackets=False, depth=0)
        if self.at != len(self.text):
            raise self._refused(f"{self.text[self.at]!r} is not expected at character {self.at + 1}")
        return self._with_counts_checked(expression)

    def _any(self, in_brackets: bool, depth: int) -> Expression:
        parts = [self._all(in_brackets, depth)]
        while self._peek() == "|":
            self.at += 1
            parts.append(self._all(in_brackets, depth))
        return parts[0] if len(parts) == 1 else Group("any", tuple(parts))

    def _all(self, in_brackets: bool, depth: int) -> Expression:
        parts = [self._atom(in_brackets, depth)]
        while self._peek() == "&":
            self.at += 1
            if self.at == len(self.text) and depth == 0:
                break  # Slurm takes `intel&` for `intel`
            parts.append(self._atom(in_brackets, depth))
        return parts[0] if len(parts) == 1 else Group("all", tuple(parts))

    def _atom(self, in_brackets: bool, depth: int) -> Expression:
        match self._peek():
            case "[":
                if in_brackets or depth or self.brackets:
                    raise self._refused("only one pair of square brackets is allowed, and none within another")
                self.brackets += 1
                self.at += 1
                inner = self._any(True, 1)
                self._expect("]")
                return self._bracketed(inner)
            case "(":
                if depth > (1 if in_brackets else 0):
                    raise self._refused("parentheses within parentheses")
                self.at += 1
                inner = self._any(in_brackets, depth + 1)
                self._expect(")")
                if _has_count(inner):
                    raise self._refused("a count within parentheses")
                return self._counted(inner)
            case _:
                begin = self.at
                while self.at < len(self.text) and self.text[self.at] not in _NO_NAME:
                    self.at += 1
                if begin == self.at:
                    raise self._refused("a feature's name is missing")
                return self._counted(Feature(self.text[begin : self.at]))

    def _counted(self, part: Expression) -> Expression:
        if self._peek() != "*":
            return part
        self.at += 1
        begin = self.at
        while self._peek().isdigit() and self._peek().isascii():
            self.at += 1
        digits = self.text[begin : self.at]
        if not digits or int(digits[:9]) == 0:
            raise self._refused("a number above 0 has to follow *")
        return Count(part, int(digits[:9]))

    def _bracketed(self, inner: Expression) -> Expression:
        parts = inner.parts if isinstance(inner, Group) else (inner,)
        counts = tuple(part for part in parts if isinstance(part, Count))
        if len(counts) == len(parts) and not (isinstance(inner, Group) and inner.kind == "any"):
            return Counts(counts)
        if isinstance(inner, Group) and inner.kind == "any" and not counts:
            return Group("any", inner.parts, same=True)
        raise self._refused("square brackets hold alternatives joined by |, or counts joined by &")

    def _with_counts_checked(self, expression: Expression) -> Expression:
        """Outside of brackets a count stands alone: `intel*2`."""
        if isinstance(expression, Count):
            return Counts((expression,))
        if isinstance(expression, Group) and any(_has_count(part) for part in expression.parts):
            raise self._refused("counts joined with something else need square brackets")
        return expression

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise self._refused(f"a {character} is missing")
        self.at += 1

    def _refused(self, why: str) -> Refused:
        return Refused(f"cannot read the constraint {self.text!r}: {why}", code="bad_feature", field="constraint")


def _has_count(expression: Expression) -> bool:
    if isinstance(expression, Group):
        return any(_has_count(part) for part in expression.parts)
    return isinstance(expression, Count)


def alternatives(expression: Expression) -> Sequence[Expression]:
    """For `[a|b]` somewhere in the expression: one expression for each choice, else the expression itself."""
    if isinstance(expression, Group):
        if expression.same:
            return expression.parts
        for k, part in enumerate(expression.parts):
            choices = alternatives(part)
            if len(choices) > 1:
                before, after = expression.parts[:k], expression.parts[k + 1 :]
                return [Group(expression.kind, (*before, choice, *after)) for choice in choices]
    return (expression,)
