"""`diag`: slurmctld's statistics, as far as a bridge has such a thing; what it does not count is 0."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.slurm.rest.envelope import answer
from adapters.slurm.rest.shapes import (
    BOOLEAN,
    INT32,
    INT64,
    STRINGS,
    TEXT,
    U64,
    Field,
    List,
    Record,
    Shape,
)
from bridge.core.cycles import Cycles

RPC_TYPE = Record(
    "stats_msg_rpc_type",
    {
        "type_id": INT32,
        "message_type": TEXT,
        "count": INT32,
        "queued": INT32,
        "dropped": INT64,
        "cycle_last": INT32,
        "cycle_max": INT32,
        "total_time": INT64,
        "average_time": U64,
    },
)
RPC_USER = Record(
    "stats_msg_rpc_user",
    {"user_id": INT32, "user": TEXT, "count": INT32, "total_time": INT64, "average_time": U64},
)
SCHEDULE_EXIT = Record(
    "schedule_exit_fields",
    dict.fromkeys(
        ("end_job_queue", "default_queue_depth", "max_job_start", "max_rpc_cnt", "max_sched_time", "licenses"), INT32
    ),
)
BACKFILL_EXIT = Record(
    "bf_exit_fields",
    dict.fromkeys(
        (
            *("end_job_queue", "bf_max_job_start", "bf_max_job_test", "bf_max_time", "bf_node_space_size"),
            "state_changed",
        ),
        INT32,
    ),
)
_LONG = frozenset(
    {"schedule_cycle_sum", "schedule_cycle_mean", "schedule_cycle_mean_depth", "schedule_cycle_per_minute"}
    | {"bf_cycle_mean", "bf_depth_mean", "bf_depth_mean_try", "bf_cycle_sum", "bf_queue_len_mean", "bf_table_size_mean"}
)
_BEFORE = (
    *("server_thread_count", "agent_queue_size", "agent_count", "agent_thread_count", "dbd_agent_queue_size"),
    *("gettimeofday_latency", "schedule_cycle_max", "schedule_cycle_last", "schedule_cycle_sum"),
    *("schedule_cycle_total", "schedule_cycle_mean", "schedule_cycle_mean_depth", "schedule_cycle_per_minute"),
    "schedule_cycle_depth",
)
_JOBS = (
    *("jobs_submitted", "jobs_started", "jobs_completed", "jobs_canceled", "jobs_failed", "jobs_pending"),
    "jobs_running",
)
_BACKFILL = (
    *("bf_backfilled_jobs", "bf_last_backfilled_jobs", "bf_backfilled_het_jobs", "bf_cycle_counter", "bf_cycle_mean"),
    *("bf_depth_mean", "bf_depth_mean_try", "bf_cycle_sum", "bf_cycle_last", "bf_cycle_max"),
)
_BACKFILL_QUEUE = (
    *("bf_last_depth", "bf_last_depth_try", "bf_depth_sum", "bf_depth_try_sum", "bf_queue_len"),
    *("bf_queue_len_mean", "bf_queue_len_sum", "bf_table_size", "bf_table_size_sum", "bf_table_size_mean"),
)
NUMBERS = (*_BEFORE, "schedule_queue_length", *_JOBS, *_BACKFILL, *_BACKFILL_QUEUE)


def _numbers(names: Sequence[str]) -> dict[str, Shape | Field]:
    return {name: INT64 if name in _LONG else INT32 for name in names}


STATISTICS = Record(
    "stats_msg",
    {
        "parts_packed": INT32,
        "req_time": U64,
        "req_time_start": U64,
        **_numbers(_BEFORE),
        "schedule_exit": SCHEDULE_EXIT,
        "schedule_queue_length": INT32,
        **_numbers(_JOBS),
        "job_states_ts": U64,
        **_numbers(_BACKFILL),
        "bf_exit": BACKFILL_EXIT,
        **_numbers(_BACKFILL_QUEUE),
        "bf_when_last_cycle": U64,
        "bf_active": BOOLEAN,
        "rpcs_by_message_type": List(RPC_TYPE),
        "rpcs_by_user": List(RPC_USER),
        "pending_rpcs": List(Record("stats_msg_rpc_queue", {"type_id": INT32, "message_type": TEXT, "count": INT32})),
        "pending_rpcs_by_hostlist": List(
            Record("stats_msg_rpc_dump", {"type_id": INT32, "message_type": TEXT, "count": STRINGS})
        ),
    },
)
ANSWER = answer("openapi_diag_resp", {"statistics": STATISTICS})

MESSAGES: Mapping[str, tuple[int, str]] = {
    "slurm_get_ping": (1008, "REQUEST_PING"),
    "slurm_get_licenses": (1021, "REQUEST_LICENSE_INFO"),
    "slurm_get_jobs": (2003, "REQUEST_JOB_INFO"),
    "slurm_get_nodes": (2007, "REQUEST_NODE_INFO"),
    "slurm_get_partitions": (2009, "REQUEST_PARTITION_INFO"),
    "slurm_get_job": (2021, "REQUEST_JOB_INFO_SINGLE"),
    "slurm_get_shares": (2022, "REQUEST_SHARE_INFO"),
    "slurm_get_reservations": (2024, "REQUEST_RESERVATION_INFO"),
    "slurm_get_diag": (2035, "REQUEST_STATS_INFO"),
    "slurm_get_node": (2040, "REQUEST_NODE_INFO_SINGLE"),
    "slurm_get_jobs_state": (2057, "REQUEST_JOB_STATE"),
    "slurm_post_job": (3001, "REQUEST_UPDATE_JOB"),
    "slurm_post_node": (3002, "REQUEST_UPDATE_NODE"),
    "slurm_post_job_submit": (4003, "REQUEST_SUBMIT_BATCH_JOB"),
    "slurm_delete_job": (5041, "REQUEST_KILL_JOBS"),
    "slurm_delete_jobs": (5041, "REQUEST_KILL_JOBS"),
}
"""What slurmrestd would send to slurmctld for each operation: (number, name)."""


def counted(jobs: Mapping[str, int], cycles: Cycles) -> dict[str, int]:
    """`jobs`: what happened to jobs, by the second half of the fields' names."""
    return {
        **{f"jobs_{name}": number for name, number in jobs.items()},
        "schedule_cycle_last": cycles.last,
        "schedule_cycle_max": cycles.longest,
        "schedule_cycle_total": cycles.count,
        "schedule_cycle_sum": cycles.total,
        "schedule_cycle_mean": cycles.total // max(1, cycles.count),
        "schedule_cycle_mean_depth": cycles.depth // max(1, cycles.count),
        "schedule_queue_length": cycles.queue_length,
    }


def rpc_type(operation: str, calls: int, microseconds: int) -> dict[str, Any] | None:
    """None for what no message is sent for."""
    if operation not in MESSAGES:
        return None
    number, name = MESSAGES[operation]
    return {
        "type_id": number,
        "message_type": name,
        "count": calls,
        "queued": 0,
        "dropped": 0,
        "cycle_last": 0,
        "cycle_max": 0,
        "total_time": microseconds,
        "average_time": microseconds // max(1, calls),
    }


def rpc_user(uid: int, name: str, calls: int, microseconds: int) -> dict[str, Any]:
    return {
        "user_id": uid,
        "user": name,
        "count": calls,
        "total_time": microseconds,
        "average_time": microseconds // max(1, calls),
    }


def statistics(
    now: float,
    since: float,
    numbers: Mapping[str, int],
    by_type: Sequence[Mapping[str, Any]],
    by_user: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """`since`: when counting began. `numbers`: those of NUMBERS that are counted."""
    return {
        "parts_packed": 0,
        "req_time": int(now),
        "req_time_start": int(since),
        **dict.fromkeys(NUMBERS, 0),
        **numbers,
        "schedule_exit": dict.fromkeys(SCHEDULE_EXIT.fields, 0),
        "job_states_ts": int(now),
        "bf_exit": dict.fromkeys(BACKFILL_EXIT.fields, 0),
        "bf_when_last_cycle": 0,
        "bf_active": False,
        "rpcs_by_message_type": by_type,
        "rpcs_by_user": by_user,
        "pending_rpcs": [],
        "pending_rpcs_by_hostlist": [],
    }
