"""The batch scripts of tests/scripts and what must become of each.

`NAME.sh` is the script, `NAME.toml` says:
    what        one sentence
    argv        sbatch's words; `{script}` is the file. Default: the script alone
    env, umask  of the submitting process, beside a usual environment
    stdin       true: the script comes on standard input
    again       true: the job requeues itself; who runs it lets it begin again at once, instead of in two minutes
    warnings    pieces of text, each of which some warning of the report must hold
    [request]   fields that the request must have; `component.x` of its first component. "none": not given
    [refused]   code and stderr of sbatch
    [ends]      state (COMPLETED), exit_code (0:0), reason; tasks = {index = "STATE E:S"} of an array;
                every other key is a file with its text. `{id}`, `{cwd}`, `{user}` stand for themselves, `{n1}` for
                what that node of the job is called inside of it, `{nodes}` for the list of them, `{any}` for any
                text. Files not named must not be there.
"""

import dataclasses
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.slurm import hostlist
from bridge.core import indexset, request

DIRECTORY = Path(__file__).resolve().parents[1] / "scripts"
_KNOWN = {"state", "exit_code", "reason", "tasks"}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    script: bytes
    what: str
    argv: tuple[str, ...]
    env: dict[str, str]
    umask: int
    stdin: bool
    again: bool
    warnings: tuple[str, ...]
    request: dict[str, Any]
    refused: dict[str, Any]
    ends: dict[str, Any]

    @property
    def script_name(self) -> str:
        return f"{self.name}.sh"

    @property
    def words(self) -> list[str]:
        return [self.script_name if word == "{script}" else word for word in self.argv]

    @property
    def files(self) -> dict[str, str]:
        return {name: text for name, text in self.ends.items() if name not in _KNOWN}

    @property
    def state(self) -> str:
        return f"{self.ends.get('state', 'COMPLETED')} {self.ends.get('exit_code', '0:0')}"


def load() -> list[Case]:
    return [_read(path) for path in sorted(DIRECTORY.glob("*.toml"))]


def _read(path: Path) -> Case:
    told = tomllib.loads(path.read_text())
    case = Case(
        name=path.stem,
        script=path.with_suffix(".sh").read_bytes(),
        what=told.pop("what"),
        argv=tuple(told.pop("argv", ["{script}"])),
        env=told.pop("env", {}),
        umask=int(told.pop("umask", "022"), 8),
        stdin=told.pop("stdin", False),
        again=told.pop("again", False),
        warnings=tuple(told.pop("warnings", ())),
        request=_flat(told.pop("request", {})),
        refused=told.pop("refused", {}),
        ends=told.pop("ends", {}),
    )
    assert not told, f"{path}: unknown {', '.join(told)}"
    assert bool(case.refused) != bool(case.ends), f"{path}: either refused or ends"
    return case


def requeued(records: list[dict[str, str]]) -> list[str]:
    """Ids of those that wait to begin again."""
    waiting = [record for record in records if record["JobState"] == "PENDING" and record.get("Restarts", "0") != "0"]
    return [f"{one['ArrayJobId']}_{one['ArrayTaskId']}" if "ArrayTaskId" in one else one["JobId"] for one in waiting]


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    """`component.x = 1` is read as a table; one level of it is joined again."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if key in ("component", "files", "program"):
            flat |= {f"{key}.{inner}": held for inner, held in value.items()}
        else:
            flat[key] = value
    return flat


def field_of(asked: request.JobRequest, name: str) -> Any:
    """The named field as TOML would write it."""
    value: Any = asked
    for part in name.split("."):
        value = getattr(value, part)
    return plain(value)


def plain(value: Any) -> Any:
    match value:
        case None:
            return "none"
        case request.Gres():
            return ":".join(filter(None, (value.name, value.type, str(value.count))))
        case request.Array():
            return value.text
        case indexset.IndexSet():
            return str(value)
        case request.SignalWish():
            return dataclasses.asdict(value)
        case tuple():
            return [plain(one) for one in value]
    return value


def differences_of_files(
    case: Case, directory: Path, *, job_id: int, user: str, nodes: Sequence[str] = (), called: Sequence[str] = ()
) -> list[str]:
    """What stands in the directory, compared with what must; the script's own file only where it is named.

    `nodes`: the job's; `called`: the same, as they are called inside of it.
    """
    put = {"{id}": str(job_id), "{cwd}": str(directory), "{user}": user, "{nodes}": hostlist.compress(list(called))}
    put |= {f"{{{node}}}": inside for node, inside in zip(nodes, called, strict=True)}
    expected = {_put(name, put): _put(text, put) for name, text in case.files.items()}
    found = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    if case.script_name not in expected:
        found.discard(case.script_name)
    problems = [f"{name} is there and should not be" for name in sorted(found - set(expected))]
    for name, text in expected.items():
        if name not in found:
            problems.append(f"{name} is not there")
        elif not matches(text, got := (directory / name).read_text(errors="replace")):
            problems.append(f"{name} holds {got!r}, not {text!r}")
    return problems


def _put(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def matches(expected: str, got: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, expected.split("{any}"))), got, re.DOTALL) is not None


def differences_of_end(case: Case, records: list[dict[str, str]]) -> list[str]:
    tasks = case.ends.get("tasks", {})
    problems = []
    for record in records:
        index = record.get("ArrayTaskId")
        expected = tasks.get(index, case.state) if index is not None else case.state
        got = f"{record['JobState']} {record['ExitCode']}"
        if got != expected:
            problems.append(f"task {index}: {got}, not {expected}" if index is not None else f"{got}, not {expected}")
        if "reason" in case.ends and record["Reason"] != case.ends["reason"]:
            problems.append(f"reason {record['Reason']}, not {case.ends['reason']}")
    return problems
