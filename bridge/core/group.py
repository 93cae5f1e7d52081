"""What a backend is asked to run, and the launch file that its agents read.

The launch file is versioned JSON. Agents ignore fields that they do not know; a field once given is not
given another meaning. Its reader is `bridge/agent/launch.py`, which imports nothing from here.
"""

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
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.instance}-{self.job_id}-{self.attempt}"
