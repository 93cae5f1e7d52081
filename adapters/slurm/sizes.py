"""How many nodes, tasks and CPUs a job has or asks for, as squeue, scontrol and sacct say it.

What is asked for is worked out by `core.sizing`; what a job holds is read from its shares.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from adapters.slurm import hostlist, jobfacts
from bridge.core import sizing
from bridge.core.job import WAITING, Job, Share
from bridge.core.nodes import Node, Partition, Site
from bridge.core.request import Component, Gres

Tres = tuple[tuple[str, int], ...]
"""(name, amount); mem in MiB."""

ORDER_OF_SCONTROL = ("cpu", "mem", "node", "billing")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The largest node of each partition: Slurm guesses the node count of a waiting job by it."""

    largest: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """partition → (CPUs, memory in MiB)"""


def fleet_of(site: Site, nodes: Sequence[Node]) -> Fleet:
    known = {node.name: node for node in nodes}
    return Fleet(
        {
            partition.name: (
                max((known[n].cpus for n in partition.nodes if n in known), default=0),
                max((known[n].memory_mib for n in partition.nodes if n in known), default=0),
            )
            for partition in site.partitions
        }
    )


@dataclass(frozen=True, slots=True)
class Sizes:
    nodes: int
    """Held, or as many as it will take."""
    nodes_max: int
    nodes_text: str
    """scontrol's NumNodes: `2`, or while it waits `2-2`, `1-3`."""
    cpus: int
    tasks: int
    cpus_per_task: int
    cpus_per_node_min: int
    memory_kind: str
    """Node, CPU or TRES: by what the request counts memory."""
    memory_mib: int
    total_memory_mib: int
    tres: Tres


def of(job: Job, site: Site, fleet: Fleet) -> Sizes:
    component = job.request.component
    partition = site.partition(job.partition)
    largest = fleet.largest.get(job.partition, (0, 0))
    held = job.priority == 0 and not job.restarts
    asked = asked_for(component, partition, largest, held)
    if not job.nodes:
        return asked if job.state in WAITING else dataclasses.replace(asked, nodes_text=str(asked.nodes))
    tres = allocated(job)
    memory = dict(tres).get("mem", 0)
    return Sizes(
        nodes=len(job.nodes),
        nodes_max=len(job.nodes),
        nodes_text=str(len(job.nodes)),
        cpus=sum(share.cpus for share in job.nodes),
        tasks=sum(share.tasks for share in job.nodes) or asked.tasks,
        cpus_per_task=asked.cpus_per_task,
        cpus_per_node_min=asked.cpus_per_node_min,
        memory_kind=asked.memory_kind,
        memory_mib=asked.memory_mib,
        total_memory_mib=memory,
        tres=tres,
    )


def node_count(job: Job, site: Site, fleet: Fleet) -> int:
    """`of(...).nodes`, quicker: every row of squeue shows it."""
    if job.nodes:
        return len(job.nodes)
    if _is_one_task_a_node(job.request.component):
        return max(1, len(job.request.component.node_list))
    return of(job, site, fleet).nodes


def _is_one_task_a_node(component: Component) -> bool:
    """Nothing is said that more tasks, or another number of nodes, follow from."""
    return (
        component.nodes_min is None
        and component.tasks is None
        and component.tasks_per_node is None
        and component.tasks_per_gpu is None
        and component.sockets_per_node is None
        and not component.gres_per_task
    )


@lru_cache(maxsize=4096)
def asked_for(component: Component, partition: Partition | None, largest: tuple[int, int], held: bool) -> Sizes:
    size = sizing.size_of(component, partition)
    node_cpus, node_memory_mib = largest
    nodes = size.nodes_min
    if size.tasks_per_node is None and node_cpus:
        # As Slurm estimates it.
        nodes = max(nodes, -(-size.cpus // node_cpus))
        nodes = min(nodes, size.nodes_max) if size.nodes_max is not None else nodes
    if component.nodes_min == 0:
        return _asked_for_no_node(component, size, nodes)
    kind, memory_mib = _memory_rule(size)
    gpus = sum(gres.count for gres in size.gres_total if gres.name == "gpu")
    if kind == "TRES":
        total = memory_mib * gpus
    elif kind == "Node":
        total = (memory_mib or node_memory_mib) * size.nodes_min
    else:
        total = memory_mib * size.cpus
    tres: list[tuple[str, int]] = [
        ("cpu", size.cpus),
        ("mem", total),
        ("node", size.nodes_min),
        ("billing", size.cpus),
        *_gres_amounts(size.gres_total),
    ]
    return Sizes(
        nodes=nodes,
        nodes_max=size.nodes_max if size.nodes_max is not None else nodes,
        nodes_text=_nodes_text(component, size, nodes, held=held),
        cpus=size.cpus,
        tasks=size.tasks,
        cpus_per_task=size.cpus_per_task_asked,
        cpus_per_node_min=_cpus_per_node_min(component, size),
        memory_kind=kind,
        memory_mib=memory_mib,
        total_memory_mib=total,
        tres=tuple((name, amount) for name, amount in tres if amount),
    )


def _cpus_per_node_min(component: Component, size: sizing.Size) -> int:
    """What --cpus-per-gpu adds is not shown there."""
    if size.cpus_per_task == size.cpus_per_task_asked:
        return size.cpus_per_node_min
    return max(component.cpus_per_node_min or 1, size.cpus_per_task_asked * (size.tasks_per_node or 1))


def _asked_for_no_node(component: Component, size: sizing.Size, nodes: int) -> Sizes:
    """`-N 0`, which only a held job may say: what is not said itself counts nothing."""
    kind, memory_mib = _memory_rule(size)
    tasks = component.tasks or 0
    cpus = size.cpus if tasks else component.cpus_per_task or 0
    total = memory_mib * cpus if kind == "CPU" else 0
    tres = (("cpu", cpus), ("mem", total), ("billing", cpus))
    most = component.nodes_max or 0
    if component.node_sizes:
        text = spans(component.node_sizes)
    elif tasks:
        text = f"{nodes}-{max(nodes, min(most, tasks))}"
    else:
        text = f"0-{most}" if most else "0"
    return Sizes(
        nodes=nodes if tasks else 0,
        nodes_max=most,
        nodes_text=text,
        cpus=cpus,
        tasks=tasks,
        cpus_per_task=size.cpus_per_task,
        cpus_per_node_min=size.cpus_per_node_min,
        memory_kind=kind,
        memory_mib=memory_mib,
        total_memory_mib=total,
        tres=tuple((name, amount) for name, amount in tres if amount),
    )


def _nodes_text(component: Component, size: sizing.Size, nodes: int, *, held: bool) -> str:
    """A range where -N was given, and for held jobs whose tasks have one CPU each, as 25.11 has it."""
    if component.node_sizes:
        return spans(component.node_sizes)
    if component.nodes_min is not None:
        return f"{nodes}-{size.nodes_max if size.nodes_max is not None else nodes}"
    if held and size.cpus_per_task_asked == 1 and size.tasks_per_node is None and component.tasks_per_core is None:
        return f"{nodes}-{nodes}"
    return str(nodes)


def spans(numbers: Iterable[int]) -> str:
    """`1,3,5-7`"""
    text = hostlist.compress([f"x{number}" for number in sorted(numbers)])
    return text.removeprefix("x").strip("[]")


def _memory_rule(size: sizing.Size) -> tuple[str, int]:
    if size.memory_per_gpu_mib is not None:
        return "TRES", size.memory_per_gpu_mib
    if size.memory_per_node_mib is not None:
        return "Node", size.memory_per_node_mib
    if size.memory_per_cpu_mib is not None:
        return "CPU", size.memory_per_cpu_mib
    return "Node", 0


def _gres_amounts(gres: Sequence[Gres]) -> list[tuple[str, int]]:
    amounts: dict[str, int] = {}
    for item in gres:
        amounts[f"gres/{item.name}"] = amounts.get(f"gres/{item.name}", 0) + item.count
    return list(amounts.items())


def of_cluster(nodes: Sequence[Node]) -> Tres:
    """All that the nodes have together."""
    cpus = sum(node.cpus for node in nodes)
    amounts = {"cpu": cpus, "mem": sum(node.memory_mib for node in nodes), "node": len(nodes), "billing": cpus}
    for node in nodes:
        for name, _, count in node.gres:
            amounts[f"gres/{name}"] = amounts.get(f"gres/{name}", 0) + count
    return tuple(amounts.items())


def allocated(job: Job) -> Tres:
    """What the job holds, or held when it ended."""
    cpus = sum(share.cpus for share in job.nodes)
    amounts: dict[str, int] = {
        "cpu": cpus,
        "mem": sum(share.memory_mib for share in job.nodes),
        "node": len(job.nodes),
        "billing": cpus,
    }
    return tuple((name, amount) for name, amount in (*amounts.items(), *devices(job.nodes)) if amount)


def devices(shares: Sequence[Share]) -> list[tuple[str, int]]:
    """`gres/gpu` and how many of them."""
    found: dict[str, int] = {}
    for share in shares:
        for name, _, indices in share.gres:
            found[f"gres/{name}"] = found.get(f"gres/{name}", 0) + len(indices)
    return list(found.items())


def tres_text(tres: Tres, *, unit: str = "") -> str:
    """`cpu=2,mem=512M,node=1,billing=2`, in the order given."""
    return ",".join(f"{name}={_amount(name, amount, unit)}" for name, amount in tres)


def _amount(name: str, amount: int, unit: str) -> str:
    if name != "mem":
        return str(amount)
    return jobfacts.memory_in(amount, unit) if unit else jobfacts.memory(amount, exact=True)


def gres_text(gres: Sequence[Gres]) -> str | None:
    """`gres/gpu:a100:2`, `gres/gpu` where no count was written; None: nothing asked."""
    if not gres:
        return None
    return ",".join(f"gres/{_gres_name(item)}" + ("" if item.bare else f":{item.count}") for item in gres)


def _gres_name(gres: Gres) -> str:
    return gres.name + (f":{gres.type}" if gres.type else "")


def gres_equals(gres: Sequence[Gres]) -> str | None:
    """The form of TresPerTask: `gres/gpu=1`."""
    if not gres:
        return None
    return ",".join(f"gres/{_gres_name(item)}={item.count}" for item in gres)


def per_task(component: Component) -> str | None:
    """`cpu=2,gres/gpu=1`: CPUs are there only when -c was given."""
    parts = [f"cpu={component.cpus_per_task}"] if component.cpus_per_task else []
    gres = gres_equals(component.gres_per_task)
    return ",".join([*parts, gres] if gres else parts) or None


def per_gpu(count: int | None) -> str | None:
    """`gres/gpu:2`, of CpusPerTres and MemPerTres."""
    return None if count is None else f"gres/gpu:{count}"


def geometry(component: Component) -> tuple[int | None, int | None, int | None]:
    """Sockets a node, cores a socket, threads a core, as asked."""
    return component.sockets_per_node, component.cores_per_socket, component.threads_per_core
