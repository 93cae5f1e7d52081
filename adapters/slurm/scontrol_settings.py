"""The settings of jobs that `scontrol update` knows, and PATCH of `/v1` by them: what each changes of a job."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from adapters.slurm import choices, dependency, hostlist, timespec, values
from adapters.slurm.durations import Clock
from bridge.core.change import Change
from bridge.core.errors import Refused
from bridge.core.job import WAITING, Job
from bridge.core.request import UNLIMITED_SECONDS


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


def find(name: str) -> str | None:
    """The setting of that name; names may be shortened to three letters while unambiguous."""
    lower = name.lower()
    if lower in _ALIASES:
        return _ALIASES[lower]
    if len(lower) < 3:
        return None
    found = {_ALIASES[alias] for alias in _ALIASES if alias.startswith(lower)}
    return found.pop() if len(found) == 1 else None


def change_for(settings: Iterable[tuple[str, str]], job: Job, clock: Clock, *, whole: bool = True) -> Change:
    """`settings`: (name as `find` gives it, value). Raises BadSetting. Some are relative to what the job asks for now.

    `whole`: the job was named without a task, so that what is said of an array is meant.
    """
    draft = _Draft(job, clock, whole)
    for name, value in settings:
        try:
            SETTINGS[name](draft, value)
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


_BAD_GRES = "Invalid generic resource (gres) specification for job {}\n"


def _of_gpus(value: str) -> int:
    """The number in `gres/gpu:2`."""
    wishes = values.gres_list(value)
    if len(wishes) != 1 or wishes[0].name != "gpu":
        raise BadSetting(_BAD_GRES)
    return wishes[0].count


def _cpus_per_gpu(draft: _Draft, value: str) -> None:
    count = _of_gpus(value)
    _must_have_gpus(draft)
    draft.component["cpus_per_gpu"] = count


def _must_have_gpus(draft: _Draft) -> None:
    component = draft.job.request.component
    wishes = (component.gres_per_job, component.gres_per_node, component.gres_per_task, component.gres_per_socket)
    if draft.job.state in WAITING and not any(gres.name == "gpu" for wish in wishes for gres in wish):
        raise BadSetting(_BAD_GRES)


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
        raise BadSetting(_BAD_GRES)
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


SETTINGS: dict[str, Callable[[_Draft, str], None]] = {
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
    **{name.lower(): name for name in SETTINGS},
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

FOR_OPERATORS_LATER = frozenset({"AdminComment", "Reboot", "SiteFactor"})
"""Of these, what is denied of a running job too; the rest cannot be changed any more."""

FOR_NOBODY = frozenset({"CoreSpec", "ThreadSpec"})
"""Cores are kept for the system only where the site allows it; no site of ours does."""
