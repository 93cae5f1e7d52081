"""What somebody asks for: the record that every front end fills and every backend is served from.

Immutable. A change (`scontrol update`) makes a new one with `dataclasses.replace`. Values are in our
units (MiB, seconds, epoch seconds UTC); None always means "not given", so that defaults can be told
from wishes (`SLURM_NTASKS` is set only when -n was given).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from bridge.core import dag, indexset


class Origin(StrEnum):
    SBATCH = "sbatch"
    HTTP = "http"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class Gres:
    """A generic resource: `gpu:a100:2`."""

    name: str
    type: str | None = None
    count: int = 1
    bare: bool = field(default=False, compare=False)
    """Asked for without a count, and shown so."""


@dataclass(frozen=True, slots=True)
class Component:
    """The size and place of one part: all of a plain job, one component of a heterogeneous one."""

    nodes_min: int | None = None
    nodes_max: int | None = None
    """None while nodes_min is set: exactly nodes_min. Both None: as few as hold the tasks."""
    node_sizes: tuple[int, ...] | None = None
    """Allowed node counts, from `-N 1,3` or `-N 1-8:2`."""
    tasks: int | None = None
    tasks_per_node: int | None = None
    tasks_per_core: int | None = None
    tasks_per_socket: int | None = None
    tasks_per_gpu: int | None = None
    cpus_per_task: int | None = None
    cpus_per_gpu: int | None = None
    cpus_per_node_min: int | None = None
    """--mincpus"""
    sockets_per_node: int | None = None
    cores_per_socket: int | None = None
    threads_per_core: int | None = None
    memory_per_node_mib: int | None = None
    """0: all memory of each node."""
    memory_per_cpu_mib: int | None = None
    memory_per_gpu_mib: int | None = None
    temporary_disk_mib: int | None = None
    gres_per_node: tuple[Gres, ...] = ()
    """--gres and --gpus-per-node"""
    gres_per_job: tuple[Gres, ...] = ()
    """--gpus"""
    gres_per_task: tuple[Gres, ...] = ()
    """--gpus-per-task and the gres part of --tres-per-task"""
    gres_per_socket: tuple[Gres, ...] = ()
    constraint: str | None = None
    prefer: str | None = None
    node_list: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclusive: Literal["node", "user", "mcs", "topo"] | None = None
    oversubscribe: bool = False
    overcommit: bool = False
    licenses: str | None = None
    partitions: tuple[str, ...] = ()
    """In order of preference; empty: the site's default."""


@dataclass(frozen=True, slots=True)
class Array:
    indices: indexset.IndexSet
    throttle: int | None = None
    """Most tasks running at a time; None: no limit."""
    text: str = ""
    """As written, for answers."""


@dataclass(frozen=True, slots=True)
class SignalWish:
    """--signal: warn the job before its time limit."""

    number: int
    before_seconds: int = 60
    batch_shell_only: bool = False
    """True (`B:`): only to the batch shell. False: to the steps only, not to the batch shell."""


@dataclass(frozen=True, slots=True)
class Files:
    """Names with their % codes unexpanded; None: Slurm's default name."""

    stdout: str | None = None
    stderr: str | None = None
    """None: the same file as stdout."""
    stdin: str | None = None
    """None: /dev/null."""
    append: bool | None = None
    """--open-mode; None: the site's default (truncate)."""


@dataclass(frozen=True, slots=True)
class Program:
    """What runs. Texts and environments are large and live in the store as blobs, not here."""

    kind: Literal["batch"] = "batch"
    arguments: tuple[str, ...] = ()
    """The words after the script's name."""
    command: str | None = None
    """Absolute path of the script at submission; None for standard input and --wrap."""
    wrapped: bool = False


@dataclass(frozen=True, slots=True)
class JobRequest:
    name: str
    user: str
    uid: int
    gid: int
    origin: Origin = Origin.SBATCH
    program: Program = Program()
    components: tuple[Component, ...] = (Component(),)
    account: str | None = None
    qos: str | None = None
    left_open: tuple[str, ...] = ()
    """Of account and qos, those that nobody named: what stands there is the default that was found."""
    array: Array | None = None
    dependency: dag.Dependency | None = None
    time_limit_seconds: int | None = None
    """None: the partition's default. `UNLIMITED_SECONDS`: none."""
    time_min_seconds: int | None = None
    begin_at: float | None = None
    deadline_at: float | None = None
    hold: bool = False
    nice: int = 0
    priority: int | None = None
    """As asked; a plain user's wish is recorded, not obeyed."""
    requeue: bool | None = None
    """None: the site's default."""
    kill_on_invalid_dependency: bool | None = None
    """None: the site's default."""
    signal: SignalWish | None = None
    files: Files = Files()
    working_directory: str = "/"
    umask: int = 0o022
    rlimits: tuple[tuple[str, int, int], ...] = ()
    """(name such as RLIMIT_STACK, soft, hard) of the submitting process; -1: infinity."""
    export: str | None = None
    """--export as written; None: everything. The environment blob is already reduced by it."""
    load_login_environment: bool = False
    """--export=NONE and lists, --get-user-env: the user's login environment is added on the node."""
    container_image: str | None = None
    """In which it runs instead of the partition's, as the registry calls it."""
    comment: str | None = None
    reservation: str | None = None
    wckey: str | None = None
    mail_types: tuple[str, ...] = ()
    mail_user: str | None = None
    distribution: str | None = None
    submit_line: str | None = None
    """The command as typed, for sacct's SubmitLine."""
    submit_directory: str = "/"
    submit_host: str = ""
    recorded: tuple[tuple[str, str], ...] = ()
    """Options that are kept but change nothing here: (long name, value)."""
    environment_of_options: tuple[tuple[str, str], ...] = ()
    """SLURM_* variables that an option asks to be set in the job, such as SLURM_HINT."""

    @property
    def component(self) -> Component:
        """The first; the only one of a plain job."""
        return self.components[0]


UNLIMITED_SECONDS = 365 * 86400 * 100
"""Stands for "no time limit" in a field of seconds."""
