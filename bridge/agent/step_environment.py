"""What a step's tasks find of their job, also where srun was given an environment that was emptied before.

The names and their rules are those that srun and slurmd of 25.11 show.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Sequence

_OF_THE_JOB = (
    *("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CLUSTER_NAME", "SLURM_JOB_ACCOUNT", "SLURM_JOB_PARTITION"),
    *("SLURM_JOB_USER", "SLURM_JOB_UID", "SLURM_JOB_GID"),
    *("SLURM_OOM_KILL_STEP", "SLURM_PRIO_PROCESS", "SLURM_TOPOLOGY_ADDR_PATTERN"),
)
"""As the job has them, whatever srun's environment says."""

_WHERE_UNSET = (
    *("SLURM_JOB_CPUS_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_MEM_PER_NODE", "SLURM_MEM_PER_GPU"),
    *("SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_STEP"),
)


def of_job(launch: Mapping[str, Any], given: Mapping[str, str], program: Sequence[str]) -> Dict[str, str]:
    """`launch`: the launch file; `given`: what srun handed over, which the result completes."""
    batch: Mapping[str, str] = (launch.get("batch") or {}).get("environment") or {}
    found = {name: batch[name] for name in _WHERE_UNSET if name in batch}
    if program:
        found["SLURM_JOB_NAME"] = os.path.basename(program[0])
    if "SLURM_STEP_NODELIST" in given:
        found["SLURM_JOB_NODELIST"] = given["SLURM_STEP_NODELIST"]
    found.update(given)
    found.update({name: batch[name] for name in _OF_THE_JOB if name in batch})
    nodes = given.get("SLURM_JOB_NODELIST") or batch.get("SLURM_JOB_NODELIST")
    if nodes:
        found["SLURM_NODELIST"] = nodes
    return found
