"""What a backend is asked to run, and the launch file that its agents read.

The launch file is versioned JSON. Agents ignore fields that they do not know; a field once given is not
given another meaning. Its reader is `bridge/agent/launch.py`, which imports nothing from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.core.job import Share

LAUNCH_VERSION = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch script and everything around it."""

    script: bytes
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    working_directory: str
    umask: int
    rlimits: tuple[tuple[str, int, int], ...]
    stdin: str
    """Absolute path, % codes expanded. So stdout and stderr."""
    stdout: str
    stderr: str | None
    """None: the same file as stdout."""
    append: bool
    load_login_environment: bool


@dataclass(frozen=True, slots=True)
class Signal:
    number: int
    before_seconds: int
    batch_shell_only: bool


@dataclass(frozen=True, slots=True)
class Group:
    """One attempt of one job. Its name is the same whenever it is made from the same job."""

    instance: str
    job_id: int
    display_id: str
    attempt: int
    array_id: int | None
    task_index: int | None
    job_name: str
    user: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str
    nodes: tuple[Share, ...]
    node_environment: tuple[dict[str, str], ...]
    """For each node what differs there, such as SLURMD_NODENAME and the devices."""
    batch: Batch
    time_limit_seconds: int | None
    """None: no limit."""
    kill_wait_seconds: int
    signal: Signal | None
    memory_limit_mib: tuple[int | None, ...]
    """For each node; None: not limited."""
    patience_seconds: int
    """How long the start barrier may take."""
    key: str = field(repr=False)
    """Hexadecimal secret shared by the group's agents and its srun; of this attempt only."""
    job_token: str = field(repr=False, default="")
    """Lets sbatch, squeue ... inside the job act as its user, until the attempt ends."""
    partition: str = ""
    mpi_default: str = "none"
    """What steps get that name no kind of MPI."""
    requeue: bool = True
    """Whether the job runs again when its node is lost."""
    group_names: tuple[str, ...] = ()
    """Of `groups`, as far as they are known."""
    container_image: str | None = None
    """In which it runs; None: the partition's."""
    temporary_disk_mib: int = 0
    """What each node must have free for it."""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.instance}-{self.job_id}-{self.attempt}"


def launch_file(group: Group, addresses: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """What every backend says alike; `addresses`: of each node's step service. Backends add their own paths."""
    batch = group.batch
    return {
        **group.extra,
        "version": LAUNCH_VERSION,
        "instance": group.instance,
        "job_id": group.job_id,
        "display_id": group.display_id,
        "attempt": group.attempt,
        "array_id": group.array_id,
        "task_index": group.task_index,
        "job_name": group.job_name,
        "user": group.user,
        "uid": group.uid,
        "gid": group.gid,
        "groups": list(group.groups),
        "home": group.home,
        "shell": group.shell,
        "nodes": [
            {
                "name": share.node,
                "cpus": share.cpus,
                "memory_mib": share.memory_mib,
                "tasks": share.tasks,
                "gres": [[name, kind, list(indices)] for name, kind, indices in share.gres],
                "address": address,
                "port": port,
            }
            for share, (address, port) in zip(group.nodes, addresses, strict=True)
        ],
        "node_environment": list(group.node_environment),
        "batch": {
            "arguments": list(batch.arguments),
            "environment": batch.environment,
            "working_directory": batch.working_directory,
            "umask": batch.umask,
            "rlimits": [list(limit) for limit in batch.rlimits],
            "stdin": batch.stdin,
            "stdout": batch.stdout,
            "stderr": batch.stderr,
            "append": batch.append,
            "load_login_environment": batch.load_login_environment,
        },
        "time_limit_seconds": group.time_limit_seconds,
        "kill_wait_seconds": group.kill_wait_seconds,
        "signal": None
        if group.signal is None
        else {
            "number": group.signal.number,
            "before_seconds": group.signal.before_seconds,
            "batch_shell_only": group.signal.batch_shell_only,
        },
        "memory_limit_mib": list(group.memory_limit_mib),
        "patience_seconds": group.patience_seconds,
        "mpi_default": group.mpi_default,
        "key": group.key,
        "job_token": group.job_token,
    }
