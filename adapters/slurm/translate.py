"""The report of a translation and the request that came of it, for `bridge translate`. Texts only.

Directives
  train.sh:2    -N 2            acted on      so many nodes, all at once
Warnings
  train.sh:4: …
Job
  name              train
Group (its id is made up)
  node              n1: 4 CPUs, 1024 MiB, 4 tasks
"""

import dataclasses
from collections.abc import Sequence
from enum import Enum
from typing import Any

from adapters.slurm.foreseen import Foreseen
from bridge.core.indexset import IndexSet
from bridge.core.report import Report
from bridge.core.request import JobRequest

_WIDEST_COLUMN = 40


def render(report: Report, request: JobRequest, foreseen: Foreseen) -> str:
    lines = []
    if report.entries:
        rows = [(entry.source, entry.text, entry.treatment.value, entry.sentence) for entry in report.entries]
        lines += ["Directives", *_aligned(rows)]
    if report.warnings:
        lines += ["Warnings", *(f"  {_printable(warning)}" for warning in report.warnings)]
    job = _fields(request)
    components = job.pop("components", [])
    lines += ["Job", *_aligned([(name, _written(value)) for name, value in job.items()])]
    for number, component in enumerate(components):
        if component:
            title = "Size" if len(components) == 1 else f"Size of component {number}"
            lines += [title, *_aligned([(name, _written(value)) for name, value in component.items()])]
    lines += _group(foreseen)
    return "\n".join(lines) + "\n"


def to_json(report: Report, request: JobRequest, foreseen: Foreseen) -> dict[str, Any]:
    """Fields of the request that stand at their default are left out."""
    return {
        "report": [dataclasses.asdict(entry) for entry in report.entries],
        "warnings": list(report.warnings),
        "request": _fields(request),
        "group": foreseen.group,
        "no_group_because": foreseen.why_not or None,
    }


def _group(foreseen: Foreseen) -> list[str]:
    """What would run where; the ids in it are made up."""
    told = foreseen.group
    if told is None:
        return ["Group", f"  none: {_printable(foreseen.why_not)}"]
    batch = told["batch"]
    rows = [("partition", told["partition"])]
    if told["task_index"] is not None:
        rows.append(("task", f"{told['task_index']}, the first of the array"))
    for node in told["nodes"]:
        devices = "".join(
            f", {':'.join(filter(None, (name, kind)))} {','.join(map(str, numbers))}"
            for name, kind, numbers in node["gres"]
        )
        memory = f"{node['memory_mib']} MiB" if node["memory_mib"] else "memory as it is"
        rows.append(("node", f"{node['name']}: {node['cpus']} CPUs, {memory}, {node['tasks']} tasks{devices}"))
    limit = told["time_limit_seconds"]
    rows += [
        ("time_limit_seconds", "none" if limit is None else str(limit)),
        ("kill_wait_seconds", str(told["kill_wait_seconds"])),
        ("working_directory", batch["working_directory"]),
        ("stdin", batch["stdin"]),
        ("stdout", batch["stdout"] + (" (appended to)" if batch["append"] else "")),
        ("stderr", batch["stderr"] or "with stdout"),
    ]
    if batch["arguments"]:
        rows.append(("arguments", " ".join(batch["arguments"])))
    if told["signal"] is not None:
        rows.append(("signal", _written(told["signal"])))
    variables = [(name, text) for name, text in sorted(batch["environment"].items())]
    return ["Group (its id is made up)", *_aligned(rows), "Environment added", *_aligned(variables)]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    shown = [[_printable(cell) for cell in row] for row in rows]
    widths = [min(_WIDEST_COLUMN, max(len(row[k]) for row in shown)) for k in range(len(shown[0]) - 1)]
    return ["  " + "  ".join([*(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)), row[-1]]) for row in shown]


def _printable(text: str) -> str:
    """Names come from users: no control characters, so that a terminal is safe from them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_written(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "; ".join(_written(item) for item in value)
    return str(value)


def _fields(record: Any) -> dict[str, Any]:
    """Those that differ from their default, by name."""
    found = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.default is dataclasses.MISSING or value != field.default:
            found[field.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, IndexSet):
        return str(value)
    if dataclasses.is_dataclass(value):
        return _fields(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
