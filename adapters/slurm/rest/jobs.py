"""A job as slurmrestd's `jobs` shows it (also `squeue --json`): the shape, and where each value comes from."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from adapters.slurm import filenames, hostlist, jobfacts, sizes
from adapters.slurm.rest import job_words
from adapters.slurm.rest.job_record import EXIT_CODE, JOB, RESOURCES
from adapters.slurm.rest.shapes import (
    INFINITE,
    VERSIONS,
    Encoder,
    Fixed,
    Value,
    Written,
    dump,
)
from adapters.slurm.squeue_columns import View, node_list
from bridge.core import placement
from bridge.core.job import WAITING, Job, JobState
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS, Component, JobRequest, Origin

# ── values ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Facts:
    """A job beside what is worked out of it once."""

    job: Job
    request: JobRequest
    component: Component
    asked: sizes.Sizes
    size: sizes.Sizes
    view: View
    recorded: Mapping[str, str]


def facts_of(job: Job, view: View) -> Facts:
    request = job.request
    component = request.component
    site = view.site
    largest = view.fleet.largest.get(job.partition, (0, 0))
    asked = sizes.asked_for(component, site.partition(job.partition), largest, job.priority == 0)
    size = sizes.of(job, site, view.fleet) if job.nodes else asked
    return Facts(job, request, component, asked, size, view, dict(request.recorded) if request.recorded else {})


def _moment(at: float | None) -> int:
    """0 stands for never and unknown."""
    return 0 if at is None else int(at)


def _accrued(f: Facts) -> int:
    job = f.job
    if job.eligible_at is None or (job.restarts and job.state in WAITING):
        return 0
    return int(job.eligible_at)


@lru_cache(maxsize=1024)
def exit_code(status: int, signal_number: int) -> Mapping[str, Any]:
    """As the shell's wait status is told: a signal hides the status."""
    if signal_number:
        return {
            "status": ["SIGNALED"],
            "return_code": None,
            "signal": {"id": signal_number, "name": signal_name(signal_number)},
        }
    return {
        "status": ["ERROR" if status else "SUCCESS"],
        "return_code": status,
        "signal": {"id": None, "name": ""},
    }


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)


@lru_cache(maxsize=1024)
def _exit_code_text(status: int, signal_number: int) -> str:
    return dump(EXIT_CODE.plain(exit_code(status, signal_number), VERSIONS[-1]))


def _end(f: Facts) -> str:
    end = f.job.end
    return _exit_code_text(end.exit_status, end.signal) if end is not None else _exit_code_text(0, 0)


def _step_id(f: Facts) -> str:
    number = jobfacts.raw_id(f.job)
    return (
        f'{{"sluid":"s{f.job.id:014X}","job_id":{{"set":true,"infinite":false,"number":{number}}},'
        '"step_het_component":{"set":false,"infinite":false,"number":0},"step_id":"entire"}'
    )


_STOPPED = {
    "requeue": ("PENDING", "REQUEUED"),
    "requeue_hold": ("PENDING", "REQUEUED"),
    "special_exit": ("PENDING", "SPECIAL_EXIT"),
    "node_fail": ("NODE_FAIL",),
    "give_up": ("PENDING", "REQUEUED"),
}


def states(job: Job) -> tuple[str, ...]:
    """The base state, then the flags that hide it elsewhere."""
    match job.state:
        case JobState.COMPLETING:
            kind = job.stop.kind if job.stop is not None else "cancel"
            return (*_STOPPED.get(kind, ("CANCELLED",)), "COMPLETING")
        case JobState.CONFIGURING:
            return ("RUNNING", "CONFIGURING")
        case JobState.SPECIAL_EXIT:
            return ("PENDING", "SPECIAL_EXIT")
        case _:
            return (job.state.value,)


def _flags(f: Facts) -> tuple[str, ...]:
    job, request, component = f.job, f.request, f.component
    found = []
    if request.kill_on_invalid_dependency is not None:
        found.append("KILL_INVALID_DEPENDENCY" if request.kill_on_invalid_dependency else "NO_KILL_INVALID_DEPENDENCY")
    if component.tasks is not None:
        found.append("EXACT_TASK_COUNT_REQUESTED")
    if component.cpus_per_task is not None and request.origin is not Origin.HTTP:
        found.append("EXACT_CPU_COUNT_REQUESTED")  # sbatch sets it, slurmrestd does not
    if job.state is JobState.RUNNING:
        found.append("JOB_WAS_RUNNING")
    if component.memory_per_cpu_mib is not None or component.memory_per_node_mib is not None:
        found.append("EXACT_MEMORY_REQUESTED")
    if "account" in request.left_open:
        found.append("USING_DEFAULT_ACCOUNT")
    if not component.partitions:
        found.append("USING_DEFAULT_PARTITION")
    if "qos" in request.left_open:
        found.append("USING_DEFAULT_QOS")
    if request.wckey is None:
        found.append("USING_DEFAULT_WCKEY")
    if not job.nodes and (job.priority == 0 or job.dependency_text):
        found.append("DEPENDENT")
    if not component.partitions:
        found.append("PARTITION_ASSIGNED")
    return tuple(found)


def _resources(f: Facts) -> Mapping[str, Any]:
    """CPUs are counted here, not pinned to cores: no core is named."""
    nodes = f.job.nodes
    return {
        "select_type": ["CPU", "MEMORY"],
        "nodes": {
            "count": len(nodes),
            "select_type": ["AVAILABLE"],
            "list": node_list(f.job),
            "whole": f.component.exclusive == "node",
            "allocation": [
                {
                    "index": index,
                    "name": share.node,
                    "cpus": {"count": share.cpus, "used": 0},
                    "memory": {"used": 0, "allocated": share.memory_mib},
                    "sockets": [],
                }
                for index, share in enumerate(nodes)
            ],
        },
        "cpus": sum(share.cpus for share in nodes),
        "threads_per_core": f.component.threads_per_core,
    }


def _resources_text(f: Facts) -> str:
    return dump(RESOURCES.plain(_resources(f), VERSIONS[-1])) if f.job.nodes else "null"


def _gres_detail(f: Facts) -> list[str]:
    """For each node: `gpu:a100:2(IDX:0-1)`."""
    found = []
    for share in f.job.nodes:
        parts = [
            f"{name}:{kind}:{len(devices)}(IDX:{sizes.spans(devices)})"
            if kind
            else f"{name}:{len(devices)}(IDX:{sizes.spans(devices)})"
            for name, kind, devices in share.gres
        ]
        if parts:
            found.append(",".join(parts))
    return found


def _association_id(f: Facts) -> int:
    found = f.view.association(f.job)
    return 0 if found is None else found.id


def _max_nodes(f: Facts) -> int:
    component = f.component
    if component.nodes_min is not None or component.node_sizes:
        return f.asked.nodes_max
    if (component.cpus_per_task or 1) > 1 or component.tasks_per_node:
        return 0  # how many there can be follows from the nodes
    return f.asked.nodes if f.job.priority == 0 and f.job.state in WAITING else 0


def minutes(seconds: int | None) -> float | None:
    """Rounded up, as Slurm keeps limits."""
    if seconds is None:
        return None
    return INFINITE if seconds >= UNLIMITED_SECONDS else (seconds + 59) // 60


def _sharing(f: Facts) -> tuple[str, ...]:
    if f.component.exclusive is not None:
        return ("none" if f.component.exclusive == "node" else f.component.exclusive,)
    return ("oversubscribe",) if f.component.oversubscribe else ()


def _exclusive_of_old(f: Facts) -> tuple[str, ...]:
    """v0.0.41 has a word of its own for whole nodes."""
    if f.component.exclusive is None:
        return ("false",) if f.component.oversubscribe else ()
    return ("true" if f.component.exclusive == "node" else f.component.exclusive,)


def _was_read_by_sbatch(request: JobRequest) -> bool:
    """sbatch itself names /dev/null and copies --cpus-per-task into the TRES of a task; slurmrestd does neither."""
    return request.submit_line is not None


def standard_input(request: JobRequest) -> str:
    return request.files.stdin or ("/dev/null" if _was_read_by_sbatch(request) else "")


def stdin_expanded(f: Facts) -> str:
    return filenames.stdin_path(f.job) if f.request.files.stdin else standard_input(f.request)


def per_task(request: JobRequest) -> str:
    if _was_read_by_sbatch(request):
        return sizes.per_task(request.component) or ""
    return sizes.gres_text(request.component.gres_per_task) or ""


def _allocated_licenses(f: Facts) -> str:
    return (f.component.licenses or "") if f.job.nodes and not f.job.is_final else ""


def _state_reason(f: Facts) -> str:
    if f.job.reason is Reason.NODES_NOT_AVAILABLE and f.job.reason_detail != placement.RESERVED:
        return Reason.RESOURCES.value
    return f.job.reason.value


_TEXT_BESIDE = frozenset({Reason.RAISED_SIGNAL, Reason.NODES_NOT_AVAILABLE})
"""Reasons of which more is told than their word."""


def _state_description(f: Facts) -> str:
    return jobfacts.reason_text(f.job) if f.job.reason in _TEXT_BESIDE else ""


def partition(f: Facts) -> str:
    asked = f.component.partitions
    return ",".join(asked) if f.job.state in WAITING and len(asked) > 1 else f.job.partition


def _recorded(name: str) -> Value:
    return lambda f: f.recorded.get(name, "")


_VALUES: Mapping[str, Value] = {
    "account": lambda f: f.request.account,
    "accrue_time": _accrued,
    "admin_comment": _recorded("admin-comment"),
    "allocating_node": lambda f: f.request.submit_host or "localhost",
    "array_job_id": lambda f: jobfacts.base_id(f.job) if f.request.array is not None else 0,
    "array_task_id": lambda f: f.job.task_index,
    "array_max_tasks": lambda f: (f.request.array.throttle or 0) if f.request.array is not None else 0,
    "array_task_string": lambda f: (
        (jobfacts.task_expression(f.job, jobfacts.TASK_EXPRESSION_LENGTH) or "") if f.job.task_index is None else ""
    ),
    "association_id": _association_id,
    "batch_features": _recorded("batch"),
    "batch_flag": Fixed(True),
    "batch_host": lambda f: f.job.nodes[0].node if f.job.nodes else "",
    "flags": _flags,
    "burst_buffer": _recorded("bb"),
    "burst_buffer_state": Fixed(""),
    "cluster": lambda f: f.view.site.cluster_name,
    "cluster_features": _recorded("cluster-constraint"),
    "command": lambda f: f.request.program.command,
    "comment": lambda f: f.request.comment,
    "system_comment": lambda f: jobfacts.system_comment(f.job),
    "container": _recorded("container"),
    "container_id": _recorded("container-id"),
    "contiguous": lambda f: "contiguous" in f.recorded,
    "core_spec": Fixed(0),
    "thread_spec": Fixed(0x7FFE),  # Slurm's "none", with the bit that tells threads from cores taken off
    "cores_per_socket": lambda f: f.component.cores_per_socket,
    "billable_tres": lambda f: sum(share.cpus for share in f.job.nodes) if f.job.nodes else None,
    "cpus_per_task": lambda f: f.asked.cpus_per_task,
    "cpu_frequency_minimum": Fixed(None),
    "cpu_frequency_maximum": Fixed(None),
    "cpu_frequency_governor": Fixed(None),
    "cpus_per_tres": lambda f: sizes.per_gpu(f.component.cpus_per_gpu),
    "cron": Fixed(""),
    "deadline": lambda f: _moment(f.request.deadline_at),
    "delay_boot": Fixed(0),
    "dependency": lambda f: f.job.dependency_text,
    "derived_exit_code": Written(lambda f: _exit_code_text(f.job.derived_exit_status, 0)),
    "eligible_time": lambda f: _moment(jobfacts.eligible_at(f.job)),
    "end_time": lambda f: _moment(f.view.end_at(f.job)),
    "excluded_nodes": lambda f: hostlist.compress(list(f.component.exclude)) if f.component.exclude else "",
    "exit_code": Written(_end),
    "extra": _recorded("extra"),
    "failed_node": lambda f: jobfacts.failed_node(f.job),
    "features": lambda f: f.component.constraint,
    "federation_origin": Fixed(""),
    "federation_siblings_active": Fixed(""),
    "federation_siblings_viable": Fixed(""),
    "gres_detail": _gres_detail,
    "group_id": lambda f: f.request.gid,
    "group_name": lambda f: f.view.group_of(f.request.gid),
    "het_job_id": Fixed(0),
    "het_job_id_set": Fixed(""),
    "het_job_offset": Fixed(0),
    "job_id": lambda f: jobfacts.raw_id(f.job),
    "job_resources": Written(_resources_text),
    "job_size_str": Fixed([]),
    "job_state": lambda f: states(f.job),
    "last_sched_evaluation": lambda f: _moment(f.job.started_at or f.job.submitted_at),
    "licenses": lambda f: f.component.licenses,
    "licenses_allocated": _allocated_licenses,
    "mail_type": lambda f: mail_words(f.request.mail_types),
    "mail_user": lambda f: f.request.mail_user or f.request.user,
    "max_cpus": Fixed(0),
    "max_nodes": _max_nodes,
    "mcs_label": _recorded("mcs-label"),
    "memory_per_tres": lambda f: sizes.per_gpu(f.component.memory_per_gpu_mib),
    "name": lambda f: f.request.name,
    "network": _recorded("network"),
    "nodes": lambda f: node_list(f.job),
    "nice": lambda f: f.request.nice,
    "tasks_per_core": lambda f: f.component.tasks_per_core or INFINITE,
    "tasks_per_tres": lambda f: f.component.tasks_per_gpu or 0,
    "tasks_per_node": lambda f: f.component.tasks_per_node or 0,
    "tasks_per_socket": lambda f: f.component.tasks_per_socket or INFINITE,
    "tasks_per_board": Fixed(0),
    "cpus": lambda f: f.size.cpus,
    "node_count": lambda f: f.size.nodes,
    "tasks": lambda f: f.size.tasks,
    "partition": partition,
    "prefer": lambda f: f.component.prefer,
    "memory_per_cpu": lambda f: f.asked.memory_mib if f.asked.memory_kind == "CPU" else None,
    "memory_per_node": lambda f: None if f.asked.memory_kind == "CPU" else f.asked.memory_mib,
    "minimum_cpus_per_node": lambda f: f.asked.cpus_per_node_min,
    "minimum_tmp_disk_per_node": lambda f: f.component.temporary_disk_mib or 0,
    "power": Fixed({"flags": []}),
    "preempt_time": Fixed(0),
    "preemptable_time": Fixed(0),
    "pre_sus_time": lambda f: int(f.job.suspended_seconds),
    "hold": lambda f: f.job.priority == 0,
    "priority": lambda f: f.job.priority,
    "priority_by_partition": Fixed([]),
    "profile": Fixed(["NOT_SET"]),
    "qos": lambda f: f.request.qos or "normal",
    "reboot": Fixed(False),
    "required_nodes": lambda f: hostlist.compress(list(f.component.node_list)) if f.component.node_list else "",
    "required_switches": Fixed(0),
    "requeue": lambda f: f.request.requeue is not False,
    "resize_time": Fixed(0),
    "restart_cnt": lambda f: f.job.restarts,
    "resv_name": lambda f: f.request.reservation,
    "scheduled_nodes": lambda f: f.view.scheduled_nodes(f.job),
    "segment_size": Fixed(0),
    "selinux_context": _recorded("context"),
    "shared": _sharing,
    "step_id": Written(_step_id),
    "sockets_per_board": Fixed(0),
    "sockets_per_node": lambda f: f.component.sockets_per_node,
    "start_time": lambda f: _moment(f.view.start_at(f.job)),
    "state_description": _state_description,
    "state_reason": _state_reason,
    "standard_input": lambda f: standard_input(f.request),
    "standard_output": lambda f: f.request.files.stdout or filenames.default_output(f.job),
    "standard_error": lambda f: f.request.files.stderr,
    "stdin_expanded": stdin_expanded,
    "stdout_expanded": lambda f: filenames.stdout_path(f.job),
    "stderr_expanded": lambda f: filenames.stderr_path(f.job),
    "submit_time": lambda f: int(f.job.submitted_at),
    "submit_line": lambda f: f.request.submit_line,
    "suspend_time": lambda f: _moment(f.job.suspended_at),
    "time_limit": lambda f: minutes(f.job.time_limit_seconds),
    "time_minimum": lambda f: minutes(f.request.time_min_seconds) or 0,
    "threads_per_core": lambda f: f.component.threads_per_core,
    "tres_bind": _recorded("tres-bind"),
    "tres_freq": _recorded("gpu-freq"),
    "tres_per_job": lambda f: sizes.gres_text(f.component.gres_per_job),
    "tres_per_node": lambda f: sizes.gres_text(f.component.gres_per_node),
    "tres_per_socket": lambda f: sizes.gres_text(f.component.gres_per_socket),
    "tres_per_task": lambda f: per_task(f.request),
    "tres_req_str": lambda f: sizes.tres_text(f.asked.tres),
    "tres_alloc_str": lambda f: sizes.tres_text(sizes.allocated(f.job)) if f.job.nodes else "",
    "user_id": lambda f: f.request.uid,
    "user_name": lambda f: f.request.user,
    "maximum_switch_wait_time": Fixed(0),
    "wckey": lambda f: f.request.wckey,
    "current_working_directory": lambda f: f.request.working_directory,
    "minimum_switches": Fixed(0),
    "exclusive": _exclusive_of_old,
    "oversubscribe": lambda f: f.component.exclusive != "node",
    "show_flags": Fixed([]),
}


_MAIL_WORDS = {
    "TIME_LIMIT": "TIME=100%",
    "TIME_LIMIT_90": "TIME=90%",
    "TIME_LIMIT_80": "TIME=80%",
    "TIME_LIMIT_50": "TIME=50%",
    "INVALID_DEPEND": "INVALID_DEPENDENCY",
}
_MAIL_ALL = ("BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT", "INVALID_DEPENDENCY")


def mail_words(types: tuple[str, ...]) -> tuple[str, ...]:
    """sbatch's words for occasions in slurmrestd's spelling and order."""
    if not types:
        return ()
    met: set[str] = set()
    for one in types:
        if one == "ALL":
            met.update(_MAIL_ALL)
        elif one != "NONE":
            met.add(_MAIL_WORDS.get(one, one))
    return tuple(known for known in job_words.MAIL.of.words if known in met)


_EXPANDED: Mapping[str, Value] = {
    "standard_input": lambda f: filenames.stdin_path(f.job),
    "standard_output": lambda f: filenames.stdout_path(f.job),
    "standard_error": lambda f: filenames.stderr_path(f.job),
}
"""Before v0.0.43 brought fields of their own for it, files were named as they come out."""


_NO_RESOURCES: Mapping[str, Any] = {
    "select_type": (),
    "nodes": {"count": 0, "select_type": (), "list": "", "whole": False, "allocation": ()},
    "cpus": 0,
    "threads_per_core": None,
}
_NOTHING = dump(RESOURCES.plain(_NO_RESOURCES, VERSIONS[-1]))
_NEVER_NULL: Mapping[str, Value] = {
    "job_resources": Written(lambda f: _resources_text(f) if f.job.nodes else _NOTHING),
}
"""By its schema a job always has resources: clients made from the schema stumble over null."""


@lru_cache(maxsize=2 * len(VERSIONS))
def _encoder(version: int, with_null: bool) -> Encoder:
    values = {**_VALUES, **_EXPANDED} if version < 43 else _VALUES
    return Encoder(JOB, values if with_null else {**values, **_NEVER_NULL}, version)


def text(job: Job, view: View, version: int, *, with_null: bool = True) -> str:
    """One job as JSON. `with_null`: as Slurm's commands write the resources of a job that has none."""
    return _encoder(version, with_null)(facts_of(job, view))


def failed_kill(step: str, job_id: int | None, number: int, text: str) -> dict[str, Any]:
    """One job that a signal could not be sent to."""
    return {
        "error": {"string": text, "code": number, "message": text},
        "step_id": step,
        "job_id": job_id,
        "federation": {"sibling": ""},
    }


def listed_states(job: Job) -> list[dict[str, Any]]:
    """`jobs/state` names every task of an array, those that still wait too."""
    words = states(job)
    if job.task_index is not None:
        return [{"job_id": job.display_id, "state": words}]
    if job.waiting is not None:
        return [{"job_id": f"{job.id}_{index}", "state": words} for index in job.waiting]
    return [{"job_id": str(job.id), "state": words}]
