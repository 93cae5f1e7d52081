"""What a replay and its recording disagree about, path by path. Judges by the rules of `normalise` alone."""

import dataclasses
import datetime
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracle import normalise
from tests.oracle.normalise import Known
from tests.oracle.records import Case
from tests.oracle.replay import Replayed

Record = Mapping[str, str]

BY_SCHEDULER = frozenset({"NodeList", "AllocTRES", "StartTime", "EndTime", "RunTime"})
"""Left out of a record too where the job was looked at right away; only what a record names of these is compared."""


@dataclass(frozen=True)
class Difference:
    path: str
    """As in the recording: expect.then[0].stdout"""
    expected: Any
    """Known placeholders filled in. None: nothing."""
    actual: Any


def differences(case: Case, replayed: Replayed, left_out_when: Mapping[str, str]) -> list[Difference]:
    found = _of_http(case, replayed) if case.is_http else _of_commands(case, replayed, left_out_when)
    return [one for one in found if not any(_is_within(one.path, path) for path in case.unstable)]


def _is_within(path: str, outer: str) -> bool:
    return path == outer or (path.startswith(outer) and path[len(outer)] in ".[")


def _of_http(case: Case, replayed: Replayed) -> Iterator[Difference]:
    expect, outcome = case.expect, replayed.outcome
    for name in ("http_status", "content_type"):
        if expect[name] != outcome[name]:
            yield Difference(f"expect.{name}", expect[name], outcome[name])
    for found in normalise.json_differences(expect["body"], outcome["body"], replayed.known, "expect.body"):
        yield Difference(*found)


def _of_commands(case: Case, replayed: Replayed, left_out_when: Mapping[str, str]) -> Iterator[Difference]:
    expect, outcome, known = case.expect, replayed.outcome, replayed.known
    yield from _command(expect, outcome, known, "expect")
    for number, (step, done) in enumerate(zip(expect.get("then", ()), outcome["then"], strict=True)):
        path = f"expect.then[{number}]"
        if "reached" in step and step["reached"] != done["reached"]:
            yield Difference(f"{path}.reached", step["reached"], done["reached"])
        elif "job" in step:
            yield from _jobs(step["job"], done["job"], known, left_out_when, f"{path}.job")
        elif "exit_code" in step:
            yield from _command(step, done, known, path)
    if expect.get("job"):
        yield from _jobs(expect["job"], outcome["job"], known, left_out_when, "expect.job")
    if "sacct" in expect:
        yield from _rows(expect["sacct"], outcome["sacct"], known)
    if "files" in expect:
        yield from _files(expect["files"], outcome["files"], known)


def _command(expect: Mapping[str, Any], done: Mapping[str, Any], known: Known, path: str) -> Iterator[Difference]:
    if expect["exit_code"] != done["exit_code"]:
        yield Difference(f"{path}.exit_code", expect["exit_code"], done["exit_code"])
    for name in ("stdout", "stderr"):
        yield from _text(normalise.recorded_output(expect[name]), done[name], known, f"{path}.{name}")


def _text(expected: str, actual: str, known: Known, path: str) -> Iterator[Difference]:
    if not normalise.matches(expected, actual, known):
        yield Difference(path, normalise.fill(expected, known), actual)


# ── jobs, rows, files ─────────────────────────────────────────────────────────────────────────────


def _jobs(
    expected: Record | Sequence[Record], actual: Sequence[Record], known: Known, left_out_when: Record, path: str
) -> Iterator[Difference]:
    if isinstance(expected, Mapping):
        yield from _job(expected, actual[0] if actual else {}, known, left_out_when, path)
        return
    if len(expected) != len(actual):
        yield Difference(path, f"{len(expected)} records", f"{len(actual)} records")
    for number, (one, other) in enumerate(zip(expected, actual, strict=False)):
        yield from _job(one, other, known, left_out_when, f"{path}[{number}]")


def _job(expected: Record, actual: Record, known: Known, left_out_when: Record, path: str) -> Iterator[Difference]:
    if not actual:
        yield Difference(path, "a record", "none")
        return
    known = dataclasses.replace(known, submitted_at=_time(actual.get("SubmitTime", "")))
    for name, text in expected.items():
        if name not in actual:
            yield Difference(f"{path}.{name}", normalise.fill(text, known), None)
        else:
            yield from _text(text, actual[name], known, f"{path}.{name}")
    for name, usual in left_out_when.items():
        if name not in expected and name not in BY_SCHEDULER and name in actual:
            yield from _text(usual, actual[name], known, f"{path}.{name}")


def _time(text: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        return None


def _rows(expected: Sequence[Record], actual: Sequence[Record], known: Known) -> Iterator[Difference]:
    if len(expected) != len(actual):
        names = [[normalise.fill(row.get("JobID", ""), known) for row in rows] for rows in (expected, actual)]
        yield Difference("expect.sacct", *names)
    for number, (row, other) in enumerate(zip(expected, actual, strict=False)):
        for name, text in row.items():
            yield from _text(text, other.get(name, ""), known, f"expect.sacct[{number}].{name}")


def _files(expected: Record, actual: Record, known: Known) -> Iterator[Difference]:
    """A name may hold an id that only the pattern knows."""
    left = dict(actual)
    for name, text in expected.items():
        found = next((there for there in left if normalise.matches(name, there, known)), None)
        path = f"expect.files.{name}"
        if found is None:
            yield Difference(path, normalise.fill(text, known), None)
        else:
            yield from _text(text, left.pop(found), known, path)
    for name, text in left.items():
        yield Difference(f"expect.files.{name}", None, text)


# ── for people ────────────────────────────────────────────────────────────────────────────────────


def sentence(difference: Difference) -> str:
    """Several lines; of texts of several lines only what differs, with the line before."""
    expected, actual = difference.expected, difference.actual
    if isinstance(expected, str) and isinstance(actual, str) and max(expected.count("\n"), actual.count("\n")) > 1:
        lines = difflib.unified_diff(_lines(expected), _lines(actual), n=1, lineterm="")
        return "\n    ".join([f"  {difference.path}  (- Slurm, + ours)", *list(lines)[2:]])
    return f"  {difference.path}\n    Slurm: {_shown(expected)}\n    ours:  {_shown(actual)}"


def _lines(text: str) -> list[str]:
    return [repr(line)[1:-1] for line in text.splitlines(keepends=True)]


def _shown(value: Any) -> str:
    if value is None:
        return "(nothing)"
    return repr(value)[1:-1] if isinstance(value, str) else repr(value)
