"""Reservations: nodes kept for some users or accounts over a time. Pure.

Everybody else's jobs keep off the nodes when they would run into it; the jobs that ask for it run nowhere else.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from bridge.core.accounting import Book
from bridge.core.errors import NotPermitted, Refused
from bridge.core.nodes import Node
from bridge.core.users import User

FLAGS = (
    *("MAINT", "OVERLAP", "IGNORE_JOBS", "HOURLY", "DAILY", "WEEKLY", "SPEC_NODES", "ALL_NODES"),
    *("NO_HOLD_JOBS_AFTER_END",),
)
"""In the order in which they are shown."""

_PERIODS = {"HOURLY": 3600, "DAILY": 86400, "WEEKLY": 604800}


@dataclass(frozen=True, slots=True)
class Reservation:
    name: str
    start_at: float
    end_at: float
    nodes: tuple[str, ...]
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    are_users_shut_out: bool = False
    """The users named are those who may not; so the next."""
    are_accounts_shut_out: bool = False
    partition: str | None = None
    features: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def period_seconds(self) -> int | None:
        return next((_PERIODS[flag] for flag in self.flags if flag in _PERIODS), None)

    def is_active(self, now: float) -> bool:
        return self.start_at <= now < self.end_at

    def meets(self, since: float, until: float) -> bool:
        return self.start_at < until and self.end_at > since

    def at(self, now: float) -> "Reservation | None":
        """As it stands now: a repeated one moves on when it is over; None: over for good."""
        if now < self.end_at:
            return self
        period = self.period_seconds
        if period is None:
            return None
        rounds = int((now - self.end_at) // period) + 1
        return replace(self, start_at=self.start_at + rounds * period, end_at=self.end_at + rounds * period)

    def admits(self, user: User, account: str | None, book: Book) -> bool:
        """By name or by group, or by the account or one above it."""
        if self.users and self.are_users_shut_out:
            return user.name not in self.users
        if user.name in self.users or set(self.groups) & set(user.group_names):
            return True
        if not self.accounts:
            return False
        own = book.find(user.name.lower(), (account or "").lower())
        charged = {one.account for one in book.chain(own)} if own is not None else {(account or "").lower()}
        return self.are_accounts_shut_out != bool(charged & set(self.accounts))


def standing(reservations: Iterable[Reservation], now: float) -> tuple[Reservation, ...]:
    """Those that are not over, by start."""
    found = (one.at(now) for one in reservations)
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.start_at, one.name)))


def asked_for(
    name: str, reservations: Sequence[Reservation], user: User, account: str | None, book: Book
) -> Reservation:
    """The reservation that a job names, if it may use it."""
    found = next((one for one in reservations if one.name == name), None)
    if found is None:
        raise Refused(f"no reservation is named {name}", code="invalid_reservation", field="reservation")
    if not found.admits(user, account, book):
        raise NotPermitted(f"{user.name} may not use {name}", code="reservation_access", field="reservation")
    return found


def closed_nodes(reservations: Sequence[Reservation], since: float, until: float) -> frozenset[str]:
    """Nodes that a job without a reservation must keep off from `since` to `until`."""
    return frozenset(name for one in reservations if one.meets(since, until) for name in one.nodes)


@dataclass(frozen=True, slots=True)
class Busy:
    """A node that a running job holds until then (epoch seconds; infinity without a time limit)."""

    node: str
    until: float


def choose_nodes(
    count: int,
    members: Sequence[Node],
    wanted: Reservation,
    others: Sequence[Reservation],
    busy: Collection[Busy],
) -> tuple[str, ...]:
    """Nodes for a reservation that names only their number, those of its own (when it is changed) first."""
    taken = _taken(wanted, others, busy)
    free = [node.name for node in members if node.name not in taken]
    free.sort(key=lambda name: name not in wanted.nodes)
    if len(free) < count:
        raise Refused(f"only {len(free)} nodes are free for it", code="nodes_busy", field="nodes")
    chosen = set(free[:count])
    return tuple(node.name for node in members if node.name in chosen)


def check_nodes(wanted: Reservation, others: Sequence[Reservation], busy: Collection[Busy]) -> None:
    """Refused where the nodes that it names are another's, or will be in use when it begins."""
    names = set(wanted.nodes)
    if not {"OVERLAP", "MAINT"} & set(wanted.flags):
        for other in others:
            if other.meets(wanted.start_at, wanted.end_at) and names & set(other.nodes):
                raise Refused(f"{other.name} has these nodes", code="reservation_overlap", field="nodes")
    if "IGNORE_JOBS" not in wanted.flags and any(one.node in names and one.until > wanted.start_at for one in busy):
        raise Refused("jobs run on these nodes", code="nodes_busy", field="nodes")


def _taken(wanted: Reservation, others: Sequence[Reservation], busy: Collection[Busy]) -> set[str]:
    taken: set[str] = set()
    if not {"OVERLAP", "MAINT"} & set(wanted.flags):
        for other in others:
            if other.meets(wanted.start_at, wanted.end_at):
                taken.update(other.nodes)
    if "IGNORE_JOBS" not in wanted.flags:
        taken.update(one.node for one in busy if one.until > wanted.start_at)
    return taken


def free_name(wanted: Reservation, taken: Collection[str]) -> str:
    """`bob_1`, after the first user or account that it is for."""
    whose = next(iter((*wanted.users, *wanted.accounts, *wanted.groups)), "resv")
    number = 1
    while f"{whose}_{number}" in taken:
        number += 1
    return f"{whose}_{number}"
