"""Nodes and partitions as slurmrestd shows them."""

from collections.abc import Sequence
from typing import Any

from adapters.slurm import hostlist, node_states, scontrol_show, scontrol_site
from adapters.slurm.answer import VERSION
from adapters.slurm.rest.envelope import answer
from adapters.slurm.rest.shapes import (
    BOOLEAN,
    INFINITE,
    INT32,
    INT64,
    NUMBER,
    STRINGS,
    TEXT,
    U16,
    U32,
    U64,
    Flags,
    List,
    Record,
    flags,
    since,
    word,
)
from adapters.slurm.scontrol_show import NodeUse
from bridge.core.nodes import Node, Partition, Site
from bridge.core.reservations import Reservation

STATE = word(
    "INVALID UNKNOWN DOWN IDLE ALLOCATED ERROR MIXED FUTURE RESERVED UNDRAIN CLOUD RESUME DRAIN COMPLETING "
    "NOT_RESPONDING POWERED_DOWN FAIL POWERING_UP MAINTENANCE REBOOT_REQUESTED REBOOT_CANCELED POWERING_DOWN "
    "DYNAMIC_FUTURE REBOOT_ISSUED PLANNED INVALID_REG POWER_DOWN POWER_UP POWER_DRAIN DYNAMIC_NORM",
    v44="EXTERNAL BLOCKED",
)
ENERGY = Record(
    "acct_gather_energy",
    {
        "average_watts": INT32,
        "base_consumed_energy": INT64,
        "consumed_energy": INT64,
        "current_watts": U32,
        "previous_consumed_energy": INT64,
        "last_collected": INT64,
    },
)
NODE = Record(
    "node",
    {
        "architecture": TEXT,
        "burstbuffer_network_address": TEXT,
        "boards": INT32,
        "boot_time": U64,
        "tls_cert_last_renewal": since(43, U64),
        "cert_flags": since(43, flags("TOKEN_SET")),
        "cluster_name": TEXT,
        "cores": INT32,
        "specialized_cores": INT32,
        "cpu_binding": INT32,
        "cpu_load": INT32,
        "free_mem": U64,
        "cpus": INT32,
        "effective_cpus": INT32,
        "specialized_cpus": TEXT,
        "energy": ENERGY,
        "external_sensors": Record("", {}),
        "extra": TEXT,
        "power": Record("", {}),
        "features": STRINGS,
        "active_features": STRINGS,
        "gpu_spec": TEXT,
        "gres": TEXT,
        "gres_drained": TEXT,
        "gres_used": TEXT,
        "instance_id": TEXT,
        "instance_type": TEXT,
        "last_busy": U64,
        "mcs_label": TEXT,
        "specialized_memory": INT64,
        "name": TEXT,
        "next_state_after_reboot": Flags(STATE),
        "address": TEXT,
        "hostname": TEXT,
        "state": Flags(STATE),
        "operating_system": TEXT,
        "owner": TEXT,
        "partitions": STRINGS,
        "port": INT32,
        "real_memory": INT64,
        "res_cores_per_gpu": INT32,
        "comment": TEXT,
        "reason": TEXT,
        "reason_changed_at": U64,
        "reason_set_by_user": TEXT,
        "resume_after": U64,
        "reservation": TEXT,
        "alloc_memory": INT64,
        "alloc_cpus": INT32,
        "alloc_idle_cpus": INT32,
        "tres_used": TEXT,
        "tres_weighted": NUMBER,
        "slurmd_start_time": U64,
        "sockets": INT32,
        "threads": INT32,
        "temporary_disk": INT32,
        "weight": INT32,
        "topology": since(43, TEXT),
        "tres": TEXT,
        "version": TEXT,
    },
)
NODES_ANSWER = answer("openapi_nodes_resp", {"nodes": List(NODE), "last_update": U64})

CHANGE = Record(
    "update_node_msg",
    {
        "comment": TEXT,
        "cpu_bind": INT32,
        "extra": TEXT,
        "features": STRINGS,
        "features_act": STRINGS,
        "gres": TEXT,
        "address": STRINGS,
        "hostname": STRINGS,
        "name": STRINGS,
        "state": Flags(STATE),
        "reason": TEXT,
        "reason_uid": TEXT,
        "resume_after": U32,
        "topology_str": since(43, TEXT),
        "weight": U32,
    },
)


def node(use: NodeUse, site: Site) -> dict[str, Any]:
    one, host = use.node, use.node.host
    load, free = scontrol_show.load_of(use), scontrol_show.free_memory_of(use)
    started = host.agent_started_at if host is not None else None
    gres = "" if not one.gres else scontrol_show.gres_of(one)
    return {
        "architecture": (host.architecture if host is not None else "") or "x86_64",
        "burstbuffer_network_address": "",
        "boards": 1,
        "boot_time": _moment(host.boot_at if host is not None else None),
        "tls_cert_last_renewal": 0,
        "cert_flags": [],
        "cluster_name": "",
        "cores": one.cores_per_socket,
        "specialized_cores": 0,
        "cpu_binding": 0,
        "cpu_load": 0 if load is None else round(load * 100),
        "free_mem": free,
        "cpus": one.cpus,
        "effective_cpus": one.cpus,
        "specialized_cpus": "",
        "energy": {
            "average_watts": 0,
            "base_consumed_energy": 0,
            "consumed_energy": 0,
            "current_watts": 0,
            "previous_consumed_energy": 0,
            "last_collected": 0,
        },
        "external_sensors": {},
        "extra": "",
        "power": {},
        "features": list(one.features),
        "active_features": list(one.features),
        "gpu_spec": "",
        "gres": gres,
        "gres_drained": "N/A",
        "gres_used": scontrol_show.gres_used(use),
        "instance_id": "",
        "instance_type": "",
        "last_busy": _moment(use.last_busy_at or started),
        "mcs_label": "",
        "specialized_memory": 0,
        "name": one.name,
        "next_state_after_reboot": ["INVALID"],
        "address": host.address if host is not None else one.name,
        "hostname": host.name if host is not None else one.name,
        "state": node_states.complete(use).split("+"),
        "operating_system": host.system if host is not None else "",
        "owner": "",
        "partitions": [partition.name for partition in site.partitions if one.name in partition.nodes],
        "port": 0,
        "real_memory": one.memory_mib,
        "res_cores_per_gpu": 0,
        "comment": "",
        "reason": one.reason,
        "reason_changed_at": _moment(one.reason_at if one.reason else None),
        "reason_set_by_user": one.reason_by if one.reason else "",
        "resume_after": 0,
        "reservation": use.reservation,
        "alloc_memory": use.memory_mib,
        "alloc_cpus": use.cpus,
        "alloc_idle_cpus": one.cpus - use.cpus,
        "tres_used": scontrol_show.use_tres(use),
        "tres_weighted": 0.0,
        "slurmd_start_time": _moment(started),
        "sockets": one.sockets,
        "threads": one.threads_per_core,
        "temporary_disk": one.temporary_disk_mib,
        "weight": one.weight,
        "topology": "",
        "tres": scontrol_show.node_tres(one),
        "version": VERSION,
    }


def _moment(at: float | None) -> int:
    return 0 if at is None else int(at)


# ── partitions ────────────────────────────────────────────────────────────────────────────────────

PARTITION = Record(
    "partition_info",
    {
        "nodes": Record("", {"allowed_allocation": TEXT, "configured": TEXT, "total": INT32}),
        "accounts": Record("", {"allowed": TEXT, "deny": TEXT}),
        "groups": Record("", {"allowed": TEXT}),
        "qos": Record("", {"allowed": TEXT, "deny": TEXT, "assigned": TEXT}),
        "alternate": TEXT,
        "tres": Record("", {"billing_weights": TEXT, "configured": TEXT}),
        "cluster": TEXT,
        "select_type": flags(
            "CPU SOCKET CORE BOARD MEMORY ONE_TASK_PER_CORE PACK_NODES CORE_DEFAULT_DIST_BLOCK LLN LINEAR"
        ),
        "cpus": Record("", {"task_binding": INT32, "total": INT32}),
        "defaults": Record(
            "",
            {
                "memory_per_cpu": INT64,
                "partition_memory_per_cpu": U64,
                "partition_memory_per_node": U64,
                "time": U32,
                "job": TEXT,
            },
        ),
        "grace_time": INT32,
        "maximums": Record(
            "",
            {
                "cpus_per_node": U32,
                "cpus_per_socket": U32,
                "memory_per_cpu": INT64,
                "partition_memory_per_cpu": U64,
                "partition_memory_per_node": U64,
                "nodes": U32,
                "shares": INT32,
                "oversubscribe": Record("", {"jobs": INT32, "flags": flags("force")}),
                "time": U32,
                "over_time_limit": U16,
            },
        ),
        "minimums": Record("", {"nodes": INT32}),
        "name": TEXT,
        "node_sets": TEXT,
        "priority": Record("", {"job_factor": INT32, "tier": INT32}),
        "timeouts": Record("", {"resume": U16, "suspend": U16}),
        "topology": since(43, TEXT),
        "partition": Record("", {"state": flags("INACTIVE UNKNOWN UP DOWN DRAIN")}),
        "suspend_time": U32,
    },
)
PARTITIONS_ANSWER = answer("openapi_partition_resp", {"partitions": List(PARTITION), "last_update": U64})

_PER_CPU = -(2**63)
"""Slurm keeps memory of a CPU and of a node in one number; its highest bit tells which."""


def partition(one: Partition, nodes: Sequence[Node], site: Site) -> dict[str, Any]:
    inside = [node for node in nodes if node.name in one.nodes]
    shares = 0 if one.whole_nodes else 4 if one.oversubscribe else 1
    return {
        "nodes": {"allowed_allocation": "", "configured": hostlist.compress(list(one.nodes)), "total": len(inside)},
        "accounts": {"allowed": ",".join(one.allow_accounts or ()), "deny": ""},
        "groups": {"allowed": ",".join(one.allow_groups or ())},
        "qos": {"allowed": "", "deny": "", "assigned": ""},
        "alternate": "",
        "tres": {"billing_weights": "", "configured": scontrol_show.partition_tres(inside)},
        "cluster": "",
        "select_type": [],
        "cpus": {"task_binding": 0, "total": sum(node.cpus for node in inside)},
        "defaults": {
            **_default_memory(one, site),
            "time": None if one.default_time_seconds is None else (one.default_time_seconds + 59) // 60,
            "job": "",
        },
        "grace_time": 0,
        "maximums": {
            "cpus_per_node": INFINITE if one.max_cpus_per_node is None else one.max_cpus_per_node,
            "cpus_per_socket": INFINITE,
            "memory_per_cpu": one.max_memory_per_node_mib or 0,
            "partition_memory_per_cpu": None,
            "partition_memory_per_node": one.max_memory_per_node_mib or 0,
            "nodes": INFINITE if one.max_nodes is None else one.max_nodes,
            "shares": shares,
            "oversubscribe": {"jobs": shares, "flags": []},
            "time": INFINITE if one.max_time_seconds is None else (one.max_time_seconds + 59) // 60,
            "over_time_limit": None,
        },
        "minimums": {"nodes": one.min_nodes},
        "name": one.name,
        "node_sets": "",
        "priority": {"job_factor": 1, "tier": one.priority_tier},
        "timeouts": {"resume": None, "suspend": None},
        "topology": "",
        "partition": {"state": [one.state]},
        "suspend_time": None,
    }


def _default_memory(one: Partition, site: Site) -> dict[str, Any]:
    """What the partition says itself, not what it has from the cluster."""
    per_cpu, per_node = one.default_memory_per_cpu_mib, one.default_memory_per_node_mib
    if per_cpu is not None and per_cpu != site.default_memory_per_cpu_mib:
        raw, cpu, node_mib = _PER_CPU + per_cpu, per_cpu, None
    elif per_node is not None and per_node != site.default_memory_per_node_mib:
        raw, cpu, node_mib = per_node, None, per_node
    else:
        raw, cpu, node_mib = 0, None, 0
    return {"memory_per_cpu": raw, "partition_memory_per_cpu": cpu, "partition_memory_per_node": node_mib}


# ── licences and reservations ─────────────────────────────────────────────────────────────────────

LICENSE = Record(
    "license",
    {
        "LicenseName": TEXT,
        "Total": INT32,
        "Used": INT32,
        "Free": INT32,
        "Remote": BOOLEAN,
        "Reserved": INT32,
        "LastConsumed": INT32,
        "LastDeficit": INT32,
        "LastUpdate": INT64,
        "Nodes": since(44, TEXT),
    },
)
LICENSES_ANSWER = answer("openapi_licenses_resp", {"licenses": List(LICENSE), "last_update": U64})


def license_(name: str, total: int, used: int) -> dict[str, Any]:
    return {
        "LicenseName": name,
        "Total": total,
        "Used": used,
        "Free": total - used,
        "Remote": False,
        "Reserved": 0,
        "LastConsumed": 0,
        "LastDeficit": 0,
        "LastUpdate": 0,
        "Nodes": "",
    }


RESERVATION_FLAGS = flags(
    "MAINT NO_MAINT DAILY NO_DAILY WEEKLY NO_WEEKLY IGNORE_JOBS NO_IGNORE_JOBS ANY_NODES STATIC NO_STATIC "
    "PART_NODES NO_PART_NODES OVERLAP SPEC_NODES TIME_FLOAT REPLACE ALL_NODES PURGE_COMP WEEKDAY NO_WEEKDAY "
    "WEEKEND NO_WEEKEND FLEX NO_FLEX DURATION_PLUS DURATION_MINUS NO_HOLD_JOBS_AFTER_END NO_PURGE_COMP "
    "MAGNETIC SKIP HOURLY NO_HOURLY USER_DELETE NO_USER_DELETE REOCCURRING",
    v44="NO_ANY_NODES REPLACE_DOWN NO_MAGNETIC FORCE_START TRES_PER_NODE",
)
RESERVATION = Record(
    "reservation_info",
    {
        "accounts": TEXT,
        "burst_buffer": TEXT,
        "core_count": INT32,
        "core_specializations": List(Record("reservation_core_spec", {"node": TEXT, "core": TEXT})),
        "end_time": U64,
        "features": TEXT,
        "flags": RESERVATION_FLAGS,
        "groups": TEXT,
        "licenses": TEXT,
        "max_start_delay": INT32,
        "name": TEXT,
        "node_count": INT32,
        "node_list": TEXT,
        "partition": TEXT,
        "purge_completed": Record("", {"time": U32}),
        "start_time": U64,
        "watts": Record("", {}),
        "tres": TEXT,
        "users": TEXT,
    },
)
KEPT_SECONDS = 300
"""Slurm's own default of how long one with PURGE_COMP stays without jobs; told of every reservation."""
RESERVATIONS_ANSWER = answer("openapi_reservation_resp", {"reservations": List(RESERVATION), "last_update": U64})


def reservation(one: Reservation, nodes: Sequence[Node]) -> dict[str, Any]:
    inside = [node for node in nodes if node.name in one.nodes]
    return {
        "accounts": scontrol_site.people(one.accounts, one.are_accounts_shut_out),
        "burst_buffer": "",
        "core_count": sum(node.cpus // node.threads_per_core for node in inside),
        "core_specializations": [],
        "end_time": int(one.end_at),
        "features": one.features,
        "flags": sorted(one.flags, key=RESERVATION_FLAGS.of.words.index),
        "groups": scontrol_site.people(one.groups),
        "licenses": "",
        "max_start_delay": 0,
        "name": one.name,
        "node_count": len(one.nodes),
        "node_list": hostlist.compress(list(one.nodes)),
        "partition": one.partition,
        "purge_completed": {"time": KEPT_SECONDS},
        "start_time": int(one.start_at),
        "watts": {},
        "tres": f"cpu={sum(node.cpus for node in inside)}",
        "users": scontrol_site.people(one.users, one.are_users_shut_out),
    }
