"""Whether one job fits on given nodes as they are now, and which share each of them gives. Pure.

Knows nothing of the queue: which job is looked at first, and what is kept free for others, is `placement`'s.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.core import constraint
from bridge.core.accounting_limits import FREE, Demand, Terms
from bridge.core.constraint import Expression
from bridge.core.job import JobKey, Share
from bridge.core.nodes import Node, NodeState
from bridge.core.request import Component
from bridge.core.sizing import Size


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that only lacks room, or `keys` of an array: identical pieces, to be started in this order."""

    keys: tuple[JobKey, ...]
    partitions: tuple[str, ...]
    """In order of preference."""
    size: Size
    component: Component
    time_limit_seconds: int
    submitted_at: float
    priority: int = 1
    nice: int = 0
    licenses: tuple[tuple[str, int], ...] = ()
    constraint: Expression | None = None
    uid: int = 0
    reservation: str | None = None
    """That it must run in; None: it keeps off all of them."""
    terms: Terms = FREE
    """Limits of accounting that apply to it."""
    demand: Demand | None = None
    """What counts against them; None: nothing does."""
    preference: Expression | None = None
    """--prefer: tried in the place of `constraint` first."""


@dataclass(slots=True)
class Room:
    """What is free on one node."""

    node: Node
    cpus: int
    memory_mib: int
    devices: dict[tuple[str, str | None], list[int]]
    jobs: int = 0
    whole: int = 0
    """Jobs that have the node to themselves."""

    def copy(self) -> "Room":
        devices = {k: list(v) for k, v in self.devices.items()}
        return Room(self.node, self.cpus, self.memory_mib, devices, self.jobs, self.whole)

    def take(self, share: Share, *, whole: bool) -> None:
        self.cpus -= share.cpus
        self.memory_mib -= share.memory_mib
        self.jobs += 1
        self.whole += whole
        for name, kind, indices in share.gres:
            free = self.devices.get((name, kind))
            if free is not None:
                self.devices[name, kind] = [i for i in free if i not in indices]

    def give_back(self, share: Share, *, whole: bool) -> None:
        self.cpus += share.cpus
        self.memory_mib += share.memory_mib
        self.jobs -= 1
        self.whole -= whole
        for name, kind, indices in share.gres:
            if (name, kind) in self.devices:
                self.devices[name, kind] = sorted({*self.devices[name, kind], *indices})


def empty_room(node: Node) -> Room:
    devices: dict[tuple[str, str | None], list[int]] = {}
    first: dict[str, int] = {}
    for name, kind, count in node.gres:
        start = first.get(name, 0)
        devices[name, kind] = list(range(start, start + count))
        first[name] = start + count
    return Room(node, node.cpus, node.memory_mib, devices)


def has_room(room: Room, share: Share, *, whole: bool) -> bool:
    if share.cpus > room.cpus or share.memory_mib > room.memory_mib or room.whole or (whole and room.jobs):
        return False
    return all(set(indices) <= set(room.devices.get((name, kind), [])) for name, kind, indices in share.gres)


def could_ever_fit(candidate: Candidate, nodes: Sequence[Node]) -> bool:
    """Whether the job could start if all these nodes were empty and up."""
    rooms = [empty_room(node) for node in nodes]
    return fit(candidate, rooms, ignore_state=True) is not None


def fit(candidate: Candidate, rooms: Sequence[Room], *, ignore_state: bool = False) -> tuple[Share, ...] | None:
    """Shares on these nodes for one piece, or None. Nodes in their order; those that the job names come first."""
    if candidate.preference is not None:
        preferred = replace(candidate, constraint=candidate.preference, preference=None)
        if (shares := _fit(preferred, rooms, ignore_state=ignore_state)) is not None:
            return shares
    return _fit(candidate, rooms, ignore_state=ignore_state)


def _fit(candidate: Candidate, rooms: Sequence[Room], *, ignore_state: bool) -> tuple[Share, ...] | None:
    size, component = candidate.size, candidate.component
    wanted = set(component.node_list)
    open_rooms = [
        room
        for room in rooms
        if room.cpus >= size.cpus_per_node_min
        and (ignore_state or room.node.state is NodeState.UP)
        and room.node.name not in component.exclude
        and room.node.temporary_disk_mib >= (component.temporary_disk_mib or 0)
        and has_shape(room.node, component)
        and not room.whole
        and not (size.whole_nodes and room.jobs)
    ]
    if len(open_rooms) < size.nodes_min:
        return None
    order = {room.node.name: position for position, room in enumerate(open_rooms)}
    usable = sorted(open_rooms, key=lambda room: (room.node.name not in wanted, room.node.weight))
    sizes = _node_counts(size, component, len(open_rooms))
    for count, (suitable, needed) in itertools.product(sizes, _suitable(candidate, usable)):
        nodes_min = max(count or size.nodes_min, needed)
        nodes_max = count or size.nodes_max
        shares = _spread(candidate, suitable, nodes_min, nodes_max, order)
        if shares is None:
            continue
        if wanted and not wanted <= {s.node for s in shares} and len(shares) >= len(wanted):
            continue
        return shares
    return None


def has_shape(node: Node, component: Component) -> bool:
    """Sockets, cores of a socket and threads of a core: at least as many as asked for."""
    return (
        node.sockets >= (component.sockets_per_node or 0)
        and node.cores_per_socket >= (component.cores_per_socket or 0)
        and node.threads_per_core >= (component.threads_per_core or 0)
    )


def _node_counts(size: Size, component: Component, available: int) -> Sequence[int]:
    """Exact numbers of nodes to try, in order; 0 stands for the range of the size."""
    if size.node_sizes:
        return sorted(size.node_sizes, reverse=True)
    if size.gres_per_job and size.nodes_max is None:
        # Devices of the whole job may need more nodes than its tasks do, but never more nodes than tasks.
        return range(size.nodes_min, min(available, component.tasks or available) + 1)
    return (0,)


def _suitable(candidate: Candidate, rooms: Sequence[Room]) -> Iterable[tuple[list[Room], int]]:
    """For each way to meet the constraint: the rooms in question, best first, and how many it needs at least."""
    if candidate.constraint is None:
        yield list(rooms), 0
        return
    for choice in constraint.alternatives(candidate.constraint):
        fitting = [room for room in rooms if choice.matches(room.node.features)]
        if not isinstance(choice, constraint.Counts):
            yield fitting, 0
            continue
        first: list[Room] = []
        for part in choice.parts:
            own = [r for r in fitting if r not in first and part.matches(r.node.features)][: part.nodes]
            if len(own) < part.nodes:
                break
            first += own
        else:
            yield first + [room for room in fitting if room not in first], len(first)


def _spread(
    candidate: Candidate, rooms: Sequence[Room], nodes_min: int, nodes_max: int | None, order: Mapping[str, int]
) -> tuple[Share, ...] | None:
    """Tasks over nodes: with a fixed number a node, else one each and the rest block by block.

    `rooms` come best first; the nodes of a job are numbered by `order`, whichever was the better one.
    """
    size = candidate.size
    capacity: list[tuple[Room, int]] = []
    for room in rooms:
        tasks = _tasks_that_fit(candidate, room)
        if tasks > 0:
            capacity.append((room, tasks))
    if size.tasks_per_node:
        capacity = [(room, size.tasks_per_node) for room, tasks in capacity if tasks >= size.tasks_per_node]
    if len(capacity) < nodes_min:
        return None
    tasks = max(size.tasks, nodes_min)
    limit = nodes_max if nodes_max is not None else len(capacity)
    # As seen of Slurm: `-N1-3` takes as many nodes as it can, but none without a task; else as few as hold the tasks.
    aim = nodes_min if nodes_max is None else min(nodes_max, len(capacity))
    if candidate.component.tasks is not None:
        aim = max(nodes_min, min(aim, tasks))
    chosen: list[tuple[Room, int]] = []
    for room, most in capacity:
        if len(chosen) >= limit or (len(chosen) >= aim and sum(t for _, t in chosen) >= tasks):
            break
        chosen.append((room, most))
    if candidate.component.tasks is None and size.tasks_per_node:
        tasks = len(chosen) * size.tasks_per_node
    elif not size.task_count_given:
        tasks = max(tasks, len(chosen))
    if sum(t for _, t in chosen) < tasks and not size.overcommit:
        chosen = sorted(capacity, key=lambda entry: -entry[1])[: max(aim, limit)]
        if sum(t for _, t in chosen) < tasks:
            return None
    if len(chosen) < nodes_min:
        return None
    chosen.sort(key=lambda entry: order[entry[0].node.name])
    counts = _distribute(tasks, [most for _, most in chosen], size.tasks_per_node, overcommit=size.overcommit)
    return _shares(candidate, [room for room, _ in chosen], counts)


def _distribute(tasks: int, most: Sequence[int], per_node: int | None, *, overcommit: bool) -> list[int]:
    """Every node one, the rest filled up in order; with --overcommit the same number everywhere, as near as it goes."""
    if overcommit and per_node is None:
        each, more = divmod(tasks, len(most))
        return [each + (k < more) for k in range(len(most))]
    counts = [1] * len(most)
    left = tasks - len(most)
    for k, limit in enumerate(most):
        added = max(0, min(left, (per_node or limit) - 1))
        counts[k] += added
        left -= added
    if overcommit and left > 0:
        counts[-1] += left
    return counts


def _tasks_that_fit(candidate: Candidate, room: Room) -> int:
    size = candidate.size
    most = room.cpus // size.cpus_per_task if not size.overcommit else max(1, size.tasks)
    if size.memory_per_node_mib:
        if room.memory_mib < size.memory_per_node_mib:
            return 0
    elif size.memory_per_node_mib == 0:
        if room.memory_mib < room.node.memory_mib:
            return 0
    elif size.memory_per_cpu_mib:
        most = min(most, room.memory_mib // (size.memory_per_cpu_mib * size.cpus_per_task))
        if room.memory_mib < size.memory_per_cpu_mib * size.cpus_per_node_min:
            return 0
    for gres in (*size.gres_per_node, *candidate.component.gres_per_task):
        free = _free_devices(room, gres.name, gres.type)
        if len(free) < gres.count:
            return 0
    for gres in candidate.component.gres_per_task:
        most = min(most, len(_free_devices(room, gres.name, gres.type)) // max(1, gres.count))
    for gres in candidate.size.gres_per_job:
        if not _free_devices(room, gres.name, gres.type) and gres.count:
            return 0
    return most


def _free_devices(room: Room, name: str, kind: str | None) -> list[tuple[str | None, int]]:
    return [
        (have_kind, index)
        for (have_name, have_kind), indices in room.devices.items()
        if have_name == name and kind in (None, have_kind)
        for index in indices
    ]


def _shares(candidate: Candidate, rooms: Sequence[Room], counts: Sequence[int]) -> tuple[Share, ...] | None:
    size = candidate.size
    left_of_job = {(g.name, g.type): g.count for g in candidate.size.gres_per_job}
    shares = []
    for position, (room, tasks) in enumerate(zip(rooms, counts, strict=True)):
        rest = len(rooms) - position - 1
        if size.whole_nodes:
            cpus = room.node.cpus
        elif size.overcommit:
            cpus = max(1, size.cpus_per_node_min)
        else:
            cpus = max(tasks * size.cpus_per_task, size.cpus_per_node_min)
        gres = _devices(candidate, room, tasks, left_of_job, rest)
        if gres is None or cpus > room.cpus:
            return None
        gpus = sum(len(indices) for name, _, indices in gres if name == "gpu")
        memory = size.memory_mib(cpus, gpus) or (
            room.node.memory_mib if size.whole_nodes or size.memory_per_node_mib == 0 else 0
        )
        if memory > room.memory_mib:
            return None
        shares.append(Share(room.node.name, cpus, memory, max(tasks, 1), gres))
    if any(left_of_job.values()):
        return None
    return tuple(shares)


def _devices(
    candidate: Candidate, room: Room, tasks: int, left_of_job: dict[tuple[str, str | None], int], nodes_after: int
) -> tuple[tuple[str, str | None, tuple[int, ...]], ...] | None:
    """The devices that one node gives; counts down what the job as a whole still needs."""
    wanted: list[tuple[str, str | None, int]] = [(g.name, g.type, g.count) for g in candidate.size.gres_per_node]
    if not candidate.size.gres_per_job:
        wanted += [(g.name, g.type, g.count * tasks) for g in candidate.component.gres_per_task]
    for gres in candidate.size.gres_per_node:  # count for the job as well
        if (gres.name, gres.type) in left_of_job:
            left_of_job[gres.name, gres.type] = max(0, left_of_job[gres.name, gres.type] - gres.count)
    for (name, kind), left in left_of_job.items():
        take = min(left - nodes_after, len(_free_devices(room, name, kind)))
        if take > 0:
            wanted.append((name, kind, take))
            left_of_job[name, kind] = left - take
    used: dict[tuple[str, str | None], list[int]] = {}
    for name, kind, count in wanted:
        free = [d for d in _free_devices(room, name, kind) if d[1] not in used.get((name, d[0]), [])]
        if len(free) < count:
            return None
        for have_kind, index in free[:count]:
            used.setdefault((name, have_kind), []).append(index)
    return tuple((name, kind, tuple(indices)) for (name, kind), indices in used.items())
