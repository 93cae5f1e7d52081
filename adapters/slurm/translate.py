"""The report of a translation and the request that came of it, for `bridge translate`. Texts only."""

import dataclasses
from enum import Enum
from typing import Any

from bridge.core.report import Report
from bridge.core.request import JobRequest


def render(report: Report, request: JobRequest) -> str:
    lines = [f"Job {request.name!r} of {request.user}"]
    for entry in report.entries:
        lines.append(f"  {entry.text}  ({entry.source})")
        lines.append(f"      {entry.treatment}: {entry.sentence}")
    lines += [f"  warning: {warning}" for warning in report.warnings]
    lines.append("Request")
    lines += [f"  {name} = {value}" for name, value in _fields(request).items() if name != "components"]
    for number, component in enumerate(request.components):
        lines.append(f"  component {number}")
        lines += [f"    {name} = {value}" for name, value in _fields(component).items()]
    return "\n".join(lines) + "\n"


def _fields(record: Any) -> dict[str, Any]:
    """Those that differ from their default."""
    found = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.default is not dataclasses.MISSING and value == field.default:
            continue
        found[field.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "ranges"):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def to_json(report: Report, request: JobRequest) -> dict[str, Any]:
    return {
        "report": [_plain(entry) for entry in report.entries],
        "warnings": list(report.warnings),
        "request": _fields(request),
    }
