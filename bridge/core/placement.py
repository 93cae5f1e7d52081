"""Which waiting jobs may start now, on which nodes, and why the others may not. Pure.

Order: partition's tier, priority, nice, submission, id. In each partition the first job that finds no room
gets a reservation at the earliest time at which running jobs leave enough; a later job may start only where
it ends before that, or takes nothing that the reservation needs (EASY backfill). Memory, CPUs and devices are counted.
"""

import bisect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core import fitting, reservations
from bridge.core.accounting_limits import Tally, held
from bridge.core.job import JobKey, Share
from bridge.core.nodes import Node, NodeState, Partition
from bridge.core.reasons import Reason, is_of_limits
from bridge.core.reservations import Reservation

FOREVER = float("inf")

RESERVED = "May be reserved for other job"
"""Detail of NODES_NOT_AVAILABLE unless a job is the first in its partition to want more nodes than are up."""


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
    candidates: Iterable[fitting.Candidate],
    running: Iterable[Running],
    nodes: Sequence[Node],
    partitions: Sequence[Partition],
    licenses_free: Mapping[str, int],
    now: float,
    *,
    depth: int = 500,
    estimate: frozenset[JobKey] = frozenset(),
    tally: Tally | None = None,
    kept: Sequence[Reservation] = (),
) -> Plan:
    """`depth`: how many blocked jobs are tried for backfill. `estimate`: for these an expected start is wanted.

    `tally`: what runs, as the limits of accounting count it; what is placed is added. `kept`: reservations that
    are not over.
    """
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
    board = _Board(nodes, running, licenses_free, now, Tally() if tally is None else tally, kept)
    placements: list[Placement] = []
    reasons: dict[JobKey, tuple[Reason, str]] = {}
    estimates: dict[JobKey, tuple[float, tuple[Share, ...]]] = {}
    hopeless: dict[tuple[object, ...], tuple[Reason, str]] = {}
    headed: set[str] = set()
    """Partitions in which a job waits for room: those behind it wait for their turn."""
    lacking: set[str] = set()
    """Partitions in which a job waits for nodes that are away. It keeps no room free; those behind it are told less."""
    tried = 0
    for candidate in order:
        shape = _shape(candidate)
        known = hopeless.get(shape)
        if known is not None or tried >= depth:
            reasons[candidate.keys[0]] = _behind(known or (Reason.PRIORITY, ""))
            if candidate.keys[0] in estimate:
                _estimate(board, candidate, by_name, estimates)
            continue
        for key in candidate.keys:
            found = board.place(candidate, by_name)
            if isinstance(found, Placement):
                placements.append(Placement(key, found.partition, found.shares))
                continue
            tried += not is_of_limits(found[0])
            hopeless[shape] = found
            is_first = lacking.isdisjoint(candidate.partitions)
            if not headed.isdisjoint(candidate.partitions):
                found = _behind(found)
            elif found[0] is Reason.NODES_NOT_AVAILABLE and found[1] != RESERVED:
                found = found if is_first else _behind(found)
                lacking.update(candidate.partitions)
            elif found[0] is Reason.RESOURCES:
                at_shares = board.reserve(candidate, by_name)
                if at_shares is not None:
                    estimates[key] = at_shares
                if at_shares is not None or board.can_ever_start(candidate, by_name):
                    headed.update(candidate.partitions)
                    found = found if is_first else _behind(found)
                else:
                    found = hopeless[shape] = (Reason.BAD_CONSTRAINTS, "")
            reasons[key] = found
            if key in estimate and key not in estimates:
                _estimate(board, candidate, by_name, estimates)
            break
    return Plan(tuple(placements), reasons, estimates)


def _behind(reason: tuple[Reason, str]) -> tuple[Reason, str]:
    """What is said of a job that is not the first to wait in its partition, as Slurm's two schedulers do: the one
    stops at the first, the other, which fills gaps, does not tell which nodes are away."""
    if reason[0] is Reason.RESOURCES:
        return Reason.PRIORITY, ""
    return (Reason.NODES_NOT_AVAILABLE, RESERVED) if reason[0] is Reason.NODES_NOT_AVAILABLE else reason


def _shape(candidate: fitting.Candidate) -> tuple[object, ...]:
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
        candidate.terms,
        candidate.reservation,
    )


def _estimate(
    board: "_Board",
    candidate: fitting.Candidate,
    by_name: Mapping[str, Partition],
    estimates: dict[JobKey, tuple[float, tuple[Share, ...]]],
) -> None:
    found = board.earliest(candidate, by_name)
    if found is not None:
        estimates[candidate.keys[0]] = found


class _Board:
    """The nodes now, and what is known of later."""

    def __init__(
        self,
        nodes: Sequence[Node],
        running: Iterable[Running],
        licenses_free: Mapping[str, int],
        now: float,
        tally: Tally,
        kept: Sequence[Reservation],
    ) -> None:
        self._now = now
        self._kept = kept
        self._tally = tally
        self._rooms = {node.name: fitting.empty_room(node) for node in nodes}
        self._running: list[Running] = []
        self._licenses = dict(licenses_free)
        for job in running:
            self._running.append(job)
            for share in job.shares:
                if share.node in self._rooms:
                    self._rooms[share.node].take(share, whole=job.whole_nodes)
        self._running.sort(key=lambda job: job.ends_at)
        self._reservations: list[tuple[float, dict[str, fitting.Room]]] = []
        """(time, what is left free at that time) of the first blocked job of each partition."""

    def place(self, candidate: fitting.Candidate, by_name: Mapping[str, Partition]) -> Placement | tuple[Reason, str]:
        """Take the room for one piece, or say why there is none now."""
        if candidate.reservation is not None:
            mine = next((one for one in self._kept if one.name == candidate.reservation), None)
            if mine is None or not mine.is_active(self._now):
                return Reason.RESERVATION_DELETED if mine is None else Reason.RESERVATION, ""
        for name, count in candidate.licenses:
            if self._licenses.get(name, 0) < count:
                return Reason.LICENSES, ""
        if candidate.demand is not None:
            limited = self._tally.reason(candidate.terms, candidate.demand)
            if limited is not None:
                return limited, ""
        why: list[tuple[Reason, str]] = []
        for name in candidate.partitions:
            partition = by_name.get(name)
            if partition is None:
                continue
            if partition.state != "UP":
                why.append((Reason.PARTITION_DOWN if partition.state == "DOWN" else Reason.PARTITION_INACTIVE, ""))
                continue
            usable = self._open(candidate, partition, self._rooms, self._now)
            shares = fitting.fit(candidate, usable)
            if shares is None:
                why.append(self._why_not(candidate, partition, usable))
                continue
            limited = self._limit_of(candidate, shares)
            if limited is not None:
                # Where no more nodes may be taken, the ones that are taken may still have room.
                kept = self._tally.nodes_left(candidate.terms)
                shares = fitting.fit(candidate, [room for room in usable if room.node.name in kept]) if kept else None
                if shares is None or self._limit_of(candidate, shares) is not None:
                    why.append((limited, ""))
                    continue
            if not self._leaves_reservations(candidate, shares):
                why.append((Reason.PRIORITY, ""))
                continue
            self._take(candidate, shares)
            return Placement(candidate.keys[0], name, shares)
        # Of several partitions the one where time alone will help says why.
        hopeful = [reason for reason in why if reason[0] in (Reason.RESOURCES, Reason.PRIORITY)]
        return (hopeful or why or [(Reason.PARTITION_CONFIG, "")])[0]

    def can_ever_start(self, candidate: fitting.Candidate, by_name: Mapping[str, Partition]) -> bool:
        """Whether one of its partitions could hold it with all nodes empty and up."""
        return any(
            fitting.could_ever_fit(candidate, [self._rooms[n].node for n in by_name[name].nodes if n in self._rooms])
            for name in candidate.partitions
            if name in by_name
        )

    def _open(
        self, candidate: fitting.Candidate, partition: Partition, rooms: Mapping[str, fitting.Room], since: float
    ) -> list[fitting.Room]:
        """Rooms of the partition that reservations leave to a job that begins then."""
        names: Iterable[str] = partition.nodes
        if self._kept and candidate.reservation is not None:
            mine = {name for one in self._kept if one.name == candidate.reservation for name in one.nodes}
            names = [name for name in names if name in mine]
        elif self._kept:
            closed = reservations.closed_nodes(self._kept, since, since + candidate.time_limit_seconds)
            names = [name for name in names if name not in closed]
        return [rooms[name] for name in names if name in rooms]

    def _limit_of(self, candidate: fitting.Candidate, shares: tuple[Share, ...]) -> Reason | None:
        if candidate.demand is None:
            return None
        return self._tally.reason_of_shares(candidate.terms, shares, candidate.time_limit_seconds)

    def _take(self, candidate: fitting.Candidate, shares: tuple[Share, ...]) -> None:
        ends_at = self._now + candidate.time_limit_seconds
        if candidate.demand is not None:
            demand = held(shares, candidate.time_limit_seconds, candidate.licenses)
            self._tally.add(candidate.terms, demand, (share.node for share in shares))
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

    def _leaves_reservations(self, candidate: fitting.Candidate, shares: tuple[Share, ...]) -> bool:
        ends_at = self._now + candidate.time_limit_seconds
        return all(
            fitting.has_room(spare[share.node], share, whole=candidate.size.whole_nodes)
            for reserved_at, spare in self._reservations
            if ends_at > reserved_at
            for share in shares
        )

    def reserve(
        self, candidate: fitting.Candidate, by_name: Mapping[str, Partition]
    ) -> tuple[float, tuple[Share, ...]] | None:
        """Keep the earliest room for the first blocked job of a partition."""
        found, rooms = self._walk(candidate, by_name)
        if found is None or rooms is None:
            return None
        for share in found[1]:
            rooms[share.node].take(share, whole=candidate.size.whole_nodes)
        self._reservations.append((found[0], rooms))
        return found

    def earliest(
        self, candidate: fitting.Candidate, by_name: Mapping[str, Partition]
    ) -> tuple[float, tuple[Share, ...]] | None:
        return self._walk(candidate, by_name)[0]

    def _walk(
        self, candidate: fitting.Candidate, by_name: Mapping[str, Partition]
    ) -> tuple[tuple[float, tuple[Share, ...]] | None, dict[str, fitting.Room] | None]:
        """Let running jobs end one after the other until there is room."""
        rooms = {name: room.copy() for name, room in self._rooms.items()}
        at = self._now
        nobody: list[Running] = []
        moments: list[tuple[float, Iterable[Running]]] = [(self._now, nobody)]
        moments += [(ends, list(group)) for ends, group in itertools.groupby(self._running, lambda r: r.ends_at)]
        if self._kept:
            moments += [(at, nobody) for one in self._kept for at in (one.start_at, one.end_at) if at > self._now]
            moments.sort(key=lambda moment: moment[0])
        for ends_at, group in moments:
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
                shares = fitting.fit(candidate, self._open(candidate, partition, rooms, at))
                if shares is not None:
                    return (at, shares), rooms
        return None, None

    def _why_not(
        self, candidate: fitting.Candidate, partition: Partition, usable: Sequence[fitting.Room]
    ) -> tuple[Reason, str]:
        """No room: because there never was as much, because nodes are kept or away, or because others have it."""
        members = [self._rooms[name] for name in partition.nodes if name in self._rooms]
        if len(usable) < len(members) and candidate.reservation is None:
            left = {room.node.name for room in usable}
            if not set(candidate.component.node_list) <= left:
                return Reason.NODES_NOT_AVAILABLE, RESERVED
            if not fitting.could_ever_fit(candidate, [room.node for room in usable]):
                return Reason.NODES_NOT_AVAILABLE, ""
        if sum(room.node.cpus for room in usable) < candidate.size.cpus:
            return Reason.PARTITION_CONFIG, ""
        up = [room for room in usable if room.node.state is NodeState.UP]
        if len(up) == len(usable):
            return Reason.RESOURCES, ""
        if len(up) < (candidate.component.nodes_min or 1):
            return Reason.NODES_NOT_AVAILABLE, ",".join(
                room.node.name for room in usable if room.node.state is not NodeState.UP
            )
        wanted = set(candidate.component.node_list)
        if not wanted <= {room.node.name for room in up} or (
            fitting.fit(candidate, [fitting.empty_room(room.node) for room in up]) is None
        ):
            return Reason.NODES_NOT_AVAILABLE, RESERVED
        return Reason.RESOURCES, ""
