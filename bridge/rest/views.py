"""Our values as plain JSON objects: what this front end shows of a job, a node, a partition. Pure."""

from collections.abc import Sequence
from typing import Any

from adapters.slurm import filenames
from bridge.core import history
from bridge.core.job import Job, Share
from bridge.core.nodes import Partition
from bridge.core.reasons import SENTENCES
from bridge.core.report import Report
from bridge.core.request import UNLIMITED_SECONDS
from bridge.service.nodes import NodeView
from bridge.service.terms import Estimate
from bridge.store.records import HistoryRow


def job(found: Job) -> dict[str, Any]:
    """Times are epoch seconds (UTC); null: has not happened, or was not asked for."""
    request = found.request
    return {
        "id": found.display_id,
        "job_id": found.id,
        "array_id": found.id if found.is_array else found.array_id,
        "task_index": found.task_index,
        "waiting_tasks": None if found.waiting is None else str(found.waiting),
        "array_throttle": None if request.array is None else request.array.throttle,
        "name": request.name,
        "user": request.user,
        "uid": request.uid,
        "account": request.account,
        "qos": request.qos,
        "partition": found.partition,
        "origin": request.origin.value,
        "state": found.state.value,
        "is_final": found.is_final,
        "reason": found.reason.value,
        "reason_sentence": SENTENCES[found.reason],
        "reason_detail": found.reason_detail,
        "priority": found.priority,
        "is_held": found.priority == 0,
        "nice": request.nice,
        "submitted_at": found.submitted_at,
        "eligible_at": found.eligible_at,
        "begin_at": found.begin_at,
        "deadline_at": request.deadline_at,
        "started_at": found.started_at,
        "ended_at": found.ended_at,
        "time_limit_seconds": None if found.time_limit_seconds >= UNLIMITED_SECONDS else found.time_limit_seconds,
        "attempt": found.attempt,
        "restarts": found.restarts,
        "requeue": request.requeue,
        "dependency": found.dependency_text,
        "nodes": [_share(share) for share in found.nodes],
        "end": _end(found),
        "command": request.program.command,
        "arguments": list(request.program.arguments),
        "submit_line": request.submit_line,
        "working_directory": request.working_directory,
        "stdin": filenames.stdin_path(found),
        "stdout": filenames.stdout_path(found),
        "stderr": filenames.stderr_path(found) or filenames.stdout_path(found),
        "comment": request.comment,
    }


def _share(share: Share) -> dict[str, Any]:
    return {
        "name": share.node,
        "cpus": share.cpus,
        "memory_mib": share.memory_mib,
        "tasks": share.tasks,
        "gres": [{"name": name, "type": kind, "devices": list(devices)} for name, kind, devices in share.gres],
    }


def _end(found: Job) -> dict[str, Any] | None:
    end = found.end
    if end is None:
        return None
    return {
        "exit_status": end.exit_status,
        "signal": end.signal,
        "cause": end.cause,
        "detail": end.detail,
        "derived_exit_status": found.derived_exit_status,
        "max_rss_kib": end.max_rss_kib,
        "user_seconds": end.user_seconds,
        "system_seconds": end.system_seconds,
    }


def event(row: HistoryRow, name_of: history.NameOf) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "id": str(row.key),
        "at": row.at,
        "kind": row.kind,
        "state": row.state.value,
        "reason": row.reason.value,
        "attempt": row.attempt,
        "sentence": history.sentence(row, name_of),
    }


def report(found: Report) -> dict[str, Any]:
    return {
        "entries": [
            {
                "option": entry.text,
                "source": entry.source,
                "treatment": entry.treatment.value,
                "sentence": entry.sentence,
                "changes_results": entry.changes_results,
            }
            for entry in found.entries
        ],
        "warnings": list(found.warnings),
    }


def estimate(found: Estimate) -> dict[str, Any]:
    return {
        "start_at": found.start_at,
        "cpus": found.cpus,
        "nodes": list(found.node_list),
        "partition": found.partition,
    }


def node(view: NodeView) -> dict[str, Any]:
    found = view.node
    return {
        "name": found.name,
        "backend": found.backend,
        "state": found.state.value,
        "reason": found.reason,
        "reason_by": found.reason_by,
        "reason_at": found.reason_at,
        "cpus": found.cpus,
        "allocated_cpus": view.allocated_cpus,
        "memory_mib": found.memory_mib,
        "allocated_memory_mib": view.allocated_memory_mib,
        "gres": _gres(found.gres),
        "allocated_gres": _gres(view.allocated_gres),
        "features": list(found.features),
        "jobs": [str(key) for key in view.jobs],
    }


def _gres(found: Sequence[tuple[str, str | None, int]]) -> list[dict[str, Any]]:
    return [{"name": name, "type": kind, "count": count} for name, kind, count in found]


def partition(found: Partition) -> dict[str, Any]:
    return {
        "name": found.name,
        "backend": found.backend,
        "state": found.state,
        "is_default": found.is_default,
        "nodes": list(found.nodes),
        "max_time_seconds": found.max_time_seconds,
        "default_time_seconds": found.default_time_seconds,
        "min_nodes": found.min_nodes,
        "max_nodes": found.max_nodes,
        "max_cpus_per_node": found.max_cpus_per_node,
        "default_memory_per_cpu_mib": found.default_memory_per_cpu_mib,
        "default_memory_per_node_mib": found.default_memory_per_node_mib,
        "max_memory_per_node_mib": found.max_memory_per_node_mib,
        "allow_users": _list(found.allow_users),
        "allow_groups": _list(found.allow_groups),
        "allow_accounts": _list(found.allow_accounts),
        "priority_tier": found.priority_tier,
        "patience_seconds": found.patience_seconds,
        "whole_nodes": found.whole_nodes,
    }


def _list(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)
