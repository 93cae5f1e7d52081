"""The columns of squeue: one table of names, titles and values, for -o letters, -O names and -S keys.

Values are functions of a job only; what else they need (clock, site, sizes) is bound when the table is made
for one answer. Titles and placeholders (`N/A`, `n/a`, `(null)`) are those of 25.11.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from adapters.slurm import durations, hostlist, jobfacts, sizes, states
from adapters.slurm.columns import ABSENT, Column
from bridge.core import forecast
from bridge.core.accounting import Association, Book
from bridge.core.job import WAITING, Job, JobKey
from bridge.core.nodes import Site
from bridge.core.request import UNLIMITED_SECONDS

_NO_REASONS: Mapping[JobKey, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class View:
    """What the asking user sees with."""

    clock: durations.Clock
    site: Site
    fleet: sizes.Fleet
    group_of: Callable[[int], str]
    """Name of a group, or its number as text."""
    bracket_length: int | None = None
    convert_units: bool = True
    starts: Mapping[JobKey, forecast.Start] = field(default_factory=dict)
    """Expected starts of waiting jobs and tasks; empty where nobody asked for them."""
    book: Book | None = None
    """What jobs are booked on; None where nobody asked for it."""

    def association(self, job: Job) -> Association | None:
        """What it is booked on."""
        request = job.request
        if self.book is None:
            return None
        return self.book.find(request.user.lower(), (request.account or "").lower(), job.partition)

    def expected(self, job: Job) -> forecast.Start | None:
        """Of an array's waiting tasks, the first."""
        if not self.starts or job.state not in WAITING:
            return None
        if job.waiting:
            return self.starts.get(JobKey(job.id, job.waiting.minimum))
        return self.starts.get(job.key)

    def start_at(self, job: Job) -> float | None:
        """When it started, or is expected to, or the earliest time at which it can."""
        expected = self.expected(job)
        return jobfacts.start_at(job, self.now) if expected is None else expected.at

    def end_at(self, job: Job) -> float | None:
        expected = self.expected(job)
        if expected is None:
            return jobfacts.end_at(job, self.now)
        return None if job.time_limit_seconds >= UNLIMITED_SECONDS else expected.at + job.time_limit_seconds

    def scheduled_nodes(self, job: Job) -> str:
        """Where it is expected to start; empty: not known."""
        expected = self.expected(job)
        return hostlist.compress(list(expected.nodes)) if expected is not None else ""

    @property
    def now(self) -> float:
        return self.clock.now


@dataclass(frozen=True, slots=True)
class _Entry:
    letter: str
    names: tuple[str, ...]
    """As in `squeue --helpFormat`."""
    title: str
    value: Callable[[Job], str]
    is_cut: bool = True


def node_list(job: Job) -> str:
    return hostlist.compress([share.node for share in job.nodes]) if job.nodes else ""


def _constant(text: str) -> Callable[[Job], str]:
    return lambda job: text


def _entries(view: View, reasons: Mapping[JobKey, str]) -> list[_Entry]:
    clock, site, now = view.clock, view.site, view.now
    length = view.bracket_length
    expression_length = jobfacts.TASK_EXPRESSION_LENGTH if length is None else length

    def reason(job: Job) -> str:
        return reasons.get(job.key) or jobfacts.reason_text(job)

    def size(job: Job) -> sizes.Sizes:
        return sizes.of(job, site, view.fleet)

    def nodes_or_reason(job: Job) -> str:
        return f"({reason(job)})" if jobfacts.shows_reason(job) else node_list(job)

    def minimum_memory(job: Job) -> str:
        return jobfacts.memory(size(job).memory_mib, convert=view.convert_units)

    def disk(job: Job) -> str:
        return jobfacts.memory(job.request.component.temporary_disk_mib or 0)

    def started(job: Job) -> str:
        return clock.stamp(view.start_at(job))

    def ends(job: Job) -> str:
        return clock.stamp(view.end_at(job))

    def pending_seconds(job: Job) -> str:
        return str(max(0, int(jobfacts.start_at(job, now) or now) - int(job.submitted_at)))

    def batch_host(job: Job) -> str:
        return job.nodes[0].node if job.nodes else "n/a"

    def geometry(value: int | None) -> str:
        return "*" if value is None else str(value)

    def per_task(job: Job) -> str:
        return sizes.per_task(job.request.component) or "N/A"

    def per_node(job: Job) -> str:
        return sizes.gres_text(job.request.component.gres_per_node) or "N/A"

    def per_job(job: Job) -> str:
        return sizes.gres_text(job.request.component.gres_per_job) or "N/A"

    def per_socket(job: Job) -> str:
        return sizes.gres_text(job.request.component.gres_per_socket) or "N/A"

    def cpus_per_gpu(job: Job) -> str:
        return sizes.per_gpu(job.request.component.cpus_per_gpu) or "N/A"

    def memory_per_gpu(job: Job) -> str:
        return sizes.per_gpu(job.request.component.memory_per_gpu_mib) or "N/A"

    def tres(job: Job) -> str:
        return sizes.tres_text(size(job).tres)

    return [
        _Entry("a", ("Account",), "ACCOUNT", lambda j: j.request.account or ABSENT),
        _Entry("b", ("tres-per-node", "Gres"), "TRES_PER_NODE", per_node),
        _Entry("c", ("MinCPUs",), "MIN_CPUS", lambda j: str(size(j).cpus_per_node_min)),
        _Entry("d", ("MinTmpDisk",), "MIN_TMP_DISK", disk),
        _Entry("e", ("EndTime",), "END_TIME", ends),
        _Entry("f", ("Feature",), "FEATURES", lambda j: j.request.component.constraint or ABSENT),
        _Entry("g", ("GroupName",), "GROUP", lambda j: view.group_of(j.request.gid)),
        _Entry("h", ("OverSubscribe",), "OVER_SUBSCRIBE", jobfacts.oversubscribe),
        _Entry("i", ("JobArrayId",), "JOBID", lambda j: jobfacts.display_id(j, length)),
        _Entry("j", ("Name",), "NAME", lambda j: j.request.name),
        _Entry("k", ("Comment",), "COMMENT", lambda j: j.request.comment or ABSENT),
        _Entry("l", ("TimeLimit",), "TIME_LIMIT", lambda j: durations.short_limit(j.time_limit_seconds)),
        _Entry("m", ("MinMemory",), "MIN_MEMORY", minimum_memory),
        _Entry("n", ("ReqNodes",), "REQ_NODES", lambda j: hostlist.compress(list(j.request.component.node_list))),
        _Entry("o", ("Command",), "COMMAND", lambda j: j.request.program.command or ABSENT),
        _Entry("p", ("Priority",), "PRIORITY", lambda j: f"{j.priority / 2**32:.14f}"),
        _Entry("q", ("QOS",), "QOS", lambda j: j.request.qos or "normal"),
        _Entry("r", ("Reason",), "REASON", reason),
        _Entry("s", ("SLUID",), "SLUID", lambda j: f"s{j.id:014X}"),
        _Entry("t", ("StateCompact",), "ST", lambda j: states.COMPACT[j.state]),
        _Entry("u", ("UserName",), "USER", lambda j: j.request.user),
        _Entry("v", ("Reservation",), "RESERVATION", lambda j: j.request.reservation or ABSENT),
        _Entry("w", ("WCKey",), "WCKEY", lambda j: j.request.wckey or ABSENT),
        _Entry("x", ("ExcNodes",), "EXC_NODES", lambda j: hostlist.compress(list(j.request.component.exclude))),
        _Entry("y", ("Nice",), "NICE", lambda j: str(j.request.nice)),
        _Entry("z", ("SCT",), "S:C:T", lambda j: ":".join(geometry(v) for v in sizes.geometry(j.request.component))),
        _Entry("A", ("JobId",), "JOBID", lambda j: str(jobfacts.raw_id(j))),
        _Entry("B", ("BatchHost",), "EXEC_HOST", batch_host),
        _Entry("C", ("NumCPUs",), "CPUS", lambda j: str(size(j).cpus)),
        _Entry("D", ("NumNodes",), "NODES", lambda j: str(sizes.node_count(j, site, view.fleet))),
        _Entry("E", ("Dependency",), "DEPENDENCY", lambda j: j.dependency_text or ABSENT),
        _Entry("F", ("ArrayJobId",), "ARRAY_JOB_ID", lambda j: str(jobfacts.base_id(j))),
        _Entry("G", ("GroupId",), "GROUP", lambda j: str(j.request.gid)),
        _Entry("H", ("Sockets",), "SOCKETS_PER_NODE", lambda j: geometry(sizes.geometry(j.request.component)[0])),
        _Entry("I", ("Cores",), "CORES_PER_SOCKET", lambda j: geometry(sizes.geometry(j.request.component)[1])),
        _Entry("J", ("Threads",), "THREADS_PER_CORE", lambda j: geometry(sizes.geometry(j.request.component)[2])),
        _Entry(
            "K", ("ArrayTaskId",), "ARRAY_TASK_ID", lambda j: jobfacts.task_expression(j, expression_length) or "N/A"
        ),
        _Entry("L", ("TimeLeft",), "TIME_LEFT", lambda j: jobfacts.time_left(j, now), is_cut=False),
        _Entry("M", ("TimeUsed",), "TIME", lambda j: durations.short(jobfacts.run_seconds(j, now)), is_cut=False),
        _Entry("N", ("NodeList",), "NODELIST", node_list),
        _Entry("O", ("Contiguous",), "CONTIGUOUS", _constant("0")),
        _Entry("P", ("Partition",), "PARTITION", lambda j: jobfacts.partition_text(j, site)),
        _Entry("Q", ("PriorityLong",), "PRIORITY", lambda j: str(j.priority)),
        _Entry("R", ("ReasonList",), "NODELIST(REASON)", nodes_or_reason),
        _Entry("S", ("StartTime",), "START_TIME", started),
        _Entry("T", ("State",), "STATE", lambda j: j.state.value),
        _Entry("U", ("UserId",), "UID", lambda j: str(j.request.uid)),
        _Entry("V", ("SubmitTime",), "SUBMIT_TIME", lambda j: clock.stamp(j.submitted_at)),
        _Entry("W", ("Licenses",), "LICENSES", lambda j: j.request.component.licenses or ABSENT),
        _Entry("X", ("CoreSpec",), "CORE_SPEC", _constant("N/A")),
        _Entry("Y", ("SchedNodes",), "SCHEDNODES", lambda j: view.scheduled_nodes(j) or ABSENT),
        _Entry("Z", ("WorkDir",), "WORK_DIR", lambda j: j.request.working_directory),
        _Entry("", ("AccrueTime",), "ACCRUE_TIME", lambda j: clock.stamp(jobfacts.eligible_at(j))),
        _Entry("", ("EligibleTime",), "ELIGIBLE_TIME", lambda j: clock.stamp(jobfacts.eligible_at(j))),
        _Entry("", ("AllocNodes",), "ALLOC_NODES", lambda j: j.request.submit_host or ABSENT),
        _Entry("", ("AllocSID",), "ALLOC_SID", _constant("0")),
        _Entry("", ("AssocId",), "ASSOC_ID", _constant("0")),
        _Entry("", ("BatchFlag",), "BATCH_FLAG", _constant("1")),
        _Entry("", ("Cluster",), "CLUSTER", _constant(site.cluster_name)),
        _Entry(
            "", ("CPUsPerTask", "cpus-per-task"), "CPUS_PER_TASK", lambda j: str(j.request.component.cpus_per_task or 1)
        ),
        _Entry("", ("cpus-per-tres",), "CPUS_PER_TRES", cpus_per_gpu),
        _Entry("", ("mem-per-tres",), "MEM_PER_TRES", memory_per_gpu),
        _Entry("", ("tres-per-job",), "TRES_PER_JOB", per_job),
        _Entry("", ("tres-per-socket",), "TRES_PER_SOCKET", per_socket),
        _Entry("", ("tres-per-task",), "TRES_PER_TASK", per_task),
        _Entry("", ("tres-alloc",), "TRES_ALLOC", tres),
        _Entry("", ("Deadline",), "DEADLINE", lambda j: clock.stamp(j.request.deadline_at)),
        _Entry("", ("DelayBoot",), "DELAY_BOOT", _constant("0:00")),
        _Entry("", ("DerivedEC",), "DERIVED_EC", lambda j: f"{j.derived_exit_status}:0"),
        _Entry("", ("exit_code",), "EXIT_CODE", jobfacts.exit_code),
        _Entry("", ("HetJobId",), "HET_JOB_ID", _constant("N/A")),
        _Entry("", ("HetJobIdSet",), "HET_JOB_ID_SET", _constant("N/A")),
        _Entry("", ("HetJobOffset",), "HET_JOB_OFFSET", _constant("N/A")),
        _Entry("", ("LastSchedEval",), "LAST_SCHED_EVAL", lambda j: clock.stamp(j.started_at or j.submitted_at)),
        _Entry(
            "",
            ("LicensesAlloc",),
            "LICENSES_ALLOC",
            lambda j: (j.request.component.licenses if j.nodes else None) or ABSENT,
        ),
        _Entry("", ("MaxCPUs",), "MAX_CPUS", lambda j: str(size(j).cpus)),
        _Entry("", ("MaxNodes",), "MAX_NODES", lambda j: str(size(j).nodes_max)),
        _Entry("", ("MinTime",), "TIME_MIN", lambda j: durations.short(j.request.time_min_seconds or 0)),
        _Entry(
            "",
            ("NTPerCore",),
            "NTASKS_PER_CORE",
            lambda j: str(j.request.component.tasks_per_core or "N/A"),
        ),
        _Entry("", ("NTPerNode",), "NTASKS_PER_NODE", lambda j: str(j.request.component.tasks_per_node or 0)),
        _Entry("", ("NTPerSocket",), "NTASKS_PER_SOCKET", lambda j: str(j.request.component.tasks_per_socket or "N/A")),
        _Entry("", ("NTPerBoard",), "NTASKS_PER_BOARD", _constant("0")),
        _Entry("", ("NumTasks",), "TASKS", lambda j: str(size(j).tasks)),
        _Entry("", ("PendingTime",), "PENDING_TIME", pending_seconds),
        _Entry("", ("PreemptTime",), "PREEMPT_TIME", _constant("N/A")),
        _Entry("", ("ResizeTime",), "RESIZE_TIME", _constant("N/A")),
        _Entry("", ("Prefer",), "PREFER", lambda j: j.request.component.prefer or ABSENT),
        _Entry("", ("Profile",), "PROFILE", _constant("NotSet")),
        _Entry("", ("Reboot",), "REBOOT", _constant("0")),
        _Entry("", ("ReqSwitch",), "REQ_SWITCH", _constant("0")),
        _Entry("", ("Requeue",), "REQUEUE", lambda j: "0" if j.request.requeue is False else "1"),
        _Entry("", ("RestartCnt",), "RESTART_COUNT", lambda j: str(j.restarts)),
        _Entry("", ("StdErr",), "STDERR", lambda j: jobfacts.output_pattern(j, j.request.files.stderr) or ABSENT),
        _Entry("", ("StdIn",), "STDIN", lambda j: j.request.files.stdin or "/dev/null"),
        _Entry("", ("StdOut",), "STDOUT", jobfacts.standard_output_pattern),
        _Entry("", ("system_comment",), "SYSTEM_COMMENT", lambda j: jobfacts.system_comment(j) or ABSENT),
        _Entry("", ("Wait4Switch",), "WAIT4SWITCH", _constant("0:00")),
        *(_Entry("", (name,), title, _constant(text)) for name, title, text in _NOT_OF_THIS_SITE),
    ]


_NOT_OF_THIS_SITE = (
    ("admin_comment", "ADMIN_COMMENT", ABSENT),
    ("BoardsPerNode", "BOARDS_PER_NODE", "0"),
    ("BurstBuffer", "BURST_BUFFER", ABSENT),
    ("BurstBufferState", "BURST_BUFFER_STATE", ABSENT),
    ("ClusterFeature", "CLUSTER_FEATURES", ABSENT),
    ("Container", "CONTAINER", ABSENT),
    ("ContainerId", "CONTAINERID", ABSENT),
    ("CronJob", "CRON_JOB", "No"),
    ("MCSLabel", "MCSLABEL", ABSENT),
    ("Network", "NETWORK", ABSENT),
    ("Origin", "ORIGIN", "NA"),
    ("OriginRaw", "ORIGIN_RAW", "NA"),
    ("SegmentSize", "SEGMENT_SIZE", "N/A"),
    ("SiblingsActive", "ACTIVE_SIBLINGS", "NA"),
    ("SiblingsActiveRaw", "ACTIVE_SIBLINGS_RAW", "NA"),
    ("SiblingsViable", "VIABLE_SIBLINGS", "NA"),
    ("SiblingsViableRaw", "VIALBLE_SIBLINGS_RAW", "NA"),
    ("SPerBoard", "SOCKETS_PER_BOARD", "0"),
    ("tres-bind", "TRES_BIND", "N/A"),
    ("tres-freq", "TRES_FREQ", "N/A"),
)
"""(name, title, text) of columns for things that no job of ours has."""

ALL_ORDER = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What %all prints."""


@dataclass(frozen=True, slots=True)
class Columns:
    by_letter: dict[str, Column[Job]]
    by_name: dict[str, Column[Job]]
    """Lower case names."""

    @property
    def every(self) -> list[Column[Job]]:
        return [self.by_letter[letter] for letter in ALL_ORDER]


def make(view: View, reasons: Mapping[JobKey, str] = _NO_REASONS) -> Columns:
    """`reasons`: of rows that tell several."""
    by_letter: dict[str, Column[Job]] = {}
    by_name: dict[str, Column[Job]] = {}
    for entry in _entries(view, reasons):
        column = Column(entry.title, entry.value, entry.is_cut)
        if entry.letter:
            by_letter[entry.letter] = column
        for name in entry.names:
            by_name[name.lower()] = column
    by_letter[""] = by_name["accruetime"]
    return Columns(by_letter, by_name)
