"""Nodes and partitions as a backend describes them, and the site's rules. Values only."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from bridge.core.accounting import Book


class NodeState(StrEnum):
    UP = "UP"
    DRAIN = "DRAIN"
    """Takes no new work; what runs goes on."""
    FAIL = "FAIL"
    """As drained, by somebody who expects it to fail."""
    DOWN = "DOWN"
    """Lost; what ran there is lost too."""
    DOWN_DRAIN = "DOWN+DRAIN"
    DOWN_FAIL = "DOWN+FAIL"

    @property
    def is_down(self) -> bool:
        return self.value.startswith("DOWN")

    @property
    def flag(self) -> str:
        """DRAIN, FAIL, or empty."""
        word = self.value.rpartition("+")[2]
        return word if word in ("DRAIN", "FAIL") else ""


Order = Literal["UP", "RESUME", "UNDRAIN", "IDLE", "DRAIN", "FAIL", "DOWN", "REASON"]
"""What operators say of a node. UP clears everything, REASON changes the reason alone."""


def ordered(state: NodeState, order: Order, *, is_busy: bool = False) -> NodeState | None:
    """The state after an order, as slurmctld has it; None: no order for a node that stands so.

    `is_busy`: jobs are on the node.
    """
    match order:
        case "REASON":
            return state
        case "UP":
            return NodeState.UP
        case "RESUME":
            return None if state is NodeState.UP else NodeState.UP
        case "IDLE":
            return None if is_busy and not state.is_down else NodeState.UP
        case "UNDRAIN":
            return _state(state.is_down, "" if state.flag == "DRAIN" else state.flag)
        case "DOWN":
            return _state(True, state.flag)
        case "DRAIN" | "FAIL":
            return _state(state.is_down, order)


def _state(is_down: bool, flag: str) -> NodeState:
    return NodeState("+".join(word for word in ("DOWN" if is_down else "", flag) if word) or "UP")


@dataclass(frozen=True, slots=True)
class Host:
    """The machine behind a node, as the backend saw it last."""

    name: str
    address: str
    architecture: str = ""
    system: str = ""
    """`Linux 6.1.0 #1 SMP ...`"""
    boot_at: float | None = None
    agent_started_at: float | None = None
    """Since when the backend serves the node."""
    load: float | None = None
    """Of the last minute."""
    free_memory_mib: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    cpus: int
    memory_mib: int
    features: tuple[str, ...] = ()
    gres: tuple[tuple[str, str | None, int], ...] = ()
    """(name, type, count)"""
    state: NodeState = NodeState.UP
    reason: str = ""
    reason_by: str = ""
    reason_at: float | None = None
    sockets: int = 1
    threads_per_core: int = 1
    temporary_disk_mib: int = 0
    weight: int = 1
    host: Host | None = None
    """None: the backend does not tell."""
    backend: str = "local"

    @property
    def cores_per_socket(self) -> int:
        return max(1, self.cpus // (self.sockets * self.threads_per_core))


@dataclass(frozen=True, slots=True)
class Partition:
    name: str
    backend: str
    nodes: tuple[str, ...]
    is_default: bool = False
    max_time_seconds: int | None = None
    """None: unlimited."""
    default_time_seconds: int | None = None
    """None: max_time."""
    max_nodes: int | None = None
    min_nodes: int = 0
    max_cpus_per_node: int | None = None
    default_memory_per_cpu_mib: int | None = None
    default_memory_per_node_mib: int | None = None
    max_memory_per_node_mib: int | None = None
    allow_users: tuple[str, ...] | None = None
    """None: everybody. So the next."""
    allow_groups: tuple[str, ...] | None = None
    allow_accounts: tuple[str, ...] | None = None
    priority_tier: int = 1
    state: str = "UP"
    """UP | DOWN | DRAIN | INACTIVE"""
    patience_seconds: int = 300
    oversubscribe: bool = False
    whole_nodes: bool = False
    """Every job gets its nodes whole (OverSubscribe=EXCLUSIVE)."""
    images: tuple[str, ...] = ()
    """Which images jobs may name for themselves, as patterns such as `registry.example.org/*`; empty: none."""
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """What the rules of submission and scheduling need to know about the site."""

    cluster_name: str = "bridge"
    partitions: tuple[Partition, ...] = ()
    max_array_size: int = 1001
    max_script_bytes: int = 4 * 1024 * 1024
    kill_wait_seconds: int = 30
    accounting_interval_seconds: int = 30
    """JobAcctGatherFrequency: no job may ask that its tasks are looked at less often."""
    mpi_default: str = "none"
    """The kind of MPI that steps get which name none: none, pmi2, pmix."""
    job_requeue: bool = True
    kill_invalid_depend: bool = False
    enforce_part_limits: bool = False
    default_append: bool = False
    default_memory_per_cpu_mib: int | None = None
    """Of partitions that say nothing of memory; they have it in their own fields already. So the next."""
    default_memory_per_node_mib: int | None = None
    licenses: tuple[tuple[str, int], ...] = ()
    min_job_age_seconds: int = 300
    default_account: str | None = None
    accounts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """user → accounts, the first is the default; empty: accounts are not checked."""
    qos: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """user → qualities of service granted; empty: not checked."""
    known_accounts: tuple[str, ...] = ()
    start: Book | None = field(default=None, compare=False)
    """The accounting that the site file describes in [accounting]; None: what the four above say."""
    enforce: tuple[str, ...] | None = None
    """AccountingStorageEnforce: associations | limits | qos | safe; None: as `enforced` says."""
    sends_mail: bool = False
    """There is a command for mail; else --mail-type is recorded only."""
    priority_weight_qos: int = 0
    """What the priority of a job's QOS adds to the job's, for the QOS with the highest."""
    accept_options: tuple[str, ...] = ()
    """Options of site plug-ins (such as container-image) to record instead of refusing."""

    @property
    def enforced(self) -> frozenset[str]:
        """What of the accounting is enforced: all of it where the site file names users, nothing elsewhere."""
        if self.enforce is not None:
            return frozenset(self.enforce)
        named: set[str] = set()
        if self.accounts or self.start is not None:
            named |= {"associations", "limits"}
        if self.qos or self.start is not None:
            named |= {"qos", "limits"}
        return frozenset(named)

    def partition(self, name: str) -> Partition | None:
        return next((p for p in self.partitions if p.name == name), None)

    @property
    def default_partition(self) -> Partition | None:
        return next((p for p in self.partitions if p.is_default), None)
