"""The columns of sinfo: titles and values for a row of nodes of one kind in one partition."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from adapters.slurm import durations, hostlist, node_states, scontrol_show
from adapters.slurm.answer import VERSION
from adapters.slurm.columns import Column
from adapters.slurm.scontrol_show import NodeUse
from bridge.core.nodes import NodeState, Partition


@dataclass(frozen=True, slots=True)
class Row:
    partition: Partition
    nodes: tuple[NodeUse, ...]


def partition_mark(partition: Partition) -> str:
    return partition.name + ("*" if partition.is_default else "")


def host_name(use: NodeUse) -> str:
    return use.node.host.name if use.node.host is not None else use.node.name


def address(use: NodeUse) -> str:
    return use.node.host.address if use.node.host is not None else use.node.name


def _listed(names: Iterable[str]) -> str:
    return hostlist.compress(list(dict.fromkeys(names)))


def _least(row: Row, value: Callable[[NodeUse], int]) -> str:
    """`8`, or `4+` where nodes differ."""
    numbers = [value(use) for use in row.nodes]
    if not numbers:
        return "0"
    return str(min(numbers)) + ("+" if min(numbers) != max(numbers) else "")


def _seen(row: Row, value: Callable[[NodeUse], float | None], form: str) -> str:
    """`1.20`, `0.10-1.20` where nodes differ, `N/A` where one has not been seen."""
    if not row.nodes:
        return "0"
    numbers = [number for use in row.nodes if (number := value(use)) is not None]
    if len(numbers) < len(row.nodes):
        return "N/A"
    low, high = form.format(min(numbers)), form.format(max(numbers))
    return low if low == high else f"{low}-{high}"


def _is_out(use: NodeUse) -> bool:
    return use.node.state is not NodeState.UP


def node_counts(row: Row) -> tuple[int, int, int]:
    """Allocated (also partly), idle, other."""
    busy = sum(1 for use in row.nodes if use.cpus and not use.node.state.is_down)
    out = sum(1 for use in row.nodes if _is_out(use) and (not use.cpus or use.node.state.is_down))
    return busy, len(row.nodes) - busy - out, out


def cpu_counts(row: Row) -> tuple[int, int, int, int]:
    """Allocated, idle, other, in all."""
    total = sum(use.node.cpus for use in row.nodes)
    used = sum(use.cpus for use in row.nodes)
    out = sum(use.node.cpus - use.cpus for use in row.nodes if _is_out(use))
    return used, total - used - out, out, total


def _size(partition: Partition) -> str:
    least = max(1, partition.min_nodes)
    if partition.max_nodes is None:
        return f"{least}-infinite"
    return str(least) if least == partition.max_nodes else f"{least}-{partition.max_nodes}"


def _time(seconds: int | None, missing: str) -> str:
    return missing if seconds is None else durations.short_limit(seconds)


def _gres_used(row: Row) -> str:
    use = row.nodes[0] if row.nodes else None
    if use is None or not use.node.gres:
        return "(null)"
    return scontrol_show.gres_used(use)


def make(clock: durations.Clock) -> dict[str, Column[Row]]:
    def first(row: Row) -> NodeUse | None:
        return row.nodes[0] if row.nodes else None

    def reason_user(row: Row) -> str:
        use = first(row)
        return (use.node.reason_by or "Unknown") if use and use.node.reason else "Unknown"

    def reason_time(row: Row) -> str:
        use = first(row)
        return clock.stamp(use.node.reason_at, "Unknown") if use and use.node.reason else "Unknown"

    def load(row: Row) -> str:
        return _seen(row, scontrol_show.load_of, "{:.2f}")

    def free(row: Row) -> str:
        return _seen(row, scontrol_show.free_memory_of, "{}")

    def names(row: Row) -> str:
        return hostlist.compress([use.node.name for use in row.nodes])

    def state(row: Row, of: Callable[[NodeUse], str]) -> str:
        use = first(row)
        return of(use) if use else "n/a"

    def geometry(row: Row) -> str:
        use = first(row)
        if use is None:
            return "0:0:0"
        node = use.node
        return f"{node.sockets}:{node.cores_per_socket}:{node.threads_per_core}"

    def features(row: Row) -> str:
        use = first(row)
        return ",".join(use.node.features) or "(null)" if use else ""

    def memory_used(row: Row) -> str:
        return str(first_memory.memory_mib) if (first_memory := first(row)) else "0"

    return {
        "a": Column("AVAIL", lambda row: {"INACTIVE": "inact"}.get(row.partition.state, row.partition.state.lower())),
        "A": Column("NODES(A/I)", lambda row: "{}/{}".format(*node_counts(row))),
        "b": Column("ACTIVE_FEATURES", features),
        "B": Column("MAX_CPUS_PER_NODE", lambda row: str(row.partition.max_cpus_per_node or "UNLIMITED")),
        "c": Column("CPUS", lambda row: _least(row, lambda use: use.node.cpus)),
        "C": Column("CPUS(A/I/O/T)", lambda row: "/".join(map(str, cpu_counts(row)))),
        "d": Column("TMP_DISK", lambda row: _least(row, lambda use: use.node.temporary_disk_mib)),
        "D": Column("NODES", lambda row: str(len(row.nodes))),
        "e": Column("FREE_MEM", free),
        "E": Column("REASON", lambda row: (row.nodes[0].node.reason if row.nodes else "") or "none"),
        "f": Column("AVAIL_FEATURES", features),
        "F": Column("NODES(A/I/O/T)", lambda row: "{}/{}/{}".format(*node_counts(row)) + f"/{len(row.nodes)}"),
        "g": Column("GROUPS", lambda row: "all" if (g := row.partition.allow_groups) is None else ",".join(g)),
        "G": Column("GRES", lambda row: scontrol_show.gres_of(row.nodes[0].node) if row.nodes else ""),
        "h": Column("OVERSUBSCRIBE", lambda row: scontrol_show.oversubscribe(row.partition)),
        "H": Column("TIMESTAMP", reason_time),
        "i": Column("RESERVATION", lambda row: ""),
        "I": Column("PRIO_JOB_FACTOR", lambda row: "1"),
        "l": Column("TIMELIMIT", lambda row: _time(row.partition.max_time_seconds, "infinite")),
        "L": Column("DEFAULTTIME", lambda row: _time(row.partition.default_time_seconds, "n/a")),
        "m": Column("MEMORY", lambda row: _least(row, lambda use: use.node.memory_mib)),
        "M": Column("PREEMPT_MODE", lambda row: "OFF"),
        "n": Column("HOSTNAMES", lambda row: _listed(host_name(use) for use in row.nodes)),
        "N": Column("NODELIST", names),
        "o": Column("NODE_ADDR", lambda row: _listed(address(use) for use in row.nodes)),
        "O": Column("CPU_LOAD", load),
        "p": Column("PRIO_TIER", lambda row: str(row.partition.priority_tier)),
        "P": Column("PARTITION", lambda row: partition_mark(row.partition)),
        "r": Column("ROOT", lambda row: "no"),
        "R": Column("PARTITION", lambda row: row.partition.name),
        "s": Column("JOB_SIZE", lambda row: _size(row.partition)),
        "S": Column("ALLOCNODES", lambda row: "all"),
        "t": Column("STATE", lambda row: state(row, node_states.compact)),
        "T": Column("STATE", lambda row: state(row, node_states.long)),
        "u": Column("USER", reason_user),
        "U": Column("USER", reason_user),
        "v": Column("VERSION", lambda row: VERSION),
        "V": Column("CLUSTER", lambda row: "N/A"),
        "w": Column("WEIGHT", lambda row: _least(row, lambda use: use.node.weight)),
        "X": Column("SOCKETS", lambda row: _least(row, lambda use: use.node.sockets)),
        "Y": Column("CORES", lambda row: _least(row, lambda use: use.node.cores_per_socket)),
        "z": Column("S:C:T", geometry),
        "Z": Column("THREADS", lambda row: _least(row, lambda use: use.node.threads_per_core)),
        "allocmem": Column("ALLOCMEM", memory_used),
        "": Column("ALLOCMEM", memory_used),
        "gresused": Column("GRES_USED", _gres_used),
        "complete": Column("STATECOMPLETE", lambda row: state(row, lambda use: node_states.complete(use).lower())),
        "comment": Column("COMMENT", lambda row: "(null)"),
        "extra": Column("EXTRA", lambda row: "(null)"),
        "port": Column("PORT", lambda row: "0"),
    }


NAMES = {
    "AllocMem": "allocmem",
    "AllocNodes": "S",
    "Available": "a",
    "Cluster": "V",
    "Comment": "comment",
    "Cores": "Y",
    "CPUs": "c",
    "CPUsLoad": "O",
    "CPUsState": "C",
    "DefaultTime": "L",
    "Disk": "d",
    "Extra": "extra",
    "Features": "f",
    "features_act": "b",
    "FreeMem": "e",
    "Gres": "G",
    "GresUsed": "gresused",
    "Groups": "g",
    "MaxCPUsPerNode": "B",
    "Memory": "m",
    "NodeAddr": "o",
    "NodeAI": "A",
    "NodeAIOT": "F",
    "NodeHost": "n",
    "NodeList": "N",
    "Nodes": "D",
    "OverSubscribe": "h",
    "Partition": "P",
    "PartitionName": "R",
    "Port": "port",
    "PreemptMode": "M",
    "PriorityJobFactor": "I",
    "PriorityTier": "p",
    "Reason": "E",
    "Reservation": "i",
    "Root": "r",
    "Size": "s",
    "Sockets": "X",
    "SocketCoreThread": "z",
    "StateCompact": "t",
    "StateComplete": "complete",
    "StateLong": "T",
    "Threads": "Z",
    "Time": "l",
    "TimeStamp": "H",
    "User": "u",
    "UserLong": "U",
    "Version": "v",
    "Weight": "w",
}
"""-O names and the columns they stand for."""


_CAPITALS = "ABCDEFGHILMNOPRSTUVXYZ"
ALL = "|".join([*(f"%{letter}" for letter in "abcdefghilmnoprstuvwz"), *(f"%{letter} " for letter in _CAPITALS)])
"""What %all stands for."""
