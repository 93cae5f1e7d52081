"""Which waiting jobs may start now, on which nodes, and why the others may not. Pure.

Order: partition's tier, priority, nice, submission, id. In each partition the first job that finds no room
gets a reservation at the earliest time at which running jobs leave enough; a later job may start only where
it ends before that, or takes nothing that the reservation needs (EASY backfill). Memory, CPUs and devices are counted.
"""

import bisect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core import constraint
from bridge.core.constraint import Expression
from bridge.core.job import JobKey, Share
from bridge.core.nodes import Node, NodeState, Partition
from bridge.core.reasons import Reason
from bridge.core.request import Component
from bridge.core.sizing import Size

FOREVER = float("inf")


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


@dataclass(frozen=True, slots=True)
class Running:
    key: JobKey
    shares: tuple[Share, ...]
    ends_at: float
    """By its time limit at the latest; `FOREVER` without one."""
    licenses: tuple[tuple[str, int], ...] = ()
    whole_nodes: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    key: JobKey
    partition: str
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    placements: tuple[Placement, ...] = ()
    reasons: Mapping[JobKey, tuple[Reason, str]] = field(default_factory=dict)
    """For every candidate that stays, by its first key."""
    estimates: Mapping[JobKey, tuple[float, tuple[Share, ...]]] = field(default_factory=dict)
    """Expected start (epoch seconds) and nodes of blocked jobs that were looked at closely."""


def plan(
    candidates: Iterable[Candidate],
    running: Iterable[Running],
    nodes: Sequence[Node],
    partitions: Sequence[Partition],
    licenses_free: Mapping[str, int],
    now: float,
    *,
    depth: int = 500,
    estimate: frozenset[JobKey] = frozenset(),
) -> Plan:
    """`depth`: how many blocked jobs are tried for backfill. `estimate`: for these an expected start is wanted."""
    tiers = {p.name: p.priority_tier for p in partitions}
    by_name = {p.name: p for p in partitions}
    order = sorted(
        candidates,
        key=lambda c: (
            -max((tiers.get(p, 0) for p in c.partitions), default=0),
            -c.priority,
            c.nice,
            c.submitted_at,
            c.keys[0],
        ),
    )
    board = _Board(nodes, running, licenses_free, now)
    placements: list[Placement] = []
    reasons: dict[JobKey, tuple[Reason, str]] = {}
    estimates: dict[JobKey, tuple[float, tuple[Share, ...]]] = {}
    hopeless: dict[tuple[object, ...], tuple[Reason, str]] = {}
    headed: set[str] = set()
    """Partitions in which a job waits for room: those behind it wait for their turn."""
    tried = 0
    for candidate in order:
        shape = _shape(candidate)
        if shape in hopeless or tried >= depth:
            reason = hopeless.get(shape, (Reason.PRIORITY, ""))
            reasons[candidate.keys[0]] = (Reason.PRIORITY, "") if reason[0] is Reason.RESOURCES else reason
            if candidate.keys[0] in estimate:
                _estimate(board, candidate, by_name, estimates)
            continue
        for position, key in enumerate(candidate.keys):
            found = board.place(candidate, by_name)
            if isinstance(found, Placement):
                placements.append(Placement(key, found.partition, found.shares))
                continue
            tried += 1
            hopeless[shape] = found
            if found[0] is Reason.RESOURCES and not headed.isdisjoint(candidate.partitions):
                found = (Reason.PRIORITY, "")
            elif found[0] is Reason.RESOURCES:
                at_shares = board.reserve(candidate, by_name)
                if at_shares is not None:
                    estimates[candidate.keys[position]] = at_shares
                if at_shares is not None or board.can_ever_start(candidate, by_name):
                    headed.update(candidate.partitions)
                else:
                    found = hopeless[shape] = (Reason.BAD_CONSTRAINTS, "")
            reasons[candidate.keys[position]] = found
            if key in estimate and key not in estimates:
                _estimate(board, candidate, by_name, estimates)
            break
    return Plan(tuple(placements), reasons, estimates)


def _shape(candidate: Candidate) -> tuple[object, ...]:
    """Candidates of one shape fare alike: where one found no room, the next need not look.

    Of the size, only what does not follow from the component: hashing is most of the work for thousands of jobs.
    """
    size = candidate.size
    return (
        candidate.component,
        candidate.partitions,
        candidate.time_limit_seconds,
        candidate.licenses,
        size.memory_per_cpu_mib,
        size.memory_per_node_mib,
        size.whole_nodes,
    )


def _estimate(
    board: "_Board",
    candidate: Candidate,
    by_name: Mapping[str, Partition],
    estimates: dict[JobKey, tuple[float, tuple[Share, ...]]],
) -> None:
    found = board.earliest(candidate, by_name)
    if found is not None:
        estimates[candidate.keys[0]] = found


@dataclass(slots=True)
class _Room:
    """What is free on one node."""

    node: Node
    cpus: int
    memory_mib: int
    devices: dict[tuple[str, str | None], list[int]]
    jobs: int = 0
    whole: int = 0
    """Jobs that have the node to themselves."""

    def copy(self) -> "_Room":
        devices = {k: list(v) for k, v in self.devices.items()}
        return _Room(self.node, self.cpus, self.memory_mib, devices, self.jobs, self.whole)

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


def _empty(node: Node) -> _Room:
    devices: dict[tuple[str, str | None], list[int]] = {}
    first: dict[str, int] = {}
    for name, kind, count in node.gres:
        start = first.get(name, 0)
        devices[name, kind] = list(range(start, start + count))
        first[name] = start + count
    return _Room(node, node.cpus, node.memory_mib, devices)


class _Board:
    """The nodes now, and what is known of later."""

    def __init__(
        self, nodes: Sequence[Node], running: Iterable[Running], licenses_free: Mapping[str, int], now: float
    ) -> None:
        self._now = now
        self._rooms = {node.name: _empty(node) for node in nodes}
        self._running: list[Running] = []
        self._licenses = dict(licenses_free)
        for job in running:
            self._running.append(job)
            for share in job.shares:
                if share.node in self._rooms:
                    self._rooms[share.node].take(share, whole=job.whole_nodes)
        self._running.sort(key=lambda job: job.ends_at)
        self._reservations: list[tuple[float, dict[str, _Room]]] = []
        """(time, what is left free at that time) of the first blocked job of each partition."""

    def place(self, candidate: Candidate, by_name: Mapping[str, Partition]) -> Placement | tuple[Reason, str]:
        """Take the room for one piece, or say why there is none now."""
        for name, count in candidate.licenses:
            if self._licenses.get(name, 0) < count:
                return Reason.LICENSES, ""
        why: list[tuple[Reason, str]] = []
        for name in candidate.partitions:
            partition = by_name.get(name)
            if partition is None:
                continue
            if partition.state != "UP":
                why.append((Reason.PARTITION_DOWN if partition.state == "DOWN" else Reason.PARTITION_INACTIVE, ""))
                continue
            usable = [self._rooms[n] for n in partition.nodes if n in self._rooms]
            shares = fit(candidate, usable)
            if shares is None:
                why.append(self._why_not(candidate, usable))
                continue
            if not self._leaves_reservations(candidate, shares):
                why.append((Reason.PRIORITY, ""))
                continue
            self._take(candidate, shares)
            return Placement(candidate.keys[0], name, shares)
        # Of several partitions the one where time alone will help says why.
        hopeful = [reason for reason in why if reason[0] in (Reason.RESOURCES, Reason.PRIORITY)]
        return (hopeful or why or [(Reason.PARTITION_CONFIG, "")])[0]

    def can_ever_start(self, candidate: Candidate, by_name: Mapping[str, Partition]) -> bool:
        """Whether one of its partitions could hold it with all nodes empty and up."""
        return any(
            could_ever_fit(candidate, [self._rooms[n].node for n in by_name[name].nodes if n in self._rooms])
            for name in candidate.partitions
            if name in by_name
        )

    def _take(self, candidate: Candidate, shares: tuple[Share, ...]) -> None:
        ends_at = self._now + candidate.time_limit_seconds
        whole = candidate.size.whole_nodes
        for share in shares:
            self._rooms[share.node].take(share, whole=whole)
            for reserved_at, spare in self._reservations:
                if ends_at > reserved_at:
                    spare[share.node].take(share, whole=whole)
        for name, count in candidate.licenses:
            self._licenses[name] = self._licenses.get(name, 0) - count
        job = Running(candidate.keys[0], shares, ends_at, candidate.licenses, whole)
        bisect.insort(self._running, job, key=lambda r: r.ends_at)

    def _leaves_reservations(self, candidate: Candidate, shares: tuple[Share, ...]) -> bool:
        ends_at = self._now + candidate.time_limit_seconds
        return all(
            _has_room(spare[share.node], share, whole=candidate.size.whole_nodes)
            for reserved_at, spare in self._reservations
            if ends_at > reserved_at
            for share in shares
        )

    def reserve(self, candidate: Candidate, by_name: Mapping[str, Partition]) -> tuple[float, tuple[Share, ...]] | None:
        """Keep the earliest room for the first blocked job of a partition."""
        found, rooms = self._walk(candidate, by_name)
        if found is None or rooms is None:
            return None
        for share in found[1]:
            rooms[share.node].take(share, whole=candidate.size.whole_nodes)
        self._reservations.append((found[0], rooms))
        return found

    def earliest(
        self, candidate: Candidate, by_name: Mapping[str, Partition]
    ) -> tuple[float, tuple[Share, ...]] | None:
        return self._walk(candidate, by_name)[0]

    def _walk(
        self, candidate: Candidate, by_name: Mapping[str, Partition]
    ) -> tuple[tuple[float, tuple[Share, ...]] | None, dict[str, _Room] | None]:
        """Let running jobs end one after the other until there is room."""
        rooms = {name: room.copy() for name, room in self._rooms.items()}
        at = self._now
        for ends_at, group in itertools.chain(
            [(self._now, iter(()))], itertools.groupby(self._running, lambda r: r.ends_at)
        ):
            for job in group:
                for share in job.shares:
                    if share.node in rooms:
                        rooms[share.node].give_back(share, whole=job.whole_nodes)
            if ends_at == FOREVER:
                break
            at = max(at, ends_at)
            for name in candidate.partitions:
                partition = by_name.get(name)
                if partition is None or partition.state != "UP":
                    continue
                shares = fit(candidate, [rooms[n] for n in partition.nodes if n in rooms])
                if shares is not None:
                    return (at, shares), rooms
        return None, None

    def _why_not(self, candidate: Candidate, usable: Sequence[_Room]) -> tuple[Reason, str]:
        """No room: because there never was as much, because nodes are away, or because others have it."""
        if sum(room.node.cpus for room in usable) < candidate.size.cpus:
            return Reason.PARTITION_CONFIG, ""
        away = [room.node.name for room in usable if room.node.state is not NodeState.UP]
        wanted = [room for room in usable if room.node.name in candidate.component.node_list]
        if candidate.component.node_list and any(room.node.state is not NodeState.UP for room in wanted):
            return Reason.NODES_NOT_AVAILABLE, ",".join(
                room.node.name for room in wanted if room.node.state is not NodeState.UP
            )
        if away and fit(candidate, [_empty(room.node) for room in usable if room.node.state is NodeState.UP]) is None:
            return Reason.NODES_NOT_AVAILABLE, ",".join(away)
        return Reason.RESOURCES, ""


def _has_room(room: _Room, share: Share, *, whole: bool) -> bool:
    if share.cpus > room.cpus or share.memory_mib > room.memory_mib or room.whole or (whole and room.jobs):
        return False
    return all(set(indices) <= set(room.devices.get((name, kind), [])) for name, kind, indices in share.gres)


def could_ever_fit(candidate: Candidate, nodes: Sequence[Node]) -> bool:
    """Whether the job could start if all these nodes were empty and up."""
    rooms = [_empty(node) for node in nodes]
    return fit(candidate, rooms, ignore_state=True) is not None


def fit(candidate: Candidate, rooms: Sequence[_Room], *, ignore_state: bool = False) -> tuple[Share, ...] | None:
    """Shares on these nodes for one piece, or None. Nodes in their order; those that the job names come first."""
    size, component = candidate.size, candidate.component
    wanted = set(component.node_list)
    open_rooms = [
        room
        for room in rooms
        if room.cpus >= size.cpus_per_node_min
        and (ignore_state or room.node.state is NodeState.UP)
        and room.node.name not in component.exclude
        and room.node.temporary_disk_mib >= (component.temporary_disk_mib or 0)
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


def _node_counts(size: Size, component: Component, available: int) -> Sequence[int]:
    """Exact numbers of nodes to try, in order; 0 stands for the range of the size."""
    if size.node_sizes:
        return sorted(size.node_sizes, reverse=True)
    if component.gres_per_job and size.nodes_max is None:
        # Devices of the whole job may need more nodes than its tasks do, but never more nodes than tasks.
        return range(size.nodes_min, min(available, component.tasks or available) + 1)
    return (0,)


def _suitable(candidate: Candidate, rooms: Sequence[_Room]) -> Iterable[tuple[list[_Room], int]]:
    """For each way to meet the constraint: the rooms in question, best first, and how many it needs at least."""
    if candidate.constraint is None:
        yield list(rooms), 0
        return
    for choice in constraint.alternatives(candidate.constraint):
        fitting = [room for room in rooms if choice.matches(room.node.features)]
        if not isinstance(choice, constraint.Counts):
            yield fitting, 0
            continue
        first: list[_Room] = []
        for part in choice.parts:
            own = [r for r in fitting if r not in first and part.matches(r.node.features)][: part.nodes]
            if len(own) < part.nodes:
                break
            first += own
        else:
            yield first + [room for room in fitting if room not in first], len(first)


def _spread(
    candidate: Candidate, rooms: Sequence[_Room], nodes_min: int, nodes_max: int | None, order: Mapping[str, int]
) -> tuple[Share, ...] | None:
    """Tasks over nodes: with a fixed number a node, else one each and the rest block by block.

    `rooms` come best first; the nodes of a job are numbered by `order`, whichever was the better one.
    """
    size = candidate.size
    capacity: list[tuple[_Room, int]] = []
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
    chosen: list[tuple[_Room, int]] = []
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


def _tasks_that_fit(candidate: Candidate, room: _Room) -> int:
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
    for gres in candidate.component.gres_per_job:
        if not _free_devices(room, gres.name, gres.type) and gres.count:
            return 0
    return most


def _free_devices(room: _Room, name: str, kind: str | None) -> list[tuple[str | None, int]]:
    return [
        (have_kind, index)
        for (have_name, have_kind), indices in room.devices.items()
        if have_name == name and kind in (None, have_kind)
        for index in indices
    ]


def _shares(candidate: Candidate, rooms: Sequence[_Room], counts: Sequence[int]) -> tuple[Share, ...] | None:
    size = candidate.size
    left_of_job = {(g.name, g.type): g.count for g in candidate.component.gres_per_job}
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
    candidate: Candidate, room: _Room, tasks: int, left_of_job: dict[tuple[str, str | None], int], nodes_after: int
) -> tuple[tuple[str, str | None, tuple[int, ...]], ...] | None:
    """The devices that one node gives; counts down what the job as a whole still needs."""
    wanted: list[tuple[str, str | None, int]] = [(g.name, g.type, g.count) for g in candidate.size.gres_per_node]
    if not candidate.component.gres_per_job:
        wanted += [(g.name, g.type, g.count * tasks) for g in candidate.component.gres_per_task]
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
