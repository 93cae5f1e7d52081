"""The fields of sacct: names, widths, and values for jobs, their batch scripts and their steps."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from adapters.slurm import durations, hostlist, jobfacts, sacct_filters, sizes
from adapters.slurm.squeue_columns import View
from adapters.slurm.steprows import Step
from bridge.core.accounting import Book
from bridge.core.job import WAITING, Job, JobState
from bridge.core.request import UNLIMITED_SECONDS


@dataclass(frozen=True, slots=True)
class Row:
    """A job, or its batch script, or one of its steps."""

    job: Job
    step: Step | None = None
    is_batch: bool = False
    beside: tuple[Step, ...] = ()
    """Of a batch script: the steps of the same attempt."""

    @property
    def is_job(self) -> bool:
        return self.step is None and not self.is_batch

    @property
    def ended_at(self) -> float | None:
        """A step whose end nobody saw ended with its job."""
        if self.step is not None and self.step.ended_at is not None:
            return self.step.ended_at
        return self.job.ended_at if self.step is None or self.job.is_final else None

    @property
    def step_was_killed(self) -> bool:
        return self.step is not None and (self.step.signal != 0 or (self.step.ended_at is None and self.job.is_final))

    @property
    def cpu_seconds(self) -> tuple[float, float]:
        """(user, system). What a job used is told with all of its steps; the batch script's share is the rest."""
        if self.step is not None:
            return self.step.user_seconds, self.step.system_seconds
        if self.job.end is None:
            return 0.0, 0.0
        user, system = self.job.end.user_seconds, self.job.end.system_seconds
        return (
            max(0.0, user - sum(step.user_seconds for step in self.beside)),
            max(0.0, system - sum(step.system_seconds for step in self.beside)),
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """A field as asked for."""

    name: str
    width: int
    left: bool = False


_WIDTHS_TEXT = (
    "Account:10 AdminComment:15 AllocCPUS:10 AllocNodes:10 AllocTRES:10 AssocID:7 AveCPU:10 AveCPUFreq:10 "
    "AveDiskRead:14 AveDiskWrite:14 AvePages:10 AveRSS:10 AveVMSize:10 BlockID:16 Cluster:10 Comment:14 "
    "Constraints:19 ConsumedEnergy:14 ConsumedEnergyRaw:17 Container:19 CPUTime:10 CPUTimeRAW:10 DBIndex:21 "
    "DerivedExitCode:15 Elapsed:10 ElapsedRaw:10 Eligible:19 End:19 ExitCode:8 Extra:14 FailedNode:8 Flags:19 GID:6 "
    "Group:9 JobID:12 JobIDRaw:12 JobName:10 Layout:9 Licenses:10 MaxDiskRead:12 MaxDiskReadNode:15 "
    "MaxDiskReadTask:15 MaxDiskWrite:12 MaxDiskWriteNode:16 MaxDiskWriteTask:16 MaxPages:8 MaxPagesNode:12 "
    "MaxPagesTask:14 MaxRSS:10 MaxRSSNode:10 MaxRSSTask:10 MaxVMSize:10 MaxVMSizeNode:14 MaxVMSizeTask:14 "
    "McsLabel:12 MinCPU:10 MinCPUNode:10 MinCPUTask:10 NCPUS:10 NNodes:8 NodeList:15 NTasks:8 Partition:10 "
    "Planned:10 PlannedCPU:10 PlannedCPURAW:13 Priority:10 QOS:10 QOSRAW:6 QOSREQ:10 Reason:22 ReqCPUFreq:10 "
    "ReqCPUFreqGov:13 ReqCPUFreqMax:13 ReqCPUFreqMin:13 ReqCPUS:8 ReqMem:10 ReqNodes:8 ReqTRES:10 Reservation:20 "
    "ReservationId:8 ReqReservation:20 Restarts:8 SegmentSize:11 SLUID:14 Start:19 State:10 StdErr:20 StdIn:20 "
    "StdOut:20 Submit:19 SubmitLine:20 Suspended:10 SystemComment:15 SystemCPU:10 Timelimit:10 TimelimitRaw:10 "
    "TotalCPU:10 TRESUsageInAve:14 TRESUsageInMax:14 TRESUsageInMaxNode:18 TRESUsageInMaxTask:18 TRESUsageInMin:14 "
    "TRESUsageInMinNode:18 TRESUsageInMinTask:18 TRESUsageInTot:14 TRESUsageOutAve:15 TRESUsageOutMax:15 "
    "TRESUsageOutMaxNode:19 TRESUsageOutMaxTask:19 TRESUsageOutMin:15 TRESUsageOutMinNode:19 TRESUsageOutMinTask:19 "
    "TRESUsageOutTot:15 UID:6 User:9 UserCPU:10 WCKey:10 WCKeyID:10 WorkDir:20"
)
WIDTHS = {name: int(width) for name, _, width in (pair.partition(":") for pair in _WIDTHS_TEXT.split())}
"""Every field, in the order of -e, with the width that it has by itself."""

_CANONICAL = {name.lower(): name for name in WIDTHS}

LONG = (
    "jobid,jobidraw,jobname,partition,maxvmsize,maxvmsizenode,maxvmsizetask,avevmsize,maxrss,maxrssnode,maxrsstask,"
    "averss,maxpages,maxpagesnode,maxpagestask,avepages,mincpu,mincpunode,mincputask,avecpu,ntasks,alloccpus,elapsed,"
    "state,exitcode,avecpufreq,reqcpufreqmin,reqcpufreqmax,reqcpufreqgov,reqmem,consumedenergy,maxdiskread,"
    "maxdiskreadnode,maxdiskreadtask,avediskread,maxdiskwrite,maxdiskwritenode,maxdiskwritetask,avediskwrite,reqtres,"
    "alloctres,tresusageinave,tresusageinmax,tresusageinmaxnode,tresusageinmaxtask,tresusageinmin,tresusageinminnode,"
    "tresusageinmintask,tresusageintot,tresusageoutmax,tresusageoutmaxnode,tresusageoutmaxtask,tresusageoutave,"
    "tresusageouttot"
)
"""-l"""

_LEFT = frozenset({"JobID", "JobIDRaw", "DBIndex"})

NEVER_CUT = frozenset({"Elapsed", "CPUTime", "Suspended", "Planned", "AllocCPUS", "NCPUS", "UID", "GID"})
"""Fields that 25.11 prints whole even where they are wider than their column."""

PLAINLY_CUT = frozenset({"Start", "End", "Submit", "Eligible"})
"""Fields that are cut without a mark of it."""

_WIDEST = 10_000


def choose(word: str) -> list[Chosen] | None:
    """`State`, `jobid%20`, `state%-12`, `all`; None: no such field."""
    name, percent, width_text = word.partition("%")
    left = width_text.startswith("-")
    digits = width_text.lstrip("-")
    width: int | None = None
    if percent:
        width = min(int(digits[:9]), _WIDEST) if digits.isascii() and digits.isdigit() else 0
    if name.lower() == "all":
        names = list(WIDTHS)
    elif name.lower() in _CANONICAL:
        names = [_CANONICAL[name.lower()]]
    else:
        return None
    return [
        Chosen(one, WIDTHS[one] if width is None else width, left or (one in _LEFT and not percent)) for one in names
    ]


def values(view: View, unit: str, book: Book) -> dict[str, Callable[[Row], str]]:
    """Lower-case name → reader. What is measured nowhere here is empty, as in Slurm."""
    readers: dict[str, Callable[[Row], str]] = {name.lower(): _empty for name in WIDTHS}
    readers.update(_identity(view))
    readers.update(_booked(book))
    readers.update(_times(view))
    readers.update(_sizes(view, unit))
    readers.update(_usage())
    return readers


def _empty(row: Row) -> str:
    return ""


def _of_job(value: Callable[[Job], str]) -> Callable[[Row], str]:
    """A field that steps do not have."""
    return lambda row: value(row.job) if row.is_job else ""


def _always(value: Callable[[Job], str]) -> Callable[[Row], str]:
    return lambda row: value(row.job)


# ── who and what ──────────────────────────────────────────────────────────────────────────────────


def _identity(view: View) -> dict[str, Callable[[Row], str]]:
    length = jobfacts.TASK_EXPRESSION_LENGTH if view.bracket_length is None else view.bracket_length

    def suffix(row: Row) -> str:
        return ".batch" if row.is_batch else "" if row.step is None else f".{row.step.step_id}"

    def name(row: Row) -> str:
        return "batch" if row.is_batch else job_name(row.job) if row.step is None else row.step.name

    return {
        "jobid": lambda row: jobfacts.display_id(row.job, length) + suffix(row),
        "jobidraw": lambda row: str(jobfacts.raw_id(row.job)) + suffix(row),
        "jobname": name,
        "partition": _of_job(lambda job: jobfacts.partition_text(job, view.site)),
        "account": _always(lambda job: job.request.account or ""),
        "cluster": _always(lambda job: view.site.cluster_name),
        "user": _of_job(lambda job: job.request.user),
        "uid": _of_job(lambda job: str(job.request.uid)),
        "gid": _of_job(lambda job: str(job.request.gid)),
        "group": _of_job(lambda job: view.group_of(job.request.gid)),
        "qos": _of_job(lambda job: job.request.qos or "normal"),
        "qosreq": _of_job(lambda job: "" if "qos" in job.request.left_open else job.request.qos or ""),
        "priority": _of_job(lambda job: str(job.priority)),
        "state": state,
        "exitcode": exit_code,
        "derivedexitcode": _of_job(lambda job: f"{job.derived_exit_status}:0"),
        "comment": _of_job(lambda job: (job.request.comment or "") if job.is_final else ""),
        "flags": _of_job(lambda job: ",".join(sacct_filters.flags_of(job))),
        "systemcomment": _of_job(jobfacts.system_comment),
        "constraints": _of_job(lambda job: job.request.component.constraint or ""),
        "licenses": _of_job(lambda job: job.request.component.licenses or ""),
        "reason": _of_job(lambda job: jobfacts.reason_waited_for(job).value),
        "reservation": _of_job(lambda job: job.request.reservation or ""),
        "restarts": _of_job(lambda job: str(job.restarts)),
        "failednode": _of_job(jobfacts.failed_node),
        "wckey": _of_job(lambda job: job.request.wckey or ""),
        "workdir": _of_job(lambda job: job.request.working_directory),
        "submitline": _of_job(jobfacts.submit_line),
        "sluid": _always(lambda job: f"s{job.id:014X}"),
        "stdout": _of_job(jobfacts.standard_output_pattern),
        "stderr": _of_job(lambda job: jobfacts.output_pattern(job, job.request.files.stderr)),
        "stdin": _of_job(lambda job: job.request.files.stdin or "/dev/null"),
    }


_LONGEST_NAME = 255


def job_name(job: Job) -> str:
    """As accounting keeps it: without double quotes, no longer than its column; what has no name is an allocation."""
    kept = job.request.name.replace('"', "`").encode("utf-8", "surrogateescape")[:_LONGEST_NAME]
    return kept.decode("utf-8", "surrogateescape") or "allocation"


def association_id(job: Job, book: Book) -> int:
    """0: none."""
    return book.id_of(job.request.user, job.request.account, job.partition)


def _booked(book: Book) -> dict[str, Callable[[Row], str]]:
    """Numbers that the accounting book has for names."""

    def qos_number(job: Job) -> str:
        found = book.qos.get(job.request.qos or "normal")
        return "" if found is None else str(found.id)

    return {
        "associd": _always(lambda job: str(association_id(job, book) or "")),
        "qosraw": _of_job(qos_number),
        "wckeyid": _of_job(lambda job: "0"),
    }


def _placed(row: Row) -> str:
    """How the tasks of a step lie on its nodes, where nobody said otherwise: one a node as long as there are nodes."""
    if row.step is None:
        return "Unknown" if row.is_batch else ""
    return "Cyclic" if row.step.tasks <= len(row.step.node_list) else "Block"


def state(row: Row) -> str:
    job = row.job
    if row.step is not None:
        if row.ended_at is None:
            return "RUNNING"
        if row.step_was_killed:
            return "OUT_OF_MEMORY" if _was_out_of_memory(row) else "CANCELLED"
        return "FAILED" if row.step.exit_status else "COMPLETED"
    if row.is_batch:
        return _batch_state(job)
    if job.state is JobState.CANCELLED and job.cancelled_by_uid is not None:
        return f"CANCELLED by {job.cancelled_by_uid}"
    if job.state in (JobState.CONFIGURING, JobState.COMPLETING):
        return "RUNNING"
    return JobState.PENDING.value if job.state in WAITING else job.state.value


def _was_out_of_memory(row: Row) -> bool:
    """The limit is one of the whole job, so that all steps that still ran went with it."""
    end = row.job.end
    return (
        end is not None
        and end.cause == "out_of_memory"
        and (row.step is None or row.step.signal in (0, signal.SIGKILL))
    )


def _batch_state(job: Job) -> str:
    """The script's own end: a signal that killed it counts as CANCELLED."""
    if not job.is_final or job.end is None:
        return "RUNNING"
    if job.end.cause == "out_of_memory":
        return "OUT_OF_MEMORY"
    if job.end.signal or job.end.cause == "node_fail":
        return "CANCELLED"
    return "FAILED" if job.end.exit_status else "COMPLETED"


_ENDED_FROM_OUTSIDE = frozenset({JobState.CANCELLED, JobState.TIMEOUT})
_RAW_STATUS_ONE = frozenset({JobState.NODE_FAIL, JobState.DEADLINE})


def exit_code(row: Row) -> str:
    """The job's own code is 0:0 when it was ended from outside; the batch row keeps what the script left."""
    if row.step is not None and row.step_was_killed:
        return (
            "0:125" if _was_out_of_memory(row) else f"{row.step.exit_status}:{row.step.signal or int(signal.SIGKILL)}"
        )
    if row.step is not None:
        return f"{row.step.exit_status}:0"
    if row.is_batch:
        if row.job.state is JobState.NODE_FAIL:
            return ""
        return jobfacts.exit_code(row.job)
    if row.job.state in _ENDED_FROM_OUTSIDE:
        return "0:0"
    if row.job.end is not None and (row.job.end.exit_status, row.job.end.signal) == (0, signal.SIGHUP):
        return "1:0"  # a raw status of 1 is what accounting takes for an exit code of 1
    return "1:0" if row.job.state in _RAW_STATUS_ONE else jobfacts.exit_code(row.job)


# ── when ──────────────────────────────────────────────────────────────────────────────────────────


def _started(row: Row) -> float | None:
    if row.step is not None:
        return row.step.started_at
    return None if row.job.state in WAITING else row.job.started_at


def _ended(row: Row) -> float | None:
    return row.ended_at


def _elapsed(row: Row, now: float) -> float:
    if row.step is None:
        return jobfacts.run_seconds(row.job, now)
    end = row.ended_at if row.ended_at is not None else now
    return max(0.0, int(end) - int(row.step.started_at))


def _times(view: View) -> dict[str, Callable[[Row], str]]:
    clock, now = view.clock, view.now

    def start(row: Row) -> str:
        if row.job.state is JobState.CANCELLED and not row.job.nodes:
            return "None"
        return clock.stamp(_started(row), "Unknown")

    def eligible(row: Row) -> str:
        return clock.stamp(jobfacts.eligible_at(row.job) if row.is_job else _started(row), "Unknown")

    def submit(row: Row) -> str:
        return clock.stamp(row.job.submitted_at if row.is_job else _started(row), "Unknown")

    def planned(job: Job) -> float:
        since = jobfacts.eligible_at(job)
        until = job.started_at if job.started_at is not None and job.state not in WAITING else None
        return 0.0 if since is None else max(0.0, (until if until is not None else now) - since)

    def limit(job: Job) -> str:
        minutes = (job.time_limit_seconds + 59) // 60
        return "UNLIMITED" if job.time_limit_seconds >= UNLIMITED_SECONDS else str(minutes)

    return {
        "submit": submit,
        "eligible": eligible,
        "start": start,
        "end": lambda row: clock.stamp(_ended(row), "Unknown"),
        "elapsed": lambda row: durations.long(_elapsed(row, now)),
        "elapsedraw": lambda row: str(int(_elapsed(row, now))),
        "suspended": _always(lambda job: durations.long(job.suspended_seconds)),
        "timelimit": _of_job(lambda job: durations.long_limit(job.time_limit_seconds)),
        "timelimitraw": _of_job(limit),
        "planned": _of_job(lambda job: durations.long(planned(job))),
        "plannedcpu": _of_job(lambda job: durations.long(planned(job) * _held_cpus(job))),
        "plannedcpuraw": _of_job(lambda job: str(int(planned(job)) * _held_cpus(job))),
        "cputime": lambda row: durations.long(_elapsed(row, now) * _cpus(row)),
        "cputimeraw": lambda row: str(int(_elapsed(row, now)) * _cpus(row)),
    }


# ── how much ──────────────────────────────────────────────────────────────────────────────────────


def _held_cpus(job: Job) -> int:
    return sum(share.cpus for share in job.nodes)


def _cpus(row: Row) -> int:
    if row.step is not None:
        return row.step.cpus
    if row.is_batch:
        return row.job.nodes[0].cpus
    return _held_cpus(row.job)


def _sorted_tres(tres: sizes.Tres, unit: str) -> str:
    return sizes.tres_text(tuple(sorted(tres)), unit=unit)


def _sizes(view: View, unit: str) -> dict[str, Callable[[Row], str]]:
    def size(job: Job) -> sizes.Sizes:
        # As asked for: what is held stands in AllocTRES.
        partition = view.site.partition(job.partition)
        return sizes.asked_for(
            job.request.component, partition, view.fleet.largest.get(job.partition, (0, 0)), job.priority == 0
        )

    def nodes(row: Row) -> int:
        if row.step is not None:
            return len(row.step.node_list)
        return 1 if row.is_batch else len(row.job.nodes)

    def node_list(row: Row) -> str:
        if row.step is not None:
            return hostlist.compress(list(row.step.node_list))
        held = [share.node for share in row.job.nodes]
        return hostlist.compress(held[:1] if row.is_batch else held) or "None assigned"

    def allocated(row: Row) -> str:
        if row.is_job:
            return _sorted_tres(sizes.allocated(row.job), unit)
        share = row.job.nodes[0]
        amounts = [("cpu", _cpus(row)), ("mem", share.memory_mib * max(1, nodes(row))), ("node", nodes(row))]
        # The script has the devices of its node, a step those of all its nodes.
        names = (share.node,) if row.step is None else row.step.node_list
        amounts += sizes.devices([one for one in row.job.nodes if one.node in names])
        return _sorted_tres(tuple((name, amount) for name, amount in amounts if amount), unit)

    def requested_memory(job: Job) -> str:
        mib = size(job).total_memory_mib
        return jobfacts.memory_in(mib, unit) if unit else jobfacts.memory(mib, exact=True)

    def requested_cpus(row: Row) -> str:
        return str(size(row.job).cpus) if row.is_job else str(_cpus(row))

    def node_count(row: Row) -> str:
        # Waiting: the least that was asked for.
        return str(nodes(row) or dict(size(row.job).tres).get("node", 1))

    def tasks(row: Row) -> str:
        return str(row.step.tasks) if row.step is not None else "1" if row.is_batch else ""

    return {
        "alloccpus": lambda row: str(_cpus(row)) if row.job.nodes else "0",
        "ncpus": lambda row: str(_cpus(row)) if row.job.nodes else "0",
        "allocnodes": lambda row: str(nodes(row)),
        "alloctres": lambda row: allocated(row) if row.job.nodes else "",
        "nnodes": node_count,
        "reqnodes": node_count,
        "nodelist": node_list,
        "layout": _placed,
        "ntasks": tasks,
        "reqcpus": requested_cpus,
        "reqmem": _of_job(requested_memory),
        "reqtres": _of_job(lambda job: _sorted_tres(size(job).tres, unit)),
    }


def _usage() -> dict[str, Callable[[Row], str]]:
    def tasks(row: Row) -> int:
        return max(1, row.step.tasks) if row.step is not None else 1

    def cpu_time(row: Row, share: int) -> str:
        """Of what has ended, in whole seconds."""
        has_ended = row.job.end is not None if row.step is None else row.ended_at is not None
        return durations.long(int(sum(row.cpu_seconds) / share)) if has_ended and not row.is_job else ""

    def of_a_task(row: Row) -> str:
        return cpu_time(row, tasks(row))

    def used(cpu: Callable[[Row], str], memory: Callable[[Row], str]) -> Callable[[Row], str]:
        return lambda row: ",".join(
            f"{name}={text}" for name, text in (("cpu", cpu(row)), ("mem", memory(row))) if text
        )

    def if_alone(of_one: Callable[[Row], str]) -> Callable[[Row], str]:
        """What is known of a task where there is only one."""
        return lambda row: of_one(row) if tasks(row) == 1 else ""

    def resident(row: Row) -> str:
        if row.is_job:
            return ""
        kib = row.step.max_rss_kib if row.step is not None else row.job.end.max_rss_kib if row.job.end else 0
        return f"{kib}K" if kib else ""

    def on_first_node(row: Row) -> str:
        if not resident(row):
            return ""
        return row.step.node_list[0] if row.step is not None and row.step.node_list else row.job.nodes[0].node

    def energy(row: Row) -> str:
        """Nothing measures it; a job that has run leaves it to its steps."""
        return "" if row.is_job and row.job.started_at is not None else "0"

    def frequency(row: Row) -> str:
        return "0" if row.is_batch else "Unknown"

    return {
        "consumedenergy": energy,
        "consumedenergyraw": energy,
        "reqcpufreq": frequency,
        "reqcpufreqgov": frequency,
        "reqcpufreqmax": frequency,
        "reqcpufreqmin": frequency,
        "totalcpu": lambda row: durations.cpu_time(sum(row.cpu_seconds)),
        "usercpu": lambda row: durations.cpu_time(row.cpu_seconds[0]),
        "systemcpu": lambda row: durations.cpu_time(row.cpu_seconds[1]),
        "avecpu": of_a_task,
        "mincpu": if_alone(of_a_task),
        "tresusageintot": used(lambda row: cpu_time(row, 1), if_alone(resident)),
        "tresusageinave": used(of_a_task, if_alone(resident)),
        "tresusageinmax": used(if_alone(of_a_task), resident),
        "tresusageinmin": used(if_alone(of_a_task), if_alone(resident)),
        "maxrss": resident,
        "averss": resident,
        "maxrssnode": on_first_node,
    }
