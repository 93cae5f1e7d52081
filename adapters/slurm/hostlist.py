"""Node lists, expanded and compressed: `gpu[01-03,7]` and back.

Follows the rules of Slurm's host lists: zero padding is kept, a name may have brackets in several places
(compressing writes one pair, at the last number). Does not know which nodes exist.
"""

import re
from collections.abc import Iterable

LONGEST = 65536
"""Most names one list may stand for: the text comes from users."""

_LONGEST_NUMBER = 18
"""Digits; longer ones are part of the name."""


class BadList(ValueError):
    """The text is no node list; the message says why."""


def expand(text: str) -> list[str]:
    """`n[1-3],m7` → n1 n2 n3 m7, in order, doubles kept. BadList when it cannot be read."""
    if "[" not in text and "]" not in text:
        return [name for name in re.split(r"[,\s]+", text) if name]
    names: list[str] = []
    for part in _split(text):
        names.extend(_expand_one(part, LONGEST - len(names)))
    return names


def compress(names: Iterable[str]) -> str:
    """n1 n3 n2 m7 → `n[1-3],m7`: prefixes in order of first appearance, numbers ascending, doubles once."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for name in dict.fromkeys(names):
        prefix, digits = _cut(name)
        groups.setdefault(prefix, []).append((int(digits or -1), name))
    return fold(name for group in groups.values() for _, name in sorted(group))


def fold(names: Iterable[str]) -> str:
    """As `scontrol show hostlist` writes them: order and doubles are kept, neighbours are joined."""
    texts: list[str] = []
    prefix, spans = "", list[tuple[str, str]]()
    for name in names:
        its_prefix, digits = _cut(name)
        if spans and (its_prefix != prefix or not digits):
            texts.append(_written(prefix, spans))
            spans = []
        if not digits:
            texts.append(name)
        elif spans and _follows(spans[-1][1], digits):
            spans[-1] = (spans[-1][0], digits)
        else:
            spans.append((digits, digits))
        prefix = its_prefix
    if spans:
        texts.append(_written(prefix, spans))
    return ",".join(texts)


def _cut(name: str) -> tuple[str, str]:
    """(all before the last number, the number's digits or nothing)"""
    prefix = name.rstrip("0123456789")
    digits = name[len(prefix) :]
    return (prefix, digits) if len(digits) <= _LONGEST_NUMBER else (name, "")


def _follows(before: str, after: str) -> bool:
    """Whether a range may run on: padding has to be the same, n9 and n10 belong together, n09 and n9 do not."""
    if int(after) != int(before) + 1:
        return False
    return len(after) == len(before) or (before[0] != "0" and after[0] != "0")


def _written(prefix: str, spans: list[tuple[str, str]]) -> str:
    if len(spans) == 1 and spans[0][0] == spans[0][1]:
        return prefix + spans[0][0]
    return f"{prefix}[{','.join(first if first == last else f'{first}-{last}' for first, last in spans)}]"


def _split(text: str) -> list[str]:
    """At commas and blanks outside brackets."""
    parts, begin, inside = [], 0, False
    for at, character in enumerate(text):
        if character == "[":
            if inside:
                raise BadList(f"a bracket within a bracket in {text!r}")
            inside = True
        elif character == "]":
            if not inside:
                raise BadList(f"a closing bracket too many in {text!r}")
            inside = False
        elif not inside and (character == "," or character.isspace()):
            parts.append(text[begin:at])
            begin = at + 1
    if inside:
        raise BadList(f"a bracket is not closed in {text!r}")
    parts.append(text[begin:])
    return [part for part in parts if part]


def _expand_one(text: str, room: int) -> list[str]:
    names = [""]
    rest = text
    while rest:
        literal, bracket, rest = rest.partition("[")
        if literal:
            names = [name + literal for name in names]
        if bracket:
            inner, _, rest = rest.partition("]")
            numbers = _numbers(inner, room)
            if len(names) * len(numbers) > room:
                raise BadList(f"more than {LONGEST} names in one list")
            names = [name + number for name in names for number in numbers]
    if len(names) > room:
        raise BadList(f"more than {LONGEST} names in one list")
    return names


def _numbers(text: str, room: int) -> list[str]:
    numbers: list[str] = []
    for item in text.split(","):
        first, dash, last = item.partition("-")
        if not _is_number(first) or (dash and not _is_number(last)):
            raise BadList(f"{item!r} is neither a number nor a range of numbers")
        low, high = int(first), int(last) if dash else int(first)
        if high < low:
            raise BadList(f"{item!r} counts backwards")
        if len(numbers) + high - low >= room:
            raise BadList(f"more than {LONGEST} names in one list")
        numbers.extend(f"{number:0{len(first)}d}" for number in range(low, high + 1))
    return numbers


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
