"""Every option of sbatch 25.11, in one table: spelling, argument, variables, reader, where it goes, what becomes of it.

The order inside a first letter is the one in which sbatch lists possibilities. `request` applies the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from adapters.slurm import choices, getopt, readers, values
from adapters.slurm.getopt import Argument
from bridge.core.report import Treatment


class Place(Enum):
    """Which record the value goes to, in the field named by `fills`."""

    COMPONENT = 0
    REQUEST = 1
    FILES = 2
    PARSED = 3
    """What sbatch itself does: --parsable, --wait."""
    SPECIAL = 4
    """Put together from several options, by `request`."""
    RECORDED = 5
    EARLY = 6
    """Only on the command line; nothing anywhere else."""


@dataclass(frozen=True, slots=True)
class Option:
    name: str
    short: str
    argument: Argument
    read: readers.Reader
    place: Place
    fills: str
    """Options with the same place and field override each other."""
    treatment: Treatment
    sentence: str
    environment: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    exports: str = ""
    """A SLURM_ variable that the job finds the value in."""
    changes_results: bool = False
    slot: int = field(init=False)
    """The place as an index, so that thousands of submissions look up no enumeration."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "slot", self.place.value)


_R, _O, _N = Argument.REQUIRED, Argument.OPTIONAL, Argument.NONE
_ACT, _NEAR, _KEEP, _NOT = Treatment.ACTED_ON, Treatment.APPROXIMATED, Treatment.RECORDED, Treatment.REFUSED
_C, _Q, _F = Place.COMPONENT, Place.REQUEST, Place.FILES
_P, _S, _K, _E = Place.PARSED, Place.SPECIAL, Place.RECORDED, Place.EARLY


def _keep(
    name: str,
    because: str,
    *environment: str,
    read: readers.Reader = readers.any_text,
    argument: Argument = _R,
    short: str = "",
    exports: str = "",
    aliases: tuple[str, ...] = (),
    changes_results: bool = False,
) -> Option:
    """An option that is recorded with the job and changes nothing else."""
    return Option(name, short, argument, read, _K, name, _KEEP, because, environment, aliases, exports, changes_results)


_TOPOLOGY = "this scheduler knows no network topology"
_CONTAINER = "not obeyed: the script runs outside of any container"
_BINDING = "handed to the job; nothing here pins tasks to devices or memory"
_SHAPE = "a node must have at least so many; they are counted as CPUs, not as places on a board"
_EARLY = "only on the command line; here it does nothing, as in sbatch"

OPTIONS: tuple[Option, ...] = (
    Option("account", "A", _R, readers.any_text, _Q, "account", _ACT, "charged to this account", ("SBATCH_ACCOUNT",)),
    _keep(
        "acctg-freq",
        "usage is sampled at the site's own pace",
        "SBATCH_ACCTG_FREQ",
        read=readers.plain(choices.acctg_freq),
        exports="SLURM_ACCTG_FREQ",
    ),
    Option("array", "a", _R, readers.any_text, _S, "array", _ACT, "one task for each index", ("SBATCH_ARRAY_INX",)),
    Option("autocomplete", "", _R, readers.any_text, _E, "autocomplete", _ACT, _EARLY),
    _keep("batch", "the script runs on the first node of the job, whatever its features", "SBATCH_BATCH"),
    Option("begin", "b", _R, readers.point_in_time, _Q, "begin_at", _ACT, "not started before then"),
    _keep("bb", "there is no burst buffer here", "SBATCH_BURST_BUFFER"),
    _keep("bbf", "there is no burst buffer here", read=readers.burst_buffer_file),
    _keep("cluster-constraint", "there is one cluster only", "SBATCH_CLUSTER_CONSTRAINT"),
    Option("chdir", "D", _R, readers.any_text, _S, "chdir", _ACT, "the script starts in this directory"),
    Option(
        *("clusters", "M", _R, readers.clusters, _P, "clusters", _ACT, "this cluster is among them"),
        environment=("SBATCH_CLUSTERS", "SLURM_CLUSTERS"),
        aliases=("cluster",),
    ),
    Option("comment", "", _R, readers.any_text, _Q, "comment", _ACT, "kept with the job and shown"),
    _keep("consolidate-segments", _TOPOLOGY, "SBATCH_CONSOLIDATE_SEGMENTS", argument=_N),
    _keep("container", _CONTAINER, "SBATCH_CONTAINER", exports="SLURM_CONTAINER", changes_results=True),
    _keep("container-id", _CONTAINER, "SBATCH_CONTAINER_ID", exports="SLURM_CONTAINER_ID", changes_results=True),
    _keep("context", "security contexts are the site's business"),
    _keep("contiguous", "nodes have no order here", argument=_N),
    Option(
        *("constraint", "C", _R, readers.any_text, _S, "constraint", _ACT, "only nodes with these features"),
        environment=("SBATCH_CONSTRAINT",),
    ),
    _keep(
        "core-spec",
        "ignored: no cores are kept for the system",
        "SBATCH_CORE_SPEC",
        read=readers.whole_number,
        short="S",
    ),
    Option("cores-per-socket", "", _R, readers.count, _C, "cores_per_socket", _NEAR, _SHAPE),
    _keep(
        "cpu-freq",
        "clock speeds are not set here",
        "SBATCH_CPU_FREQ_REQ",
        read=readers.plain(choices.cpu_freq),
        exports="SLURM_CPU_FREQ_REQ",
    ),
    Option(
        *("cpus-per-gpu", "", _R, readers.count, _C, "cpus_per_gpu", _ACT, "so many CPUs with each GPU"),
        environment=("SBATCH_CPUS_PER_GPU",),
    ),
    Option("cpus-per-task", "c", _R, readers.count, _C, "cpus_per_task", _ACT, "so many CPUs for each task"),
    Option("deadline", "", _R, readers.point_in_time, _Q, "deadline_at", _ACT, "given up if it cannot end before"),
    _keep("delay-boot", "nodes are not booted for jobs", "SBATCH_DELAY_BOOT", read=readers.delay_boot),
    Option("dependency", "d", _R, readers.any_text, _S, "dependency", _ACT, "waits for these jobs"),
    Option(
        *("distribution", "m", _R, readers.plain(choices.distribution), _S, "distribution", _NEAR),
        "handed to srun; CPUs of nodes are given out block by block",
        environment=("SBATCH_DISTRIBUTION",),
    ),
    Option("error", "e", _R, readers.any_text, _F, "stderr", _ACT, "standard error goes there", ("SBATCH_ERROR",)),
    Option("exclude", "x", _R, readers.excluded_names, _C, "exclude", _ACT, "never on these nodes"),
    Option(
        *(
            "exclusive",
            "",
            _O,
            readers.plain(choices.exclusive),
            _C,
            "exclusive",
            _ACT,
            "the nodes are shared with nobody",
        ),
        environment=("SBATCH_EXCLUSIVE",),
    ),
    Option(
        *("export", "", _R, readers.any_text, _S, "export", _ACT, "only this of the environment is handed on"),
        environment=("SBATCH_EXPORT",),
    ),
    Option(
        "export-file", "", _R, readers.export_file, _S, "export_file", _ACT, "the environment is what the file says"
    ),
    Option(
        *("external", "", _N, readers.yes, _E, "external", _NOT),
        "jobs without a script cannot be run here",
    ),
    _keep("extra", "kept with the job and shown"),
    Option("extra-node-info", "B", _R, readers.shape, _S, "shape", _NEAR, _SHAPE),
    Option(
        *(
            "get-user-env",
            "",
            _N,
            readers.yes,
            _S,
            "get_user_env",
            _ACT,
            "the user's login environment is loaded on the node",
        ),
        environment=("SBATCH_GET_USER_ENV",),
    ),
    Option("gid", "", _R, readers.group, _S, "gid", _ACT, "runs as this group"),
    _keep("gpu-bind", _BINDING, "SBATCH_GPU_BIND", read=readers.plain(choices.gpu_bind)),
    _keep(
        "gpu-freq",
        "clock speeds are not set here",
        "SBATCH_GPU_FREQ",
        read=readers.plain(choices.gpu_freq),
        exports="SLURM_GPU_FREQ",
    ),
    Option("gpus", "G", _R, readers.gpus, _C, "gres_per_job", _ACT, "so many GPUs for the whole job", ("SBATCH_GPUS",)),
    Option(
        *("gpus-per-node", "", _R, readers.gpus, _S, "gpus_per_node", _ACT, "so many GPUs on each node"),
        environment=("SBATCH_GPUS_PER_NODE",),
        exports="SLURM_GPUS_PER_NODE",
    ),
    Option(
        *(
            "gpus-per-socket",
            "",
            _R,
            readers.gpus,
            _C,
            "gres_per_socket",
            _NEAR,
            "counted as one socket a node unless told",
        ),
        environment=("SBATCH_GPUS_PER_SOCKET",),
        exports="SLURM_GPUS_PER_SOCKET",
    ),
    Option(
        *("gpus-per-task", "", _R, readers.gpus, _S, "gpus_per_task", _ACT, "so many GPUs for each task"),
        environment=("SBATCH_GPUS_PER_TASK",),
    ),
    Option(
        *("gres", "", _R, readers.gres, _S, "gres", _ACT, "these resources on each node"),
        environment=("SBATCH_GRES",),
    ),
    _keep("gres-flags", _BINDING, "SBATCH_GRES_FLAGS", read=readers.plain(choices.gres_flags)),
    Option("help", "h", _N, readers.yes, _E, "help", _ACT, _EARLY),
    _keep(
        "hint",
        "handed to the job; CPUs are counted, threads of a core are not told apart",
        *("SLURM_HINT", "SBATCH_HINT"),
        read=readers.hint,
        exports="SLURM_HINT",
    ),
    Option("hold", "H", _N, readers.yes, _Q, "hold", _ACT, "not started until released"),
    Option(
        *("ignore-pbs", "", _N, readers.yes, _P, "ignore_pbs", _ACT, "#PBS and #BSUB lines are not read"),
        environment=("SBATCH_IGNORE_PBS",),
    ),
    Option("input", "i", _R, readers.any_text, _F, "stdin", _ACT, "standard input comes from there", ("SBATCH_INPUT",)),
    Option("job-name", "J", _R, readers.any_text, _S, "name", _ACT, "the job's name", ("SBATCH_JOB_NAME",)),
    Option(
        *("kill-on-invalid-dep", "", _R, readers.plain(choices.yes_no), _Q, "kill_on_invalid_dependency", _ACT),
        "what happens when the dependency can no longer hold",
    ),
    Option("licenses", "L", _R, readers.any_text, _C, "licenses", _ACT, "counted against the site's licences"),
    Option("mail-type", "", _R, readers.plain(choices.mail_types), _Q, "mail_types", _KEEP, "no mail is sent"),
    Option("mail-user", "", _R, readers.any_text, _Q, "mail_user", _KEEP, "no mail is sent"),
    _keep("mcs-label", "jobs carry no security labels here"),
    Option("mem", "", _R, readers.memory, _S, "mem", _ACT, "memory of each node", ("SBATCH_MEM_PER_NODE",)),
    _keep("mem-bind", _BINDING, "SBATCH_MEM_BIND", read=readers.mem_bind, exports="SBATCH_MEM_BIND"),
    Option(
        "mem-per-cpu", "", _R, readers.memory, _S, "mem_per_cpu", _ACT, "memory for each CPU", ("SBATCH_MEM_PER_CPU",)
    ),
    Option(
        "mem-per-gpu", "", _R, readers.memory, _S, "mem_per_gpu", _ACT, "memory for each GPU", ("SBATCH_MEM_PER_GPU",)
    ),
    Option("mincpus", "", _R, readers.count, _C, "cpus_per_node_min", _ACT, "each node gives at least so many CPUs"),
    _keep("network", "handed to the job", "SBATCH_NETWORK", exports="SLURM_NETWORK"),
    Option("nice", "", _O, readers.plain(values.nice), _Q, "nice", _ACT, "lowers the priority"),
    _keep(
        "no-kill",
        "a job that loses a node ends here",
        "SBATCH_NO_KILL",
        read=readers.plain(choices.no_kill),
        argument=_O,
        short="k",
        changes_results=True,
    ),
    Option(
        *("no-requeue", "", _N, readers.no, _Q, "requeue", _ACT, "never started a second time"),
        environment=("SBATCH_NO_REQUEUE",),
    ),
    Option("nodefile", "F", _R, readers.node_file, _C, "node_list", _ACT, "on these nodes"),
    Option(
        "nodelist", "w", _R, readers.node_names, _C, "node_list", _ACT, "on these nodes, and on more if it needs more"
    ),
    Option("nodes", "N", _R, readers.plain(values.node_count), _S, "nodes", _ACT, "so many nodes, all at once"),
    Option("ntasks", "n", _R, readers.count, _C, "tasks", _ACT, "room for so many tasks; srun starts them"),
    Option("ntasks-per-core", "", _R, readers.count, _C, "tasks_per_core", _NEAR, "cores are counted as CPUs"),
    Option("ntasks-per-gpu", "", _R, readers.count, _C, "tasks_per_gpu", _ACT, "so many tasks with each GPU"),
    Option(
        *("ntasks-per-node", "", _R, readers.count, _C, "tasks_per_node", _ACT, "room for so many tasks on each node"),
        aliases=("tasks-per-node",),
    ),
    Option(
        *("ntasks-per-socket", "", _R, readers.count, _C, "tasks_per_socket", _NEAR),
        "handed to the job; sockets are not told apart",
    ),
    Option("ntasks-per-tres", "", _R, readers.count, _C, "tasks_per_gpu", _ACT, "so many tasks with each GPU"),
    _keep(
        "oom-kill-step",
        "the kernel decides what dies of a lack of memory",
        read=readers.plain(choices.zero_one),
        argument=_O,
    ),
    Option(
        *("open-mode", "", _R, readers.plain(choices.append), _F, "append", _ACT, "how the output files are opened"),
        environment=("SBATCH_OPEN_MODE",),
    ),
    Option("output", "o", _R, readers.any_text, _F, "stdout", _ACT, "standard output goes there", ("SBATCH_OUTPUT",)),
    Option(
        *("overcommit", "O", _N, readers.yes, _C, "overcommit", _ACT, "one CPU a node holds all its tasks"),
        environment=("SBATCH_OVERCOMMIT",),
    ),
    Option(
        "oversubscribe", "s", _N, readers.yes, _C, "oversubscribe", _NEAR, "CPUs are still counted for one job each"
    ),
    Option("parsable", "", _N, readers.yes, _P, "parsable", _ACT, "prints the job's id alone"),
    Option(
        *(
            "partition",
            "p",
            _R,
            readers.partitions,
            _C,
            "partitions",
            _ACT,
            "in this partition; of several, the first to fit",
        ),
        environment=("SBATCH_PARTITION",),
    ),
    Option("prefer", "", _R, readers.any_text, _C, "prefer", _ACT, "nodes with these features are tried first"),
    Option("priority", "", _R, readers.plain(values.priority), _Q, "priority", _NEAR, "obeyed for operators only"),
    _keep(
        "profile",
        "no profiles are collected",
        "SBATCH_PROFILE",
        read=readers.plain(choices.profile),
        exports="SLURM_PROFILE",
    ),
    Option(
        *("propagate", "", _O, readers.plain(choices.propagate), _S, "propagate", _ACT),
        "these limits of the submitting shell hold in the job",
    ),
    Option("qos", "q", _R, readers.any_text, _Q, "qos", _ACT, "quality of service", ("SBATCH_QOS",)),
    Option("quiet", "Q", _N, readers.yes, _E, "quiet", _ACT, "prints nothing but errors"),
    Option(
        "reboot",
        "",
        _N,
        readers.refuse(
            "rebooting of nodes is only allowed for admins\nBatch job submission failed: Access/permission denied"
        ),
        _S,
        "reboot",
        _NOT,
        "nodes are not rebooted for jobs",
    ),
    Option(
        *("requeue", "", _O, readers.requeue, _Q, "requeue", _ACT, "started again when its node is lost"),
        environment=("SBATCH_REQUEUE",),
    ),
    Option("resources", "", _R, readers.any_text, _C, "licenses", _ACT, "counted against the site's licences"),
    Option(
        *("reservation", "", _R, readers.any_text, _Q, "reservation", _ACT, "within this reservation"),
        environment=("SBATCH_RESERVATION",),
    ),
    Option(
        "resv-ports",
        "",
        _O,
        readers.reserved_ports,
        _S,
        "resv_ports",
        _NOT,
        "ports are not reserved for jobs",
    ),
    _keep("segment", _TOPOLOGY, "SBATCH_SEGMENT_SIZE", read=readers.segment),
    Option(
        *(
            "signal",
            "",
            _R,
            readers.plain(values.signal_wish),
            _S,
            "signal",
            _ACT,
            "warned by this signal before the limit",
        ),
        environment=("SBATCH_SIGNAL",),
    ),
    Option("sockets-per-node", "", _R, readers.count, _C, "sockets_per_node", _NEAR, _SHAPE),
    _keep("spread-job", "nodes are filled in order", "SBATCH_SPREAD_JOB", argument=_N),
    _keep("spread-segments", _TOPOLOGY, "SBATCH_SPREAD_SEGMENTS", argument=_N),
    _keep("stepmgr", "steps are always managed inside the job here", argument=_N),
    _keep("switches", _TOPOLOGY, read=readers.switches),
    Option("test-only", "", _N, readers.yes, _P, "test_only", _ACT, "only says when it would start"),
    _keep(
        "thread-spec", "ignored: no threads are kept for the system", "SBATCH_THREAD_SPEC", read=readers.whole_number
    ),
    Option(
        *("threads-per-core", "", _R, readers.count, _C, "threads_per_core", _NEAR, _SHAPE),
        environment=("SBATCH_THREADS_PER_CORE",),
    ),
    Option(
        "time",
        "t",
        _R,
        readers.time_limit,
        _Q,
        "time_limit_seconds",
        _ACT,
        "ended after this time",
        ("SBATCH_TIMELIMIT",),
    ),
    Option(
        "time-min",
        "",
        _R,
        readers.time_limit,
        _Q,
        "time_min_seconds",
        _NEAR,
        "it gets the full limit, or what is left before --deadline",
    ),
    Option("tmp", "", _R, readers.memory, _C, "temporary_disk_mib", _ACT, "only nodes with so much temporary disk"),
    _keep("tres-bind", _BINDING, "SBATCH_TRES_BIND"),
    Option(
        *("tres-per-task", "", _R, readers.any_text, _S, "tres_per_task", _ACT, "these resources for each task"),
        environment=("SBATCH_TRES_PER_TASK",),
    ),
    Option("uid", "", _R, readers.user, _S, "user", _ACT, "runs as this user"),
    _keep("use-min-nodes", "the least number of nodes is taken anyhow", "SBATCH_USE_MIN_NODES", argument=_N),
    Option("usage", "", _N, readers.yes, _E, "usage", _ACT, _EARLY),
    Option("verbose", "v", _N, readers.yes, _E, "verbose", _ACT, "says more"),
    Option("version", "V", _N, readers.yes, _E, "version", _ACT, _EARLY),
    Option("wait", "W", _N, readers.yes, _P, "wait", _ACT, "sbatch stays until the job has ended", ("SBATCH_WAIT",)),
    _keep(
        "wait-all-nodes",
        "a job begins here when all its nodes are ready, always",
        "SBATCH_WAIT_ALL_NODES",
        read=readers.wait_all_nodes,
    ),
    Option("wckey", "", _R, readers.any_text, _Q, "wckey", _ACT, "kept with the job and shown", ("SBATCH_WCKEY",)),
    Option("wrap", "", _R, readers.any_text, _E, "wrap", _ACT, "a script is made of this text"),
)

_VARIABLES_ONLY = (
    _keep("switches", _TOPOLOGY, "SBATCH_REQ_SWITCH", read=readers.switches_of_environment),
    _keep("switches-wait", _TOPOLOGY, "SBATCH_WAIT4SWITCH"),
    _keep("power", "sbatch itself no longer has the option", "SBATCH_POWER"),
)
"""Read from the environment in another way than the option of that name, where there is one."""

BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}

_VARIABLES_FIRST_READ_LAST = ("SBATCH_ERROR", "SBATCH_INPUT", "SBATCH_OUTPUT", "SBATCH_IGNORE_PBS")


def _by_variable() -> dict[str, Option]:
    """In the order in which sbatch reads them: the first bad one is what it names."""
    pairs = [(variable, option) for option in OPTIONS + _VARIABLES_ONLY for variable in option.environment]
    pairs.sort(key=lambda pair: pair[0] in _VARIABLES_FIRST_READ_LAST)
    return dict(pairs)


BY_VARIABLE: Mapping[str, Option] = _by_variable()
VARIABLES = frozenset(BY_VARIABLE)


_PLUGIN_FLAGS = frozenset(
    {"container-mount-home", "no-container-mount-home", "container-writable", "container-readonly"}
    | {"container-remap-root", "no-container-remap-root", "container-entrypoint", "no-container-entrypoint"}
)
"""Options of well-known site plug-ins that take no argument; all others are taken to need one."""


Table = getopt.Table[Option]


_IMAGE = Option(
    "container-image",
    "",
    _R,
    readers.image,
    _Q,
    "container_image",
    _ACT,
    "runs in this image instead of the partition's",
)
"""Of the plug-in pyxis; known where a partition lets jobs choose."""


@lru_cache(maxsize=16)
def table(accepted: tuple[str, ...] = (), *, images: bool = False) -> Table:
    """The table, with the options of site plug-ins that the site file allows."""
    chosen = (_IMAGE,) if images else ()
    extra = chosen + tuple(
        _keep(
            name,
            "not obeyed: an option of a site plug-in",
            argument=_N if name in _PLUGIN_FLAGS else _R,
            changes_results=True,
        )
        for name in accepted
        if name not in BY_NAME and not (images and name == _IMAGE.name)
    )
    return getopt.table(OPTIONS + extra)
