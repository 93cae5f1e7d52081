"""Trackable resources as Slurm writes them: `cpu=2,mem=512M,node=1,billing=2,gres/gpu=1`."""

from adapters.slurm import sizes
from bridge.core.job import Job
from bridge.core.sizing import Size


def req_tres(size: Size, node_memory_mib: int = 0) -> str:
    """What a request of this size asks for. `node_memory_mib`: what --mem=0 stands for on each node."""
    gpus = sum(gres.count for gres in size.gres_total if gres.name == "gpu")
    if size.memory_per_gpu_mib is not None:
        memory_mib = size.memory_per_gpu_mib * gpus
    elif size.memory_per_node_mib is not None:
        memory_mib = (size.memory_per_node_mib or node_memory_mib) * size.nodes_min
    else:
        memory_mib = (size.memory_per_cpu_mib or 0) * size.cpus
    amounts = {"cpu": size.cpus, "mem": memory_mib, "node": size.nodes_min, "billing": size.cpus}
    for gres in size.gres_total:
        amounts[f"gres/{gres.name}"] = amounts.get(f"gres/{gres.name}", 0) + gres.count
    return sizes.tres_text(tuple((name, amount) for name, amount in amounts.items() if amount))


def alloc_tres(job: Job) -> str:
    """What the job holds, or held when it ended; empty before it ever started."""
    return sizes.tres_text(sizes.allocated(job))
