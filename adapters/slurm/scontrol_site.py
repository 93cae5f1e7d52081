"""scontrol create, update, delete and show of reservations and partitions: words to orders, records to lines.

Pure; `bridge.slurmcli.scontrol_site` carries the orders out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from adapters.slurm import hostlist, timespec, values
from adapters.slurm.answer import Answer
from adapters.slurm.durations import Clock, long
from bridge.core.nodes import Node
from bridge.core.request import UNLIMITED_SECONDS
from bridge.core.reservations import FLAGS, Reservation

YEAR_SECONDS = 365 * 86400
"""What 25.11 takes for a reservation without an end."""


@dataclass(frozen=True, slots=True)
class ReservationOrder:
    verb: str
    """create | update"""
    name: str
    """Empty: one is made up."""
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartitionOrder:
    verb: str
    name: str
    fields: Mapping[str, object] = field(default_factory=dict)
    """Of `core.nodes.Partition`."""


@dataclass(frozen=True, slots=True)
class Delete:
    kind: str
    """reservation | partition"""
    name: str
    text: str
    """As written."""


Order = ReservationOrder | PartitionOrder | Delete


class _Bad(ValueError):
    """All that is printed."""


def read(words: Sequence[str], clock: Clock) -> Order | Answer | None:
    """None: not about reservations or partitions."""
    if not words:
        return None
    verb, rest = words[0].lower(), list(words[1:])
    try:
        match verb:
            case "create":
                return _create(rest, clock)
            case "delete":
                return _delete(rest)
            case "update":
                return _update(rest, clock)
    except _Bad as bad:
        return Answer(stderr=str(bad), exit_code=1)
    return None


def _create(words: list[str], clock: Clock) -> Order:
    if not words:
        raise _Bad("too few arguments for create keyword\n")
    kind = _kind(words[0])
    if kind == "partition":
        return _partition("create", words)
    if kind == "reservation":
        return _reservation("create", words, clock)
    # The entity may stand anywhere among the words.
    found = next((_kind(word) for word in words[1:] if "=" in word and _kind(word)), None)
    if found == "reservation":
        return _reservation("create", words, clock)
    raise _Bad(f"scontrol: error: Invalid creation entity: {words[0]}\n")


def _update(words: list[str], clock: Clock) -> Order | None:
    names = [word.partition("=")[0].rstrip("+-").lower() for word in words]
    if any(name.startswith("job") for name in names):
        return None
    kind = _kind(words[0]) if words else None
    if kind == "reservation":
        return _reservation("update", words, clock)
    return _partition("update", words) if kind == "partition" else None


def _delete(words: list[str]) -> Delete:
    if not words:
        raise _Bad("too few arguments for delete keyword\n")
    kind = _kind(words[0])
    if kind is None:
        raise _Bad(f"Invalid deletion entity: {words[0]}\n")
    return Delete(kind, words[0].partition("=")[2], words[0])


def _kind(word: str) -> str | None:
    name = word.partition("=")[0].lower()
    if len(name) >= 3 and "reservationname".startswith(name):
        return "reservation"
    return "partition" if len(name) >= 3 and "partitionname".startswith(name) else None


def _find(name: str, table: Mapping[str, int]) -> str | None:
    """The full name of a word that may be cut short down to so many letters."""
    lower = name.lower()
    return next((full for full, least in table.items() if full.startswith(lower) and len(lower) >= least), None)


# ── reservations ──────────────────────────────────────────────────────────────────────────────────

_WORDS = {
    "reservationname": 3,
    "starttime": 5,
    "endtime": 3,
    "duration": 3,
    "nodes": 5,
    "nodecnt": 5,
    "users": 4,
    "groups": 5,
    "accounts": 7,
    "partitionname": 4,
    "features": 4,
    "flags": 4,
}
_NOT_HERE = {"corecnt": 4, "tres": 4, "licenses": 4, "burstbuffer": 5, "maxstartdelay": 8, "qos": 3, "watts": 5}
_ENDINGS = {"create": "No reservation created.", "update": "No reservation update."}


def _reservation(verb: str, words: list[str], clock: Clock) -> ReservationOrder:
    name = ""
    settings: dict[str, object] = {}
    ending = _ENDINGS[verb]
    for word in words:
        given, equals, value = word.partition("=")
        if not equals:
            continue  # `create reservation …`: the entity itself
        operation = given[-1] if given[-1:] in ("+", "-") else ""
        full = _find(given.rstrip("+-"), _WORDS)
        if full is None:
            known = _find(given.rstrip("+-"), _NOT_HERE)
            if known is not None:
                raise _Bad(f"scontrol: error: the bridge reserves whole nodes and knows no {known}.  {ending}\n")
            raise _Bad(f"scontrol: error: Unknown parameter {word}.  {ending}\n")
        if full == "reservationname":
            name = value
        else:
            settings[full] = _value(full, value, operation, word, clock, ending)
    if verb == "create":
        _check_whole(settings)
    return ReservationOrder(verb, name, settings)


def _value(full: str, value: str, operation: str, word: str, clock: Clock, ending: str) -> object:
    match full:
        case "starttime" | "endtime":
            try:
                return timespec.parse_begin(value, clock.now, clock.zone)
            except values.BadValue as bad:
                said = bad.plain or f"Invalid time specification (pos=0): {value}"
                which = full.removesuffix("time")
                raise _Bad(f"{said}\nscontrol: error: Invalid {which} time {word}.  {ending}\n") from bad
        case "duration":
            try:
                seconds = values.time_limit(value)
            except ValueError as bad:
                raise _Bad(f"scontrol: error: Invalid duration {word}.  {ending}\n") from bad
            return YEAR_SECONDS if seconds >= UNLIMITED_SECONDS else seconds
        case "nodecnt":
            if "," in value:
                raise _Bad("scontrol: error: Using a comma separated array for NodeCnt is no longer valid.\n")
            if not (value.isascii() and value.isdigit()) or len(value) > 9:
                raise _Bad(f'scontrol: error: "{value}" is not a valid node count\n')
            return int(value)
        case "flags":
            return operation, _flags(value, ending)
        case "nodes":
            return operation, value if value.upper() == "ALL" else expanded(value)
        case "partitionname" | "features":
            return value or None
    return operation, tuple(part for part in value.split(",") if part)


def expanded(value: str) -> tuple[str, ...]:
    try:
        return tuple(hostlist.expand(value))
    except ValueError:
        return (value,)  # no node has such a name


def _flags(value: str, ending: str) -> tuple[str, ...]:
    found: list[str] = []
    for word in filter(None, value.upper().split(",")):
        plain = word.replace("_", "")
        flag = next((one for one in FLAGS if one.replace("_", "").startswith(plain) and len(plain) >= 3), None)
        if flag is None:
            raise _Bad(f"scontrol: error: Error parsing flags {value}.  {ending}\n")
        found.append(flag)
    return tuple(found)


def _check_whole(settings: Mapping[str, object]) -> None:
    ending = _ENDINGS["create"]
    if "starttime" not in settings:
        raise _Bad(f"scontrol: error: A start time must be given.  {ending}\n")
    if "endtime" not in settings and "duration" not in settings:
        raise _Bad(f"scontrol: error: An end time or duration must be given.  {ending}\n")
    if "nodes" not in settings and "nodecnt" not in settings:
        raise _Bad(f"scontrol: error: CoreCnt, Nodes, NodeCnt, TRES or Watts must be specified.  {ending}\n")
    if not {"users", "groups", "accounts"} & settings.keys():
        raise _Bad(
            "scontrol: error: Either Users/Groups, AllowedPartitions, QOS and/or Accounts must be specified.  "
            f"{ending}\n"
        )


def missing(order: ReservationOrder) -> str:
    """What a new one lacks, in a sentence; empty: nothing."""
    try:
        _check_whole(order.settings)
    except _Bad as bad:
        return str(bad).strip().removeprefix("scontrol: error: ")
    return ""


def applied(one: Reservation, settings: Mapping[str, object]) -> tuple[Reservation, int | None, bool]:
    """(the reservation with these settings, the number of its nodes to be chosen, whether it takes all nodes)"""
    count: int | None = None
    all_nodes = False
    length = one.end_at - one.start_at
    for name, value in settings.items():
        match name, value:
            case "starttime", float(at) | int(at):
                one = replace(one, start_at=float(at), end_at=float(at) + length)
            case "partitionname", str() | None:
                one = replace(one, partition=value)
            case "features", str() | None:
                one = replace(one, features=value)
            case "nodecnt", int():
                count = value
            case "nodes", (str(), "ALL" | "all" | "All"):
                all_nodes = True
                one = replace(one, flags=_with(one.flags, ("SPEC_NODES", "ALL_NODES")))
            case "nodes", (str(operation), tuple(names)):
                one = replace(one, nodes=_changed(one.nodes, operation, names), flags=_with(one.flags, ("SPEC_NODES",)))
            case "flags", (str(operation), tuple(names)):
                one = replace(one, flags=_with((), _changed(_own(one.flags, operation), operation, names)))
            case "users" | "groups" | "accounts", (str(operation), tuple(names)):
                one = _with_people(one, name, operation, names)
    for name, value in settings.items():
        if name == "endtime" and isinstance(value, float | int):
            one = replace(one, end_at=float(value))
        elif name == "duration" and isinstance(value, int):
            one = replace(one, end_at=one.start_at + value)
    if count is not None:
        one = replace(one, flags=tuple(flag for flag in one.flags if flag not in ("SPEC_NODES", "ALL_NODES")))
    return one, count, all_nodes


def _own(flags: Sequence[str], operation: str) -> tuple[str, ...]:
    """New flags take the place of the old, but for those that follow from the nodes."""
    return tuple(flags) if operation else tuple(flag for flag in flags if flag in ("SPEC_NODES", "ALL_NODES"))


def _changed(before: Sequence[str], operation: str, names: Sequence[str]) -> tuple[str, ...]:
    if operation == "-":
        return tuple(name for name in before if name not in names)
    if operation == "+" or set(before) <= {"SPEC_NODES", "ALL_NODES"}:
        return tuple(dict.fromkeys((*before, *names)))
    return tuple(names)


def _with(flags: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(flag for flag in FLAGS if flag in (*flags, *more))


def _with_people(one: Reservation, kind: str, operation: str, names: Sequence[str]) -> Reservation:
    """`users=-bob`: all but him."""
    shut_out = bool(names) and all(name.startswith("-") for name in names)
    plain = tuple(name.removeprefix("-") for name in names)
    before = {"users": one.users, "groups": one.groups, "accounts": one.accounts}[kind]
    changed = _changed(before, operation, plain) if operation else plain
    match kind:
        case "users":
            return replace(one, users=changed, are_users_shut_out=shut_out)
        case "groups":
            return replace(one, groups=changed)
    return replace(one, accounts=tuple(map(str.lower, changed)), are_accounts_shut_out=shut_out)


def lines(one: Reservation, nodes: Sequence[Node], clock: Clock) -> list[str]:
    """`scontrol show reservation`."""
    inside = [node for node in nodes if node.name in one.nodes]
    cores = sum(node.cpus // node.threads_per_core for node in inside)
    cpus = sum(node.cpus for node in inside)
    state = "ACTIVE" if one.is_active(clock.now) else "INACTIVE"
    return [
        f"ReservationName={one.name} StartTime={clock.stamp(one.start_at)} EndTime={clock.stamp(one.end_at)} "
        f"Duration={long(one.end_at - one.start_at)}",
        f"Nodes={hostlist.compress(list(one.nodes)) or '(null)'} NodeCnt={len(one.nodes)} CoreCnt={cores} "
        f"Features={one.features or '(null)'} PartitionName={one.partition or '(null)'} Flags={','.join(one.flags)}",
        f"TRES=cpu={cpus}",
        "AllowedPartitions=(null) QOS=(null)",
        f"Users={people(one.users, one.are_users_shut_out) or '(null)'} Groups={people(one.groups) or '(null)'} "
        f"Accounts={people(one.accounts, one.are_accounts_shut_out) or '(null)'} Licenses=(null) State={state} "
        "BurstBuffer=(null)",
        "MaxStartDelay=(null)",
    ]


def table(kept: Sequence[Reservation], clock: Clock, *, header: bool) -> str:
    """`sinfo -T`."""
    if not kept:
        return "No reservations in the system\n"
    rows = [("RESV_NAME", "STATE", "START_TIME", "END_TIME", "DURATION", "NODELIST")] if header else []
    for one in kept:
        state = "ACTIVE" if one.is_active(clock.now) else "INACTIVE"
        length = long(one.end_at - one.start_at)
        nodes = hostlist.compress(list(one.nodes))
        rows.append((one.name, state, clock.stamp(one.start_at), clock.stamp(one.end_at), length, nodes))
    return "".join(
        f"{name:<10} {state:>8}  {start:>19}  {end:>19}  {length:>11}  {nodes}\n"
        for name, state, start, end, length, nodes in rows
    )


def kept_for(node: str, kept: Sequence[Reservation], now: float) -> tuple[str, str]:
    """(`maint` or `reserved`, the name) of the reservation that has the node now; else both empty."""
    mine = [one for one in kept if node in one.nodes and one.is_active(now)]
    for one in mine:
        if "MAINT" in one.flags:
            return "maint", one.name
    return ("reserved", mine[0].name) if mine else ("", "")


def people(names: Sequence[str], shut_out: bool = False) -> str:
    """Users, groups or accounts of a reservation."""
    return ",".join(f"-{name}" if shut_out else name for name in names)


# ── partitions ────────────────────────────────────────────────────────────────────────────────────

_PARTITION_WORDS = {
    "partitionname": 3,
    "allowaccounts": 7,
    "allowgroups": 6,
    "default": 7,
    "defaulttime": 8,
    "defmempercpu": 10,
    "defmempernode": 10,
    "maxcpuspernode": 14,
    "maxmempernode": 10,
    "maxnodes": 4,
    "maxtime": 4,
    "minnodes": 3,
    "nodes": 4,
    "oversubscribe": 5,
    "prioritytier": 9,
    "state": 5,
}
_STATES = ("UP", "DOWN", "DRAIN", "INACTIVE")


def _partition(verb: str, words: list[str]) -> PartitionOrder:
    name = ""
    fields: dict[str, object] = {}
    for word in words:
        given, equals, value = word.partition("=")
        if not equals:
            raise _Bad(f"scontrol: error: Invalid input: {word}  Request aborted\n")
        full = _find(given.rstrip("+-"), _PARTITION_WORDS)
        if full is None:
            raise _Bad(
                f"scontrol: error: Update of this parameter is not supported: {word}\n\n"
                "scontrol: error: Request aborted\n"
            )
        if full == "partitionname":
            name = value
        else:
            fields |= _partition_field(full, value, word)
    return PartitionOrder(verb, name, fields)


def _partition_field(full: str, value: str, word: str) -> dict[str, object]:
    lower = value.lower()
    match full:
        case "allowaccounts" | "allowgroups":
            names = None if lower == "all" else tuple(part for part in value.split(",") if part)
            return {f"allow_{full.removeprefix('allow')}": names}
        case "default":
            return {"is_default": _yes(lower, word)}
        case "defaulttime" | "maxtime":
            key = "default_time_seconds" if full == "defaulttime" else "max_time_seconds"
            if lower == "none":
                return {key: None}
            try:
                seconds = values.time_limit(value)
            except ValueError as bad:
                raise _Bad(f"scontrol: error: Invalid input {word}\n") from bad
            return {key: None if seconds >= UNLIMITED_SECONDS else seconds}
        case "nodes":
            return {"nodes": expanded(value) if value else ()}
        case "state":
            state = next((one for one in _STATES if lower and one.lower() == lower), None)
            if state is None:
                raise _Bad(
                    f"scontrol: error: Invalid input: {word}\n"
                    "scontrol: error: Acceptable State values are UP, DOWN, DRAIN and INACTIVE\n"
                )
            return {"state": state}
        case "oversubscribe":
            return {"whole_nodes": lower.startswith("exclusive"), "oversubscribe": lower.startswith(("yes", "force"))}
    return {_NUMBERS[full]: _number(full, lower, word)}


_NUMBERS = {
    "defmempercpu": "default_memory_per_cpu_mib",
    "defmempernode": "default_memory_per_node_mib",
    "maxcpuspernode": "max_cpus_per_node",
    "maxmempernode": "max_memory_per_node_mib",
    "maxnodes": "max_nodes",
    "minnodes": "min_nodes",
    "prioritytier": "priority_tier",
}


def _number(full: str, value: str, word: str) -> int | None:
    if value in ("unlimited", "infinite", "-1"):
        return 0 if full in ("minnodes", "prioritytier") else None
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise _Bad(f"scontrol: error: Invalid input {word}\n")
    return int(value)


def _yes(value: str, word: str) -> bool:
    if value not in ("yes", "no"):
        raise _Bad(
            f"scontrol: error: Invalid input: {word}\nscontrol: error: Acceptable Default values are YES and NO\n"
        )
    return value == "yes"
