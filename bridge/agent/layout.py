"""Which ranks of a step run on which nodes, and which CPUs of the allocation they take. Pure.

By srun's manual page and what 25.11 was seen to do: a step takes all CPUs of its nodes unless --exact (or -c,
or --exclusive) says that it takes only what its tasks need; --overlap takes none from others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from bridge.agent import distribution

_NO_LIMIT = 1 << 20
"""Tasks of a node with --overcommit."""


class Refused(Exception):
    """Never possible in this allocation; the text is Slurm's. `by_srun`: it stands alone, as srun's own finding."""

    def __init__(self, text: str, *, by_srun: bool = False) -> None:
        super().__init__(text)
        self.by_srun = by_srun


class Busy(Exception):
    """Possible, but not while other steps hold what it needs."""


_BUSY = "Requested nodes are busy"
_NO_MEMORY = "Memory required by task is not available"
_NOT_THERE = "Requested node configuration is not available"
_TOO_MANY = "More processors requested than permitted"


@dataclass(frozen=True)
class Wish:
    tasks: Optional[int] = None
    nodes_min: Optional[int] = None
    nodes_max: Optional[int] = None
    tasks_per_node: Optional[int] = None
    cpus_per_task: int = 1
    fills_nodes: bool = False
    """As many tasks as there are CPUs for."""
    node_list: Tuple[str, ...] = ()
    exclude: Tuple[str, ...] = ()
    relative: Optional[int] = None
    is_node_count_asked: bool = False
    """By --nodes, not only by the job's own number of nodes."""
    distribution: str = distribution.BLOCK
    plane_size: int = 1
    is_packed: bool = False
    exact: bool = False
    overlap: bool = False
    overcommit: bool = False
    memory_per_node_mib: Optional[int] = None
    memory_per_cpu_mib: Optional[int] = None
    """None or 0: it takes none from others."""
    is_one_a_node: bool = False
    """However many tasks were asked for."""
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
    is_shared: bool = False
    """With --overlap: nobody has less for it."""
    memory_mib: int = 0


@dataclass
class Allocation:
    """The nodes of the job and what steps hold of them."""

    names: Sequence[str]
    cpus: Sequence[int]
    memory_mib: Sequence[Optional[int]] = ()
    """None, or nothing said of a node: it is not counted."""
    _held: Dict[int, List[Part]] = field(default_factory=dict)
    _last: int = -1
    """The last node of the step that was placed last."""

    def free(self, node: int) -> int:
        held = [part for parts in self._held.values() for part in parts if part.node == node and not part.is_shared]
        return self.cpus[node] - sum(part.cpus for part in held)

    def _memory(self, node: int) -> Optional[int]:
        return self.memory_mib[node] if node < len(self.memory_mib) else None

    def _has_memory(self, node: int, wanted_mib: int) -> bool:
        """Free now."""
        of_node = self._memory(node)
        if of_node is None:
            return True
        parts = (part for parts in self._held.values() for part in parts)
        return wanted_mib + sum(part.memory_mib for part in parts if part.node == node) <= of_node

    def take(self, step_id: int, parts: Sequence[Part]) -> None:
        self._held[step_id] = list(parts)
        self._last = max(part.node for part in parts)

    def give_back(self, step_id: int) -> None:
        self._held.pop(step_id, None)

    def place(self, wish: Wish) -> List[Part]:
        """Raises Refused or Busy. Nothing is taken yet."""
        if wish.arbitrary:
            return self._place_as_listed(wish)
        nodes, tasks = self._nodes(wish)
        if wish.is_one_a_node:
            tasks = len(nodes)
        room = [self._room(wish, node) for node in nodes]
        ranks = distribution.ranks(tasks, room, wish.distribution, plane_size=wish.plane_size, is_packed=wish.is_packed)
        return self._parts(wish, nodes, ranks)

    def _place_as_listed(self, wish: Wish) -> List[Part]:
        """One name a task; nodes in the order in which they are first named."""
        names = list(dict.fromkeys(wish.arbitrary))
        if any(name not in self.names for name in names):
            raise Refused(_NOT_THERE)
        nodes = [self.names.index(name) for name in names]
        ranks = [tuple(rank for rank, name in enumerate(wish.arbitrary) if name == here) for here in names]
        if any(len(own) > self._most(wish, node) for node, own in zip(nodes, ranks)):  # noqa: B905
            raise Refused(_TOO_MANY)
        return self._parts(wish, nodes, ranks)

    def _parts(self, wish: Wish, nodes: Sequence[int], ranks: Sequence[Tuple[int, ...]]) -> List[Part]:
        pairs = zip(nodes, ranks)  # noqa: B905 (Python 3.9)
        parts = [self._part(wish, node, own) for node, own in pairs if own]
        for part in parts:
            of_node = self._memory(part.node)
            if of_node is not None and (wish.memory_per_node_mib or 0) > of_node:
                raise Refused(_NO_MEMORY)
        if any(part.cpus > self.free(part.node) and not part.is_shared for part in parts):
            raise Busy(_BUSY)
        if not all(self._has_memory(part.node, part.memory_mib) for part in parts):
            raise Busy(_BUSY)
        return parts

    def _part(self, wish: Wish, node: int, ranks: Tuple[int, ...]) -> Part:
        cpus = self._cpus_of(wish, node, len(ranks))
        memory = 0 if wish.overlap else wish.memory_per_node_mib or cpus * (wish.memory_per_cpu_mib or 0)
        return Part(node, ranks, cpus, wish.overlap, memory)

    def _nodes(self, wish: Wish) -> Tuple[List[int], int]:
        """(which nodes, how many tasks)."""
        usable = self._usable(wish)
        least, most = self._node_count(wish, usable)
        usable = usable[wish.relative or 0 :]
        wanted = self._wanted(wish, usable, least)
        if len(wanted) > most:
            raise Refused(_NOT_THERE)
        counts = range(min(most, len(usable)), max(least, len(wanted)) - 1, -1)
        for room_of in (self._most_now, self._most):
            for count in counts:
                tasks = wish.tasks if wish.tasks is not None else count * (wish.tasks_per_node or 1)
                chosen = self._choose(count, tasks, wanted, usable, {node: room_of(wish, node) for node in usable})
                if chosen and wish.fills_nodes:
                    return chosen, sum(self._room(wish, node) for node in chosen)
                if chosen:
                    return chosen, tasks
        if sum(self._most(wish, node) > 0 for node in usable) < least:
            raise Busy(_BUSY)  # for ever, as under Slurm
        raise Refused(_TOO_MANY)

    def _usable(self, wish: Wish) -> List[int]:
        for name in wish.node_list:
            if name in wish.exclude:
                raise Refused(f"Requested node {name} is also in the excluded list.\nJob not submitted.", by_srun=True)
        usable = [node for node, name in enumerate(self.names) if name not in wish.exclude]
        if not usable:
            raise Refused("Hostlist is empty!  Can't run job.", by_srun=True)
        return usable

    def _node_count(self, wish: Wish, usable: Sequence[int]) -> Tuple[int, int]:
        """The fewest and the most."""
        least = wish.nodes_min
        if least is None:
            least = len(usable) if wish.tasks is None else max(1, min(len(usable), wish.tasks))
        if wish.relative is not None and wish.relative + least > len(self.names):
            sum_text = f"{wish.relative}+{least}>{len(self.names)}"
            option = "--nodes" if wish.is_node_count_asked else "SLURM_JOB_NUM_NODES"
            reason = f"--relative and {option} option incompatible with count of allocated nodes ({sum_text})"
            raise Refused(reason, by_srun=True)
        if least > len(usable):
            reason = f"Only allocated {len(usable)} nodes asked for {least}"
            if wish.exclude:
                reason += "\nAre required nodes explicitly excluded?"
            raise Refused(reason, by_srun=True)
        most = wish.nodes_max or least
        return least, most if wish.tasks is None else max(least, min(most, wish.tasks))

    def _wanted(self, wish: Wish, usable: Sequence[int], least: int) -> List[int]:
        """Nodes that it must get. What --exclude leaves is taken from the front, as if it had been named."""
        if any(name not in self.names for name in wish.node_list):
            raise Refused(_NOT_THERE)
        if wish.exclude and not wish.node_list:
            return list(usable[:least])
        return [node for node, name in enumerate(self.names) if name in wish.node_list]

    def _choose(
        self, count: int, tasks: int, wanted: Sequence[int], usable: Sequence[int], room: Mapping[int, int]
    ) -> List[int]:
        """So many nodes that hold all tasks, or none. Those without a step come first, and among them those behind
        the last one that was given away, round and round; but those that hold an equal share before all others.
        """
        chosen = list(wanted)
        share = -(-tasks // count)
        others = [node for node in usable if node not in wanted and room[node] > 0]
        others.sort(key=lambda node: (self.free(node) < self.cpus[node], node <= self._last, node))
        others.sort(key=lambda node: -min(share, room[node]))
        chosen += others[: count - len(chosen)]
        return sorted(chosen) if len(chosen) == count and sum(room[node] for node in chosen) >= tasks else []

    def _room(self, wish: Wish, node: int) -> int:
        """Tasks for which its CPUs are enough."""
        return self.cpus[node] // wish.cpus_per_task

    def _most(self, wish: Wish, node: int) -> int:
        """Tasks that it may be given."""
        room = self._room(wish, node)
        return _NO_LIMIT if wish.overcommit and room else room

    def _most_now(self, wish: Wish, node: int) -> int:
        if wish.overlap:
            return self._most(wish, node)
        if not self._has_memory(node, wish.memory_per_node_mib or 0):
            return 0
        free = self.free(node)
        room = free // wish.cpus_per_task if wish.exact or free == self.cpus[node] else 0
        return _NO_LIMIT if wish.overcommit and room else room

    def _cpus_of(self, wish: Wish, node: int, tasks: int) -> int:
        return min(self.cpus[node], tasks * wish.cpus_per_task) if wish.exact else self.cpus[node]


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
