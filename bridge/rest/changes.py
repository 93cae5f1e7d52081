"""PATCH of a job: our field names to the settings that `scontrol update` knows, so that both do the same."""

from collections.abc import Mapping
from typing import Any

from adapters.slurm import durations, scontrol_settings
from bridge.core.change import Change
from bridge.core.errors import Refused
from bridge.core.job import Job
from bridge.rest import bodies

SETTINGS: dict[str, str] = {
    "account": "Account",
    "array_throttle": "ArrayTaskThrottle",
    "begin": "StartTime",
    "comment": "Comment",
    "constraint": "Features",
    "cpus_per_task": "CPUsPerTask",
    "deadline": "Deadline",
    "dependency": "Dependency",
    "exclude": "ExcNodeList",
    "gres": "TresPerNode",
    "licenses": "Licenses",
    "memory_per_cpu": "MinMemoryCPU",
    "memory_per_node": "MinMemoryNode",
    "name": "Name",
    "nice": "Nice",
    "nodelist": "ReqNodeList",
    "nodes": "NumNodes",
    "partition": "Partition",
    "priority": "Priority",
    "qos": "QOS",
    "requeue": "Requeue",
    "stderr": "StdErr",
    "stdin": "StdIn",
    "stdout": "StdOut",
    "tasks": "NumTasks",
    "time_limit": "TimeLimit",
    "time_min": "TimeMin",
    "working_directory": "WorkDir",
}
"""Values are texts as scontrol takes them (`"time_limit": "+10"`, `"dependency": "afterok:12"`), numbers, booleans."""


def read(body: Mapping[str, Any], job: Job, now: float) -> Change:
    bodies.refuse_unknown(body, SETTINGS)
    if not body:
        raise bodies.wrong("body", f"nothing is to change; known are {', '.join(SETTINGS)}")
    settings = tuple((SETTINGS[name], _text(name, value)) for name, value in body.items())
    names = {setting: name for name, setting in SETTINGS.items()}
    clock = durations.clock_of({}, now)
    # One after the other, so that a refusal can name its field.
    for setting, value in settings:
        _change(((setting, value),), job, clock, names[setting])
    return _change(settings, job, clock, None)


def _change(settings: tuple[tuple[str, str], ...], job: Job, clock: durations.Clock, field: str | None) -> Change:
    try:
        return scontrol_settings.change_for(settings, job, clock)
    except scontrol_settings.BadSetting as bad:
        lines = str(bad).replace("{}", job.display_id).splitlines()
        sentence = "; ".join(line.removeprefix("scontrol: error: ") for line in lines if line != "No changes specified")
        raise Refused(f"{field}: {sentence}", code="invalid_value", field=field) from bad


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and "\0" not in value and value.isprintable():
        return value
    raise bodies.wrong(name, "a text without control characters, a whole number, true or false is expected")
