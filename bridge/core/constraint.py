"""Features asked for with -C: `intel&ib`, `a|b`, `[rack1|rack2]`, `(a|b)&c`, `!old`.

As a question to one node. Counts (`intel*2`) and brackets hold over all nodes of a job: what one node must
have of them is that it has one of the alternatives; the caller is told by `is_joint` that there is more.
"""

import functools
import re
from collections.abc import Callable

Matcher = Callable[[tuple[str, ...]], bool]

_TOKEN = re.compile(r"\s*([A-Za-z0-9_.=:/-]+|[&|,!()\[\]]|\*\d+)")


class BadConstraint(ValueError):
    """Says what is wrong with the text."""


@functools.lru_cache(maxsize=512)
def matcher(text: str) -> Matcher:
    """Raises BadConstraint."""
    tokens = tokenize(text)
    expression, rest = _any(tokens)
    if rest:
        raise BadConstraint(f"unexpected {rest[0]!r} in {text!r}")
    return expression


def features_of(text: str) -> tuple[str, ...]:
    """The names in it, in order."""
    return tuple(token for token in tokenize(text) if token[0] not in "&|,!()[]*")


def is_joint(text: str) -> bool:
    """Whether it says something of all nodes together (a count, or the same alternative everywhere)."""
    return "*" in text or "[" in text


def tokenize(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise BadConstraint(f"unexpected {text[position]!r} in {text!r}")
        tokens.append(found[1])
        position = found.end()
    if not tokens:
        raise BadConstraint("nothing is asked for")
    return tokens


def _any(tokens: list[str]) -> tuple[Matcher, list[str]]:
    left, rest = _all(tokens)
    parts = [left]
    while rest and rest[0] == "|":
        part, rest = _all(rest[1:])
        parts.append(part)
    return (parts[0] if len(parts) == 1 else lambda have: any(p(have) for p in parts)), rest


def _all(tokens: list[str]) -> tuple[Matcher, list[str]]:
    left, rest = _one(tokens)
    parts, counted = [left], [_is_counted(tokens)]
    while rest and rest[0] in ("&", ","):
        counted.append(_is_counted(rest[1:]))
        part, rest = _one(rest[1:])
        parts.append(part)
    if len(parts) == 1:
        return parts[0], rest
    if all(counted):  # intel*2&amd*1: each node needs one of them
        return (lambda have: any(p(have) for p in parts)), rest
    return (lambda have: all(p(have) for p in parts)), rest


def _is_counted(tokens: list[str]) -> bool:
    return len(tokens) > 1 and tokens[1].startswith("*")


def _one(tokens: list[str]) -> tuple[Matcher, list[str]]:
    if not tokens:
        raise BadConstraint("it ends too early")
    first, rest = tokens[0], tokens[1:]
    if first == "!":
        inner, rest = _one(rest)
        return (lambda have: not inner(have)), rest
    if first in "([":
        inner, rest = _any(rest)
        if not rest or rest[0] != {"(": ")", "[": "]"}[first]:
            raise BadConstraint(f"{first!r} is not closed")
        rest = rest[1:]
    elif first in "&|,)]" or first.startswith("*"):
        raise BadConstraint(f"unexpected {first!r}")
    else:
        inner = lambda have: first in have  # noqa: E731  # as the other branches give it
    if rest and rest[0].startswith("*"):
        rest = rest[1:]
    return inner, rest
