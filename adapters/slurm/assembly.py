"""From the options that count to the request: fields filled, several options put together into one."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from adapters.slurm import arrayspec, choices, dependency, export, values
from adapters.slurm.chosen import Chosen, Fields
from adapters.slurm.occurrences import Occurrence, Rank, fatal
from bridge.core import constraint
from bridge.core.errors import Refused
from bridge.core.request import Component, Files, Gres, JobRequest, Program, SignalWish
from bridge.core.users import User

_EMPTY_IS_NONE = frozenset({"reservation", "wckey", "mail_user", "licenses", "prefer"})
"""An empty text is no wish."""

_EMPTY_VARIABLE_IS_NONE = frozenset({"account", "qos", "comment", "stdout", "stderr", "stdin"})
"""An empty variable is no wish, `SBATCH_QOS=` means the default; an empty option is one: `--qos=` is refused."""

ValueT = TypeVar("ValueT")


def components_of(parts: Sequence[Chosen]) -> tuple[tuple[Component, ...], str]:
    """(components, warnings for standard error)"""
    built = [_component(chosen) for chosen in parts]
    return tuple(component for component, _ in built), "".join(said for _, said in built)


def _component(chosen: Chosen) -> tuple[Component, str]:
    special = chosen.special
    fields = {**_shape_of_hint(chosen), **_values(chosen.component)}
    said = ""
    if not special:
        return Component(**fields), said
    shape = _value(special, "shape", dict)
    if shape is not None:
        fields = {**shape, **fields}
    nodes = _value(special, "nodes", values.Nodes)
    if nodes is not None:
        said = _add_nodes(nodes, fields)
    if nodes is not None or shape is not None:
        _count_places(fields)
    for kind, name in _MEMORY_FIELDS.items():
        if kind in special:
            fields[name] = special[kind].value
    features = special["constraint"].text if "constraint" in special else None
    if features:
        constraint.parse(features)
        features = constraint.normalized(features)
    if features is not None:
        fields["constraint"] = features
    per_node = (*(_value(special, "gpus_per_node", tuple) or ()), *(_value(special, "gres", tuple) or ()))
    if per_node:
        fields["gres_per_node"] = per_node
    per_task: tuple[Gres, ...] = _value(special, "gpus_per_task", tuple) or ()
    if "tres_per_task" in special:
        cpus, more = _tres_per_task(special["tres_per_task"].text or "")
        per_task += more
        if cpus is not None:
            fields["cpus_per_task"] = cpus
    if per_task:
        fields["gres_per_task"] = per_task
    return Component(**fields), said


def _shape_of_hint(chosen: Chosen) -> dict[str, int]:
    """--hint says how a node's cores are used; the last of several words that say the same thing counts."""
    shape: dict[str, int] = {}
    for word in _hints(chosen):
        shape |= _SHAPES_OF_HINTS.get(word, {})
    return shape


def _hints(chosen: Chosen) -> list[str]:
    return (chosen.recorded["hint"].text or "").lower().split(",") if "hint" in chosen.recorded else []


_SHAPES_OF_HINTS = {
    "compute_bound": {"threads_per_core": 1},
    "memory_bound": {"cores_per_socket": 1, "threads_per_core": 1},
    "nomultithread": {"threads_per_core": 1},
}

_MEMORY_FIELDS = {
    "mem": "memory_per_node_mib",
    "mem_per_cpu": "memory_per_cpu_mib",
    "mem_per_gpu": "memory_per_gpu_mib",
}


def _values(fields: Fields) -> dict[str, Any]:
    return {name: (one.value or None) if _is_none_if_empty(name, one) else one.value for name, one in fields.items()}


def _is_none_if_empty(name: str, one: Occurrence) -> bool:
    return name in _EMPTY_IS_NONE or (name in _EMPTY_VARIABLE_IS_NONE and one.rank is Rank.ENVIRONMENT)


def _value(fields: Fields, name: str, kind: type[ValueT]) -> ValueT | None:
    one = fields.get(name)
    if one is None:
        return None
    assert isinstance(one.value, kind)
    return one.value


def _add_nodes(nodes: values.Nodes, fields: dict[str, Any]) -> str:
    """Fewer tasks than nodes: sbatch says so and asks for fewer nodes."""
    least, most, said = nodes.least, nodes.most, ""
    tasks = fields.get("tasks")
    if tasks is not None and tasks < least:
        said = f"sbatch: warning: can't run {tasks} processes on {least} nodes, setting nnodes to {tasks}\n"
        least = tasks
        most = None if most is None else min(most, tasks)
    fields.update(nodes_min=least, nodes_max=most, node_sizes=nodes.sizes if not said else None)
    return said


_SHAPE_FIELDS = ("sockets_per_node", "cores_per_socket", "threads_per_core")


def _count_places(fields: dict[str, Any]) -> None:
    """Without -n sbatch asks for a task on each place of the shape that was given with -N or by -B."""
    given = [fields[name] for name in _SHAPE_FIELDS if fields.get(name) is not None]
    if given and fields.get("tasks") is None and fields.get("tasks_per_node") is None:
        fields["tasks"] = (fields.get("nodes_min") or 1) * math.prod(given)


_NOT_PER_TASK = frozenset({"mem", "node", "energy", "billing", "fs", "vmem", "pages", "bb"})


def _tres_per_task(text: str) -> tuple[int | None, tuple[Gres, ...]]:
    """`cpu=2,gres/gpu:a100=1`; a colon serves as =. Unknown words do nothing, as in sbatch."""
    cpus: int | None = None
    found: list[Gres] = []
    for item in text.split(","):
        name, _, amount = item.replace("=", ":").rpartition(":")
        if not name or not amount.isascii() or not amount.isdigit():
            name, amount = (name, "0") if name == "cpu" else (item, "1")
        number = int(amount[:9])
        if name.partition("/")[0].partition(":")[0] in _NOT_PER_TASK:
            raise fatal(f"Invalid TRES for --tres-per-task: {name.partition('/')[0].partition(':')[0]}")
        if name == "cpu":
            if number == 0:
                raise fatal("Invalid --tres-per-task=cpu=0")
            cpus = number
        elif name.startswith(("gres/", "gres:")):
            kind, _, model = name[5:].partition(":")
            found.append(Gres(kind, model or None, number))
    return cpus, tuple(found)


def environment_of(chosen: Chosen, environ: Mapping[str, str]) -> export.Exported:
    special = chosen.special
    get_user_env = "get_user_env" in special
    content = _value(special, "export_file", bytes)
    if content is not None:
        return export.Exported(export.from_file(content), get_user_env)
    given = (special["export"].text or "") if "export" in special else None
    return export.apply(given, environ, get_user_env=get_user_env)


def request_of(
    chosen: Chosen,
    components: tuple[Component, ...],
    exported: export.Exported,
    program: Program,
    script_name: str,
    max_array_size: int,
    submitted: Mapping[str, Any],
    caller: User,
) -> JobRequest:
    """`submitted`: what the call itself says (umask, submit_host and the like), by field. Refused as Slurm does."""
    special = chosen.special
    user = _value(special, "user", User) or caller
    gid = _value(special, "gid", int)
    files = Files(**_values(chosen.files)) if chosen.files else Files()
    signal = _value(special, "signal", values.SignalOption)
    if special.get("array") is not None and not special["array"].text and files.stdout is None:
        # An array of nothing is none, but its output is named as an array's.
        files = replace(files, stdout=_OUTPUT_OF_ARRAY)
    shape = _value(special, "distribution", tuple)
    recorded = {one.option.name: _shown(one.text) for one in chosen.recorded.values()}
    bind = _binding(recorded, components)
    exports = [*_exports(chosen), *exported.set_in_job]
    if bind is not None:
        recorded["tres-bind"] = bind
        exports.append(("SLURM_TRES_BIND", bind))
    return JobRequest(
        name=_text(special, "name", script_name),
        user=user.name,
        uid=user.uid,
        gid=gid if gid is not None else user.gid,
        program=program,
        components=components,
        array=arrayspec.parse(_text(special, "array"), max_array_size) if "array" in special else None,
        dependency=dependency.parse(_text(special, "dependency")) if "dependency" in special else None,
        signal=_signal(signal) if signal is not None else None,
        files=files,
        export=_text(special, "export") if "export" in special else None,
        load_login_environment=exported.load_login_environment,
        distribution=shape[0] if shape is not None else None,
        recorded=tuple(recorded.items()),
        environment_of_options=tuple(exports),
        **submitted,
        **_values(chosen.request),
    )


_OUTPUT_OF_ARRAY = "slurm-%A_%a.out"


def _binding(recorded: Mapping[str, str], components: Sequence[Component]) -> str | None:
    """How tasks are bound to devices: as said, or one's own devices for each task that asks for some."""
    if "tres-bind" in recorded:
        return recorded["tres-bind"]
    if "gpu-bind" in recorded:
        return f"gres/gpu:{recorded['gpu-bind']}"
    gpu = next((gres for gres in components[0].gres_per_task if gres.name == "gpu"), None)
    return None if gpu is None else f"gres/gpu:per_task:{gpu.count}"


def _text(fields: Fields, name: str, otherwise: str = "") -> str:
    return (fields[name].text or "") if name in fields else otherwise


def _shown(text: str | None) -> str:
    return text if text is not None else "1"


_SPELLED: Mapping[str, Callable[[str | None], str]] = {
    "profile": lambda text: choices.profile_text(text or ""),
    "cpu-freq": lambda text: choices.cpu_freq_text(text or ""),
}
"""Options that the job sees in Slurm's spelling, not in the user's."""


def _signal(option: values.SignalOption) -> SignalWish:
    if option.reservation_only:
        raise Refused("--signal=R: needs preemption", code="preemption_off", field="signal")
    return option.wish


def _exports(chosen: Chosen) -> list[tuple[str, str]]:
    """SLURM_ variables that are the option's text; those of sizes are worked out when the job starts."""
    found = [
        (one.option.exports, _SPELLED.get(one.option.name, _shown)(one.text))
        for place in (chosen.recorded, chosen.special, chosen.component)
        for one in place.values()
        if one.option.exports
    ]
    shape = _value(chosen.special, "distribution", tuple)
    if shape is not None:
        found.append(("SLURM_DISTRIBUTION", "plane" if shape[1] else shape[0]))
        if shape[1]:
            found.append(("SLURM_DIST_PLANESIZE", str(shape[1])))
    append = _value(chosen.files, "append", bool)
    if append is not None:  # srun in the job opens its files the same way
        found.append(("SLURM_OPEN_MODE", "a" if append else "t"))
    if "multithread" in _hints(chosen):
        found.append(("SLURM_NTASKS_PER_CORE", "65535"))  # Slurm's number for "as many as there are"
    return found
