"""sinfo --json: a row of nodes of one kind in one partition, each row with its whole partition."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from adapters.slurm import node_states, scontrol_show, sinfo
from adapters.slurm.data import Asked, document
from adapters.slurm.rest import nodes as nodes_data
from adapters.slurm.rest.envelope import answer
from adapters.slurm.rest.shapes import INFINITE, INT32, INT64, STRINGS, TEXT, U32, U64, Field, List, Record, Shape
from adapters.slurm.scontrol_show import NodeUse
from adapters.slurm.sinfo_columns import Row, cpu_counts, node_counts
from bridge.core.nodes import Node, Site

_RANGE = Record("", {"minimum": INT64, "maximum": INT64})
_NODES: dict[str, Shape | Field] = {
    **dict.fromkeys(("allocated", "idle", "other", "total"), INT32),
    **dict.fromkeys(("hostnames", "addresses", "nodes"), STRINGS),
}
ROW = Record(
    "sinfo",
    {
        "port": INT32,
        "node": Record("", {"state": STRINGS}),
        "nodes": Record("", _NODES),
        "cpus": Record(
            "",
            {
                **dict.fromkeys(("allocated", "idle", "other", "total", "minimum", "maximum"), INT32),
                "load": _RANGE,
                "per_node": Record("", {"max": U32}),
            },
        ),
        "sockets": _RANGE,
        "cores": _RANGE,
        "threads": _RANGE,
        "disk": _RANGE,
        "memory": Record(
            "",
            {
                "minimum": INT64,
                "maximum": INT64,
                "free": Record("", {"minimum": U64, "maximum": U64}),
                "allocated": INT64,
            },
        ),
        "weight": _RANGE,
        "features": Record("", {"total": TEXT, "active": TEXT}),
        "gres": Record("", {"total": TEXT, "used": TEXT}),
        "cluster": TEXT,
        "comment": TEXT,
        "extra": TEXT,
        "reason": Record("", {"description": TEXT, "time": INT64, "user": TEXT}),
        "reservation": TEXT,
        "resource_spec": Record("", {"cpus": TEXT, "memory": INT64}),
        "partition": nodes_data.PARTITION,
    },
)
ANSWER = answer("openapi_sinfo_resp", {"sinfo": List(ROW)})

_KIND = "%P %t %N %G"
"""What tells rows apart, whatever format was given."""


def text(query: sinfo.Query, site: Site, uses: Sequence[NodeUse], asked: Asked) -> str:
    assert query.data is not None
    nodes = [use.node for use in uses]
    rows = sinfo.rows_of(replace(query, letters=_KIND), site, uses)
    found = [_row(row, nodes, site) for row in rows if row.nodes]
    return document(query.data, ANSWER, {"sinfo": found}, asked)


def _row(row: Row, nodes: Sequence[Node], site: Site) -> dict[str, Any]:
    first = row.nodes[0]
    node = first.node
    busy, idle, other = node_counts(row)
    cpus_used, cpus_idle, cpus_other, cpus_total = cpu_counts(row)
    free = [amount for use in row.nodes if (amount := scontrol_show.free_memory_of(use)) is not None]
    features = ",".join(node.features)
    limit = row.partition.max_cpus_per_node
    return {
        "port": 0,
        "node": {"state": node_states.complete(first).split("+")},
        "nodes": {
            "allocated": busy,
            "idle": idle,
            "other": other,
            "total": len(row.nodes),
            "hostnames": [],
            "addresses": [],
            "nodes": [use.node.name for use in row.nodes],
        },
        "cpus": {
            "allocated": cpus_used,
            "idle": cpus_idle,
            "other": cpus_other,
            "total": cpus_total,
            **_range(row, lambda use: use.node.cpus),
            "load": _range(row, lambda use: round((scontrol_show.load_of(use) or 0.0) * 100)),
            "per_node": {"max": INFINITE if limit is None else limit},
        },
        "sockets": _range(row, lambda use: use.node.sockets),
        "cores": _range(row, lambda use: use.node.cores_per_socket),
        "threads": _range(row, lambda use: use.node.threads_per_core),
        "disk": _range(row, lambda use: use.node.temporary_disk_mib),
        "memory": {
            **_range(row, lambda use: use.node.memory_mib),
            "free": {"minimum": min(free, default=None), "maximum": max(free, default=None)},
            "allocated": first.memory_mib,
        },
        "weight": _range(row, lambda use: use.node.weight),
        "features": {"total": features, "active": features},
        "gres": {
            "total": scontrol_show.gres_of(node) if node.gres else "",
            "used": scontrol_show.gres_used(first),
        },
        "cluster": "",
        "comment": "",
        "extra": "",
        "reason": {
            "description": node.reason,
            "time": int(node.reason_at or 0),
            "user": node.reason_by if node.reason else "",
        },
        "reservation": "",
        "resource_spec": {"cpus": "", "memory": 0},
        "partition": nodes_data.partition(row.partition, nodes, site),
    }


def _range(row: Row, value: Callable[[NodeUse], int]) -> dict[str, int]:
    numbers = [value(use) for use in row.nodes]
    return {"minimum": min(numbers), "maximum": max(numbers)}
