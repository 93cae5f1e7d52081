"""The SLURM_* variables of a batch job: which are set, which are not, and to what.

*Unset* matters as much as set: scripts write `${SLURM_CPUS_PER_TASK:-1}`. Source: sbatch's manual page,
"output environment variables", and what 25.11 was seen to do (tests/slurm-oracle.jsonl, group environment).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from adapters.slurm import hostlist
from bridge.core import queue
from bridge.core.job import Job, Share
from bridge.core.nodes import Site
from bridge.core.request import Component, Gres
from bridge.core.sizing import size_of
from bridge.core.users import User


def for_batch(job: Job, nodes: Sequence[Share], user: User, site: Site, submitted: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the batch script; `submitted` is what --export left of the submitter's.

    When sbatch was called inside a job, that job's SLURM_* travel along, as in Slurm, where this job sets none itself.
    """
    environment = {name: value for name, value in submitted.items() if name not in _OF_AN_OUTER_JOB}
    environment.update(_of_job(job, nodes, user, site))
    environment.update(_of_options(job, site))
    environment.update(array_variables(job))
    if "SLURM_CPUS_PER_TASK" in submitted and job.request.component.cpus_per_task is None:
        environment["SLURM_CPUS_PER_TASK"] = "1"  # not that of the job in which sbatch was called
    environment["ENVIRONMENT"] = "BATCH"
    environment.setdefault("TMPDIR", "/tmp")  # noqa: S108  # Slurm's own default
    return environment


_OF_AN_OUTER_JOB = ("BRIDGE_AGENT", "BRIDGE_KEY_FILE", "BRIDGE_TOKEN_FILE")
"""Ways to the agent of the job that sbatch was called in; this job has its own."""


def for_node(job: Job, k: int) -> dict[str, str]:
    """What differs from node to node."""
    share = job.nodes[k]
    found = {
        "SLURMD_NODENAME": share.node,
        "HOSTNAME": share.node,
        "SLURM_CPUS_ON_NODE": str(share.cpus),
        "SLURM_NODEID": str(k),
    }
    gpus = [index for name, _, indices in share.gres if name == "gpu" for index in indices]
    if gpus:
        text = ",".join(map(str, gpus))
        found |= {
            "SLURM_JOB_GPUS": text,
            "SLURM_GPUS_ON_NODE": str(len(gpus)),
            "CUDA_VISIBLE_DEVICES": text,
            "GPU_DEVICE_ORDINAL": text,
            "ROCR_VISIBLE_DEVICES": text,
            "ZE_AFFINITY_MASK": text,
        }
    return found


def _of_job(job: Job, nodes: Sequence[Share], user: User, site: Site) -> dict[str, str]:
    request = job.request
    node_list = hostlist.compress([share.node for share in nodes])
    found = {
        "SLURM_JOB_ID": str(job.id),
        "SLURM_JOBID": str(job.id),
        "SLURM_JOB_NAME": request.name,
        "SLURM_JOB_PARTITION": job.partition,
        "SLURM_JOB_USER": user.name,
        "SLURM_JOB_UID": str(user.uid),
        "SLURM_JOB_GID": str(request.gid),
        "SLURM_JOB_NODELIST": node_list,
        "SLURM_NODELIST": node_list,
        "SLURM_JOB_NUM_NODES": str(len(nodes)),
        "SLURM_NNODES": str(len(nodes)),
        "SLURM_JOB_CPUS_PER_NODE": folded(share.cpus for share in nodes),
        "SLURM_TASKS_PER_NODE": folded(_tasks_per_node(job, share) for share in nodes),
        "SLURM_SUBMIT_DIR": request.submit_directory,
        "SLURM_SUBMIT_HOST": request.submit_host,
        "SLURM_CLUSTER_NAME": site.cluster_name,
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_GTIDS": "0",
        "SLURM_PRIO_PROCESS": "0",
        "SLURM_OOM_KILL_STEP": "0",
        "SLURM_TOPOLOGY_ADDR": nodes[0].node if nodes else "",
        "SLURM_TOPOLOGY_ADDR_PATTERN": "node",
    }
    if request.dependency is not None:
        found["SLURM_JOB_DEPENDENCY"] = queue.dependency_text(request.dependency).replace("(unfulfilled)", "")
    if request.account:
        found["SLURM_JOB_ACCOUNT"] = request.account
    if request.qos:
        found["SLURM_JOB_QOS"] = request.qos
    if request.reservation:
        found["SLURM_JOB_RESERVATION"] = request.reservation
    if request.component.licenses:
        found["SLURM_JOB_LICENSES"] = request.component.licenses
    if job.restarts:
        found["SLURM_RESTART_COUNT"] = str(job.restarts)
    return found


def _tasks_per_node(job: Job, share: Share) -> int:
    """Without -n it is what the CPUs of the node would hold."""
    if size_of(job.request.component).task_count_given:
        return share.tasks
    return max(1, share.cpus // (job.request.component.cpus_per_task or 1))


def _of_options(job: Job, site: Site) -> dict[str, str]:
    component = job.request.component
    size = size_of(component, site.partition(job.partition))
    found: dict[str, str] = {}
    if size.task_count_given:
        tasks = str(sum(share.tasks for share in job.nodes) if job.nodes else size.tasks)
        found |= {"SLURM_NTASKS": tasks, "SLURM_NPROCS": tasks}
    found |= _numbers(component)
    if component.cpus_per_task is not None:
        found["SLURM_TRES_PER_TASK"] = f"cpu={component.cpus_per_task}"
    per_task = [f"gres/{_with_type(gres)}={gres.count}" for gres in component.gres_per_task]
    if per_task:
        first = found.get("SLURM_TRES_PER_TASK")
        found["SLURM_TRES_PER_TASK"] = ",".join([*([first] if first else []), *per_task])
        gpu = next((gres for gres in component.gres_per_task if gres.name == "gpu"), None)
        if gpu is not None:
            found["SLURM_TRES_BIND"] = f"gres/gpu:per_task:{gpu.count}"
    found |= _memory(component, size.memory_per_cpu_mib, size.memory_per_node_mib)
    gpus = [_count_text(gres) for gres in component.gres_per_job if gres.name == "gpu"]
    if gpus:
        found["SLURM_GPUS"] = ",".join(gpus)
    if component.overcommit:
        found["SLURM_OVERCOMMIT"] = "1"
    if job.request.distribution:
        found["SLURM_DISTRIBUTION"] = job.request.distribution
    found |= dict(job.request.environment_of_options)
    return found


def _numbers(component: Component) -> dict[str, str]:
    values = {
        "SLURM_NTASKS_PER_NODE": component.tasks_per_node,
        "SLURM_NTASKS_PER_CORE": component.tasks_per_core,
        "SLURM_NTASKS_PER_SOCKET": component.tasks_per_socket,
        "SLURM_NTASKS_PER_GPU": component.tasks_per_gpu,
        "SLURM_CPUS_PER_TASK": component.cpus_per_task,
        "SLURM_CPUS_PER_GPU": component.cpus_per_gpu,
        "SLURM_THREADS_PER_CORE": component.threads_per_core,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _memory(component: Component, per_cpu: int | None, per_node: int | None) -> dict[str, str]:
    """--mem=0 sets none; the default of the partition does."""
    if component.memory_per_gpu_mib is not None:
        return {"SLURM_MEM_PER_GPU": str(component.memory_per_gpu_mib)}
    if per_node:
        return {"SLURM_MEM_PER_NODE": str(per_node)}
    if per_cpu:
        return {"SLURM_MEM_PER_CPU": str(per_cpu)}
    return {}


def _with_type(gres: Gres) -> str:
    return f"{gres.name}:{gres.type}" if gres.type else gres.name


def _count_text(gres: Gres) -> str:
    return f"{gres.type}:{gres.count}" if gres.type else str(gres.count)


def array_variables(job: Job) -> dict[str, str]:
    array = job.request.array
    if array is None or job.task_index is None:
        return {}
    indices = array.indices
    ranges = indices.ranges
    step = ranges[0][2] if len(ranges) == 1 else 1
    return {
        "SLURM_ARRAY_JOB_ID": str(job.array_id),
        "SLURM_ARRAY_TASK_ID": str(job.task_index),
        "SLURM_ARRAY_TASK_COUNT": str(len(indices)),
        "SLURM_ARRAY_TASK_MIN": str(indices.minimum),
        "SLURM_ARRAY_TASK_MAX": str(indices.maximum),
        "SLURM_ARRAY_TASK_STEP": str(step),
    }


def folded(values: Iterable[int]) -> str:
    """`4,1`, `2(x3)`: equal neighbours are counted."""
    parts = []
    for value, run in itertools.groupby(values):
        count = len(list(run))
        parts.append(str(value) if count == 1 else f"{value}(x{count})")
    return ",".join(parts)
