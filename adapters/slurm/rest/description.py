"""A job's description as slurmrestd takes it: every field's type, and what is made of it.

Most fields are options of sbatch under another name: they go through the same readers and are put together by the
same rules, so that both ways of asking mean the same. Nothing in the script is read as a directive here, and nothing
of the server's environment travels. Fields without an option are kept with the job, each with a sentence that says
why nothing else is done with them.
"""

from collections.abc import Mapping

from adapters.slurm import values
from adapters.slurm.rest import job_record, job_words, parsing, taking
from adapters.slurm.rest.envelope import NO_SUCH_USER, Error, Said
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.shapes import (
    BOOLEAN,
    INFINITE,
    INT32,
    INT64,
    STRINGS,
    TEXT,
    U16,
    U32,
    U64,
    Anything,
    Field,
    Json,
    Record,
    flags,
)
from adapters.slurm.rest.taking import SOURCE, SUBMISSION_FAILED, SUBMIT_SOURCE, Gathered
from bridge.core.report import Entry, Treatment

# ── fields with rules of their own ────────────────────────────────────────────────────────────────


def _job_flags(into: Gathered, words: tuple[str, ...]) -> None:
    for word in words:
        into.name = f"flags[{word}]"
        match word:
            case "KILL_INVALID_DEPENDENCY" | "NO_KILL_INVALID_DEPENDENCY":
                into.option("kill-on-invalid-dep", "no" if word.startswith("NO_") else "yes")
            case "GRES_BINDING_ENFORCED" | "GRES_BINDING_DISABLED":
                into.option("gres-flags", "enforce-binding" if word.endswith("ENFORCED") else "disable-binding")
            case _ if word in _OPTION_OF_FLAG:
                into.option(_OPTION_OF_FLAG[word], "")
            case _:
                into.keep("a mark of the controller's own, not a wish", word)


_OPTION_OF_FLAG = {
    "SPREAD_JOB": "spread-job",
    "PREFER_MINIMUM_NODE_COUNT": "use-min-nodes",
    "STEPMGR_ENABLED": "stepmgr",
    "SPREAD_SEGMENTS": "spread-segments",
    "CONSOLIDATE_SEGMENTS": "consolidate-segments",
}

_SBATCH_MAIL = {
    "TIME=100%": "TIME_LIMIT",
    "TIME=90%": "TIME_LIMIT_90",
    "TIME=80%": "TIME_LIMIT_80",
    "TIME=50%": "TIME_LIMIT_50",
    "INVALID_DEPENDENCY": "INVALID_DEPEND",
}


def _mail(into: Gathered, words: tuple[str, ...]) -> None:
    if words:
        into.option("mail-type", ",".join(_SBATCH_MAIL.get(word, word) for word in words))


def _sharing(into: Gathered, words: tuple[str, ...]) -> None:
    for word in words:
        match word:
            case "oversubscribe":
                into.option("oversubscribe", "")
            case "none" | "true":
                into.option("exclusive", "")
            case "user" | "mcs" | "topo":
                into.option("exclusive", word)


def _nodes(into: Gathered, value: str) -> None:
    try:
        wanted = values.node_count(value)
    except values.BadValue as bad:
        raise parsing.not_converted(f"Unknown format: {parsing.shown(value)}", into.place) from bad
    into.add("nodes", wanted, value)


def _time(option: str) -> taking.Described:
    """Minutes."""

    def apply(into: Gathered, value: float) -> None:
        into.option(option, "UNLIMITED" if value == INFINITE else str(int(value)))

    return taking.Described(U32, apply)


def _priority(into: Gathered, value: float) -> None:
    """A number lifts a hold that stands beside it, 0 is one."""
    if value < values.PRIORITY_TOP:
        into.add("hold", value == 0, str(int(value)))
        into.option("priority", str(int(value)))


def _hold(into: Gathered, value: bool) -> None:
    into.add("hold", value, "true" if value else "false")


def _requeue(into: Gathered, value: bool) -> None:
    into.option("requeue" if value else "no-requeue", "")


def _kill_on_node_fail(into: Gathered, value: bool) -> None:
    if not value:
        into.option("no-kill", "")


def _environment(into: Gathered, items: list[str]) -> None:
    into.environment = items


def _argv(into: Gathered, items: list[str]) -> None:
    into.arguments = items


_LIMITS = ("cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as")
RLIMITS = Record("", dict.fromkeys(_LIMITS, U64))


def _limits(into: Gathered, limits: Mapping[str, float | None]) -> None:
    for name, number in limits.items():
        if number is not None:
            most = -1 if number == INFINITE else int(number)
            into.limits.append((f"RLIMIT_{name.upper()}", most, most))


def _user(into: Gathered, value: str) -> None:
    if not value:
        return
    found = into.find_user(int(value) if value.isascii() and value.isdigit() and len(value) < 11 else value)
    if found is None:
        raise Failed(Error(f"Unable to resolve user: {value}", NO_SUCH_USER, into.place))
    into.user = found


GROUP_UNKNOWN = 2169


def _group(into: Gathered, value: str) -> None:
    if not value:
        return
    if value.isascii() and value.isdigit() and len(value) < 11:
        into.gid = int(value)
        return
    user = into.user or into.context.user
    if value not in user.group_names:
        text = "Unable to resolve group ID to group name"
        raise Failed(Error(f"Unable to resolve group: {value}", GROUP_UNKNOWN, into.place, text))
    into.gid = user.groups[user.group_names.index(value)]


def _signal(into: Gathered, value: str) -> None:
    if value:
        try:
            into.signal = values.signal_number(value)
        except values.BadValue as bad:
            raise parsing.not_converted(f"Unknown signal {value}", into.place) from bad


def _signal_delay(into: Gathered, value: float) -> None:
    if value < INFINITE:
        into.signal_before_seconds = int(value)


def _cpus_least(into: Gathered, value: int) -> None:
    if value > 0:
        into.cpus_least = value


def _plane(into: Gathered, value: float) -> None:
    if 0 < value < INFINITE:
        into.plane = int(value)


def _open_mode(into: Gathered, words: tuple[str, ...]) -> None:
    if words:
        into.option("open-mode", words[-1].lower())


def _profile(into: Gathered, words: tuple[str, ...]) -> None:
    wanted = [word.lower() for word in words if word != "NOT_SET"]
    if wanted:
        into.option("profile", ",".join(wanted))


def _required_switches(into: Gathered, value: float) -> None:
    if 0 < value < INFINITE:
        into.option("switches", str(int(value)))


DISABLED = 2037


def _reboot(into: Gathered, value: bool) -> None:
    if value:
        raise Failed(Error(SUBMISSION_FAILED, DISABLED, SUBMIT_SOURCE))


CRONTAB = Record(
    "cron_entry",
    {
        "flags": flags("WILD_MINUTE WILD_HOUR WILD_DAY_OF_MONTH WILD_MONTH WILD_DAY_OF_WEEK"),
        "minute": TEXT,
        "hour": TEXT,
        "day_of_month": TEXT,
        "month": TEXT,
        "day_of_week": TEXT,
        "specification": TEXT,
        "command": TEXT,
        "line": Record("", {"start": INT32, "end": INT32}),
    },
)


def _crontab(value: Json, place: str, said: Said) -> None:
    said.warn("crontab submissions are not supported", place)


_BINDING = "for srun in the job, which sets no binding here"
_X11 = "nothing is displayed from batch jobs here"
_SHAPE = "boards are not told apart here"
_CALLBACK = "for programs that wait to be called back with an allocation"

_DESCRIBED: dict[str, tuple[taking.Described, int, int]] = {}
"""(how it is taken, first and last version that has it)"""


def _described(first: int = 41, last: int = 44, /, **fields: taking.Described) -> None:
    for name, one in fields.items():
        _DESCRIBED[name] = (one, first, last)


_described(
    account=taking.text("account"),
    account_gather_frequency=taking.text("acctg-freq"),
    admin_comment=taking.keep("kept with the job and shown"),
    allocation_node_list=taking.keep(_CALLBACK),
    allocation_node_port=taking.keep(_CALLBACK, INT32),
    argv=taking.Described(STRINGS, _argv),
    array=taking.text("array"),
    batch_features=taking.text("batch"),
    begin_time=taking.moment("begin", U64),
    flags=taking.Described(job_words.JOB_FLAGS, _job_flags),
    burst_buffer=taking.text("bb"),
    clusters=taking.text("clusters"),
    cluster_constraint=taking.text("cluster-constraint"),
    comment=taking.text("comment"),
    contiguous=taking.flag("contiguous"),
    container=taking.text("container"),
    container_id=taking.text("container-id"),
    core_specification=taking.count("core-spec"),
    thread_specification=taking.count("thread-spec"),
    cpu_binding=taking.keep(_BINDING),
    cpu_binding_flags=taking.Described(
        flags(
            "CPU_BIND_TO_THREADS CPU_BIND_TO_CORES CPU_BIND_TO_SOCKETS CPU_BIND_TO_LDOMS CPU_BIND_NONE CPU_BIND_RANK "
            "CPU_BIND_MAP CPU_BIND_MASK CPU_BIND_LDRANK CPU_BIND_LDMAP CPU_BIND_LDMASK VERBOSE "
            "CPU_BIND_ONE_THREAD_PER_CORE"
        ),
        lambda into, value: into.keep(_BINDING, list(value)) if value else None,
    ),
    cpu_frequency=taking.text("cpu-freq"),
    cpus_per_tres=taking.of_each_gpu("cpus-per-gpu"),
    crontab=taking.Described(CRONTAB, lambda into, value: None, reads=_crontab),
    deadline=taking.moment("deadline", INT64),
    delay_boot=taking.keep("nodes are not booted for jobs", INT32),
    dependency=taking.text("dependency"),
    end_time=taking.keep("an end is set by the time limit or the deadline", INT64),
    environment=taking.Described(STRINGS, _environment),
)
_described(41, 41, exclusive=taking.Described(flags("true false user mcs topo"), _sharing))
_described(
    rlimits=taking.Described(RLIMITS, _limits),
    excluded_nodes=taking.names("exclude"),
    extra=taking.text("extra"),
    constraints=taking.text("constraint"),
    group_id=taking.Described(TEXT, _group),
    hetjob_group=taking.keep("there are no jobs of several components here yet", INT32),
    immediate=taking.set("is_immediate", BOOLEAN),
    job_id=taking.set("job_id", INT32),
    kill_on_node_fail=taking.Described(BOOLEAN, _kill_on_node_fail),
    licenses=taking.text("licenses"),
    mail_type=taking.Described(job_words.MAIL, _mail),
    mail_user=taking.text("mail-user"),
    mcs_label=taking.text("mcs-label"),
    memory_binding=taking.keep(_BINDING),
    memory_binding_type=taking.Described(
        flags("NONE RANK MAP MASK LOCAL VERBOSE PREFER"),
        lambda into, value: into.keep(_BINDING, list(value)) if value else None,
    ),
    memory_per_tres=taking.of_each_gpu("mem-per-gpu"),
    name=taking.text("job-name"),
    network=taking.text("network"),
    nice=taking.Described(INT32, lambda into, value: into.option("nice", str(value))),
    tasks=taking.count("ntasks"),
)
_described(
    42,
    oom_kill_step=taking.Described(INT32, lambda into, value: into.option("oom-kill-step", str(min(1, value)))),
)
_described(
    open_mode=taking.Described(flags("APPEND TRUNCATE"), _open_mode),
    reserve_ports=taking.keep("ports are not reserved for jobs", INT32),
    overcommit=taking.flag("overcommit"),
)
_described(41, 41, oversubscribe=taking.flag("oversubscribe"))
_described(
    partition=taking.text("partition"),
    distribution_plane_size=taking.Described(U16, _plane),
    power_flags=taking.keep("power is not managed here", Anything({"type": "array", "items": {}})),
    prefer=taking.text("prefer"),
    hold=taking.Described(BOOLEAN, _hold),
    priority=taking.Described(U32, _priority),
    profile=taking.Described(job_words.PROFILE, _profile),
    qos=taking.text("qos"),
    reboot=taking.Described(BOOLEAN, _reboot),
    required_nodes=taking.names("nodelist"),
    requeue=taking.Described(BOOLEAN, _requeue),
    reservation=taking.text("reservation"),
)
_described(41, 41, resv_mpi_ports=taking.keep("ports are not reserved for jobs", INT32))
_described(
    script=taking.set("script", TEXT),
    shared=taking.Described(job_words.SHARING, _sharing),
    site_factor=taking.keep("priorities have no site factor here", INT32),
    spank_environment=taking.keep("there are no plug-ins of nodes here", STRINGS),
)
_described(44, step_id=taking.keep("the bridge itself gives jobs their ids", job_record.STEP_ID))
_described(
    distribution=taking.text("distribution"),
    time_limit=_time("time"),
    time_minimum=_time("time-min"),
    tres_bind=taking.text("tres-bind"),
    tres_freq=taking.keep("clock speeds are not set here"),
    tres_per_job=taking.tres("gpus"),
    tres_per_node=taking.tres("gres"),
    tres_per_socket=taking.tres("gpus-per-socket"),
    tres_per_task=taking.text("tres-per-task"),
    user_id=taking.Described(TEXT, _user),
    wait_all_nodes=taking.Described(BOOLEAN, lambda into, value: into.option("wait-all-nodes", str(int(value)))),
    kill_warning_flags=taking.set(
        "signal_flags",
        flags(
            "BATCH_JOB ARRAY_TASK FULL_STEPS_ONLY FULL_JOB FEDERATION_REQUEUE HURRY OUT_OF_MEMORY NO_SIBLING_JOBS "
            "RESERVATION_JOB VERBOSE CRON_JOBS WARNING_SENT"
        ),
    ),
    kill_warning_signal=taking.Described(TEXT, _signal),
    kill_warning_delay=taking.Described(U16, _signal_delay),
    current_working_directory=taking.set("directory", TEXT),
    cpus_per_task=taking.count("cpus-per-task"),
    minimum_cpus=taking.Described(INT32, _cpus_least),
    maximum_cpus=taking.keep("a job gets the CPUs that its tasks need", INT32),
    nodes=taking.Described(TEXT, _nodes),
    minimum_nodes=taking.set("nodes_least", INT32),
    maximum_nodes=taking.set("nodes_most", INT32),
    minimum_boards_per_node=taking.keep(_SHAPE, INT32),
    minimum_sockets_per_board=taking.keep(_SHAPE, INT32),
    sockets_per_node=taking.count("sockets-per-node"),
    threads_per_core=taking.count("threads-per-core"),
    tasks_per_node=taking.count("ntasks-per-node"),
    tasks_per_socket=taking.count("ntasks-per-socket"),
    tasks_per_core=taking.count("ntasks-per-core"),
    tasks_per_board=taking.keep(_SHAPE, INT32),
    ntasks_per_tres=taking.count("ntasks-per-tres"),
    minimum_cpus_per_node=taking.count("mincpus"),
    memory_per_cpu=taking.amount("mem-per-cpu", U64),
    memory_per_node=taking.amount("mem", U64),
    temporary_disk_per_node=taking.count("tmp"),
    selinux_context=taking.text("context"),
    required_switches=taking.Described(U32, _required_switches),
    segment_size=taking.count("segment", U16),
    standard_error=taking.text("error"),
    standard_input=taking.text("input"),
    standard_output=taking.text("output"),
    wait_for_switch=taking.keep("this scheduler knows no network topology", INT32),
    wckey=taking.text("wckey"),
    x11=taking.Described(
        flags("FORWARD_ALL_NODES BATCH_NODE FIRST_NODE LAST_NODE"),
        lambda into, value: into.keep(_X11, list(value)) if value else None,
    ),
    x11_magic_cookie=taking.keep(_X11),
    x11_target_host=taking.keep(_X11),
    x11_target_port=taking.keep(_X11, INT32),
)

DESCRIPTION = Record(
    "job_desc_msg",
    {name: Field(one.shape, first, last) for name, (one, first, last) in _DESCRIBED.items()},
)
_ORDER = {name: place for place, name in enumerate(_DESCRIBED)}
PARSER = "JOB_DESC_MSG"
_NOT_SHOWN = frozenset({"environment", "x11_magic_cookie", "script", "spank_environment"})
"""Fields whose content may be secret or long."""


def gather(value: Json, version: int, place: str, into: Gathered, said: Said) -> None:
    """Read every field in the order in which slurmrestd does. Failed where it would stop."""
    given = parsing.an_object(value, place)
    try:
        for name in sorted(given.keys() & DESCRIPTION.of_version(version).keys(), key=_ORDER.__getitem__):
            _take(name, given[name], version, f"{place}{name}/", into, said)
        _join(into)
    finally:
        parsing.warn_of_unknown(given, DESCRIPTION.of_version(version).keys(), place, said, PARSER)


def _take(name: str, value: Json, version: int, place: str, into: Gathered, said: Said) -> None:
    one = _DESCRIBED[name][0]
    into.name, into.place = name, place
    if one.reads is not None:
        found = one.reads(value, place, said)
    else:
        found = parsing.by_shape(value, one.shape, version, place, said)
    if found is not None:
        one.apply(into, found)


def _join(into: Gathered) -> None:
    """Fields that mean something together only."""
    if into.nodes_least is not None or into.nodes_most is not None:
        into.name = "minimum_nodes"
        least, most = into.nodes_least or 1, into.nodes_most
        if not any(one.option.name == "nodes" for one in into.met):
            into.add("nodes", values.Nodes(max(1, least), most if most and most >= least else None))
    if into.cpus_least is not None and not any(one.option.name in ("ntasks", "cpus-per-task") for one in into.met):
        into.name = "minimum_cpus"
        into.option("ntasks", str(into.cpus_least))  # CPUs are counted by tasks here
    if into.signal is not None:
        into.name = "kill_warning_signal"
        shell = "B:" if "BATCH_JOB" in into.signal_flags else ""
        delay = "" if into.signal_before_seconds is None else f"@{into.signal_before_seconds}"
        into.option("signal", f"{shell}{into.signal}{delay}")
    if into.plane is not None:
        into.name = "distribution_plane_size"
        into.option("distribution", f"plane={into.plane}")


def entries(into: Gathered) -> list[Entry]:
    """What became of each field."""
    told = []
    winners = {(one.option.place, one.option.fills): one for one in into.met}
    for one in into.met:
        option = one.option
        winner = winners[option.place, option.fills]
        if winner is one:
            told.append(Entry(one.spelled, SOURCE, option.treatment, option.sentence, option.changes_results))
        else:
            told.append(Entry(one.spelled, SOURCE, Treatment.RECORDED, f"overridden by {winner.spelled}"))
    for name, value, why in into.kept:
        shown = name if name in _NOT_SHOWN else f"{name}={value}"
        told.append(Entry(shown, SOURCE, Treatment.RECORDED, why))
    if into.limits:
        told.append(Entry("rlimits", SOURCE, Treatment.ACTED_ON, "these limits hold in the job"))
    return told
