"""Accounts, users, associations, qualities of service and their limits: the accounting book as one value.

Pure values and what follows from them: what an association inherits, who is the default, how the tree hangs
together. Editing is `accounting_edits`, what limits do to jobs is `accounting_limits`. Names are kept in lower
case, as Slurm's database keeps them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

ROOT = "root"
NORMAL = "normal"

Tres = tuple[tuple[str, int], ...]
"""(name, amount) in Slurm's order of resources; mem in MiB."""

NO_ADMIN = "None"
OPERATOR = "Operator"
ADMINISTRATOR = "Administrator"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an association or a QOS allows. None, or a resource left out: no limit set here."""

    grp_jobs: int | None = None
    grp_jobs_accrue: int | None = None
    grp_submit_jobs: int | None = None
    grp_wall_minutes: int | None = None
    grp_tres: Tres = ()
    grp_tres_minutes: Tres = ()
    grp_tres_run_minutes: Tres = ()
    max_jobs: int | None = None
    """Of an association: running at a time, of its user. A QOS has the two below instead."""
    max_jobs_accrue: int | None = None
    max_submit_jobs: int | None = None
    max_wall_minutes: int | None = None
    max_tres: Tres = ()
    """A job."""
    max_tres_per_node: Tres = ()
    max_tres_minutes: Tres = ()
    min_tres: Tres = ()
    min_priority: int | None = None
    # Of a QOS only:
    max_jobs_per_user: int | None = None
    max_jobs_per_account: int | None = None
    max_jobs_accrue_per_user: int | None = None
    max_jobs_accrue_per_account: int | None = None
    max_submit_per_user: int | None = None
    max_submit_per_account: int | None = None
    max_tres_per_user: Tres = ()
    max_tres_per_account: Tres = ()
    max_tres_run_minutes_per_user: Tres = ()
    max_tres_run_minutes_per_account: Tres = ()

    @property
    def is_empty(self) -> bool:
        return self == _NO_LIMITS


_NO_LIMITS = Limits()

INHERITED = (
    *("max_jobs", "max_jobs_accrue", "max_submit_jobs", "max_wall_minutes", "max_tres", "max_tres_per_node"),
    *("max_tres_minutes", "min_priority"),
)
"""Limits that an association without one of its own takes from the accounts above it."""


@dataclass(frozen=True, slots=True)
class Qos:
    id: int
    name: str
    description: str = ""
    priority: int = 0
    flags: tuple[str, ...] = ()
    """As spelled in `QOS_FLAGS`."""
    grace_seconds: int = 0
    preempt: tuple[str, ...] = ()
    preempt_mode: str = "cluster"
    preempt_exempt_seconds: int | None = None
    usage_factor: float = 1.0
    usage_threshold: float | None = None
    limit_factor: float | None = None
    limits: Limits = _NO_LIMITS


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    description: str
    organization: str
    coordinators: tuple[str, ...] = ()
    """Users who were made coordinators of this very account; those of accounts above count too."""


@dataclass(frozen=True, slots=True)
class AccountUser:
    name: str
    admin_level: str = NO_ADMIN
    """NO_ADMIN | OPERATOR | ADMINISTRATOR"""


@dataclass(frozen=True, slots=True)
class Association:
    """A place in the tree: an account (user empty), or a user in an account, maybe in one partition only."""

    id: int
    account: str
    user: str = ""
    partition: str = ""
    parent: str = ""
    """Of an account's own association: the account above; empty for root's."""
    shares: int | None = 1
    """None: the parent's (Fairshare=parent)."""
    priority: int | None = None
    is_default: bool = False
    """Of a user: the one that is charged where nothing is said."""
    comment: str = ""
    limits: Limits = _NO_LIMITS
    qos: tuple[str, ...] | None = None
    """Granted here; None: as above, changed by `qos_delta`."""
    qos_delta: tuple[str, ...] = ()
    """`+high`, `-low`: what differs from the account above."""
    default_qos: str | None = None

    @property
    def key(self) -> "AssocKey":
        return self.account, self.user, self.partition


AssocKey = tuple[str, str, str]
"""(account, user, partition); the last two may be empty."""


@dataclass(frozen=True)
class Book:
    """Everything, as it stands at one moment."""

    qos: Mapping[str, Qos] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    users: Mapping[str, AccountUser] = field(default_factory=dict)
    associations: Mapping[AssocKey, Association] = field(default_factory=dict)
    next_association: int = 1
    """Ids are never used twice, so that a job's association stays the one it was."""
    next_qos: int = 1
    version: int = 0
    """Goes up with every change."""

    @cached_property
    def children(self) -> Mapping[str, tuple[Association, ...]]:
        """account → its users' associations by name, then the accounts below it by name."""
        found: dict[str, list[Association]] = {}
        for one in self.associations.values():
            found.setdefault(one.account if one.user else one.parent, []).append(one)
        return {
            account: tuple(sorted(ones, key=lambda a: (not a.user, a.user or a.account, a.partition)))
            for account, ones in found.items()
        }

    def tree(self) -> Iterator[tuple[int, Association]]:
        """(depth, association) of all, each account before what is below it."""
        yield from self._below("", 0)

    def _below(self, account: str, depth: int) -> Iterator[tuple[int, Association]]:
        for one in self.children.get(account, ()):
            yield depth, one
            if not one.user:
                yield from self._below(one.account, depth + 1)

    def of_account(self, account: str) -> Association | None:
        return self.associations.get((account, "", ""))

    @cached_property
    def of_users(self) -> Mapping[str, tuple[Association, ...]]:
        """user → associations, by id."""
        found: dict[str, list[Association]] = {}
        for one in self.associations.values():
            if one.user:
                found.setdefault(one.user, []).append(one)
        return {user: tuple(sorted(ones, key=lambda a: a.id)) for user, ones in found.items()}

    def find(self, user: str, account: str, partition: str = "") -> Association | None:
        """What a job is booked on: the association of this partition, else the one for all partitions."""
        found = self.associations.get((account, user, partition)) if partition else None
        return found or self.associations.get((account, user, ""))

    def id_of(self, user: str, account: str | None, partition: str) -> int:
        """Of the association that a job of these is booked on; 0: of none."""
        found = self.find(user.lower(), (account or "").lower(), partition)
        return 0 if found is None else found.id

    def default_of(self, user: str) -> Association | None:
        return next((one for one in self.of_users.get(user, ()) if one.is_default), None)

    def above(self, one: Association) -> Association | None:
        """The account's association for a user's, the one of the account above for an account's."""
        return self.of_account(one.account if one.user else one.parent) if one.user or one.parent else None

    def chain(self, one: Association) -> tuple[Association, ...]:
        """It and all above it, root's last."""
        found = [one]
        while (upper := self.above(found[-1])) is not None:
            found.append(upper)
        return tuple(found)

    def effective(self, one: Association) -> Limits:
        """With what it inherits: of each limit (of TRES: of each resource) the nearest counts."""
        limits = one.limits
        for upper in self.chain(one)[1:]:
            limits = _inherit(limits, upper.limits)
        return limits

    def granted_qos(self, one: Association) -> tuple[str, ...]:
        """By name, sorted."""
        names: set[str] = set()
        for part in reversed(self.chain(one)):
            if part.qos is not None:
                names = set(part.qos)
            names |= {word[1:] for word in part.qos_delta if word[0] == "+"}
            names -= {word[1:] for word in part.qos_delta if word[0] == "-"}
        return tuple(sorted(names))

    def default_qos(self, one: Association) -> str | None:
        """Of itself or the nearest above; without one, the only one granted, else `normal`."""
        named = next((part.default_qos for part in self.chain(one) if part.default_qos is not None), None)
        if named is not None:
            return named
        granted = self.granted_qos(one)
        return granted[0] if len(granted) == 1 else NORMAL if NORMAL in granted else None

    def coordinated_by(self, user: str) -> tuple[str, ...]:
        """Accounts that the user coordinates, those below the named ones among them; sorted."""
        found: set[str] = set()
        for account in self.accounts.values():
            if user in account.coordinators:
                found.add(account.name)
                found.update(one.account for _, one in self._below(account.name, 0) if not one.user)
        return tuple(sorted(found))


def _inherit(own: Limits, above: Limits) -> Limits:
    changes: dict[str, object] = {}
    for name in INHERITED:
        mine, theirs = getattr(own, name), getattr(above, name)
        if theirs == mine or theirs is None or theirs == ():
            continue
        if isinstance(theirs, tuple):
            known = {resource for resource, _ in mine}
            changes[name] = mine + tuple(pair for pair in theirs if pair[0] not in known)
        elif mine is None:
            changes[name] = theirs
    return replace(own, **changes) if changes else own  # type: ignore[arg-type]  # of the fields' own values


QOS_FLAGS = (
    *("DenyOnLimit", "EnforceUsageThreshold", "PartitionMinNodes", "PartitionMaxNodes", "PartitionTimeLimit"),
    *("RequiresReservation", "OverPartQOS", "PartQOS", "NoReserve", "NoDecay", "Relative", "UsageFactorSafe"),
)
"""In the order in which they are shown."""


def empty_book() -> Book:
    """What a new cluster has: the account and the user root, and the QOS normal."""
    top = Association(1, ROOT, qos=(NORMAL,))
    root = Association(2, ROOT, ROOT, is_default=True)
    users = {ROOT: AccountUser(ROOT, ADMINISTRATOR)}
    return Book(
        qos={NORMAL: Qos(1, NORMAL, "Normal QOS default")},
        accounts={ROOT: Account(ROOT, "default root account", ROOT)},
        users=users,
        associations={top.key: top, root.key: root},
        next_association=3,
        next_qos=2,
    )
