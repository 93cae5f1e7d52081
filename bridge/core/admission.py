"""May this request be taken, and with which partition, limit and account? The controller's part of sbatch.

Pure. What cannot be is Refused with a code of `adapters.slurm.errors`; what the partition's limits forbid
only as long as they stand is taken and waits with its reason. Source: slurm-reference, 25.11's answers.
"""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core import accounting_admission, accounting_start, constraint, fitting, queue, reservations
from bridge.core.accounting import Book
from bridge.core.errors import NotPermitted, Refused
from bridge.core.job import JobKey
from bridge.core.nodes import Node, Partition, Site
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS, Component, JobRequest
from bridge.core.reservations import Reservation
from bridge.core.sizing import Size, size_of
from bridge.core.users import User


@dataclass(frozen=True, slots=True)
class Admitted:
    partition: str
    time_limit_seconds: int
    time_min_seconds: int | None
    account: str | None
    qos: str | None
    reason: Reason = Reason.NONE


def admit(
    request: JobRequest,
    site: Site,
    nodes: Sequence[Node],
    user: User,
    now: float,
    *,
    is_operator: bool,
    book: Book | None = None,
    kept: Sequence[Reservation] = (),
) -> Admitted:
    """`book` None: the one that the site file describes. `kept`: reservations that are not over."""
    partitions = _partitions(request, site)
    book = book or accounting_start.book_of(site)
    account, qos = accounting_admission.charged(request, site, user.name, book)
    for partition in partitions:
        _check_access(partition, user, account, is_operator=is_operator)
        _check_image(partition, request.container_image)
    if request.array is not None and request.array.indices and request.array.indices.maximum >= site.max_array_size:
        raise Refused(f"array indices go up to {site.max_array_size - 1} here", code="invalid_array", field="array")
    if request.nice < 0 and not is_operator:
        raise Refused("only an operator may give a negative nice value", code="invalid_nice", field="nice")
    component = request.component
    _check_names(component, nodes)
    check_licenses(component, site)
    limit = _time_limit(request, partitions[0])
    time_min = _before_deadline(request, partitions[0], limit, now)
    later = request.begin_at is not None and request.begin_at > now
    waits = request.hold or later or request.dependency is not None
    if request.reservation is not None:
        reserved = reservations.asked_for(request.reservation, kept, user, account, book)
        nodes = [node for node in nodes if node.name in reserved.nodes]
        if not {*component.node_list} <= {*reserved.nodes}:
            raise Refused("Problem using reservation", code="not_available", field="reservation")
    judged = [_judge(request, partition, limit, site, nodes, waits=waits) for partition in partitions]
    problems = [problem for _, problem in judged if problem is not None]
    if problems and (site.enforce_part_limits or len(problems) == len(judged)):
        # One partition of a list is enough, unless the site enforces the limits of all.
        raise problems[0]
    reason = next((Reason.NONE for found, problem in judged if found is Reason.NONE and problem is None), judged[0][0])
    return Admitted(partitions[0].name, limit, time_min, account, qos, reason)


def _partitions(request: JobRequest, site: Site) -> list[Partition]:
    names = request.component.partitions
    if not names:
        default = site.default_partition
        if default is None:
            raise Refused("no partition was named and the site has no default", code="no_partition", field="partition")
        return [default]
    found = []
    for name in names:
        partition = site.partition(name)
        if partition is None:
            raise Refused(f"invalid partition specified: {name}", code="invalid_partition", field="partition")
        found.append(partition)
    return found


def _check_access(partition: Partition, user: User, account: str | None, *, is_operator: bool) -> None:
    if is_operator:
        return
    if partition.allow_users is not None and user.name not in partition.allow_users:
        raise NotPermitted(f"{user.name} may not use {partition.name}", code="access_denied", field="partition")
    if partition.allow_groups is not None and not set(partition.allow_groups) & set(user.group_names):
        raise NotPermitted(
            f"no group of {user.name} may use {partition.name}", code="group_not_permitted", field="partition"
        )
    if partition.allow_accounts is not None and account not in partition.allow_accounts:
        raise Refused(f"{account} may not use {partition.name}", code="invalid_account", field="account")


def _check_image(partition: Partition, image: str | None) -> None:
    if image is None or any(fnmatch.fnmatchcase(image, pattern) for pattern in partition.images):
        return
    allowed = f"those like {', '.join(partition.images)}" if partition.images else "none of the jobs' own choice"
    raise Refused(f"the image {image} does not run in partition {partition.name}: {allowed}", field="container-image")


def _check_names(component: Component, nodes: Sequence[Node]) -> None:
    known = {node.name for node in nodes}
    for name in (*component.node_list, *component.exclude):
        if name not in known:
            raise Refused(f"no node is named {name}", code="invalid_node_name", field="nodelist")
    features = {feature for node in nodes for feature in node.features}
    for text, field, code in (
        (component.constraint, "constraint", "bad_feature"),
        (component.prefer, "prefer", "invalid_prefer"),
    ):
        if not text:
            continue
        for name in constraint.parse(text).names():
            if name not in features:
                raise Refused(f"no node has the feature {name}", code=code, field=field)
    known_gres = {name for node in nodes for name, _, _ in node.gres}
    for gres in component.gres_per_node:
        if gres.name not in known_gres and gres.count and gres.name != "gpu":
            raise Refused(f"no node has {gres.name}", code="invalid_gres", field="gres")


def check_licenses(component: Component, site: Site) -> None:
    """Refused where the site has not as many."""
    if not component.licenses:
        return
    total = dict(site.licenses)
    for choice in component.licenses.split("|"):
        for item in choice.split(","):
            _, given, count = item.replace("=", ":").partition(":")
            if given and not (count.isascii() and count.isdigit() and len(count) < 10):
                raise Refused(f"{item!r} is no licence with a count", code="invalid_license", field="licenses")
        for name, wanted in queue.parse_licenses(choice):
            if name not in total or wanted > total[name]:
                raise Refused(f"the site has {total.get(name, 0)} of {name}", code="invalid_license", field="licenses")


def _time_limit(request: JobRequest, partition: Partition) -> int:
    limit = request.time_limit_seconds
    if limit is None:
        limit = partition.default_time_seconds or partition.max_time_seconds or UNLIMITED_SECONDS
    if request.time_min_seconds is not None and request.time_min_seconds > limit:
        raise Refused("--time-min is above the time limit", code="invalid_time_min", field="time_min")
    return limit


_LEAST_SECONDS = 60


def _before_deadline(request: JobRequest, partition: Partition, limit: int, now: float) -> int | None:
    """The shortest time that the job may be given. With a deadline it is a minute, as in Slurm, where neither the job
    nor its partition says how long it takes: the limit is then cut when it starts."""
    if request.deadline_at is None:
        return request.time_min_seconds
    earliest_start = int(max(now, request.begin_at or 0))  # in whole seconds, as Slurm has it
    if request.time_min_seconds is not None:
        if request.deadline_at < earliest_start + request.time_min_seconds:
            raise Refused("--time-min leads over the deadline", code="invalid_time_min", field="time_min")
        return request.time_min_seconds
    is_open = request.time_limit_seconds is None and partition.default_time_seconds is None
    if request.deadline_at < earliest_start + (_LEAST_SECONDS if is_open else limit):
        raise Refused("the job could not end before its deadline", code="invalid_time_limit", field="deadline")
    return _LEAST_SECONDS if is_open else None


def _judge(
    request: JobRequest, partition: Partition, limit: int, site: Site, nodes: Sequence[Node], *, waits: bool
) -> tuple[Reason, Refused | None]:
    """(what it will wait for, why it is refused) in this partition."""
    component = request.component
    size = size_of(component, partition)
    if component.nodes_min == 0 and not waits:
        return Reason.NONE, Refused("at least one node is needed", code="bad_node_count", field="nodes")
    found = queue.limit_reason(request, partition.name, limit, site)
    if found is not None and site.enforce_part_limits:
        problem = _enforced(found[0])
        if problem is not None:
            return found[0], problem
    members = [node for node in nodes if node.name in partition.nodes]
    if found is None and sum(node.cpus for node in members) < size.cpus:
        if site.enforce_part_limits:
            return Reason.PARTITION_CONFIG, Refused(
                "more CPUs than the partition has", code="too_many_cpus", field="ntasks"
            )
        found = (Reason.PARTITION_CONFIG, "")
    if waits:
        return Reason.NONE, None
    if found is not None:
        return found[0], None
    problem = _never_fits(request, partition, size, members)
    return Reason.NONE, problem


def _enforced(reason: Reason) -> Refused | None:
    match reason:
        case Reason.PARTITION_TIME_LIMIT:
            return Refused("over the partition's time limit", code="invalid_time_limit", field="time")
        case Reason.PARTITION_NODE_LIMIT:
            return Refused("outside the partition's node limits", code="bad_node_count", field="nodes")
        case Reason.PARTITION_CONFIG:
            return Refused("more than the partition has", code="too_many_cpus", field="nodes")
        case _:
            return None


def _never_fits(request: JobRequest, partition: Partition, size: Size, members: Sequence[Node]) -> Refused | None:
    component = request.component
    wanted = set(component.node_list)
    if wanted - set(partition.nodes):
        return Refused(
            f"{', '.join(sorted(wanted - set(partition.nodes)))} is not in {partition.name}",
            code="not_available",
            field="nodelist",
        )
    candidate = fitting.Candidate(
        keys=(JobKey(0),),
        partitions=(partition.name,),
        size=size,
        component=component,
        time_limit_seconds=0,
        submitted_at=0.0,
        constraint=constraint.parse(component.constraint) if component.constraint else None,
    )
    if fitting.could_ever_fit(candidate, members):
        return None
    sentence, field = _why_never(candidate, members)
    return Refused(sentence, code="not_available", field=field)


def _why_never(candidate: fitting.Candidate, members: Sequence[Node]) -> tuple[str, str | None]:
    """The line that Slurm adds where no single node has enough of something, with what it is; else a sentence of
    ours."""
    component, size = candidate.component, candidate.size
    memory_mib = size.memory_per_node_mib or size.memory_per_cpu_mib or 0
    left = list(members)
    disk_mib = component.temporary_disk_mib or 0
    for what, field, has_enough in (
        ("CPU count per node", "cpus", lambda node: node.cpus >= size.cpus_per_node_min),
        ("Memory specification", "memory", lambda node: node.memory_mib >= memory_mib),
        ("Temporary disk specification", "temporary_disk", lambda node: node.temporary_disk_mib >= disk_mib),
        ("Socket, core and/or thread specification", "shape", lambda node: fitting.has_shape(node, component)),
    ):
        left = [node for node in left if has_enough(node)]
        if not left:
            return f"{what} can not be satisfied", field
    if component.gres_per_node or component.gres_per_job or component.gres_per_task or component.gres_per_socket:
        return "no nodes can ever give what the job asks for", "gres"
    return "no nodes can ever give what the job asks for", None
