"""The names of a job's files: % codes filled in, defaults, absolute paths.

By sbatch's manual page, "filename pattern", as 25.11 does it. Opens nothing.
"""

import posixpath
from dataclasses import dataclass

from bridge.core.job import Job

NO_TASK = 4294967294
"""What %a gives in a job that is no array task (Slurm's NO_VAL)."""

NO_NODE = "(null)"
"""What %N gives before the job has nodes."""

MOST_DIGITS = 10
"""Slurm pads to ten digits at most."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the codes stand for."""

    job_id: int
    array_id: int | None
    task_index: int | None
    job_name: str
    user: str
    node: str = ""
    node_index: int = 0
    task_rank: int = 0
    step: str = "batch"
    restart_count: int = 0
    sluid: str = ""


def names_of(job: Job, node: str | None = None) -> Names:
    first = job.nodes[0].node if job.nodes else NO_NODE
    return Names(
        job_id=job.id,
        array_id=job.array_id if job.array_id is not None else (job.id if job.is_array else None),
        task_index=job.task_index if job.task_index is not None else None,
        job_name=job.request.name,
        user=job.request.user,
        node=first if node is None else node,
        restart_count=job.restarts,
    )


def expand(pattern: str, names: Names) -> str:
    """A backslash anywhere turns all codes off and is removed; unknown codes stay as written."""
    if "\\" in pattern:
        return pattern.replace("\\", "")
    if "%" not in pattern:
        return pattern
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character != "%":
            parts.append(character)
            position += 1
            continue
        end = position + 1
        while end < len(pattern) and pattern[end].isascii() and pattern[end].isdigit():
            end += 1
        value = _value(pattern[end], names) if end < len(pattern) else None
        width = pattern[position + 1 : end]
        if end == position + 1 == len(pattern):
            break  # a lone % at the end names nothing
        if value is None:
            parts.append(pattern[position : end + 1])
        elif isinstance(value, int):
            parts.append(str(value).zfill(min(int(width), MOST_DIGITS) if width else 0))
        else:
            parts.append(value)
        position = end + 1
    return "".join(parts)


def _value(code: str, names: Names) -> int | str | None:
    match code:
        case "%":
            return "%"
        case "j" | "J":
            return names.job_id
        case "A":
            return names.array_id if names.array_id is not None else names.job_id
        case "a":
            return names.task_index if names.task_index is not None else NO_TASK
        case "b":
            return names.task_index % 10 if names.task_index is not None else NO_TASK % 10
        case "N":
            return names.node
        case "n":
            return names.node_index
        case "t":
            return names.task_rank
        case "s":
            return names.step
        case "u":
            return names.user
        case "x":
            return names.job_name
        case "r":
            return names.restart_count
        case "S":
            return names.sluid
        case _:
            return None


def default_output(job: Job) -> str:
    return "slurm-%A_%a.out" if job.request.array is not None else "slurm-%j.out"


def stdout_path(job: Job, node: str | None = None) -> str:
    """Absolute."""
    pattern = job.request.files.stdout
    return _path(job, default_output(job) if pattern is None else pattern, node)


def stderr_path(job: Job, node: str | None = None) -> str | None:
    """Absolute; None: the same file as standard output."""
    pattern = job.request.files.stderr
    return None if pattern is None else _path(job, pattern, node)


def stdin_path(job: Job, node: str | None = None) -> str:
    """Absolute."""
    return _path(job, job.request.files.stdin or "/dev/null", node)


def _path(job: Job, pattern: str, node: str | None) -> str:
    if pattern.lower() == "none":
        return "/dev/null"
    name = expand(pattern, names_of(job, node))
    return posixpath.join(job.request.working_directory, name)  # dots and slashes stay as they were written
