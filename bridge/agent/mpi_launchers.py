"""What lets MPI's own launchers, mpirun and mpiexec in a script, start their daemons by srun; and what Open MPI needs
where several nodes of a job are one host.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Dict, Mapping, Optional

_VARIABLES = {
    "HYDRA_BOOTSTRAP": "slurm",
    "HYDRA_LAUNCHER_EXTRA_ARGS": "--external-launcher",
    "I_MPI_HYDRA_BOOTSTRAP": "slurm",
    "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": "--external-launcher",
    "OMPI_MCA_plm_slurm_args": "--external-launcher",
    "PRTE_MCA_plm_slurm_args": "--external-launcher",
}
"""As slurmd of 25.11 sets them, where the user has not."""

_MEMORY = "OMPI_MCA_btl_vader_backing_directory"


def complete(environment: Dict[str, str], memory_folder: Optional[str] = None) -> None:
    """`memory_folder`: of a node that shares its host with another of the job."""
    for name, value in _VARIABLES.items():
        environment.setdefault(name, value)
    if memory_folder is not None:
        environment.setdefault(_MEMORY, memory_folder)


def is_host_shared(launch: Mapping[str, Any], index: int) -> bool:
    """Whether another node of the job is on the same host as this one."""
    addresses = [node.get("address") for node in launch["nodes"]]
    return addresses.count(addresses[index]) > 1


def memory_folder(launch: Mapping[str, Any], index: int) -> Optional[str]:
    """Where this node's ranks put memory that they share; None: where everybody does.

    Open MPI 4 names such files by host, job and the rank's place on its node: the first ranks of two nodes of the
    job on one host would take the same one.
    """
    if not is_host_shared(launch, index):
        return None
    return f"/dev/shm/bridge-{launch.get('instance', '')}-{launch['job_id']}-{launch.get('attempt', 0)}-{index}"  # noqa: S108


def make_memory_folder(launch: Mapping[str, Any], index: int) -> Optional[str]:
    """As the job's user; None where there is none or none can be made."""
    path = memory_folder(launch, index)
    if path is None:
        return None
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return path if os.lstat(path).st_uid == os.geteuid() else None
    except OSError:
        return None
    return path


def remove_memory_folders(launch: Mapping[str, Any]) -> None:
    """When all processes of the job on this host have ended, whatever became of their monitors."""
    for index in range(len(launch["nodes"])):
        remove_memory_folder(launch, index)


def remove_memory_folder(launch: Mapping[str, Any], index: int) -> None:
    """When all processes of the job here have ended; it may hold what they left."""
    path = memory_folder(launch, index)
    if path is None:
        return
    with contextlib.suppress(OSError):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(folder).st_uid == launch["uid"]:
                for name in os.listdir(folder):
                    os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
        os.rmdir(path)
