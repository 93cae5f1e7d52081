"""What limits of associations and QOS do to jobs: refused at submission, waiting, or free to start. Pure.

A QOS's limit counts before an association's of the same kind, as in Slurm. `Rules` answers for one version of
the accounting book; a `Tally` counts what runs. Where the book has no limits, both cost nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from bridge.core.accounting import Book, Limits, Qos
from bridge.core.job import Share
from bridge.core.reasons import Reason, limit_reason
from bridge.core.request import UNLIMITED_SECONDS
from bridge.core.sizing import Size

JOBS = "jobs"
SUBMITTED = "submitted"
RUN = "run:"
"""Before a resource's name: its amount times the minutes that are left."""

Scope = tuple[str | int, ...]
Counter = tuple[Scope, str]
"""(whose jobs, what of them)"""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """At most so much of something for all jobs of a scope together."""

    counter: Counter
    most: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class JobLimit:
    """What one job may ask for."""

    kind: str
    """total | node | minutes | least | wall (minutes, no resource)"""
    resource: str
    most: int
    reason: Reason


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What applies to all jobs of one user, account, partition and QOS. Compared by identity."""

    of_job: tuple[JobLimit, ...] = ()
    running: tuple[Ceiling, ...] = ()
    submitted: tuple[Ceiling, ...] = ()
    of_budget: tuple[JobLimit, ...] = ()
    """What one job may ask for at most of a budget for all (GrpTRESMins, GrpWall); looked at where `denies`."""
    counts: tuple[Counter, ...] = ()
    """What such a job adds to while it is on nodes."""
    denies: bool = False
    """What could never start is refused at submission (DenyOnLimit)."""


FREE = Terms()
"""Of a job that nothing limits and that adds to nothing."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a job asks for, or holds."""

    amounts: Mapping[str, int]
    """resource → amount; mem in MiB, 0 where only the nodes will tell."""
    minutes: int | None
    """None: without a time limit."""
    nodes: int = 1

    def of(self, resource: str) -> int | None:
        """None: without bounds."""
        if resource == JOBS:
            return 1
        if not resource.startswith(RUN):
            return self.amounts.get(resource, 0)
        amount = self.amounts.get(resource.removeprefix(RUN), 0)
        if self.minutes is None:
            return None if amount else 0
        return amount * self.minutes


def demand_of(size: Size, time_limit_seconds: int, licenses: Iterable[tuple[str, int]] = ()) -> Demand:
    gpus = sum(gres.count for gres in size.gres_total if gres.name == "gpu")
    if size.memory_per_gpu_mib is not None:
        memory = size.memory_per_gpu_mib * gpus
    elif size.memory_per_node_mib is not None:
        memory = size.memory_per_node_mib * size.nodes_min
    else:
        memory = (size.memory_per_cpu_mib or 0) * size.cpus
    cpus = max(size.cpus, size.cpus_per_node_min * size.nodes_min)
    amounts = {"cpu": cpus, "mem": memory, "node": size.nodes_min, "billing": cpus}
    for gres in size.gres_total:
        amounts[f"gres/{gres.name}"] = amounts.get(f"gres/{gres.name}", 0) + gres.count
    for name, count in licenses:
        amounts[f"license/{name}"] = count
    return Demand(amounts, _minutes(time_limit_seconds), size.nodes_min)


def held(shares: Sequence[Share], seconds_left: float, licenses: Iterable[tuple[str, int]] = ()) -> Demand:
    cpus = sum(share.cpus for share in shares)
    memory = sum(share.memory_mib for share in shares)
    amounts = {"cpu": cpus, "mem": memory, "node": len(shares), "billing": cpus}
    for share in shares:
        for name, _, devices in share.gres:
            amounts[f"gres/{name}"] = amounts.get(f"gres/{name}", 0) + len(devices)
    for name, count in licenses:
        amounts[f"license/{name}"] = count
    return Demand(amounts, _minutes(seconds_left), len(shares))


def _minutes(seconds: float) -> int | None:
    return None if seconds >= UNLIMITED_SECONDS else int(seconds + 59) // 60


# ── what applies to a job ─────────────────────────────────────────────────────────────────────────


class Rules:
    """The limits of a book, looked up once for each kind of job."""

    def __init__(self, book: Book | None, *, enforced: bool = True) -> None:
        self._book = book
        self._is_free = book is None or not enforced or not _has_limits(book)
        self._known: dict[tuple[str, str | None, str, str | None], Terms] = {}

    def of(self, user: str, account: str | None, partition: str, qos: str | None) -> Terms:
        if self._is_free:
            return FREE
        key = (user, account, partition, qos)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._terms(user.lower(), (account or "").lower(), partition, qos or "")
        return found

    def _terms(self, user: str, account: str, partition: str, qos_name: str) -> Terms:
        assert self._book is not None
        book = self._book
        qos = book.qos.get(qos_name.lower())
        own = book.find(user, account, partition)
        of_job: list[JobLimit] = []
        running: list[Ceiling] = []
        submitted: list[Ceiling] = []
        of_budget: list[JobLimit] = []
        scopes: list[Scope] = []
        above = Limits()
        if qos is not None:
            above = qos.limits
            of_job += _of_job(above, "QOS", Limits())
            running += _of_qos(qos, user, account)
            submitted += _submitted_of_qos(qos, user, account)
            of_budget += _of_budget(above, "QOS", Limits())
            scopes += _scopes_of_qos(qos, user, account)
        if own is not None:
            limits = book.effective(own)
            of_job += _of_job(limits, "ASSOC", above)
            if limits.max_jobs is not None and above.max_jobs_per_user is None:
                running.append(Ceiling((("assoc", own.id), JOBS), limits.max_jobs, Reason.ASSOC_MAX_JOBS))
            if limits.max_submit_jobs is not None and above.max_submit_per_user is None:
                submitted.append(
                    Ceiling((("assoc", own.id), SUBMITTED), limits.max_submit_jobs, Reason.ASSOC_MAX_SUBMIT)
                )
            for one in book.chain(own):
                running += _of_group(("assoc", one.id), one.limits, "ASSOC", above)
                of_budget += _of_budget(one.limits, "ASSOC", above)
                if one.limits.grp_submit_jobs is not None and above.grp_submit_jobs is None:
                    counter = (("assoc", one.id), SUBMITTED)
                    submitted.append(Ceiling(counter, one.limits.grp_submit_jobs, Reason.ASSOC_GRP_SUBMIT))
                scopes.append(("assoc", one.id))
        watched = self._watched
        return Terms(
            tuple(of_job),
            tuple(running),
            tuple(submitted),
            tuple(of_budget),
            tuple((scope, resource) for scope in scopes for resource in watched.get(_kind(scope), ())),
            denies=qos is not None and "DenyOnLimit" in qos.flags,
        )

    @cached_property
    def _watched(self) -> Mapping[Scope, tuple[str, ...]]:
        """(kind of) scope → what is counted there."""
        assert self._book is not None
        book = self._book
        found: dict[Scope, dict[str, None]] = {}
        for qos in book.qos.values():
            for ceiling in _of_qos(qos, "", ""):
                found.setdefault(_kind(ceiling.counter[0]), {})[ceiling.counter[1]] = None
        for one in book.associations.values():
            for ceiling in _of_group(("assoc", one.id), one.limits, "ASSOC", Limits()):
                found.setdefault(ceiling.counter[0], {})[ceiling.counter[1]] = None
            if one.user and book.effective(one).max_jobs is not None:
                found.setdefault(("assoc", one.id), {})[JOBS] = None
        return {scope: tuple(resources) for scope, resources in found.items()}

    def submitted(self, open_jobs: Iterable[tuple[str, str | None, str, str | None, int]]) -> dict[Counter, int]:
        """Of (user, account, partition, qos, jobs that are not over): how many each scope has."""
        found: dict[Counter, int] = {}
        if self._book is None:
            return found
        for user, account, partition, qos, jobs in open_jobs:
            own = self._book.find(user.lower(), (account or "").lower(), partition)
            scopes: list[Scope] = [] if own is None else [("assoc", one.id) for one in self._book.chain(own)]
            known = self._book.qos.get((qos or "").lower())
            for scope in (*scopes, *(_scopes_of_qos(known, user.lower(), (account or "").lower()) if known else ())):
                found[scope, SUBMITTED] = found.get((scope, SUBMITTED), 0) + jobs
        return found


def _kind(scope: Scope) -> Scope:
    """Without the user's or account's name: what is watched of one is watched of all."""
    return scope[:3]


def _scopes_of_qos(qos: Qos, user: str, account: str) -> tuple[Scope, ...]:
    return ("qos", qos.id), ("qos", qos.id, "user", user), ("qos", qos.id, "account", account)


def _has_limits(book: Book) -> bool:
    return any(not qos.limits.is_empty for qos in book.qos.values()) or any(
        not one.limits.is_empty for one in book.associations.values()
    )


def _of_job(limits: Limits, whose: str, above: Limits) -> list[JobLimit]:
    found: list[JobLimit] = []
    for kind, family, mine, theirs in (
        ("least", "MIN", limits.min_tres, above.min_tres),
        ("total", "MAX", limits.max_tres, above.max_tres),
        ("node", "NODE", limits.max_tres_per_node, above.max_tres_per_node),
        ("minutes", "MINUTES", limits.max_tres_minutes, above.max_tres_minutes),
    ):
        decided = {resource for resource, _ in theirs}
        for resource, most in mine:
            reason = limit_reason(f"{whose}_{family}", resource)
            if reason is not None and resource not in decided:
                found.append(JobLimit(kind, resource, most, reason))
    if limits.max_wall_minutes is not None and above.max_wall_minutes is None:
        found.append(JobLimit("wall", "", limits.max_wall_minutes, Reason[f"{whose}_MAX_WALL"]))
    return found


def _of_budget(limits: Limits, whose: str, above: Limits) -> list[JobLimit]:
    decided = {resource for resource, _ in above.grp_tres_minutes}
    found: list[JobLimit] = []
    for resource, most in limits.grp_tres_minutes:
        reason = limit_reason(f"{whose}_GRP_MINUTES", resource)
        if reason is not None and resource not in decided:
            found.append(JobLimit("minutes", resource, most, reason))
    if limits.grp_wall_minutes is not None and above.grp_wall_minutes is None:
        found.append(JobLimit("wall", "", limits.grp_wall_minutes, Reason[f"{whose}_GRP_WALL"]))
    return found


def _of_group(scope: Scope, limits: Limits, whose: str, above: Limits) -> list[Ceiling]:
    found: list[Ceiling] = []
    if limits.grp_jobs is not None and above.grp_jobs is None:
        found.append(Ceiling((scope, JOBS), limits.grp_jobs, Reason[f"{whose}_GRP_JOBS"]))
    found += _of_tres(scope, limits.grp_tres, above.grp_tres, f"{whose}_GRP", "")
    found += _of_tres(scope, limits.grp_tres_run_minutes, above.grp_tres_run_minutes, f"{whose}_GRP_RUN", RUN)
    return found


def _of_qos(qos: Qos, user: str, account: str) -> list[Ceiling]:
    limits, whole = qos.limits, ("qos", qos.id)
    of_user, of_account = ("qos", qos.id, "user", user), ("qos", qos.id, "account", account)
    found = _of_group(whole, limits, "QOS", Limits())
    for scope, most, reason in (
        (of_user, limits.max_jobs_per_user, Reason.QOS_MAX_JOBS_PER_USER),
        (of_account, limits.max_jobs_per_account, Reason.QOS_MAX_JOBS_PER_ACCOUNT),
    ):
        if most is not None:
            found.append(Ceiling((scope, JOBS), most, reason))
    found += _of_tres(of_user, limits.max_tres_per_user, (), "QOS_USER", "")
    found += _of_tres(of_account, limits.max_tres_per_account, (), "QOS_ACCOUNT", "")
    found += _of_tres(of_user, limits.max_tres_run_minutes_per_user, (), "QOS_USER_RUN", RUN)
    found += _of_tres(of_account, limits.max_tres_run_minutes_per_account, (), "QOS_ACCOUNT_RUN", RUN)
    return found


def _of_tres(
    scope: Scope, mine: Sequence[tuple[str, int]], theirs: Sequence[tuple[str, int]], family: str, prefix: str
) -> list[Ceiling]:
    decided = {resource for resource, _ in theirs}
    found: list[Ceiling] = []
    for resource, most in mine:
        reason = limit_reason(family, resource)
        if reason is not None and resource not in decided:
            found.append(Ceiling((scope, prefix + resource), most, reason))
    return found


def _submitted_of_qos(qos: Qos, user: str, account: str) -> list[Ceiling]:
    limits = qos.limits
    found: list[Ceiling] = []
    for scope, most, reason in (
        (("qos", qos.id), limits.grp_submit_jobs, Reason.QOS_GRP_SUBMIT),
        (("qos", qos.id, "user", user), limits.max_submit_per_user, Reason.QOS_MAX_SUBMIT_PER_USER),
        (("qos", qos.id, "account", account), limits.max_submit_per_account, Reason.QOS_MAX_SUBMIT_PER_ACCOUNT),
    ):
        if most is not None:
            found.append(Ceiling((scope, SUBMITTED), most, reason))
    return found


# ── judging ───────────────────────────────────────────────────────────────────────────────────────


def job_reason(terms: Terms, demand: Demand) -> Reason | None:
    """Why the job may not start as it is, whatever else runs."""
    return _first_broken(terms.of_job, demand)


def _first_broken(limits: Sequence[JobLimit], demand: Demand) -> Reason | None:
    for limit in limits:
        amount = demand.amounts.get(limit.resource, 0)
        match limit.kind:
            case "least":
                breaks = amount < limit.most
            case "node":
                breaks = -(-amount // max(1, demand.nodes)) > limit.most
            case "minutes":
                breaks = amount > 0 and (demand.minutes is None or amount * demand.minutes > limit.most)
            case "wall":
                breaks = demand.minutes is None or demand.minutes > limit.most
            case _:
                breaks = amount > limit.most
        if breaks:
            return limit.reason
    return None


def refusal(terms: Terms, demand: Demand, jobs: int, submitted: Mapping[Counter, int]) -> Reason | None:
    """Why so many (tasks of an array) such jobs may not be submitted beside those that already are."""
    for ceiling in terms.submitted:
        if submitted.get(ceiling.counter, 0) + jobs > ceiling.most:
            return ceiling.reason
    if not terms.denies:
        return None
    return _first_broken((*terms.of_job, *terms.of_budget), demand) or Tally().reason(terms, demand)


@dataclass(slots=True)
class Tally:
    """What jobs on nodes hold, by scope. Nodes are counted once, however many jobs share them."""

    amounts: dict[Counter, int] = field(default_factory=dict)
    nodes: dict[Counter, set[str]] = field(default_factory=dict)

    def add(self, terms: Terms, demand: Demand, node_names: Iterable[str]) -> None:
        for counter in terms.counts:
            if counter[1] == "node":
                self.nodes.setdefault(counter, set()).update(node_names)
            else:
                self.amounts[counter] = self.amounts.get(counter, 0) + (demand.of(counter[1]) or 0)

    def reason(self, terms: Terms, demand: Demand) -> Reason | None:
        """Why one more such job may not start now, as far as its request tells."""
        for ceiling in terms.running:
            counter, resource = ceiling.counter, ceiling.counter[1]
            amount = demand.of(resource)
            if resource == "node":
                # It may come to lie on nodes that are counted already.
                if demand.nodes > ceiling.most:
                    return ceiling.reason
            elif amount is None or (amount and self.amounts.get(counter, 0) + amount > ceiling.most):
                return ceiling.reason
        return None

    def reason_of_shares(self, terms: Terms, shares: Sequence[Share], seconds: float) -> Reason | None:
        """The same once its nodes are known."""
        demand = held(shares, seconds)
        found = self.reason(terms, demand)
        if found is not None:
            return found
        for ceiling in terms.running:
            if ceiling.counter[1] == "node":
                names = self.nodes.get(ceiling.counter, set()) | {share.node for share in shares}
                if len(names) > ceiling.most:
                    return ceiling.reason
        return None

    def nodes_left(self, terms: Terms) -> frozenset[str] | None:
        """The nodes that such a job must stay on because no more may be taken; None: it may have any."""
        full = [
            self.nodes.get(ceiling.counter, set())
            for ceiling in terms.running
            if ceiling.counter[1] == "node" and len(self.nodes.get(ceiling.counter, set())) >= ceiling.most
        ]
        return frozenset(set.intersection(*full)) if full else None
