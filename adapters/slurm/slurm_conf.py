"""The file that SLURM_CONF names in a job: this site in the words of slurm.conf.

The bridge reads no such file; programs in jobs do, for the cluster's name, its nodes and its partitions. Only what
is true here is said.
"""

from collections.abc import Iterable, Sequence

from adapters.slurm import durations, hostlist
from bridge.core.nodes import Node, Partition, Site

_HEAD = "# Written by the bridge at its start, for programs that read it. The bridge itself reads its site file."


def text(site: Site, nodes: Sequence[Node], host: str) -> str:
    """`host`: where the service runs."""
    gres = sorted({name for node in nodes for name, _, _ in node.gres})
    lines = [
        _HEAD,
        f"ClusterName={site.cluster_name}",
        f"SlurmctldHost={host}",
        f"KillWait={site.kill_wait_seconds}",
        f"MaxArraySize={site.max_array_size}",
        f"MinJobAge={site.min_job_age_seconds}",
        f"JobRequeue={int(site.job_requeue)}",
        f"EnforcePartLimits={'ALL' if site.enforce_part_limits else 'NO'}",
        *([f"GresTypes={','.join(gres)}"] if gres else []),
        *([f"Licenses={','.join(f'{name}:{count}' for name, count in site.licenses)}"] if site.licenses else []),
        *_node_lines(nodes),
        *(_partition_line(partition) for partition in site.partitions),
    ]
    return "\n".join(lines) + "\n"


def _node_lines(nodes: Sequence[Node]) -> list[str]:
    """Nodes that are alike share a line."""
    alike: dict[str, list[str]] = {}
    for node in nodes:
        alike.setdefault(_node_words(node), []).append(node.name)
    return [f"NodeName={hostlist.compress(names)} {words}" for words, names in alike.items()]


def _node_words(node: Node) -> str:
    gres = ",".join(":".join((name, *([kind] if kind else []), str(count))) for name, kind, count in node.gres)
    return " ".join(
        (
            f"CPUs={node.cpus} Sockets={node.sockets} CoresPerSocket={node.cores_per_socket}",
            f"ThreadsPerCore={node.threads_per_core} RealMemory={node.memory_mib}",
            *_said("TmpDisk", node.temporary_disk_mib or None),
            *_said("Feature", ",".join(node.features) or None),
            *_said("Gres", gres or None),
            *_said("Weight", None if node.weight == 1 else node.weight),
        )
    )


def _partition_line(partition: Partition) -> str:
    limit, usual = partition.max_time_seconds, partition.default_time_seconds
    return " ".join(
        (
            f"PartitionName={partition.name} Nodes={hostlist.compress(list(partition.nodes))}",
            *_said("Default", "YES" if partition.is_default else None),
            f"MaxTime={'UNLIMITED' if limit is None else durations.long_limit(limit)}",
            *_said("DefaultTime", None if usual is None else durations.long_limit(usual)),
            *_said("MaxNodes", partition.max_nodes),
            *_said("MinNodes", partition.min_nodes or None),
            *_said("MaxCPUsPerNode", partition.max_cpus_per_node),
            *_said("DefMemPerCPU", partition.default_memory_per_cpu_mib),
            *_said("DefMemPerNode", partition.default_memory_per_node_mib),
            *_said("MaxMemPerNode", partition.max_memory_per_node_mib),
            *_said("AllowAccounts", _joined(partition.allow_accounts)),
            *_said("AllowGroups", _joined(partition.allow_groups)),
            *_said("OverSubscribe", "EXCLUSIVE" if partition.whole_nodes else None),
            *_said("PriorityTier", None if partition.priority_tier == 1 else partition.priority_tier),
            f"State={partition.state}",
        )
    )


def _joined(names: Iterable[str] | None) -> str | None:
    return None if names is None else ",".join(names)


def _said(name: str, value: object | None) -> list[str]:
    return [] if value is None else [f"{name}={value}"]
