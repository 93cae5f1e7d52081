"""Which ranks of a step run on which nodes, and which CPUs of the allocation they take. Pure.

By srun's manual page and what 25.11 was seen to do: a step takes all CPUs of its nodes unless --exact (or -c,
or --exclusive) says that it takes only what its tasks need; --overlap takes none from others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Tuple


class Refused(Exception):
    """Never possible in this allocation; the text is Slurm's."""


class Busy(Exception):
    """Possible, but not while other steps hold what it needs."""


@dataclass(frozen=True)
class Wish:
    tasks: Optional[int] = None
    nodes_min: Optional[int] = None
    nodes_max: Optional[int] = None
    tasks_per_node: Optional[int] = None
    cpus_per_task: int = 1
    node_list: Tuple[str, ...] = ()
    exclude: Tuple[str, ...] = ()
    relative: int = 0
    distribution: str = "block"
    plane_size: int = 1
    exact: bool = False
    overlap: bool = False
    overcommit: bool = False
    arbitrary: Tuple[str, ...] = ()
    """One name a task, for -m arbitrary."""


def read_wish(fields: Dict[str, Any]) -> Wish:
    """From JSON. Raises TypeError for a field that is none, or of another kind."""
    values: Dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in fields.items()}
    return Wish(**values)


@dataclass(frozen=True)
class Part:
    """What one node does in a step."""

    node: int
    """Its place in the allocation."""
    ranks: Tuple[int, ...]
    cpus: int
    """Taken from the node's free ones; 0 with --overlap."""


@dataclass
class Allocation:
    """The nodes of the job and what steps hold of them."""

    names: Sequence[str]
    cpus: Sequence[int]
    _held: Dict[int, List[Part]] = field(default_factory=dict)

    def free(self, node: int) -> int:
        held = sum(part.cpus for parts in self._held.values() for part in parts if part.node == node)
        return self.cpus[node] - held

    def take(self, step_id: int, parts: Sequence[Part]) -> None:
        self._held[step_id] = list(parts)

    def give_back(self, step_id: int) -> None:
        self._held.pop(step_id, None)

    def place(self, wish: Wish) -> List[Part]:
        """Raises Refused or Busy. Nothing is taken yet."""
        nodes = self._nodes(wish)
        tasks = _task_count(wish, len(nodes))
        most = [self._most_tasks(wish, node, self.cpus[node]) for node in nodes]
        if wish.arbitrary:
            counts = [list(wish.arbitrary).count(self.names[node]) for node in nodes]
        else:
            counts = _distribute(tasks, most, wish)
        if sum(counts) < tasks:
            raise Refused("More processors requested than permitted")
        ranks = _ranks(counts, wish, [self.names[node] for node in nodes])
        parts = [
            Part(node, ranks[k], self._cpus_taken(wish, node, counts[k])) for k, node in enumerate(nodes) if counts[k]
        ]
        if any(part.cpus > self.free(part.node) for part in parts):
            raise Busy("Requested nodes are busy")
        return parts

    def _nodes(self, wish: Wish) -> List[int]:
        for name in (*wish.node_list, *wish.exclude):
            if name not in self.names:
                raise Refused("Requested node configuration is not available")
        order = list(range(len(self.names)))
        order = order[wish.relative :] + order[: wish.relative]
        if wish.relative >= len(self.names):
            raise Refused("Requested node configuration is not available")
        usable = [node for node in order if self.names[node] not in wish.exclude]
        wanted = [node for node in usable if self.names[node] in wish.node_list]
        if wish.arbitrary:
            return sorted({self.names.index(name) for name in wish.arbitrary})
        usable = wanted + [node for node in usable if node not in wanted]
        count = wish.nodes_max or wish.nodes_min
        if count is None:
            count = max(len(wanted), 1) if wanted else len(usable)
            if wish.tasks is not None:
                count = min(count, wish.tasks)
        if wish.nodes_min is not None and wish.nodes_min > len(usable):
            raise Refused(
                "Node count specification invalid" if len(usable) == len(self.names) else "Requested nodes are busy"
            )
        chosen = usable[: min(count, len(usable))]
        if not wish.exact and not wish.overlap:
            return sorted(chosen)
        # With --exact a step goes where there is room for it.
        if wish.nodes_min is None and not wanted:
            return sorted(self._with_room(wish, usable)) or sorted(chosen)
        if len(wanted) < len(chosen):
            roomy = sorted(usable[len(wanted) :], key=lambda node: self.free(node) < wish.cpus_per_task)
            chosen = wanted + roomy[: len(chosen) - len(wanted)]
        return sorted(chosen)

    def _with_room(self, wish: Wish, usable: Sequence[int]) -> List[int]:
        """The fewest nodes, in order, whose free CPUs hold all tasks; empty when they do not."""
        left = wish.tasks or len(usable)
        chosen = []
        for node in usable:
            fits = (self.cpus[node] if wish.overlap else self.free(node)) // max(1, wish.cpus_per_task)
            if fits > 0 and left > 0:
                chosen.append(node)
                left -= fits
        return chosen if left <= 0 else []

    @staticmethod
    def _most_tasks(wish: Wish, node: int, cpus: int) -> int:
        if wish.overcommit:
            return 1 << 20
        most = cpus // max(1, wish.cpus_per_task)
        return min(most, wish.tasks_per_node) if wish.tasks_per_node else most

    def _cpus_taken(self, wish: Wish, node: int, tasks: int) -> int:
        if wish.overlap:
            return 0
        if wish.exact:
            return min(self.cpus[node], tasks * wish.cpus_per_task)
        return self.cpus[node]


def _task_count(wish: Wish, nodes: int) -> int:
    if wish.arbitrary:
        return len(wish.arbitrary)
    if wish.tasks is not None:
        return wish.tasks
    return nodes * (wish.tasks_per_node or 1)


def _distribute(tasks: int, most: Sequence[int], wish: Wish) -> List[int]:
    """Tasks a node: one each, then filled in order (block), in turn (cyclic) or in planes."""
    counts = [min(1, limit) for limit in most]
    left = tasks - sum(counts)
    if left < 0:
        counts = [1 if k < tasks else 0 for k in range(len(most))]
        return counts
    if wish.tasks_per_node and not wish.overcommit:
        for k, limit in enumerate(most):
            more = min(left, limit - counts[k])
            counts[k] += more
            left -= more
        return counts
    if wish.distribution in ("cyclic", "plane") or wish.overcommit:
        step = wish.plane_size if wish.distribution == "plane" else 1
        while left > 0:
            before = left
            for k, limit in enumerate(most):
                more = min(left, step, limit - counts[k])
                counts[k] += more
                left -= more
            if left == before:
                break
        return counts
    for k, limit in enumerate(most):
        more = min(left, limit - counts[k])
        counts[k] += more
        left -= more
    return counts


def _ranks(counts: Sequence[int], wish: Wish, names: Sequence[str]) -> List[Tuple[int, ...]]:
    """Rank numbers of each node."""
    if wish.arbitrary:
        return [tuple(rank for rank, name in enumerate(wish.arbitrary) if name == here) for here in names]
    ranks: List[List[int]] = [[] for _ in counts]
    if wish.distribution in ("cyclic", "plane"):
        step = wish.plane_size if wish.distribution == "plane" else 1
        rank = 0
        while rank < sum(counts):
            for k, count in enumerate(counts):
                for _ in range(min(step, count - len(ranks[k]))):
                    ranks[k].append(rank)
                    rank += 1
        return [tuple(found) for found in ranks]
    first = 0
    for k, count in enumerate(counts):
        ranks[k] = list(range(first, first + count))
        first += count
    return [tuple(found) for found in ranks]


def folded(values: Sequence[int]) -> str:
    """`4,1`, `2(x3)`"""
    parts: List[str] = []
    k = 0
    while k < len(values):
        run = k
        while run < len(values) and values[run] == values[k]:
            run += 1
        parts.append(str(values[k]) if run - k == 1 else f"{values[k]}(x{run - k})")
        k = run
    return ",".join(parts)
