"""Of all options met, those that count: the stronger source wins, within one the last; and the clashes between them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.slurm.occurrences import Occurrence, Rank, Refusal, fatal
from adapters.slurm.values import Nodes
from bridge.core.request import Gres

Fields = dict[str, Occurrence]


@dataclass(slots=True)
class Chosen:
    """Field name → what fills it, by place (`options.Place`)."""

    component: Fields = field(default_factory=dict)
    request: Fields = field(default_factory=dict)
    files: Fields = field(default_factory=dict)
    parsed: Fields = field(default_factory=dict)
    special: Fields = field(default_factory=dict)
    recorded: Fields = field(default_factory=dict)
    early: Fields = field(default_factory=dict)

    @property
    def places(self) -> tuple[Fields, ...]:
        return (
            *(self.component, self.request, self.files, self.parsed),
            *(self.special, self.recorded, self.early),
        )

    def winner_over(self, one: Occurrence) -> Occurrence | None:
        return self.places[one.option.slot].get(one.option.fills)


OF_COMPONENT = frozenset(
    {"nodes", "shape", "gres", "gpus_per_node", "gpus_per_task", "tres_per_task", "mem", "mem_per_cpu", "mem_per_gpu"}
    | {"constraint"}
)
"""Special fields that describe one component of a heterogeneous job, not the whole."""


def choose(every: Iterable[Occurrence], whole: Chosen | None = None) -> Chosen:
    """`whole`: of the component before; what describes the job as a whole stays."""
    chosen = Chosen()
    if whole is not None:
        chosen.request = dict(whole.request)
        chosen.files = dict(whole.files)
        chosen.parsed = dict(whole.parsed)
        chosen.special = {name: one for name, one in whole.special.items() if name not in OF_COMPONENT}
        chosen.recorded = dict(whole.recorded)
    places = chosen.places
    for one in every:
        option = one.option
        places[option.slot][option.fills] = one
    return chosen


_MEMORY = ("mem", "mem_per_cpu", "mem_per_gpu")


def settle(chosen: Chosen, exit_error: int = 1) -> None:
    """Refusal for options that exclude each other; takes out a memory wish of the environment that gives way.

    `exit_error`: the exit code of errors that are not the options' own.
    """
    _settle_memory(chosen)
    component, special = chosen.component, chosen.special
    if "oversubscribe" in component and "exclusive" in component:
        _settle_sharing(component)
    if "core-spec" in chosen.recorded and "thread-spec" in chosen.recorded:
        raise fatal("-S/--core-spec and --thred-spec options are mutually exclusive")  # spelt so by sbatch
    tres = special["tres_per_task"].text or "" if "tres_per_task" in special else ""
    if tres or "cpus_per_gpu" in component:
        _settle_cpus(chosen, tres)
    if "tasks_per_gpu" in component:
        for name, fields in (("gpus_per_task", special), ("gres_per_socket", component), ("tasks_per_node", component)):
            if name in fields:
                other = fields[name].option.name
                raise fatal(f"--{other} is mutually exclusive with --ntasks-per-gpu and SLURM_NTASKS_PER_GPU")
    _check_devices(chosen, tres, exit_error)
    if "resv_ports" in special:
        raise Refusal(f"sbatch: error: {_NO_PORTS}\n", 1)
    if "distribution" in special and "node_list" not in component:
        shape = special["distribution"].text or ""
        if shape.lower().startswith("arbitrary"):
            raise Refusal(
                "sbatch: error: With Arbitrary distribution you need to specify a nodelist or hostfile "
                "with the -w option\n",
                1,
            )


_NO_PORTS = "Slurmstepd step management must be enabled to use --resv-ports for job allocations"

_DEVICES = ("gres", "gpus_per_node", "gpus_per_task", "gres_per_job", "gres_per_socket")


def _check_devices(chosen: Chosen, tres: str, exit_error: int) -> None:
    """What sbatch refuses before it asks the controller."""
    wishes = _device_wishes(chosen)
    said = _wrong_with_devices(chosen, tres, wishes)
    if said:
        raise Refusal(
            f"sbatch: error: {said}\nsbatch: error: Invalid generic resource (gres) specification\n", exit_error
        )
    asked = {(one.name, one.type is None) for one in wishes}
    if any((name, True) in asked and (name, False) in asked for name, _ in asked):
        raise Refusal("sbatch: error: Invalid GRES specification (with and without type identification)\n", exit_error)


def _device_wishes(chosen: Chosen) -> list[Gres]:
    places = (chosen.component, chosen.special)
    wishes = [place[name].value for name in _DEVICES for place in places if name in place]
    return [one for wish in wishes if isinstance(wish, tuple) for one in wish]


def _wrong_with_devices(chosen: Chosen, tres: str, wishes: list[Gres]) -> str | None:
    """In sbatch's words: a wish for something else that hangs on devices which were not asked for."""
    component, special = chosen.component, chosen.special
    per_task = "gpus_per_task" in special or "gres/" in tres or "gres:" in tres
    if per_task and not ("tasks" in component or "gres_per_job" in component or "nodes" in special):
        said = "--gpus-per-task or --tres-per-task used without either --gpus or -n/--ntasks is not allowed."
        return f"Failed to validate job spec. {said}"
    has_gpus = "gres/gpu" in tres or "gres:gpu" in tres or any(one.name == "gpu" for one in wishes)
    for kind, name, place in (("mem", "mem_per_gpu", special), ("cpus", "cpus_per_gpu", component)):
        if name in place and not has_gpus and "tasks_per_gpu" not in component:
            return f"Requested {kind}_per_tres=gres/gpu:{place[name].value} but did not request any GPU."
    if "gres_per_socket" in component and not ("sockets_per_node" in component or "shape" in special):
        return "--gpus-per-socket option requires --sockets-per-node specification"
    nodes = special["nodes"].value if "nodes" in special else None
    gpus = component["gres_per_job"].value if "gres_per_job" in component else None
    if isinstance(nodes, Nodes) and isinstance(gpus, tuple) and sum(one.count for one in gpus) < nodes.least:
        return "Failed to validate job spec, --gpus < -N"
    if "tasks_per_gpu" in component and not has_gpus:
        tasks, each = (component[name].value if name in component else None for name in ("tasks", "tasks_per_gpu"))
        if tasks is None and "nodes" not in special:
            given = "either a GRES GPU specification or a node/ntask specification"
            return f"gres_job_state_validate: --ntasks-per-tres needs {given}"
        if isinstance(tasks, int) and isinstance(each, int) and tasks % each:
            return "Failed to validate job spec, -n/--ntasks has to be a multiple of --ntasks-per-gpu."
    return None


def _settle_sharing(component: Fields) -> None:
    """SBATCH_EXCLUSIVE is stronger than -s in a directive, and gives way to one on the command line."""
    exclusive, oversubscribe = component["exclusive"], component["oversubscribe"]
    if exclusive.rank is not Rank.ENVIRONMENT:
        raise fatal("--exclusive and --oversubscribe options are mutually exclusive")
    del component["exclusive" if oversubscribe.rank > exclusive.rank else "oversubscribe"]


def _settle_memory(chosen: Chosen) -> None:
    """Directives and command line count as one source here, and the environment gives way to either."""
    special = chosen.special
    wishes = [special[kind] for kind in _MEMORY if kind in special]
    if len(wishes) < 2:
        return
    given = [one for one in wishes if one.rank is not Rank.ENVIRONMENT]
    if len(given) > 1:
        raise fatal("--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.")
    if not given:
        raise fatal("SLURM_MEM_PER_CPU, SLURM_MEM_PER_GPU, and SLURM_MEM_PER_NODE are mutually exclusive.")
    for one in wishes:
        if one is not given[0]:
            del special[one.option.fills]


def _settle_cpus(chosen: Chosen, tres: str) -> None:
    names = {item.replace(":", "=").partition("=")[0] for item in tres.split(",")}
    if "cpu" in names and "cpus_per_task" in chosen.component:
        raise fatal("You can not have --tres-per-task=cpu= and --cpus-per-task please use one or the other")
    if "cpus_per_gpu" in chosen.component and ("cpu" in names or "cpus_per_task" in chosen.component):
        raise fatal("--cpus-per-task, --tres-per-task=cpu:#, and --cpus-per-gpu are mutually exclusive")
    if "gres/gpu" in tres and "gpus_per_task" in chosen.special:
        raise fatal("You can not have --tres-per-task=gres/gpu= and --gpus-per-task please use one or the other")
