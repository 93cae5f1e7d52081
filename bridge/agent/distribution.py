"""How many tasks of a step each node gets, and which ranks they are. Pure; dealt as srun 25.11 was seen to deal."""

from __future__ import annotations

import itertools
from typing import Iterator, List, Sequence, Tuple

BLOCK, CYCLIC, PLANE, ARBITRARY = "block", "cyclic", "plane", "arbitrary"


def ranks(
    tasks: int, room: Sequence[int], method: str = BLOCK, *, plane_size: int = 1, is_packed: bool = False
) -> List[Tuple[int, ...]]:
    """Ranks of each node. `room`: tasks for which a node has CPUs; when that is not enough, nodes take more."""
    if method == CYCLIC:
        return _dealt(itertools.islice(_in_turn(tasks, room), tasks), len(room))
    if method == PLANE:
        return _dealt(_in_planes(tasks, room, plane_size), len(room))
    counts = _packed(tasks, room) if is_packed else _balanced(tasks, room)
    starts = itertools.accumulate([0, *counts])
    return [tuple(range(start, start + count)) for start, count in zip(starts, counts)]  # noqa: B905 (Python 3.9)


def _dealt(nodes: Iterator[int], count: int) -> List[Tuple[int, ...]]:
    """`nodes`: where each rank goes."""
    found: List[List[int]] = [[] for _ in range(count)]
    for rank, node in enumerate(nodes):
        found[node].append(rank)
    return [tuple(here) for here in found]


def _in_turn(tasks: int, room: Sequence[int]) -> Iterator[int]:
    """One each, as long as there is room; what is beyond all room is shared evenly."""
    beyond = -(-max(0, tasks - sum(room)) // len(room))
    for turn in itertools.count():
        yield from (node for node, own in enumerate(room) if turn < own + beyond)


def _balanced(tasks: int, room: Sequence[int]) -> List[int]:
    """One each a turn, as long as there is room; once there is none left anywhere, everybody takes one a turn."""
    counts = [0] * len(room)
    fullest = max(room)
    turns = (node for turn in itertools.count() for node, own in enumerate(room) if turn < own or turn >= fullest)
    for node in itertools.islice(turns, tasks):
        counts[node] += 1
    return counts


def _packed(tasks: int, room: Sequence[int]) -> List[int]:
    """One each, then node by node as many as there is room for, then one each again."""
    first = [1] * min(tasks, len(room)) + [0] * max(0, len(room) - tasks)
    left = tasks - sum(first)
    counts = []
    for here, own in zip(first, room):  # noqa: B905 (Python 3.9)
        more = max(0, min(left, own - here))
        counts.append(here + more)
        left -= more
    for node in range(left):
        counts[node % len(room)] += 1
    return counts


def _in_planes(tasks: int, room: Sequence[int], plane_size: int) -> Iterator[int]:
    """So many each a turn, but no more than its CPUs; one is kept for each node that has none yet."""
    left, empty = tasks, len(room)
    while left:
        for node, own in enumerate(room):
            empty = max(0, empty - 1)
            share = max(1, min(plane_size, own))
            count = min(left, max(1, min(share, left - empty))) if left else 0
            yield from itertools.repeat(node, count)
            left -= count
