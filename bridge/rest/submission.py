"""From a JSON body to a draft: the same reading as sbatch's, with the same report.

    {"script": "#!/bin/bash\\nsrun hostname\\n",          or "script_base64"; none with --wrap
     "script_name": "train.sh", "arguments": ["a", "b"],
     "options": ["--nodes=2", "-t", "10"],               as on sbatch's command line
     "fields": {"nodes": 2, "requeue": true},            the same by name: --nodes=2 --requeue
     "working_directory": "/home/alice", "environment": {"OMP_NUM_THREADS": "4"}}

There is one parser of options, sbatch's; what it cannot do over HTTP (wait, read files here) is refused.
"""

import base64
import binascii
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.slurm import errors, options
from adapters.slurm import request as sbatch
from bridge.core.errors import Refused
from bridge.core.nodes import Site
from bridge.core.report import Report, Treatment
from bridge.core.request import JobRequest, Origin
from bridge.core.users import Caller
from bridge.rest import bodies, faults
from bridge.service.terms import Draft

FIELDS = frozenset(
    {
        "script",
        "script_base64",
        "script_name",
        "arguments",
        "options",
        "fields",
        "working_directory",
        "environment",
    }
)
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
UMASK = 0o022
_SUBMIT_FAILED = "Batch job submission failed: "
_NAME_OF_TEXT = {text: code for code, (_, text) in errors.ERRORS.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """A body that was understood."""

    request: JobRequest
    script: bytes
    environment: bytes
    report: Report
    test_only: bool

    def draft(self, idempotency_key: str | None = None) -> Draft:
        return Draft(self.request, self.script, self.environment, self.report, idempotency_key)


def read(body: Mapping[str, Any], caller: Caller, site: Site, now: float, where: str = "") -> Read:
    """`where`: prefix for the names of fields in refusals, such as `members[2].`."""
    for name in body:
        if name not in FIELDS:
            bodies.refuse_unknown(body, FIELDS, where)
    script = _script(body, where)
    arguments = _arguments(body, where)
    script_name = _script_name(body, where, bool(arguments)) if script is not None else None
    directory = _working_directory(body, caller, where)
    positional = () if script_name is None else (script_name, *arguments)
    plain, fields = _options(body, where)
    # What sbatch will ask for is most often known, and reading twice takes twice as long.
    files: dict[str, bytes | str] = {}
    if script is not None:
        files = {"stdin": script} if script_name is None else {f"script: {directory}/{script_name}": script}
    call = sbatch.Call(
        argv=(*plain, *itertools.chain.from_iterable(fields.values()), *positional),
        environ=_environment(body, caller, where),
        working_directory=directory,
        umask=UMASK,
        rlimits=(),
        host="",
        user=caller.user,
        is_root=caller.user.uid == 0,
        now=now,
        files=files,
    )
    parsed, read_files = sbatch.read(call, site), files
    if isinstance(parsed, sbatch.Needs):
        more = {wanted: _file(wanted, script_name, script, where, fields) for wanted in parsed.files}
        read_files = {**files, **more}
        parsed = sbatch.read(dataclasses.replace(call, files=read_files), site)
    if isinstance(parsed, sbatch.Needs):
        raise bodies.wrong(f"{where}options", f"{parsed.files[0]} cannot be read over HTTP", "invalid_option")
    if isinstance(parsed, sbatch.Answer):

        def refuses(words: Sequence[str]) -> str | None:
            again = sbatch.read(dataclasses.replace(call, argv=(*words, *positional), files=read_files), site)
            return again.stderr if isinstance(again, sbatch.Answer) else None

        raise _refused(parsed, where, faults.of_reading(plain, fields, parsed.stderr, refuses))
    if parsed.wait:
        field = "fields.wait" if "wait" in fields else "options"
        raise bodies.wrong(
            f"{where}{field}", "--wait is for the command; ask GET /v1/jobs/ID?wait_seconds=…", "invalid_option"
        )
    request = dataclasses.replace(parsed.request, origin=Origin.HTTP)
    return Read(request, parsed.script, parsed.environment, parsed.report, parsed.test_only)


def _script(body: Mapping[str, Any], where: str) -> bytes | None:
    plain, encoded = bodies.text(body, "script", where), bodies.text(body, "script_base64", where)
    if plain is not None and encoded is not None:
        raise bodies.wrong(f"{where}script_base64", "script is given too")
    if encoded is not None:
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise bodies.wrong(f"{where}script_base64", "base64 is expected") from error
    return None if plain is None else _bytes(plain, f"{where}script")


def _arguments(body: Mapping[str, Any], where: str) -> tuple[str, ...]:
    words = bodies.texts(body, "arguments", where)
    if any("\0" in word for word in words):
        raise bodies.wrong(f"{where}arguments", "a NUL character cannot be in an argument")
    _bytes("".join(words), f"{where}arguments")
    return words


def _script_name(body: Mapping[str, Any], where: str, has_arguments: bool) -> str | None:
    """None: the script is handed over as on standard input, which takes no arguments."""
    name = bodies.text(body, "script_name", where)
    if name is None:
        return "script" if has_arguments else None
    if not name or name.startswith("-") or "/" in name or "\0" in name or len(name) > 255:
        raise bodies.wrong(f"{where}script_name", "a file's plain name is expected, without / and not starting with -")
    return name


def _bytes(text: str, field: str) -> bytes:
    """Bytes that are no UTF-8 may come as Python's surrogate escapes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise bodies.wrong(field, "a text of Unicode characters is expected") from error


def _options(body: Mapping[str, Any], where: str) -> tuple[list[str], dict[str, list[str]]]:
    """Those that are given as words, and the words of each field."""
    words = list(bodies.texts(body, "options", where))
    if "--" in words:
        raise bodies.wrong(f"{where}options", "-- is not taken here: the script is its own field")
    _check_text(words, f"{where}options")
    fields: dict[str, list[str]] = {}
    for name, value in bodies.table(body, "fields", where).items():
        fields[name] = _option_of(name, value, f"{where}fields.{name}")
        _check_text(fields[name], f"{where}fields.{name}")
    return words, fields


def _check_text(words: Sequence[str], field: str) -> None:
    together = " ".join(words)
    if "\0" in together:
        raise bodies.wrong(field, "a NUL character cannot be in an option")
    _bytes(together, field)


def _option_of(name: str, value: object, field: str) -> list[str]:
    option = "--" + name.replace("_", "-")
    if not name.replace("_", "").replace("-", "").isalnum() or name.startswith("-"):
        raise bodies.wrong(field, "the long name of an option of sbatch is expected")
    if value is None or value is False:
        return []
    if value is True:
        return [option]
    if isinstance(value, str | int):
        return [f"{option}={value}"]
    if isinstance(value, list) and all(isinstance(item, str | int) and not isinstance(item, bool) for item in value):
        return [f"{option}={','.join(map(str, value))}"]
    raise bodies.wrong(field, "a text, a whole number, a list of those, true, false or null is expected")


def _environment(body: Mapping[str, Any], caller: Caller, where: str) -> dict[str, str]:
    user = caller.user
    usual = {"PATH": DEFAULT_PATH, "HOME": user.home, "USER": user.name, "LOGNAME": user.name, "SHELL": user.shell}
    given = bodies.table(body, "environment", where)
    try:
        names, values = "\n".join(given), "\n".join(given.values())
    except TypeError as error:
        raise bodies.wrong(f"{where}environment", "names and values are texts") from error
    if "\0" in names or "\0" in values or "=" in names or "" in given:
        raise bodies.wrong(f"{where}environment", "no NUL, no = in a name, no empty name")
    _bytes(names, f"{where}environment")
    _bytes(values, f"{where}environment")
    return {**usual, **given}


def _working_directory(body: Mapping[str, Any], caller: Caller, where: str) -> str:
    path = bodies.text(body, "working_directory", where)
    if path is None:
        return caller.user.home
    if not path.startswith("/") or "\0" in path:
        raise bodies.wrong(f"{where}working_directory", "an absolute path is expected")
    _bytes(path, f"{where}working_directory")
    return path


def _file(
    wanted: str, script_name: str | None, script: bytes | None, where: str, fields: Mapping[str, Sequence[str]]
) -> bytes:
    kind, _, path = wanted.partition(": ")
    if kind == "file":
        tail = path.rpartition("/")[2]
        named = (f"fields.{name}" for name, words in fields.items() if any(word.endswith(tail) for word in words))
        raise bodies.wrong(
            f"{where}{next(named, 'options')}", f"the file {path} cannot be read over HTTP", "invalid_option"
        )
    if script is None:
        raise bodies.wrong(f"{where}script", "a script is needed, or the option --wrap", "script_missing")
    if kind == "script" and path.rpartition("/")[2] != script_name:
        raise bodies.wrong(f"{where}options", f"{path!r} is no option; the script is its own field", "invalid_option")
    return script


def _refused(answer: sbatch.Answer, where: str, field: str) -> Refused:
    """What sbatch would print, as one sentence."""
    lines = [line.removeprefix("sbatch: ").removeprefix("error: ") for line in answer.stderr.splitlines() if line]
    if not lines:
        return bodies.wrong(f"{where}{field}", "this asks sbatch to print something, not to submit", "invalid_option")
    code = next(
        (_NAME_OF_TEXT.get(line.removeprefix(_SUBMIT_FAILED), "") for line in lines if _SUBMIT_FAILED in line), ""
    )
    sentence = "; ".join(line.removeprefix(_SUBMIT_FAILED) for line in lines if not line.startswith("Try "))
    if sentence.startswith("unrecognized option") and field.startswith("fields."):
        sentence += faults.near(field.removeprefix("fields."), options.BY_NAME)
    return Refused(sentence, code=code or "invalid_option", field=f"{where}{field}")


def notes(report: Report) -> list[dict[str, str]]:
    """What the submitter should know: all that was not simply done."""
    told = [
        {"option": e.text, "source": e.source, "treatment": e.treatment.value, "sentence": e.sentence}
        for e in report.entries
        if e.treatment is not Treatment.ACTED_ON
    ]
    return told + [{"option": "", "source": "", "treatment": "warning", "sentence": text} for text in report.warnings]
