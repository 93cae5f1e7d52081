"""How large a request is: nodes, tasks, CPUs, memory and devices, with every default filled in.

By the rules of sbatch's manual page and as recorded of 25.11. Pure; knows nothing of which nodes exist.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from bridge.core.nodes import Partition
from bridge.core.request import Component, Gres


@dataclass(frozen=True, slots=True)
class Size:
    nodes_min: int
    nodes_max: int | None
    """None: as many as it takes to hold the tasks."""
    node_sizes: tuple[int, ...] | None
    tasks: int
    """Over all nodes, when the least number of nodes is taken."""
    tasks_per_node: int | None
    """Fixed by the request; None: spread as CPUs allow."""
    cpus_per_task: int
    """Room that each task needs; with --cpus-per-gpu it follows from the GPUs."""
    cpus_per_task_asked: int
    """As the request itself says, 1 by default."""
    cpus: int
    """All CPUs asked for, as Slurm counts them; `cpus_per_node_min` may make it more once nodes are known."""
    cpus_per_node_min: int
    """What each node gives at least."""
    memory_per_node_mib: int | None
    """None: counted by CPU. 0: all memory of each node."""
    memory_per_cpu_mib: int | None
    memory_per_gpu_mib: int | None
    gres_per_node: tuple[Gres, ...]
    gres_per_job: tuple[Gres, ...]
    gres_total: tuple[Gres, ...]
    """What the whole job holds, for ReqTRES."""
    whole_nodes: bool
    overcommit: bool
    task_count_given: bool
    """-n or an --ntasks-per-* was given: SLURM_NTASKS is set."""

    def memory_mib(self, cpus: int, gpus: int = 0) -> int:
        """What one node must give for so many CPUs there; 0 stands for all of the node."""
        if self.memory_per_gpu_mib is not None:
            return self.memory_per_gpu_mib * max(1, gpus)
        if self.memory_per_node_mib is not None:
            return self.memory_per_node_mib
        return (self.memory_per_cpu_mib or 0) * cpus


@lru_cache(maxsize=4096)
def size_of(component: Component, partition: Partition | None = None) -> Size:
    """`partition` gives the defaults of memory and whether nodes are given whole."""
    gpus = _gpus_of_job(component)
    cpus_per_task = component.cpus_per_task or _cpus_from_gpus(component, gpus) or 1
    counted, given = _tasks(component, gpus)
    nodes_min = component.nodes_min if component.nodes_min is not None else 1
    nodes_min = max(nodes_min, 1)
    nodes_max = component.nodes_max
    if component.nodes_min is not None and nodes_max is None and component.node_sizes is None:
        nodes_max = nodes_min
    if component.node_sizes:
        nodes_min, nodes_max = min(component.node_sizes), max(component.node_sizes)
    if component.tasks is not None and component.tasks < nodes_min:
        # sbatch says: can't run 2 processes on 3 nodes, setting nnodes to 2
        nodes_min = component.tasks
        nodes_max = component.tasks if nodes_max is None else min(nodes_max, component.tasks)
    if component.nodes_min is None and component.tasks_per_node and component.tasks is not None:
        nodes_min = -(-component.tasks // component.tasks_per_node)
    named = len({*component.node_list})
    if component.nodes_min is None and named > nodes_min:
        nodes_min = min(named, component.tasks or named)
    if counted is not None:
        tasks = counted
    elif component.tasks_per_node:
        tasks = nodes_min * component.tasks_per_node
    else:
        tasks = nodes_min
    cpus = nodes_min if component.overcommit else max(tasks * cpus_per_task, nodes_min)
    per_node = max(cpus_per_task, component.cpus_per_node_min or 1)
    if component.tasks_per_node:
        per_node = max(per_node, component.tasks_per_node * cpus_per_task)
    memory_node, memory_cpu = _memory(component, partition)
    return Size(
        nodes_min=nodes_min,
        nodes_max=nodes_max,
        node_sizes=component.node_sizes,
        tasks=tasks,
        tasks_per_node=component.tasks_per_node,
        cpus_per_task=cpus_per_task,
        cpus_per_task_asked=cpus_per_task if component.gres_per_task else component.cpus_per_task or 1,
        cpus=cpus,
        cpus_per_node_min=per_node,
        memory_per_node_mib=memory_node,
        memory_per_cpu_mib=memory_cpu,
        memory_per_gpu_mib=component.memory_per_gpu_mib,
        gres_per_node=_most_of_each(component.gres_per_node),
        gres_per_job=_most_of_each(component.gres_per_job) or _gpus_of_tasks(component),
        gres_total=_gres_total(component, nodes_min, tasks),
        whole_nodes=component.exclusive in ("node", "topo") or (partition is not None and partition.whole_nodes),
        overcommit=component.overcommit,
        task_count_given=given,
    )


def _tasks(component: Component, gpus: int) -> tuple[int | None, bool]:
    """(number of tasks or None when it follows from the nodes, whether the user gave it)."""
    if component.tasks is not None:
        return component.tasks, True
    if component.tasks_per_node:
        return None, True
    per_task = sum(g.count for g in component.gres_per_task if g.name == "gpu")
    if per_task and gpus and (component.gres_per_job or component.gres_per_node):
        return max(1, gpus // per_task), True
    if component.tasks_per_gpu and gpus:
        return gpus * component.tasks_per_gpu, True
    return None, False


def _gpus_of_job(component: Component) -> int:
    """GPUs of the whole job as far as the request itself says."""
    for wish, times in (
        (_most_of_each(component.gres_per_job), 1),
        (_most_of_each(component.gres_per_node), component.nodes_min or 1),
        (component.gres_per_task, component.tasks or 1),
    ):
        total = sum(gres.count for gres in wish if gres.name == "gpu") * times
        if total:
            return total
    return sum(gres.count for gres in _gpus_of_tasks(component))


def _gpus_of_tasks(component: Component) -> tuple[Gres, ...]:
    """--ntasks-per-gpu without any GPU asked for: as many as the tasks take, or one a node."""
    if component.tasks_per_gpu is None or component.gres_per_job or component.gres_per_node or component.gres_per_task:
        return ()
    if component.tasks is not None:
        return (Gres("gpu", None, component.tasks // component.tasks_per_gpu),)
    return (Gres("gpu", None, component.nodes_min or 1),)


def _cpus_from_gpus(component: Component, gpus: int) -> int | None:
    if component.cpus_per_gpu is None or not gpus:
        return None
    return max(1, component.cpus_per_gpu * gpus // (component.tasks or 1))


def _memory(component: Component, partition: Partition | None) -> tuple[int | None, int | None]:
    if component.memory_per_node_mib is not None:
        return component.memory_per_node_mib, None
    if component.memory_per_cpu_mib is not None:
        # --mem-per-cpu=0 is all memory of each node, as --mem=0.
        return (0, None) if component.memory_per_cpu_mib == 0 else (None, component.memory_per_cpu_mib)
    if component.memory_per_gpu_mib is not None:
        return None, None
    if partition is not None and partition.default_memory_per_node_mib is not None:
        return partition.default_memory_per_node_mib, None
    return None, partition.default_memory_per_cpu_mib if partition is not None else None


def _most_of_each(wishes: Iterable[Gres]) -> tuple[Gres, ...]:
    """The same resource wished for twice is one wish, for the larger number: so 25.11 counts."""
    most: dict[tuple[str, str | None], Gres] = {}
    for gres in wishes:
        known = most.get((gres.name, gres.type))
        if known is None or known.count < gres.count:
            most[gres.name, gres.type] = gres
    return tuple(most.values())


def _gres_total(component: Component, nodes: int, tasks: int) -> tuple[Gres, ...]:
    wished = (
        *((gres, nodes) for gres in component.gres_per_node),
        *((gres, 1) for gres in component.gres_per_job),
        *((gres, tasks) for gres in component.gres_per_task if not component.gres_per_job),
        *((gres, nodes * (component.sockets_per_node or 1)) for gres in component.gres_per_socket),
        *((gres, 1) for gres in _gpus_of_tasks(component)),
    )
    total = _most_of_each(Gres(gres.name, gres.type, gres.count * times) for gres, times in wished)
    return tuple(gres for gres in total if gres.count)
