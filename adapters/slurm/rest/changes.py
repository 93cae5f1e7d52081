"""`POST job/{id}`: a description whose fields replace those of a job."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.slurm import assembly, dependency, values
from adapters.slurm.chosen import choose
from adapters.slurm.options import BY_NAME, Place
from adapters.slurm.readers import Context
from adapters.slurm.rest import description
from adapters.slurm.rest.envelope import Said
from adapters.slurm.rest.shapes import Json
from adapters.slurm.rest.submission import Asker
from adapters.slurm.rest.taking import Gathered
from bridge.core.change import Change
from bridge.core.errors import Refused
from bridge.core.job import Job
from bridge.core.request import Component

FAILED = "Job update requested failed"
SOURCE = "slurm_update_job2()"


@dataclass(frozen=True, slots=True)
class Wanted:
    request: Mapping[str, Any] = field(default_factory=dict)
    component: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    recorded: Mapping[str, str] = field(default_factory=dict)
    time_limit_seconds: int | None = None
    priority: int | None = None
    hold: bool | None = None
    user_id_given: bool = False


def read(body: Json, version: int, asker: Asker, said: Said) -> Wanted:
    """Failed where the description cannot be read, Refused where slurmctld would not take it."""
    context = Context(asker.now, "", asker.user, asker.is_operator, asker.site, {}, asker.find_user)
    into = Gathered(context, asker.find_user)
    description.gather({} if body is None else body, version, "#/", into, said)
    _tell_of_the_fixed(into, said)
    return _wanted(into)


def _tell_of_the_fixed(into: Gathered, said: Said) -> None:
    """What a job was submitted with for good."""
    for name, given in (("script", into.script), ("argv", into.arguments), ("environment", into.environment)):
        if given:
            said.warn(f"The {name} of a job cannot be changed once it is submitted", f"#/{name}/")


_OWN_WAY = frozenset({"hold", "priority", "time_limit_seconds"})
_CLEARED_TO_EMPTY = frozenset({"exclude", "node_list", "gres_per_job", "gres_per_socket"})


def _wanted(into: Gathered) -> Wanted:
    chosen = choose(into.met)
    request = {name: one.value for name, one in chosen.request.items() if name not in _OWN_WAY}
    request |= _of_special(chosen.special)
    if into.directory:
        request["working_directory"] = into.directory
    component = _given_fields(assembly.components_of([chosen])[0][0])
    files = {name: one.value for name, one in chosen.files.items()}
    for option in map(BY_NAME.__getitem__, into.cleared):
        match option.place:
            case Place.REQUEST:
                request.setdefault(option.fills, None)
            case Place.COMPONENT:
                component.setdefault(option.fills, () if option.fills in _CLEARED_TO_EMPTY else None)
            case Place.FILES:
                files.setdefault(option.fills, None)
            case _ if option.name == "dependency":
                request.setdefault("dependency", None)
            case _ if option.name == "constraint":
                component.setdefault("constraint", None)
    recorded = {one.option.name: one.text if one.text is not None else "1" for one in chosen.recorded.values()}
    recorded |= {name.replace("_", "-"): value for name, value, _ in into.kept}
    limit, priority = chosen.request.get("time_limit_seconds"), chosen.request.get("priority")
    hold = chosen.request.get("hold")
    return Wanted(
        request,
        component,
        files,
        recorded,
        time_limit_seconds=None if limit is None else _number(limit.value),
        priority=None if priority is None else _number(priority.value),
        hold=None if hold is None else bool(hold.value) if hold.spelled.startswith("hold") else _is_zero(priority),
        user_id_given=into.user is not None or into.gid is not None,
    )


def _is_zero(priority: Any) -> bool | None:
    """A priority of 0 holds; another one releases nothing."""
    return True if priority is not None and priority.value == 0 else None


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def _of_special(special: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "name" in special:
        found["name"] = special["name"].text or ""
    if "dependency" in special:
        found["dependency"] = dependency.parse(special["dependency"].text or "")
    if "signal" in special:
        option = special["signal"].value
        assert isinstance(option, values.SignalOption)
        found["signal"] = option.wish
    if "distribution" in special:
        found["distribution"] = special["distribution"].value[0]
    if "array" in special:
        raise Refused("the indices of an array are given when it is submitted", code="invalid_array", field="array")
    return found


_UNTOUCHED = Component()
_NODES = ("nodes_min", "nodes_max", "node_sizes")
_MEMORY = ("memory_per_node_mib", "memory_per_cpu_mib", "memory_per_gpu_mib")


def _given_fields(component: Component) -> dict[str, Any]:
    """What differs from a component that nobody said anything of; what belongs together is replaced together."""
    found = {
        one.name: getattr(component, one.name)
        for one in dataclasses.fields(component)
        if getattr(component, one.name) != getattr(_UNTOUCHED, one.name)
    }
    for together in (_NODES, _MEMORY):
        if any(name in found for name in together):
            found |= {name: getattr(component, name) for name in together}
    return found


def for_job(wanted: Wanted, job: Job) -> Change:
    request = dict(wanted.request)
    if wanted.files:
        request["files"] = dataclasses.replace(job.request.files, **wanted.files)
    if wanted.recorded:
        request["recorded"] = tuple({**dict(job.request.recorded), **wanted.recorded}.items())
    return Change(
        request=request,
        component=wanted.component,
        time_limit_seconds=wanted.time_limit_seconds,
        priority=wanted.priority,
    )
