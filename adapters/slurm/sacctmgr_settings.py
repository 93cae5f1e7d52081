"""What sacctmgr sets: words such as `MaxJobs=3` or `QOS+=high` as values.

The tables say how far a name may be cut short. Texts of refusals are Slurm's own. What a word does to the
book is `sacctmgr_changes`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from adapters.slurm import values
from adapters.slurm.sacctmgr import BadWord, Word, find_word, split
from bridge.core import accounting
from bridge.core.accounting import Association, Limits, Qos, Tres
from bridge.core.request import UNLIMITED_SECONDS

Operation = Literal["", "+", "-"]

_ENDLESS = ("-1", "unlimited", "infinite", "")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


@dataclass(frozen=True, slots=True)
class Names:
    """A set given whole, or what goes into it and out of it."""

    whole: tuple[str, ...] | None = None
    changes: tuple[str, ...] = ()
    """`+high`, `-low`"""


@dataclass(slots=True)
class Settings:
    """What was set; None or absent: left as it is."""

    limits: dict[str, object] = field(default_factory=dict)
    """Field of `Limits` → number, None for no limit, or for TRES {resource: number or None}."""
    qos: Names | None = None
    default_qos: str | None = None
    """Empty: none any more. So the next."""
    shares: int | Literal["parent"] | None = None
    priority: int | None = None
    """-1: none."""
    comment: str | None = None
    parent: str | None = None
    description: str | None = None
    organization: str | None = None
    admin_level: str | None = None
    default_account: str | None = None
    new_name: str | None = None
    flags: Names | None = None
    grace_seconds: int | None = None
    preempt: Names | None = None
    preempt_mode: str | None = None
    preempt_exempt_seconds: int | None = None
    usage_factor: float | None = None
    usage_threshold: float | None = None
    limit_factor: float | None = None
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of `add`: names, accounts, clusters, partitions, users."""
    was_said: bool = False
    """Anything but names was given."""

    @property
    def of_association(self) -> bool:
        mine = (self.qos, self.default_qos, self.shares, self.priority, self.comment, self.parent)
        return bool(self.limits) or any(one is not None for one in mine)


_GROUP = (
    Word("grpcpumins", 7, "one grp_tres_minutes cpu"),
    Word("grpcpurunmins", 7, "one grp_tres_run_minutes cpu"),
    Word("grpcpus", 7, "one grp_tres cpu"),
    Word("grpjobs", 4, "count grp_jobs"),
    Word("grpjobsaccrue", 8, "count grp_jobs_accrue"),
    Word("grpmemory", 4, "one grp_tres mem"),
    Word("grpnodes", 4, "one grp_tres node"),
    Word("grpsubmitjobs", 4, "count grp_submit_jobs"),
    Word("grptres", 7, "tres grp_tres"),
    Word("grptresmins", 8, "tres grp_tres_minutes"),
    Word("grptresrunmins", 8, "tres grp_tres_run_minutes"),
    Word("grpwall", 4, "minutes grp_wall_minutes"),
)
_PER_JOB = (
    Word("maxcpuminsperjob", 7, "one max_tres_minutes cpu"),
    Word("maxcpusperjob", 7, "one max_tres cpu"),
    Word("maxnodesperjob", 4, "one max_tres node"),
    Word("maxtres", 7, "tres max_tres"),
    Word("maxtresperjob", 11, "tres max_tres"),
    Word("maxtrespj", 9, "tres max_tres"),
    Word("maxtrespernode", 11, "tres max_tres_per_node"),
    Word("maxtrespn", 9, "tres max_tres_per_node"),
    Word("maxtresminsperjob", 8, "tres max_tres_minutes"),
    Word("maxwalldurationperjob", 4, "minutes max_wall_minutes"),
    Word("minpriothreshold", 4, "count min_priority"),
)
_ASSOCIATION = (
    Word("fairshare", 1, "share"),
    Word("share", 1, "share"),
    Word("comment", 2, "text comment"),
    Word("defaultqos", 8, "default_qos"),
    Word("maxjobs", 4, "count max_jobs"),
    Word("maxjobsaccrue", 8, "count max_jobs_accrue"),
    Word("maxsubmitjobs", 4, "count max_submit_jobs"),
    Word("parent", 2, "name parent"),
    Word("priority", 2, "priority"),
    Word("qoslevel", 1, "qos"),
    Word("rawusage", 7, "usage"),
    *_GROUP,
    *_PER_JOB,
)

ACCOUNT_WORDS = (
    Word("description", 1, "text description"),
    Word("organization", 1, "text organization"),
    Word("flags", 2, "account_flags"),
    *_ASSOCIATION,
)
USER_WORDS = (
    Word("adminlevel", 2, "admin"),
    Word("defaultaccount", 8, "name default_account"),
    Word("defaultwckey", 8, "wckey"),
    *_ASSOCIATION,
)
QOS_WORDS = (
    Word("description", 1, "text description"),
    Word("flags", 2, "flags"),
    Word("gracetime", 3, "grace"),
    Word("limitfactor", 6, "factor limit_factor"),
    Word("maxcpusperuser", 11, "one max_tres_per_user cpu"),
    Word("maxjobs", 4, "count max_jobs_per_user"),
    Word("maxjobsperuser", 8, "count max_jobs_per_user"),
    Word("maxjobspu", 8, "count max_jobs_per_user"),
    Word("maxjobsperaccount", 11, "count max_jobs_per_account"),
    Word("maxjobspa", 9, "count max_jobs_per_account"),
    Word("maxjobsaccrueperaccount", 17, "count max_jobs_accrue_per_account"),
    Word("maxjobsaccrueperuser", 17, "count max_jobs_accrue_per_user"),
    Word("maxnodesperuser", 12, "one max_tres_per_user node"),
    Word("maxsubmitjobs", 4, "count max_submit_per_user"),
    Word("maxsubmitjobsperuser", 14, "count max_submit_per_user"),
    Word("maxsubmitjobspu", 14, "count max_submit_per_user"),
    Word("maxsubmitjobsperaccount", 17, "count max_submit_per_account"),
    Word("maxsubmitjobspa", 15, "count max_submit_per_account"),
    Word("maxtresperuser", 11, "tres max_tres_per_user"),
    Word("maxtrespu", 9, "tres max_tres_per_user"),
    Word("maxtresperaccount", 11, "tres max_tres_per_account"),
    Word("maxtrespa", 9, "tres max_tres_per_account"),
    Word("maxtresrunminsperuser", 20, "tres max_tres_run_minutes_per_user"),
    Word("maxtresrunminspu", 16, "tres max_tres_run_minutes_per_user"),
    Word("maxtresrunminsperaccount", 20, "tres max_tres_run_minutes_per_account"),
    Word("maxtresrunminspa", 16, "tres max_tres_run_minutes_per_account"),
    Word("mincpus", 7, "one min_tres cpu"),
    Word("mintresperjob", 7, "tres min_tres"),
    Word("name", 1, "names names"),
    Word("preempt", 7, "preempt"),
    Word("preemptmode", 8, "preempt_mode"),
    Word("preemptexempttime", 8, "exempt"),
    Word("priority", 3, "priority"),
    Word("rawusage", 7, "usage"),
    Word("usagefactor", 6, "factor usage_factor"),
    Word("usagethreshold", 6, "factor usage_threshold"),
    *_GROUP,
    *_PER_JOB,
)

ADD_WORDS: Mapping[str, tuple[Word, ...]] = {
    "account": (
        Word("accounts", 1, "names names"),
        Word("acct", 4, "names names"),
        Word("names", 1, "names names"),
        Word("clusters", 1, "names clusters"),
        *ACCOUNT_WORDS,
    ),
    "user": (
        Word("users", 1, "names names"),
        Word("names", 1, "names names"),
        Word("accounts", 2, "names accounts"),
        Word("acct", 4, "names accounts"),
        Word("clusters", 1, "names clusters"),
        Word("partitions", 3, "names partitions"),
        Word("wckeys", 1, "wckey"),
        *USER_WORDS,
    ),
    "qos": QOS_WORDS,
    "coordinator": (
        Word("accounts", 1, "names accounts"),
        Word("acct", 4, "names accounts"),
        Word("names", 1, "names users"),
        Word("users", 1, "names users"),
    ),
    "cluster": (Word("names", 1, "names names"), Word("clusters", 3, "names names")),
}
SET_WORDS: Mapping[str, tuple[Word, ...]] = {
    "account": (
        Word("accounts", 1, "fixed name of an account"),
        Word("acct", 4, "fixed name of an account"),
        Word("names", 1, "fixed name of an account"),
        Word("clusters", 1, "fixed cluster of an account"),
        *ACCOUNT_WORDS,
    ),
    "user": (Word("newname", 1, "name new_name"), *USER_WORDS),
    "qos": QOS_WORDS,
}

_SHOWN = {
    "max_jobs_per_user": "MaxJobsPU",
    "max_jobs_per_account": "MaxJobsPA",
    "max_submit_per_user": "MaxSubmitJobsPU",
    "max_submit_per_account": "MaxSubmitJobsPA",
    "max_submit_jobs": "MaxSubmitJobs",
    "max_wall_minutes": "MaxWall",
    "grp_wall_minutes": "GrpWall",
    "grp_submit_jobs": "GrpSubmitJobs",
    "min_priority": "MinPrioThreshold",
    "shares": "FairShare",
    "max_jobs": "MaxJobs",
    "grp_jobs": "GrpJobs",
    "priority": "Priority",
    "grace_seconds": "GraceTime",
    "max_jobs_accrue": "MaxJobsAccrue",
    "grp_jobs_accrue": "GrpJobsAccrue",
}
"""What messages call a field."""

_NOT_ACTED_ON = {
    "grp_tres_minutes": "what jobs used in the past is not added up",
    "grp_wall_minutes": "what jobs used in the past is not added up",
    "usage_factor": "what jobs used in the past is not added up",
    "usage_threshold": "what jobs used in the past is not added up",
    "share": "what jobs used in the past is not added up",
    "grp_jobs_accrue": "jobs gain no priority by waiting",
    "max_jobs_accrue": "jobs gain no priority by waiting",
    "max_jobs_accrue_per_user": "jobs gain no priority by waiting",
    "max_jobs_accrue_per_account": "jobs gain no priority by waiting",
    "min_priority": "jobs are not kept waiting by their priority",
    "limit_factor": "limits are taken as they are",
    "preempt": "no job makes room for another",
    "preempt_mode": "no job makes room for another",
    "exempt": "no job makes room for another",
    "grace": "no job makes room for another",
}
"""Kept and shown, and without effect: why."""


def notes(texts: Sequence[str], words: Sequence[Word]) -> list[str]:
    """For people, of words that are kept and have no effect here."""
    found: list[str] = []
    for text in texts:
        name, equals, _ = text.partition("=")
        word = find_word(name.rstrip("+-"), words) if equals else None
        if word is None:
            continue
        kind, _, rest = word.fills.partition(" ")
        target = rest.partition(" ")[0] if kind in ("count", "minutes", "tres", "one", "factor") else kind
        if target in _NOT_ACTED_ON:
            found.append(f"{name} is kept and shown, and has no effect: {_NOT_ACTED_ON[target]}")
    return found


PREEMPT_MODES = ("cluster", "cancel", "gang", "off", "requeue", "suspend", "within")


@dataclass(frozen=True, slots=True)
class Known:
    """What values may name."""

    qos: Mapping[str, Qos]
    tres: frozenset[str] = frozenset({"cpu", "mem", "node", "billing", "energy", "vmem", "pages", "fs/disk"})
    """Of the site: gres/gpu and its like among them."""


def read(text: str, words: Sequence[Word], settings: Settings, known: Known, verb: str) -> bool:
    """Take one word `name=value` into the settings. False: no such word. Raises BadWord."""
    name, equals, value = text.partition("=")
    operation: Operation = ""
    if name[-1:] in ("+", "-"):
        operation, name = ("+" if name[-1] == "+" else "-"), name[:-1]
    word = find_word(name, words)
    if word is None or not equals:
        return False
    kind, _, rest = word.fills.partition(" ")
    value = value.strip().strip("\"'")
    try:
        _fill(settings, kind, rest, value, operation, known, text)
    except _Wrong as wrong:
        raise BadWord(wrong.text + _hint(wrong, text, verb, words), on_stdout=wrong.on_stdout) from wrong
    if kind != "names":
        settings.was_said = True
    return True


class _Wrong(ValueError):
    """A value that is none. `is_all`: nothing more is printed."""

    def __init__(self, text: str, *, is_all: bool = False, is_number: bool = False, on_stdout: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.is_all = is_all
        self.is_number = is_number
        self.on_stdout = on_stdout


def _hint(wrong: _Wrong, text: str, verb: str, words: Sequence[Word]) -> str:
    """What sacctmgr adds. Of a QOS a bad value is passed over, so that there may be nothing to set."""
    if wrong.is_all:
        return ""
    if words is QOS_WORDS:
        return " You didn't give me anything to set\n" if wrong.is_number and verb == "modify" else ""
    where = " Use keyword 'where' to modify condition\n" if verb == "modify" else ""
    return f" Unknown option: {text}\n{where}"


def _fill(s: Settings, kind: str, rest: str, value: str, operation: Operation, known: Known, text: str) -> None:
    match kind:
        case "count":
            s.limits[rest] = _count(value, rest)
        case "minutes":
            s.limits[rest] = _minutes(value, _SHOWN[rest], text)
        case "tres":
            _merge(s, rest, _tres(value, known))
        case "one":
            target, _, resource = rest.partition(" ")
            _merge(s, target, {resource: _count(value, target)})
        case "share":
            s.shares = "parent" if value.lower() == "parent" else (_count(value, "shares") or 1)
        case "text":
            setattr(s, rest, value if rest == "comment" else value.lower())
        case "name":
            setattr(s, rest, value.lower())
        case "names":
            names = split(value)
            s.lists[rest] = (*s.lists.get(rest, ()), *(names if rest == "partitions" else map(str.lower, names)))
        case "priority":
            found = _count(value, "priority")
            s.priority = -1 if found is None else found
        case "qos":
            s.qos = _names(value, operation, s.qos, known.qos)
        case "default_qos":
            s.default_qos = _default_qos(value, known)
        case "admin":
            s.admin_level = _admin(value)
        case "flags":
            s.flags = _flags(value, operation)
        case "preempt":
            s.preempt = _names(value, operation, s.preempt, known.qos)
        case "preempt_mode":
            mode = next((one for one in PREEMPT_MODES if one == value.lower()), None)
            if mode is None:
                raise _Wrong(f" Bad Preempt Mode given: {text}\n", is_all=True)
            s.preempt_mode = mode
        case "exempt":
            minutes = _minutes(value, "PreemptExemptTime", text)
            s.preempt_exempt_seconds = -1 if minutes is None else minutes * 60
        case "grace":
            s.grace_seconds = _count(value, "grace_seconds") or 0
        case "factor":
            setattr(s, rest, _factor(value, rest))
        case "fixed":
            raise _Wrong(f" Can't modify the {rest}\n", is_all=True)
        case "usage":
            raise _Wrong("sacctmgr: error: the bridge adds up no usage that could be set\n", is_all=True)
        case "wckey":
            raise _Wrong("sacctmgr: error: the bridge keeps no wckeys of users\n", is_all=True)
        case "account_flags":
            raise _Wrong("sacctmgr: error: the bridge knows no flags of accounts\n", is_all=True)


def _merge(settings: Settings, target: str, amounts: Mapping[str, int | None]) -> None:
    known = settings.limits.get(target)
    settings.limits[target] = {**(known if isinstance(known, dict) else {}), **amounts}


def _count(value: str, what: str) -> int | None:
    if value.lower() in _ENDLESS:
        return None
    sign, digits = value[:1] == "-", value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12:
        raise _Wrong(f"sacctmgr: error: Invalid value for {_SHOWN.get(what, what)} ({value})\n", is_number=True)
    return None if sign else int(digits)


def _minutes(value: str, shown: str, text: str) -> int | None:
    if value.lower() in _ENDLESS:
        return None
    try:
        seconds = values.time_limit(value)
    except ValueError as error:
        raise _Wrong(f" Bad {shown} time format: {text}\n") from error
    return None if seconds >= UNLIMITED_SECONDS else seconds // 60


def _tres(value: str, known: Known) -> dict[str, int | None]:
    amounts: dict[str, int | None] = {}
    for item in filter(None, (part.strip() for part in value.split(","))):
        name, equals, amount = item.partition("=")
        name = name.lower()
        if not equals:
            raise _Wrong(f"sacctmgr: error: slurmdb_format_tres_str: no TRES id found for {item}\n", is_all=True)
        if name not in known.tres:
            raise _Wrong(f"sacctmgr: error: slurmdb_format_tres_str: no TRES known by type {name}\n")
        amounts[name] = _amount(name, amount)
    return amounts


def _amount(name: str, text: str) -> int | None:
    """Memory in MiB, also without a unit; K, M … of other things are powers of 1024."""
    if text.startswith("-"):
        return None
    digits = text.rstrip("kKmMgGtTpPbB")
    unit = text[len(digits) :].lower().removesuffix("b")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12 or unit not in _UNITS:
        wrong = next((letter for letter in text if not letter.isdigit()), "")
        raise _Wrong(f"sacctmgr: error: Invalid unit type '{wrong}'. Possible options are 'KMGTP'\n", is_all=True)
    if name == "mem":
        return int(digits) * _UNITS[unit or "m"] >> 20
    return int(digits) * _UNITS[unit]


def _names(value: str, operation: Operation, before: Names | None, known: Mapping[str, Qos]) -> Names:
    """`a,b`, `+a,-b`, or with += and -=; what was said before in the line stays."""
    before = before or Names()
    whole: list[str] = []
    changes = list(before.changes)
    for word in value.split(","):
        word = word.strip().lower()
        sign = operation or (word[:1] if word[:1] in ("+", "-") else "")
        name = word.removeprefix("+").removeprefix("-")
        if not name:
            continue
        if name not in known:
            listed = ",".join(qos.name for qos in sorted(known.values(), key=lambda qos: qos.id))
            raise _Wrong(f"sacctmgr: error: You gave a bad qos '{name}'. Valid QOS's are {listed}\n")
        if sign:
            changes.append(sign + name)
        else:
            whole.append(name)
    if whole or (not value and not operation):
        return Names(tuple(dict.fromkeys(whole)), tuple(changes))
    return replace(before, changes=tuple(changes))


def _default_qos(value: str, known: Known) -> str:
    if value in ("", "-1"):
        return ""
    if value.lower() not in known.qos:
        raise _Wrong(f"You gave a bad default qos '{value}'.  Use 'list qos' to get complete list.\n", is_all=True)
    return value.lower()


def _admin(value: str) -> str | None:
    """As Slurm: what is no level is passed over."""
    for level in (accounting.NO_ADMIN, accounting.OPERATOR, accounting.ADMINISTRATOR):
        if value and level.lower().startswith(value.lower()):
            return level
    return None


def _flags(value: str, operation: Operation) -> Names:
    if value == "-1":
        return Names(())
    found: list[str] = []
    for word in value.split(","):
        flag = next((one for one in accounting.QOS_FLAGS if word and one.lower().startswith(word.lower())), None)
        if flag is None:
            listed = ",".join(("Deleted", *accounting.QOS_FLAGS))
            raise _Wrong(
                f" Unknown QOS flag used in:\n  '{value}'\n Valid QOS flags are\n  '{listed}'\n",
                is_all=True,
                on_stdout=True,
            )
        found.append(flag)
    return Names(changes=tuple(operation + flag for flag in found)) if operation else Names(tuple(found))


def _factor(value: str, what: str) -> float:
    shown = {"usage_factor": "UsageFactor", "usage_threshold": "UsageThreshold", "limit_factor": "LimitFactor"}[what]
    try:
        number = float(value)
    except ValueError as error:
        raise _Wrong(f"sacctmgr: error: {shown} value ({value}) is not a valid number\n", is_all=True) from error
    return number if number == number and abs(number) < 1e12 else -1.0


# ── onto the book's values ────────────────────────────────────────────────────────────────────────


def onto_limits(limits: Limits, changes: Mapping[str, object]) -> Limits:
    fields: dict[str, object] = {}
    for name, value in changes.items():
        fields[name] = _onto_tres(getattr(limits, name), value) if isinstance(value, dict) else value
    return replace(limits, **fields)  # type: ignore[arg-type]  # names and values come from the tables above


def _onto_tres(tres: Tres, changes: Mapping[str, int | None]) -> Tres:
    merged = {**dict(tres), **changes}
    return tuple(sorted((name, amount) for name, amount in merged.items() if amount is not None))


def onto_association(one: Association, s: Settings) -> Association:
    changed = replace(one, limits=onto_limits(one.limits, s.limits))
    if s.shares is not None:
        changed = replace(changed, shares=None if s.shares == "parent" else s.shares)
    if s.priority is not None:
        changed = replace(changed, priority=None if s.priority < 0 else s.priority)
    if s.comment is not None:
        changed = replace(changed, comment=s.comment)
    if s.default_qos is not None:
        changed = replace(changed, default_qos=s.default_qos or None)
    if s.qos is not None:
        changed = _onto_granted(changed, s.qos)
    return changed


def _onto_granted(one: Association, names: Names) -> Association:
    whole, delta = one.qos, one.qos_delta
    if names.whole is not None:
        # An empty list is no list of one's own: what the account above grants counts again.
        whole, delta = (tuple(sorted(names.whole)) or None), ()
    for change in names.changes:
        name = change[1:]
        if whole is not None:
            whole = tuple(sorted({*whole, name} if change[0] == "+" else {*whole} - {name}))
        else:
            delta = (*(part for part in delta if part[1:] != name), change)
    return replace(one, qos=whole, qos_delta=delta)


def onto_qos(qos: Qos, s: Settings) -> Qos:
    changed = replace(qos, limits=onto_limits(qos.limits, s.limits))
    if s.description is not None:
        changed = replace(changed, description=s.description)
    if s.priority is not None:
        changed = replace(changed, priority=max(0, s.priority))
    if s.flags is not None:
        changed = replace(changed, flags=_in_order(_apply(changed.flags, s.flags)))
    if s.grace_seconds is not None:
        changed = replace(changed, grace_seconds=s.grace_seconds)
    if s.preempt is not None:
        changed = replace(changed, preempt=tuple(sorted(_apply(changed.preempt, s.preempt))))
    if s.preempt_mode is not None:
        changed = replace(changed, preempt_mode=s.preempt_mode)
    if s.preempt_exempt_seconds is not None:
        seconds = s.preempt_exempt_seconds
        changed = replace(changed, preempt_exempt_seconds=None if seconds < 0 else seconds)
    if s.usage_factor is not None:
        changed = replace(changed, usage_factor=s.usage_factor if s.usage_factor >= 0 else 1.0)
    if s.usage_threshold is not None:
        changed = replace(changed, usage_threshold=_or_none(s.usage_threshold))
    if s.limit_factor is not None:
        changed = replace(changed, limit_factor=_or_none(s.limit_factor))
    return changed


def _or_none(number: float) -> float | None:
    return number if number >= 0 else None


def _apply(names: tuple[str, ...], change: Names) -> set[str]:
    found = set(names if change.whole is None else change.whole)
    for one in change.changes:
        found = found | {one[1:]} if one[0] == "+" else found - {one[1:]}
    return found


def _in_order(flags: set[str]) -> tuple[str, ...]:
    return tuple(flag for flag in accounting.QOS_FLAGS if flag in flags)
