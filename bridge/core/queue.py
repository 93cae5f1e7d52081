"""The queue as placement sees it: which jobs lack only room, which run, what is free. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bridge.core import constraint, indexset
from bridge.core.accounting_limits import FREE, Demand, Rules, Tally, Terms, demand_of, held, job_reason
from bridge.core.constraint import Expression
from bridge.core.dag import Dependency, Kind
from bridge.core.fitting import Candidate
from bridge.core.job import ON_NODES, Job, JobKey, JobState, Share
from bridge.core.nodes import Site
from bridge.core.placement import FOREVER, Plan, Running
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS, JobRequest
from bridge.core.sizing import Size, size_of

MOST_PIECES = 256
"""Of one array, looked at in one go; more than a turn can start."""

_REASONS_TO_TRY_AGAIN = (Reason.BEGIN_TIME, Reason.RESOURCES, Reason.LAUNCH_FAILURE)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands with its dependency."""

    blocked: bool = False
    never: bool = False
    ready_tasks: indexset.IndexSet | None = None
    """Only these of an array's waiting tasks may start; None: all."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What follows from a job's request alone; worked out once for each revision of it."""

    revision: int
    size: Size
    constraint: Expression | None
    licenses: tuple[tuple[str, int], ...]
    partitions: tuple[str, ...]
    """Those whose limits it keeps, in order of preference."""
    limit: tuple[Reason, str] | None
    """Why none of its partitions will start it, or why no limit of accounting lets it start as it is."""
    terms: Terms = FREE
    demand: Demand | None = None
    """None: nothing limits it."""
    preference: Expression | None = None
    rules: Rules | None = None
    """By which the last two were worked out."""


_NO_RULES = Rules(None)

Memo = dict[JobKey, Prepared]
"""Kept by the caller between views, so that thousands of waiting jobs cost little."""


@dataclass(frozen=True, slots=True)
class View:
    candidates: tuple[Candidate, ...]
    running: tuple[Running, ...]
    licenses_free: Mapping[str, int]
    reasons: Mapping[JobKey, tuple[Reason, str]] = field(default_factory=dict)
    """Of waiting jobs that lack more than room."""
    tally: Tally = field(default_factory=Tally)
    """What runs, as the limits of accounting count it."""


def view(
    jobs: Iterable[Job],
    site: Site,
    now: float,
    standing_of: Callable[[Job], Standing | None] | None = None,
    memo: Memo | None = None,
    rules: Rules | None = None,
) -> View:
    """`standing_of` None: jobs with a dependency are taken as blocked."""
    memo = {} if memo is None else memo
    candidates: list[Candidate] = []
    running: list[Running] = []
    reasons: dict[JobKey, tuple[Reason, str]] = {}
    free = dict(site.licenses)
    rules = rules or _NO_RULES
    tally = Tally()
    throttles: dict[int, int] = {}
    waiting: list[Job] = []
    for job in jobs:
        if job.state in ON_NODES:
            running.append(make_running(job, now))
            terms = terms_of(job, rules)
            if terms.counts:
                demand = held(job.nodes, running[-1].ends_at - now, running[-1].licenses)
                tally.add(terms, demand, (share.node for share in job.nodes))
            for name, count in running[-1].licenses:
                free[name] = free.get(name, 0) - count
            if job.array_id is not None:
                throttles[job.array_id] = throttles.get(job.array_id, 0) + 1
        elif job.state is JobState.PENDING and job.priority > 0:
            waiting.append(job)
    records = {job.id: job for job in waiting if job.is_array}
    for job in waiting:
        standing = standing_of(job) if standing_of is not None else Standing(blocked=job.request.dependency is not None)
        prepared = memo.get(job.key)
        if prepared is None or prepared.revision != job.revision or prepared.rules is not rules:
            prepared = memo[job.key] = _prepare(job, site, rules)
        reason = _what_else_is_missing(job, now, standing or Standing()) or prepared.limit
        if reason is not None:
            reasons[job.key] = reason
            continue
        candidate = _candidate(job, prepared, standing, records, throttles)
        if candidate is None:
            reasons[job.key] = (Reason.ARRAY_TASK_LIMIT, "")
        else:
            candidates.append(candidate)
    return View(tuple(candidates), tuple(running), free, reasons, tally)


def terms_of(job: Job, rules: Rules) -> Terms:
    request = job.request
    return rules.of(request.user, request.account, job.partition, request.qos)


def make_running(job: Job, now: float) -> Running:
    if job.time_limit_seconds >= UNLIMITED_SECONDS:
        ends_at = FOREVER
    else:
        ends_at = max(now + 1, (job.started_at or now) + job.time_limit_seconds + job.suspended_seconds)
    whole = job.request.component.exclusive in ("node", "topo")
    return Running(job.key, job.nodes, ends_at, _licenses(job), whole)


def _prepare(job: Job, site: Site, rules: Rules) -> Prepared:
    component = job.request.component
    names = component.partitions or (job.partition,)
    limits = {name: limit_reason(job.request, name, job.time_limit_seconds, site) for name in names}
    usable = tuple(name for name, limit in limits.items() if limit is None)
    size = size_of(component, site.partition(job.partition))
    terms = terms_of(job, rules)
    demand, limit = None, None if usable else limits[names[0]]
    if terms is not FREE:
        demand = demand_of(size, job.time_limit_seconds, _licenses(job))
        reason = job_reason(terms, demand)
        limit = limit or (None if reason is None else (reason, ""))
    return Prepared(
        revision=job.revision,
        size=size,
        constraint=constraint.parse(component.constraint) if component.constraint else None,
        preference=constraint.parse(component.prefer) if component.prefer else None,
        licenses=_licenses(job),
        partitions=usable,
        limit=limit,
        terms=terms,
        demand=demand,
        rules=rules,
    )


def _what_else_is_missing(job: Job, now: float, standing: Standing) -> tuple[Reason, str] | None:
    if standing.never:
        return Reason.DEPENDENCY_NEVER_SATISFIED, ""
    if standing.blocked:
        return Reason.DEPENDENCY, ""
    if job.begin_at is not None and job.begin_at > now:
        # What made it wait until then is what its user wants to know.
        is_again = bool(job.reason_detail) and job.reason in _REASONS_TO_TRY_AGAIN
        return (job.reason, job.reason_detail) if is_again else (Reason.BEGIN_TIME, "")
    return None


def limit_reason(
    request: JobRequest, partition_name: str, time_limit_seconds: int, site: Site
) -> tuple[Reason, str] | None:
    """Why a partition will not take the job as it is, though it may wait there."""
    partition = site.partition(partition_name)
    if partition is None:
        return Reason.PARTITION_CONFIG, f"the partition {partition_name} is no more"
    if partition.state != "UP":
        return (Reason.PARTITION_DOWN if partition.state == "DOWN" else Reason.PARTITION_INACTIVE), ""
    least = request.time_min_seconds or time_limit_seconds
    if partition.max_time_seconds is not None and least > partition.max_time_seconds:
        return Reason.PARTITION_TIME_LIMIT, ""
    size = size_of(request.component, partition)
    if partition.max_nodes is not None and size.nodes_min > partition.max_nodes:
        return Reason.PARTITION_NODE_LIMIT, ""
    if size.nodes_min > len(partition.nodes):
        return (Reason.PARTITION_NODE_LIMIT if partition.max_nodes else Reason.PARTITION_CONFIG), ""
    return None


def _candidate(
    job: Job,
    prepared: Prepared,
    standing: Standing | None,
    records: Mapping[int, Job],
    throttles: dict[int, int],
) -> Candidate | None:
    """None when the array's throttle leaves no place."""
    keys: tuple[JobKey, ...] = (job.key,)
    array_id = job.id if job.is_array else job.array_id
    if array_id is not None:
        array = (records.get(array_id) or job).request.array
        room = MOST_PIECES
        if array is not None and array.throttle:
            room = min(room, array.throttle - throttles.get(array_id, 0))
        if room <= 0:
            return None
        if job.is_array:
            keys = _pieces(job, standing, room)
            if not keys:
                return None
        throttles[array_id] = throttles.get(array_id, 0) + len(keys)
    component = job.request.component
    return Candidate(
        keys=keys,
        partitions=prepared.partitions,
        size=prepared.size,
        component=component,
        time_limit_seconds=job.time_limit_seconds,
        submitted_at=job.submitted_at,
        priority=job.priority,
        nice=job.request.nice,
        licenses=prepared.licenses,
        constraint=prepared.constraint,
        uid=job.request.uid,
        reservation=job.request.reservation,
        terms=prepared.terms,
        demand=prepared.demand,
        preference=prepared.preference,
    )


def _pieces(job: Job, standing: Standing | None, room: int) -> tuple[JobKey, ...]:
    ready = standing.ready_tasks if standing is not None else None
    keys: list[JobKey] = []
    for index in job.waiting or ():
        if len(keys) >= room:
            break
        if ready is None or index in ready:
            keys.append(JobKey(job.id, index))
    return tuple(keys)


def _licenses(job: Job) -> tuple[tuple[str, int], ...]:
    text = job.request.component.licenses
    return parse_licenses(text) if text else ()


def parse_licenses(text: str) -> tuple[tuple[str, int], ...]:
    """`matlab:2,ansys` → (("matlab", 2), ("ansys", 1)); a database after @ is left out, = does for a colon.

    Of alternatives (`matlab|ansys`) the first is the one that is counted.
    """
    found = []
    for item in text.partition("|")[0].split(","):
        name, _, count = item.replace("=", ":").partition(":")
        found.append((name.partition("@")[0].strip(), int(count) if count.isdigit() else 1))
    return tuple(found)


def dependency_text(dependency: Dependency | None) -> str:
    """Before anything is known of the targets: every part unfulfilled."""
    if dependency is None:
        return ""
    parts = []
    for clause in dependency.clauses:
        text = str(clause.kind)
        if clause.kind is not Kind.SINGLETON:
            text += f":{clause.job_id}"
            if clause.task is not None:
                text += f"_{clause.task}"
            elif clause.whole_array:
                text += "_*"
            if clause.delay_minutes:
                text += f"+{clause.delay_minutes}"
        parts.append(text + "(unfulfilled)")
    return ("?" if dependency.any_of else ",").join(parts)


def unsaved_job(request: JobRequest, partition: str, time_limit_seconds: int, now: float) -> Job:
    """A job as it would wait if it were submitted now, for an estimate."""
    return Job(
        id=2**62,
        request=request,
        partition=partition,
        submitted_at=now,
        time_limit_seconds=time_limit_seconds,
        waiting=request.array.indices if request.array else None,
        array_id=None,
    )


def estimate_of(plan: Plan, job: Job, now: float) -> tuple[float, tuple[Share, ...]] | None:
    """(start, nodes) of a job in a plan that was asked for its estimate."""
    for placement in plan.placements:
        if placement.key.id == job.id:
            return now, placement.shares
    for key, found in plan.estimates.items():
        if key.id == job.id:
            return found
    return None
