"""`n[01-03,7]` and back, inside a job: for `scontrol show hostnames` and the step's node list.

Standard library only, and no import of the bridge: it must work in any pod. The bridge's own reader of the
same form is `adapters/slurm/hostlist.py`.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, Sequence, Tuple

MOST = 65536
_NUMBERED = re.compile(r"^(.*?)(\d+)$")


def expand(text: str) -> List[str]:
    """Raises ValueError."""
    names: List[str] = []
    depth, word = 0, ""
    for character in text + ",":
        if character == "," and depth == 0:
            if word:
                names += _expand_word(word)
            word = ""
            if len(names) > MOST:
                raise ValueError("too many names")
            continue
        depth += (character == "[") - (character == "]")
        if depth not in (0, 1):
            raise ValueError(f"brackets do not match: {text[:60]}")
        word += character
    if depth:
        raise ValueError(f"brackets do not match: {text[:60]}")
    return names


def _expand_word(word: str) -> List[str]:
    head, bracket, rest = word.partition("[")
    if not bracket:
        return [word]
    inside, _, tail = rest.partition("]")
    names: List[str] = []
    for item in inside.split(","):
        first, dash, last = item.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ValueError(f"no numbers: {item[:40]!r}")
        low, high = int(first), int(last) if dash else int(first)
        if high < low or high - low > MOST:
            raise ValueError(f"no range: {item[:40]!r}")
        names += [f"{head}{number:0{len(first)}d}" for number in range(low, high + 1)]
    return [name + end for name in names for end in (_expand_word(tail) if "[" in tail else [tail])]


def compress(names: Sequence[str]) -> str:
    """In the order of first appearance of each prefix; numbers of equal width are joined to ranges."""
    groups: Dict[Tuple[str, int], List[int]] = {}
    order: List[object] = []
    for name in names:
        found = _NUMBERED.match(name)
        if found is None:
            order.append(name)
            continue
        prefix, digits = found[1], found[2]
        width = len(digits) if digits.startswith("0") and len(digits) > 1 else 0
        group = (prefix, width)
        if group not in groups:
            groups[group] = []
            order.append(group)
        groups[group].append(int(digits))
    return ",".join(item if isinstance(item, str) else _group_text(item, groups[item]) for item in order)  # type: ignore[index,arg-type]


def _group_text(group: Tuple[str, int], numbers: Sequence[int]) -> str:
    prefix, width = group
    runs: List[List[int]] = []
    for number in numbers:
        if runs and runs[-1][1] + 1 == number:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [f"{a:0{width}d}" if a == b else f"{a:0{width}d}-{b:0{width}d}" for a, b in runs]
    if len(texts) == 1 and "-" not in texts[0]:
        return prefix + texts[0]
    return f"{prefix}[{','.join(texts)}]"


def answer(argv: Sequence[str]) -> Tuple[str, str, int]:
    """(stdout, stderr, exit code) of `scontrol show hostnames|hostlist|hostlistsorted [LIST]`."""
    what = argv[0]
    text = argv[1] if len(argv) > 1 else os.environ.get("SLURM_NODELIST", "")
    if not text:
        return "", "scontrol: error: host list is empty\n", 0
    try:
        names = expand(text)
    except ValueError:
        return "", f"Invalid hostlist: {text}\n", 1
    if "hostnames".startswith(what) and what != "hostlist":
        return "".join(f"{name}\n" for name in names), "", 0
    if what == "hostlistsorted":
        names = sorted(set(names))
    return compress(names) + "\n", "", 0
