"""What `scontrol show` prints: records of `Key=Value` in the order and spacing of 25.11."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.slurm import durations, filenames, hostlist, jobfacts, node_states, sizes, values
from adapters.slurm.answer import VERSION
from adapters.slurm.squeue_columns import View
from adapters.slurm.steprows import Step
from bridge.core.job import WAITING, Job
from bridge.core.nodes import Node, Partition, Site

Lines = list[str]

LONGEST_SWITCH_WAIT_SECONDS = 300
"""Slurm's default of max_switch_wait."""


@dataclass(frozen=True, slots=True)
class NodeUse:
    """A node with what is in use there."""

    node: Node
    cpus: int = 0
    memory_mib: int = 0
    gres: tuple[tuple[str, str | None, int], ...] = ()
    completing: bool = False
    last_busy_at: float | None = None
    """When its last job left; None: not known."""
    devices: tuple[tuple[str, str | None, tuple[int, ...]], ...] = ()
    """(name, type, indices) of the devices in use."""
    kept_for: str = ""
    """`maint` or `reserved` while a reservation has the node."""
    reservation: str = ""
    """Its name."""


def joined(lines: Lines, *, one_line: bool) -> str:
    """A record: indented lines and an empty one, or all in one line."""
    if one_line:
        return " ".join(lines) + "\n"
    return "\n   ".join(lines) + "\n\n"


# ── jobs ──────────────────────────────────────────────────────────────────────────────────────────


def job(job: Job, view: View, *, details: bool) -> Lines:
    request, component = job.request, job.request.component
    recorded = dict(request.recorded)
    size = sizes.of(job, view.site, view.fleet)
    lines = [_identity(job)]
    if details:
        lines.append(f"SLUID=s{job.id:014X}")
    lines += [
        f"UserId={request.user}({request.uid}) GroupId={view.group_of(request.gid)}({request.gid}) MCS_label=N/A",
        f"Priority={job.priority} Nice={request.nice} Account={request.account or '(null)'} "
        f"QOS={request.qos or 'normal'}",
        f"JobState={_state(job)} Reason={_reason(job)} Dependency={job.dependency_text or '(null)'}",
    ]
    if failed := jobfacts.failed_node(job):
        lines.append(f"FailedNode={failed}")
    lines.append(
        f"Requeue={0 if request.requeue is False else 1} Restarts={job.restarts} BatchFlag=1 "
        f"Reboot={_flag(recorded.get('reboot'))} "
        f"ExitCode={jobfacts.exit_code(job)}"
    )
    if details:
        lines.append(f"DerivedExitCode={job.derived_exit_status}:0")
    lines += _times(job, view)
    lines += _places(job, size, view)
    if details and job.nodes:
        lines += _allocation(job)
    memory = jobfacts.memory(size.memory_mib, exact=True)
    disk = jobfacts.memory(component.temporary_disk_mib or 0)
    licenses = component.licenses or "(null)"
    features = "(null)" if component.constraint is None else component.constraint
    lines += [
        f"MinCPUsNode={size.cpus_per_node_min} MinMemory{size.memory_kind}={memory} MinTmpDiskNode={disk}",
        f"Features={features} DelayBoot={_delay_boot(recorded.get('delay-boot'))}",
        *([f"Prefer={component.prefer}"] if component.prefer else []),
        f"OverSubscribe={jobfacts.oversubscribe(job)} Contiguous={int('contiguous' in recorded)} Licenses={licenses} "
        f"LicensesAlloc={licenses if job.nodes and not job.is_final else '(null)'} "
        f"Network={recorded.get('network') or '(null)'}",
        f"Command={request.program.command or '(null)'}",
        f"SubmitLine={jobfacts.submit_line(job)}",
        f"WorkDir={request.working_directory}",
    ]
    return lines + _files_and_wishes(job)


def _identity(job: Job) -> str:
    text = f"JobId={jobfacts.raw_id(job)} "
    expression = jobfacts.task_expression(job, jobfacts.TASK_EXPRESSION_LENGTH)
    if expression is not None:
        text += f"ArrayJobId={jobfacts.base_id(job)} ArrayTaskId={expression} "
        if job.request.array is not None and job.request.array.throttle:
            text += f"ArrayTaskThrottle={job.request.array.throttle} "
    return f"{text}JobName={job.request.name}"


def _state(job: Job) -> str:
    return job.state.value


def _reason(job: Job) -> str:
    return jobfacts.reason_text(job).replace(" ", "_")


def _times(job: Job, view: View) -> Lines:
    clock, now, request = view.clock, view.now, job.request
    time_min = durations.long(request.time_min_seconds) if request.time_min_seconds else "N/A"
    suspended = "None" if job.suspended_at is None else clock.stamp(job.suspended_at)
    eligible = jobfacts.eligible_at(job)
    accrued = None if job.restarts and job.state in WAITING else eligible
    return [
        f"RunTime={durations.long(jobfacts.run_seconds(job, now))} "
        f"TimeLimit={durations.long_limit(job.time_limit_seconds)} TimeMin={time_min}",
        f"SubmitTime={clock.stamp(job.submitted_at)} EligibleTime={clock.stamp(eligible, 'Unknown')}",
        f"AccrueTime={clock.stamp(accrued, 'Unknown')}",
        f"StartTime={clock.stamp(view.start_at(job), 'Unknown')} "
        f"EndTime={clock.stamp(view.end_at(job), 'Unknown')} Deadline={clock.stamp(request.deadline_at)}",
        f"SuspendTime={suspended} SecsPreSuspend={int(job.suspended_seconds)} "
        f"LastSchedEval={clock.stamp(job.started_at or job.submitted_at)} Scheduler=Main",
    ]


def _places(job: Job, size: sizes.Sizes, view: View) -> Lines:
    component = job.request.component
    asked = hostlist.compress(list(component.node_list)) or "(null)"
    excluded = hostlist.compress(list(component.exclude)) or "(null)"
    lines = [
        f"Partition={_partitions(job)} AllocNode:Sid={job.request.submit_host or 'localhost'}:0",
        f"ReqNodeList={asked} ExcNodeList={excluded}",
        f"NodeList={hostlist.compress([share.node for share in job.nodes])}"
        + (f" SchedNodeList={scheduled}" if (scheduled := view.scheduled_nodes(job)) else ""),
    ]
    if job.nodes:
        lines.append(f"BatchHost={job.nodes[0].node}")
    sockets, cores, threads = sizes.geometry(component)
    shape = f"0:0:{cores if cores is not None else '*'}:{threads if threads is not None else '*'}"
    per_core = component.tasks_per_core if component.tasks_per_core is not None else "*"
    per_socket = component.tasks_per_socket if component.tasks_per_socket is not None else "*"
    requested = sizes.tres_text(size.tres) or "(null)"
    held = sizes.tres_text(sizes.allocated(job)) if job.nodes else "(null)"
    return [
        *lines,
        f"NumNodes={size.nodes_text} NumCPUs={size.cpus} NumTasks={jobfacts.task_count(job, size.tasks)} "
        f"CPUs/Task={size.cpus_per_task} ReqB:S:C:T={shape}",
        f"ReqTRES={requested}",
        f"AllocTRES={held}",
        f"Socks/Node={sockets if sockets is not None else '*'} "
        f"NtasksPerN:B:S:C={component.tasks_per_node or 0}:0:{per_socket}:{per_core} CoreSpec=*",
    ]


def _partitions(job: Job) -> str:
    asked = job.request.component.partitions
    return ",".join(asked) if job.state in WAITING and len(asked) > 1 else job.partition


def _allocation(job: Job) -> Lines:
    """-d: what each node gives. The devices are those that the job sees."""
    totals: dict[str, int] = {}
    nodes: Lines = []
    for share in job.nodes:
        gres = []
        for name, kind, devices in share.gres:
            label = f"{name}:{kind}" if kind else name
            totals[label] = totals.get(label, 0) + len(devices)
            gres.append(f"{label}:{len(devices)}(IDX:{sizes.spans(devices)})")
        cpus = f"0-{share.cpus - 1}" if share.cpus > 1 else "0"
        nodes.append(f"  Nodes={share.node} CPU_IDs={cpus} Mem={share.memory_mib} GRES={','.join(gres)}")
    return [f"JOB_GRES={','.join(f'{label}:{count}' for label, count in totals.items()) or '(null)'}", *nodes]


def _files_and_wishes(job: Job) -> Lines:
    request, component = job.request, job.request.component
    recorded = dict(request.recorded)
    told = jobfacts.system_comment(job)
    lines = [f"SystemComment={told}"] if told else []
    lines += [f"Comment={request.comment}"] if request.comment is not None else []
    if "extra" in recorded:
        lines.append(f"Extra={recorded['extra']}")
    lines += [
        f"StdErr={filenames.stderr_path(job) or ''}",
        f"StdIn={filenames.stdin_path(job)}",
        f"StdOut={filenames.stdout_path(job)}",
    ]
    wishes = {
        "SpreadJob": "Yes" if "spread-job" in recorded else None,
        "SegmentSize": recorded.get("segment"),
        "Switches": _switches(recorded.get("switches")),
        "OOMKillStep": recorded.get("oom-kill-step"),
        "CpusPerTres": sizes.per_gpu(component.cpus_per_gpu),
        "MemPerTres": sizes.per_gpu(component.memory_per_gpu_mib),
        "TresBind": recorded.get("tres-bind"),
        "TresPerJob": sizes.gres_text(component.gres_per_job),
        "TresPerNode": sizes.gres_text(component.gres_per_node),
        "TresPerSocket": sizes.gres_text(component.gres_per_socket),
        "TresPerTask": sizes.per_task(component),
        "NtasksPerTRES": component.tasks_per_gpu,
    }
    lines += [f"{name}={text}" for name, text in wishes.items() if text]
    if request.mail_types:
        lines.append(f"MailUser={request.mail_user or request.user} MailType={','.join(request.mail_types)}")
    if request.kill_on_invalid_dependency is not None:
        lines.append(f"KillOnInvalidDependent={'Yes' if request.kill_on_invalid_dependency else 'No'}")
    if "container" in recorded or "container-id" in recorded:
        bundle, identifier = recorded.get("container"), recorded.get("container-id")
        lines.append(f"Container={bundle or '(null)'} ContainerID={identifier or '(null)'}")
    return lines


def _flag(text: str | None) -> int:
    return 0 if text in (None, "0") else 1


def _delay_boot(minutes: str | None) -> str:
    return durations.long_limit(values.time_limit(minutes)) if minutes else "00:00:00"


def _switches(text: str | None) -> str | None:
    """`1@00:05:00`: how many, and how long they are waited for, here as in Slurm at most five minutes."""
    if not text:
        return None
    count, at, wait = text.partition("@")
    seconds = min(LONGEST_SWITCH_WAIT_SECONDS, values.duration(wait)) if at else LONGEST_SWITCH_WAIT_SECONDS
    return f"{count}@{durations.long(seconds)}"


# ── nodes ─────────────────────────────────────────────────────────────────────────────────────────


def node(use: NodeUse, view: View, *, details: bool = False) -> Lines:
    node, site, host = use.node, view.site, use.node.host
    partitions = ",".join(partition.name for partition in site.partitions if node.name in partition.nodes)
    features = ",".join(node.features) or "(null)"
    name, address = (host.name, host.address) if host is not None else (node.name, node.name)
    load = "N/A" if (seen := load_of(use)) is None else f"{seen:.2f}"
    free = "N/A" if (seen_free := free_memory_of(use)) is None else seen_free
    boot = view.clock.stamp(host.boot_at if host is not None else None, "None")
    since = view.clock.stamp(host.agent_started_at if host is not None else None, "None")
    busy = view.clock.stamp(use.last_busy_at or (host.agent_started_at if host is not None else None), "Unknown")
    lines = [
        f"NodeName={node.name} Arch={(host.architecture if host is not None else '') or 'x86_64'} "
        f"CoresPerSocket={node.cores_per_socket} ",
        f"CPUAlloc={use.cpus} CPUEfctv={node.cpus} CPUTot={node.cpus} CPULoad={load}",
        f"AvailableFeatures={features}",
        f"ActiveFeatures={features}",
        f"Gres={gres_of(node)}",
        *(["GresDrain=N/A", f"GresUsed={gres_used(use)}"] if details else []),
        f"NodeAddr={address} NodeHostName={name} Version={VERSION}",
        *([f"OS={host.system} "] if host is not None and host.system else []),
        f"RealMemory={node.memory_mib} AllocMem={use.memory_mib} FreeMem={free} Sockets={node.sockets} Boards=1",
        f"State={node_states.complete(use)} ThreadsPerCore={node.threads_per_core} TmpDisk={node.temporary_disk_mib} "
        f"Weight={node.weight} Owner=N/A MCS_label=N/A",
        f"Partitions={partitions} ",
        f"BootTime={boot} SlurmdStartTime={since}",
        f"LastBusyTime={busy} ResumeAfterTime=None",
        f"CfgTRES={node_tres(node)}",
        f"AllocTRES={use_tres(use)}",
        "CurrentWatts=0 AveWatts=0",
    ]
    if node.reason:
        lines.append(f"Reason={node.reason} [{node.reason_by or 'root'}@{view.clock.stamp(node.reason_at, 'Unknown')}]")
    if use.reservation:
        lines.append(f"ReservationName={use.reservation}")
    return lines


def load_of(use: NodeUse) -> float | None:
    """None: nobody has seen the machine."""
    return use.node.host.load if use.node.host is not None else None


def free_memory_of(use: NodeUse) -> int | None:
    """MiB, as the machine's system says, whatever jobs have booked."""
    return use.node.host.free_memory_mib if use.node.host is not None else None


def gres_of(node: Node) -> str:
    """`gpu:a100:4`."""
    return (
        ",".join(f"{name}:{kind}:{count}" if kind else f"{name}:{count}" for name, kind, count in node.gres) or "(null)"
    )


def gres_used(use: NodeUse) -> str:
    """`gpu:a100:2(IDX:0-1)`."""
    taken: dict[tuple[str, str | None], list[int]] = {}
    for name, kind, devices in use.devices:
        taken.setdefault((name, kind), []).extend(devices)
    parts = []
    for name, kind, _ in use.node.gres:
        mine = taken.get((name, kind), [])
        label = f"{name}:{kind}" if kind else name
        parts.append(f"{label}:{len(mine)}(IDX:{sizes.spans(mine) if mine else 'N/A'})")
    return ",".join(parts)


def node_tres(node: Node) -> str:
    amounts = [("cpu", node.cpus), ("mem", node.memory_mib), ("billing", node.cpus), *_gres_counts(node.gres)]
    return sizes.tres_text(tuple(amounts))


def _gres_counts(gres: Sequence[tuple[str, str | None, int]]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for name, _, count in gres:
        counts[f"gres/{name}"] = counts.get(f"gres/{name}", 0) + count
    return list(counts.items())


def use_tres(use: NodeUse) -> str:
    amounts = [("cpu", use.cpus), ("mem", use.memory_mib), *_gres_counts(use.gres)]
    return sizes.tres_text(tuple((name, amount) for name, amount in amounts if amount))


# ── partitions ────────────────────────────────────────────────────────────────────────────────────


def partition(partition: Partition, nodes: Sequence[Node], site: Site) -> Lines:
    inside = [node for node in nodes if node.name in partition.nodes]
    cpus = sum(node.cpus for node in inside)
    default_time = partition.default_time_seconds
    return [
        f"PartitionName={partition.name}",
        f"AllowGroups={_names(partition.allow_groups)} AllowAccounts={_names(partition.allow_accounts)} AllowQos=ALL",
        f"AllocNodes=ALL Default={'YES' if partition.is_default else 'NO'} QoS=N/A",
        f"DefaultTime={durations.long(default_time) if default_time is not None else 'NONE'} DisableRootJobs=NO "
        "ExclusiveUser=NO ExclusiveTopo=NO GraceTime=0 Hidden=NO",
        f"MaxNodes={_or_unlimited(partition.max_nodes)} MaxTime={_time_or_unlimited(partition.max_time_seconds)} "
        f"MinNodes={partition.min_nodes} LLN=NO MaxCPUsPerNode={_or_unlimited(partition.max_cpus_per_node)} "
        "MaxCPUsPerSocket=UNLIMITED",
        f"Nodes={hostlist.compress(list(partition.nodes))}",
        f"PriorityJobFactor=1 PriorityTier={partition.priority_tier} RootOnly=NO ReqResv=NO "
        f"OverSubscribe={oversubscribe(partition)}",
        "OverTimeLimit=NONE PreemptMode=OFF",
        f"State={partition.state} TotalCPUs={cpus} TotalNodes={len(inside)} SelectTypeParameters=NONE",
        "JobDefaults=(null)",
        f"{_default_memory(partition, site)} MaxMemPerNode={_or_unlimited(partition.max_memory_per_node_mib)}",
        f"TRES={partition_tres(inside)}",
    ]


def partition_tres(inside: Sequence[Node]) -> str:
    cpus, memory = sum(node.cpus for node in inside), sum(node.memory_mib for node in inside)
    tres = [("cpu", cpus), ("mem", memory), ("node", len(inside)), ("billing", cpus)]
    return sizes.tres_text((*tres, *_gres_counts([gres for node in inside for gres in node.gres])))


def _default_memory(partition: Partition, site: Site) -> str:
    """What the partition says itself; the cluster's default stands in `show config`."""
    per_cpu, per_node = partition.default_memory_per_cpu_mib, partition.default_memory_per_node_mib
    if per_cpu is not None and per_cpu != site.default_memory_per_cpu_mib:
        return f"DefMemPerCPU={per_cpu}"
    if per_node is not None and per_node != site.default_memory_per_node_mib:
        return f"DefMemPerNode={per_node}"
    return "DefMemPerNode=UNLIMITED"


def oversubscribe(partition: Partition) -> str:
    return "EXCLUSIVE" if partition.whole_nodes else "YES:4" if partition.oversubscribe else "NO"


def _names(names: tuple[str, ...] | None) -> str:
    return "ALL" if names is None else ",".join(names)


def _or_unlimited(number: int | None) -> str:
    return "UNLIMITED" if number is None else str(number)


def _time_or_unlimited(seconds: int | None) -> str:
    return "UNLIMITED" if seconds is None else durations.long_limit(seconds)


# ── licences and steps ────────────────────────────────────────────────────────────────────────────


def license_lines(name: str, total: int, used: int) -> Lines:
    return [f"LicenseName={name}", f" Total={total} Used={used} Free={total - used} Reserved=0 Remote=no"]


def step(owner: Job, row: Step | None, view: View) -> Lines:
    """A step of srun; None: the batch script, which counts no CPUs of its own."""
    name = "batch" if row is None else row.name
    step_id = "batch" if row is None else str(row.step_id)
    nodes = [owner.nodes[0].node] if row is None else list(row.node_list)
    cpus, tasks = (0, 1) if row is None else (row.cpus, row.tasks)
    start = owner.started_at if row is None else row.started_at
    return [
        f"StepId={jobfacts.display_id(owner)}.{step_id} UserId={owner.request.uid} "
        f"StartTime={view.clock.stamp(start, 'Unknown')} TimeLimit=UNLIMITED",
        f"State={owner.state.value} Partition={owner.partition} NodeList={hostlist.compress(nodes)}",
        f"Nodes={len(nodes)} CPUs={cpus} Tasks={tasks} Name={name} Network=(null)",
        f"TRES={'(null)' if row is None else step_tres(owner, row)}",
        "ResvPorts=(null)",
        "CPUFreqReq=Default",
        "SrunHost:Pid=(null):0",
    ]


def step_tres(owner: Job, row: Step) -> str:
    """A step may use all the memory that its job has on the step's nodes."""
    memory_mib = sum(share.memory_mib for share in owner.nodes if share.node in row.node_list)
    amounts = [("cpu", row.cpus), ("mem", memory_mib), ("node", len(row.node_list))]
    return sizes.tres_text(tuple((name, amount) for name, amount in amounts if amount))
