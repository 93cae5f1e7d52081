"""The recorded answers of a real Slurm, as values. Reads the file; judges nothing.

Line 1 (`_cluster`) says what the fields mean and which ones a record leaves out; every other line is a case.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLUSTER = "_cluster"
OURS = "25.11.8"
"""The version whose words our commands speak."""


class Unreadable(Exception):
    """The text says which line, and why."""


@dataclass(frozen=True)
class Case:
    id: str
    group: str
    version: str
    how: dict[str, Any]
    expect: dict[str, Any]
    unstable: tuple[str, ...] = ()
    """Paths such as `expect.sacct[1].State` that two recordings disagreed about."""

    @property
    def is_http(self) -> bool:
        return "path" in self.how


@dataclass(frozen=True)
class Recording:
    cases: tuple[Case, ...]
    left_out_when: dict[str, str]
    """Field of `scontrol show job` → the value with which a record leaves it out."""


def read(path: Path) -> Recording:
    """Raises OSError, or Unreadable."""
    cases: list[Case] = []
    left_out: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            if value["id"] == CLUSTER:
                left_out = value["expect"].get("job_fields_left_out_when", {})
            else:
                cases.append(_case(value))
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable(f"{path}, line {number}: {error!r}") from error
    return Recording(tuple(cases), left_out)


def _case(value: dict[str, Any]) -> Case:
    return Case(
        id=value["id"],
        group=value["group"],
        version=value["slurm_version"],
        how=value["how"],
        expect=value["expect"],
        unstable=tuple(value.get("unstable", ())),
    )


def chosen(
    cases: Iterable[Case], *, version: str, groups: Collection[str] = (), ids: Collection[str] = ()
) -> list[Case]:
    """Empty `groups` or `ids`: all."""
    return [
        case
        for case in cases
        if case.version == version and (not groups or case.group in groups) and (not ids or case.id in ids)
    ]
