"""`scontrol update`: words of `Key=Value` to what is to change of jobs or nodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from adapters.slurm import choices, dependency, hostlist, selectors, timespec, values
from adapters.slurm.answer import Answer
from adapters.slurm.durations import Clock
from adapters.slurm.selectors import Selected
from bridge.core.change import Change
from bridge.core.errors import Refused
from bridge.core.job import WAITING, Job
from bridge.core.nodes import Order
from bridge.core.request import UNLIMITED_SECONDS
from bridge.core.users import Caller


@dataclass(frozen=True, slots=True)
class NodeUpdate:
    names: tuple[str, ...]
    """Empty: ALL."""
    order: Order
    reason: str


@dataclass(frozen=True, slots=True)
class Update:
    targets: tuple[tuple[str, Selected | None], ...] = ()
    """(as written, the id)"""
    job_name: str | None = None
    """JobName=X without JobId: all jobs of that name."""
    settings: tuple[tuple[str, str], ...] = ()
    """(name as in _SETTINGS, value)"""
    nodes: NodeUpdate | None = None
    warnings: str = ""


_UNSUPPORTED = "Update of this parameter is not supported: {}\nRequest aborted\n"
_NO_ENTITY = (
    "No valid entity in update command\n"
    'Input line must include "NodeName", "PartitionName", "Reservation", "JobId", or "SlurmctldDebug"\n'
)


def read(words: Sequence[str]) -> Update | Answer:
    if not words:
        return Answer(stderr="too few arguments for update keyword\n", exit_code=1)
    resets = any(word.lower() == "resetaccruetime" for word in words)
    """Ages count for nothing here, so that there is nothing to set back."""
    words = _with_id([word for word in words if word.lower() != "resetaccruetime"])
    pairs = [(name.rstrip("+-"), _signed(name, value)) for name, _, value in (word.partition("=") for word in words)]
    names = {name.lower() for name, _ in pairs}
    if names & {"nodename", "node", "nodes", "nodenames"}:
        return _read_node(pairs)
    if names & {"partitionname", "partition"} and not names & _JOB_WORDS and "partitionname" in names:
        return _refused("slurm_update error: partitions are set in the site file of the bridge\n")
    ids = next((value for name, value in pairs if name.lower() in _JOB_WORDS), None)
    job_name: str | None = None
    rest = [(name, value) for name, value in pairs if name.lower() not in _JOB_WORDS]
    if ids is None:
        job_name = next((value for name, value in pairs if name.lower() == "jobname"), None)
        if job_name is None:
            return _refused(_NO_ENTITY)
        rest = [(name, value) for name, value in rest if name.lower() != "jobname"]
    settings: list[tuple[str, str]] = []
    for name, value in rest:
        if name.lower() in _NOTHING_CHANGES:
            continue
        if name.lower() in _REFUSED:
            first = selectors.split(ids or "") or [""]
            return _refused(f"{_REFUSED[name.lower()]} for job {first[0]}\n")
        setting = _find(name)
        if setting is None:
            return _refused(_UNSUPPORTED.format(f"{name}={value}"))
        if setting == "NumNodes" and (wrong := _wrong_with_node_count(value)):
            return Answer(stderr=f"scontrol: error: {wrong}\n")  # an exit code of 0, as there
        settings.append((setting, value))
    if not settings:
        return Answer() if resets else _refused("No changes specified\n")
    targets = tuple((one, selectors.parse(one)) for one in selectors.split(ids or ""))
    if any(selected is None for _, selected in targets):  # refused as a whole
        targets = ((ids or "", None),)
    return Update(targets, job_name, tuple(settings))


def _wrong_with_node_count(text: str) -> str | None:
    try:
        values.node_count(text)
    except values.BadValue as bad:
        return bad.lines("nodes")[0]
    return None


def _signed(name: str, value: str) -> str:
    """`TimeLimit+=5` is `TimeLimit=+5`."""
    return name[-1] + value if name[-1:] in ("+", "-") else value


def _refused(text: str) -> Answer:
    return Answer(stderr=text, exit_code=1)


_NOTHING_CHANGES = frozenset({"userid"})
"""Narrows down the jobs of a name in Slurm; of a job that is named by its id it says nothing."""

_JOB_WORDS = frozenset({"job", "jobid", "jobs"})


def _with_id(words: Sequence[str]) -> list[str]:
    """`job 12` is JobId=12."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1].lower() in _JOB_WORDS:
            joined[-1] = f"JobId={word}"
        else:
            joined.append(word)
    return joined


def _find(name: str) -> str | None:
    """The setting of that name; names may be shortened to three letters while unambiguous."""
    lower = name.lower()
    if lower in _ALIASES:
        return _ALIASES[lower]
    if len(lower) < 3:
        return None
    found = {_ALIASES[alias] for alias in _ALIASES if alias.startswith(lower)}
    return found.pop() if len(found) == 1 else None


_ORDERS: dict[str, Order] = {
    "drain": "DRAIN",
    "fail": "FAIL",
    "down": "DOWN",
    "resume": "RESUME",
    "undrain": "UNDRAIN",
    "idle": "IDLE",
}
_NO_ORDERS_HERE = frozenset(
    {"noresp", "future", "power_down", "power_up", "alloc", "allocated", "mix", "mixed", "cancel_reboot", "planned"}
)
"""States that Slurm knows; nodes here cannot be brought into them."""


def _read_node(pairs: Sequence[tuple[str, str]]) -> Update | Answer:
    given = {name.lower(): value for name, value in pairs}
    names = next(given[key] for key in ("nodename", "node", "nodes", "nodenames") if key in given)
    unknown = next((name for name, _ in pairs if name.lower() not in _NODE_WORDS), None)
    if unknown is not None:
        return _refused(_UNSUPPORTED.format(f"{unknown}={given[unknown.lower()]}"))
    reason = given.get("reason", "")
    order: Order = "REASON"
    if "state" in given:
        word = given["state"].lower()
        if word in _NO_ORDERS_HERE:
            return _refused("slurm_update error: Invalid node state transition\n")
        if word not in _ORDERS:
            name = next(name for name, _ in pairs if name.lower() == "state")
            return _refused(
                f"Invalid input: {name}={given['state']}\nRequest aborted\n"
                "Valid states are: NoResp DRAIN FAIL FUTURE RESUME POWER_DOWN POWER_UP UNDRAIN\n"
                "Not all states are valid given a node's prior state\n"
            )
        order = _ORDERS[word]
    elif "reason" not in given:
        return _refused("No changes specified\n")
    if order in ("DRAIN", "FAIL", "DOWN") and not reason:
        return _refused("You must specify a reason when DOWNING or DRAINING a node. Request denied\n")
    try:
        wanted = () if names.upper() == "ALL" else tuple(hostlist.expand(names))
    except ValueError:
        return _refused(f"Invalid hostlist: {names}\n")
    return Update(nodes=NodeUpdate(wanted, order, reason))


_NODE_WORDS = frozenset({"nodename", "node", "nodes", "nodenames", "state", "reason"})


# ── settings of jobs ──────────────────────────────────────────────────────────────────────────────


class BadSetting(ValueError):
    """Its text is what scontrol prints, line ends and all."""


@dataclass(slots=True)
class _Draft:
    """A change of one job, as it comes together."""

    job: Job
    clock: Clock
    whole: bool
    request: dict[str, Any] = field(default_factory=dict)
    component: dict[str, Any] = field(default_factory=dict)
    recorded: dict[str, str] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)

    @property
    def has_started(self) -> bool:
        """Then some settings are taken without an effect: what they rule is past."""
        return self.job.state not in WAITING and not self.job.is_final


def is_denied(update: Update, job: Job, caller: Caller) -> bool:
    """Whether the caller sets of a job of his own what only operators may, or anybody what no site of ours allows.

    What the job's state does not allow any more is told instead of that, by what makes the change.
    """
    if job.is_final:
        return False
    names = {name for name, _ in update.settings}
    if job.state not in WAITING:
        return not caller.is_operator and caller.user.uid == job.request.uid and bool(names & _FOR_OPERATORS_LATER)
    own = caller.user.uid == job.request.uid and not caller.is_operator
    return bool(names & FOR_NOBODY) or (own and bool(names & FOR_OPERATORS))


def change_for(update: Update, job: Job, clock: Clock, *, whole: bool = True) -> Change:
    """Raises BadSetting. Some settings are relative to what the job asks for now.

    `whole`: the job was named without a task, so that what is said of an array is meant.
    """
    draft = _Draft(job, clock, whole)
    for name, value in update.settings:
        try:
            _SETTINGS[name](draft, value)
        except BadSetting:
            raise
        except ValueError as bad:
            raise BadSetting(f"scontrol: error: Invalid {name} value\n") from bad
    if draft.recorded:
        draft.request["recorded"] = tuple({**dict(job.request.recorded), **draft.recorded}.items())
    if draft.files:
        draft.request["files"] = replace(job.request.files, **draft.files)
    return Change(request=draft.request, component=draft.component, **draft.limits)


def _request(field_name: str, read: Callable[[str], Any] = str) -> Callable[[_Draft, str], None]:
    def set_it(draft: _Draft, value: str) -> None:
        draft.request[field_name] = read(value)

    return set_it


def _component(field_name: str, read: Callable[[str], Any] = str) -> Callable[[_Draft, str], None]:
    def set_it(draft: _Draft, value: str) -> None:
        draft.component[field_name] = read(value)

    return set_it


def _recorded(option: str) -> Callable[[_Draft, str], None]:
    """Kept with the job and shown, by the long name of sbatch's option."""

    def set_it(draft: _Draft, value: str) -> None:
        draft.recorded[option] = value

    return set_it


def _file(field_name: str) -> Callable[[_Draft, str], None]:
    def set_it(draft: _Draft, value: str) -> None:
        draft.files[field_name] = value or None

    return set_it


def _of_one_cluster(draft: _Draft, value: str) -> None:
    """There is one cluster only; of what is over, that it is over is told first."""
    if not draft.job.is_final:
        raise BadSetting("Unspecified error for job {}\n")
    draft.request["comment"] = draft.job.request.comment


def _reboot(draft: _Draft, value: str) -> None:
    draft.recorded["reboot"] = "1" if _flag(value) else "0"


def _work_dir(draft: _Draft, value: str) -> None:
    """Files that were named are where they were: their names were completed when the job was submitted."""
    draft.request["working_directory"] = value
    files, old = draft.job.request.files, PurePosixPath(draft.job.request.working_directory)
    for name, path in (("stdout", files.stdout), ("stderr", files.stderr), ("stdin", files.stdin)):
        if path:
            draft.files.setdefault(name, str(old / path))


def _node_list(draft: _Draft, value: str) -> None:
    """Of a job that runs it names nodes that are kept; it is not made smaller here."""
    names = _node_names(value)
    held = {share.node for share in draft.job.nodes}
    if not draft.has_started:
        draft.component["node_list"] = names
    elif not set(names) <= held:
        raise BadSetting("Invalid node name specified for job {}\n")
    elif set(names) != held:
        raise BadSetting(_NOT_SUPPORTED)


_NOT_SUPPORTED = "Requested operation not supported on this system for job {}\n"


def _or_none(text: str) -> str | None:
    return text or None


def _time_limit(draft: _Draft, value: str) -> None:
    if value[:1] in ("+", "-") and value not in ("-1", "-1.0"):
        seconds, now = values.time_limit(value[1:]), draft.job.time_limit_seconds
        if now >= UNLIMITED_SECONDS:
            raise BadSetting("scontrol: error: Cannot increment/decrement TimeLimit when set to UNLIMITED.\n")
        if value[0] == "-" and seconds > now:
            figures = f"({seconds // 60} > {(now + 59) // 60})"
            said = f"scontrol: error: TimeLimit decrement larger than current time limit {figures}\n"
            raise BadSetting(said)
        draft.limits["time_limit_delta_seconds"] = seconds if value[0] == "+" else -seconds
    else:
        draft.limits["time_limit_seconds"] = values.time_limit(value)


def _end_time(draft: _Draft, value: str) -> None:
    """A running job's limit, told by its end."""
    if draft.job.started_at is None:
        raise BadSetting("Job is not running for job {}\n")
    seconds = _moment(draft, value) - draft.job.started_at
    draft.limits["time_limit_seconds"] = min(UNLIMITED_SECONDS, max(60, int(seconds + 59) // 60 * 60))


def _moment(draft: _Draft, value: str) -> float:
    try:
        return timespec.parse_begin(value, draft.clock.now, draft.clock.zone)
    except values.BadValue as bad:
        said = bad.plain or f"Invalid time specification (pos=0): {value}"
        raise BadSetting(f"{said}\nNo changes specified\n") from bad


def _begin(draft: _Draft, value: str) -> None:
    draft.request["begin_at"] = _moment(draft, value)


def _deadline(draft: _Draft, value: str) -> None:
    moment = _moment(draft, value)
    if not draft.has_started:
        draft.request["deadline_at"] = moment


def _time_min(draft: _Draft, value: str) -> None:
    seconds = values.time_limit(value)
    if not draft.has_started:
        draft.request["time_min_seconds"] = seconds


def _nodes(draft: _Draft, value: str) -> None:
    wanted = values.node_count(value)
    if draft.has_started and wanted.least == (wanted.most or wanted.least):
        if wanted.least != len(draft.job.nodes):
            raise BadSetting(_NOT_SUPPORTED)  # no job is made larger or smaller here
        return
    draft.component["nodes_min"] = wanted.least
    draft.component["nodes_max"] = wanted.most
    draft.component["node_sizes"] = wanted.sizes


def _cpus(draft: _Draft, value: str) -> None:
    """CPUs are counted by tasks here."""
    least = values.count(value.partition("-")[0])
    draft.component["tasks"] = -(-least // (draft.job.request.component.cpus_per_task or 1))


def _priority(draft: _Draft, value: str) -> None:
    if not value.isascii() or not value.isdigit():
        raise BadSetting(f"scontrol: error: Invalid Priority value: {value}\n")
    draft.limits["priority"] = values.priority(value)


def _throttle(draft: _Draft, value: str) -> None:
    if draft.job.request.array is not None and not draft.whole:
        raise BadSetting(
            "{}: Requested operation not supported on this system "
            "(Update of ArrayTaskThrottle is only allowed on ArrayJobId)\n"
        )
    if draft.job.request.array is None:
        raise BadSetting(
            "scontrol: error: Update of ArrayTaskThrottle is only allowed on ArrayJobId\n"
            "Requested operation not supported on this system for job {}\n"
        )
    draft.limits["array_throttle"] = values.whole_number(value)


def _megabytes(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise BadSetting(f"scontrol: error: Invalid {name} value: {value}\n")
    return int(value[:12])


def _memory_per_node(draft: _Draft, value: str) -> None:
    mib = _megabytes("MinMemoryNode", value)
    draft.component.update(memory_per_node_mib=mib, memory_per_cpu_mib=None, memory_per_gpu_mib=None)


def _memory_per_cpu(draft: _Draft, value: str) -> None:
    mib = _megabytes("MinMemoryCPU", value)
    draft.component.update(memory_per_cpu_mib=mib, memory_per_node_mib=None, memory_per_gpu_mib=None)


def _of_gpus(value: str) -> int:
    """The number in `gres/gpu:2`."""
    wishes = values.gres_list(value)
    if len(wishes) != 1 or wishes[0].name != "gpu":
        raise BadSetting("Invalid generic resource (gres) specification for job {}\n")
    return wishes[0].count


def _cpus_per_gpu(draft: _Draft, value: str) -> None:
    count = _of_gpus(value)
    _must_have_gpus(draft)
    draft.component["cpus_per_gpu"] = count


def _must_have_gpus(draft: _Draft) -> None:
    component = draft.job.request.component
    wishes = (component.gres_per_job, component.gres_per_node, component.gres_per_task, component.gres_per_socket)
    if draft.job.state in WAITING and not any(gres.name == "gpu" for wish in wishes for gres in wish):
        raise BadSetting("Invalid generic resource (gres) specification for job {}\n")


def _memory_per_gpu(draft: _Draft, value: str) -> None:
    _must_have_gpus(draft)
    draft.component.update(memory_per_gpu_mib=_of_gpus(value), memory_per_node_mib=None, memory_per_cpu_mib=None)


def _tres_per_task(draft: _Draft, value: str) -> None:
    """`cpu:2,gres/gpu:1`; a colon serves as =."""
    gres = []
    for item in filter(None, value.split(",")):
        name, _, amount = item.replace("=", ":").rpartition(":")
        if name == "cpu":
            draft.component["cpus_per_task"] = values.count(amount)
        else:
            gres.append(item.replace("=", ":"))
    draft.component["gres_per_task"] = values.gres_list(",".join(gres))


def _tres_per_socket(draft: _Draft, value: str) -> None:
    if draft.job.request.component.sockets_per_node is None:
        raise BadSetting("Invalid generic resource (gres) specification for job {}\n")
    draft.component["gres_per_socket"] = values.gres_list(value)


def _mail_types(draft: _Draft, value: str) -> None:
    try:
        draft.request["mail_types"] = choices.mail_types(value)
    except values.BadValue as bad:
        raise BadSetting(f"Invalid MailType: {value}\n") from bad


def _switches(draft: _Draft, value: str) -> None:
    """`1` or `1@MINUTES`; how long they are waited for may be set by itself."""
    values.count(value.partition("@")[0])
    draft.recorded["switches"] = value


def _wait_for_switch(draft: _Draft, value: str) -> None:
    asked = draft.recorded.get("switches") or dict(draft.job.request.recorded).get("switches") or "0"
    seconds = values.count(value)
    draft.recorded["switches"] = f"{asked.partition('@')[0]}@{seconds // 60}:{seconds % 60:02d}"


def _trackable(draft: _Draft, value: str) -> None:
    raise BadSetting("Invalid Trackable RESource (TRES) specification for job {}\n")


def _bind(draft: _Draft, value: str) -> None:
    if not value.startswith("gres/"):
        _trackable(draft, value)
    draft.recorded["tres-bind"] = value


def _delay_boot(draft: _Draft, value: str) -> None:
    values.time_limit(value)
    draft.recorded["delay-boot"] = value


def _dependency(draft: _Draft, value: str) -> None:
    try:
        wanted = dependency.parse(value)
    except Refused as bad:
        raise BadSetting(_BAD_DEPENDENCY) from bad
    draft.request["dependency"] = wanted


_BAD_DEPENDENCY = "Job dependency problem for job {}\n"


def _node_names(text: str) -> tuple[str, ...]:
    return tuple(hostlist.expand(text))


def _flag(text: str) -> bool:
    return text.lower() not in ("0", "no", "n", "false")


def _requeue(draft: _Draft, value: str) -> None:
    if value not in ("0", "1"):
        raise BadSetting(f"scontrol: error: Invalid Requeue value: {value}\n")
    draft.request["requeue"] = value == "1"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


_SETTINGS: dict[str, Callable[[_Draft, str], None]] = {
    "Account": _request("account", _or_none),
    "ClusterFeatures": _of_one_cluster,
    "Clusters": _of_one_cluster,
    "MCSLabel": _recorded("mcs-label"),
    "Reboot": _reboot,
    "AdminComment": _recorded("admin-comment"),
    "ArrayTaskThrottle": _throttle,
    "Comment": _request("comment"),
    "Contiguous": _recorded("contiguous"),
    "CoreSpec": _recorded("core-spec"),
    "CPUsPerTRES": _cpus_per_gpu,
    "DelayBoot": _delay_boot,
    "Extra": _recorded("extra"),
    "MemPerTRES": _memory_per_gpu,
    "Prefer": _component("prefer", _or_none),
    "ReqCores": _component("cores_per_socket", values.count),
    "ReqSockets": _component("sockets_per_node", values.count),
    "ReqThreads": _component("threads_per_core", values.count),
    "SiteFactor": _recorded("site-factor"),
    "Switches": _switches,
    "ThreadSpec": _recorded("thread-spec"),
    "TresBind": _bind,
    "TresFreq": _trackable,
    "TresPerJob": _component("gres_per_job", values.gres_list),
    "TresPerSocket": _tres_per_socket,
    "TresPerTask": _tres_per_task,
    "wait-for-switch": _wait_for_switch,
    "CPUsPerTask": _component("cpus_per_task", values.count),
    "Deadline": _deadline,
    "Dependency": _dependency,
    "EndTime": _end_time,
    "ExcNodeList": _component("exclude", _node_names),
    "Features": _component("constraint", _or_none),
    "Licenses": _component("licenses", _or_none),
    "MailType": _mail_types,
    "MailUser": _request("mail_user", _or_none),
    "MinCPUsNode": _component("cpus_per_node_min", values.count),
    "MinMemoryCPU": _memory_per_cpu,
    "MinMemoryNode": _memory_per_node,
    "MinTmpDiskNode": _component("temporary_disk_mib", values.memory),
    "Name": _request("name"),
    "Nice": _request("nice", values.nice),
    "NumCPUs": _cpus,
    "NumNodes": _nodes,
    "NumTasks": _component("tasks", values.count),
    "OverSubscribe": _component("oversubscribe", _flag),
    "Partition": _component("partitions", _words),
    "Priority": _priority,
    "QOS": _request("qos", _or_none),
    "ReqNodeList": _node_list,
    "Requeue": _requeue,
    "ReservationName": _request("reservation", _or_none),
    "StartTime": _begin,
    "StdErr": _file("stderr"),
    "StdIn": _file("stdin"),
    "StdOut": _file("stdout"),
    "TimeLimit": _time_limit,
    "TimeMin": _time_min,
    "TresPerNode": _component("gres_per_node", values.gres_list),
    "WCKey": _request("wckey", _or_none),
    "WorkDir": _work_dir,
}
"""What may be set, by scontrol's names."""

_ALIASES = {
    **{name.lower(): name for name in _SETTINGS},
    "eligibletime": "StartTime",
    "excludednodes": "ExcNodeList",
    "gres": "TresPerNode",
    "jobname": "Name",
    "nodelist": "ReqNodeList",
    "reqnodes": "NumNodes",
    "reqprocs": "NumCPUs",
    "reservation": "ReservationName",
    "shared": "OverSubscribe",
    "thread-spec": "ThreadSpec",
}

FOR_OPERATORS = frozenset(
    {"AdminComment", "Contiguous", "CoreSpec", "Deadline", "OverSubscribe", "Reboot", "SiteFactor", "ThreadSpec"}
)
"""What no user may set of his own job."""

_FOR_OPERATORS_LATER = frozenset({"AdminComment", "Reboot", "SiteFactor"})
"""Of these, what is denied of a running job too; the rest cannot be changed any more."""

FOR_NOBODY = frozenset({"CoreSpec", "ThreadSpec"})
"""Cores are kept for the system only where the site allows it; no site of ours does."""

_REFUSED = {"burstbuffer": "Requested operation not supported on this system"}
"""Settings that scontrol knows, and that have no meaning on one cluster without burst buffers."""
