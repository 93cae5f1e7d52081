"""What a client sends and gets, as values: see `bridge/cli/client.py` for the other end.

Everything in a call comes from a stranger: sizes and types are checked here, once.
"""

import base64
import binascii
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_WORDS = 100_000
MOST_FILE_BYTES = 64 * 1024 * 1024


class BadCall(ValueError):
    """The body is not what our client sends."""


@dataclass(frozen=True, slots=True)
class Call:
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    working_directory: str = "/"
    umask: int = 0o022
    rlimits: tuple[tuple[str, int, int], ...] = ()
    host: str = ""
    writes_to_terminal: bool = False
    """Standard error is a terminal: a person reads it."""
    files: Mapping[str, bytes | str] = field(default_factory=dict, repr=False)
    """Name of the need → content, or the name of the error that kept the client from reading it."""
    idempotency_key: str | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    """What the last reply handed over for this call."""
    answer: str | None = None
    """What the user typed to the last reply's question; None: nothing was asked, or the input has ended."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that the client copies, as the user: it is on the machine that the paths are of, or refuses."""

    source: str
    target: str
    host: str
    node: str
    """What the failure to write is reported of."""
    force: bool
    preserve: bool


@dataclass(frozen=True, slots=True)
class Reply:
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    needs: tuple[str, ...] = ()
    """Files that the client is to read and send; nothing else counts then."""
    again_in_seconds: float | None = None
    """Print, wait so long, call again with `state`."""
    question: str | None = None
    """Print it, read a line, call again with `state` and the line."""
    state: Mapping[str, Any] | None = None
    written: tuple[tuple[str, bytes], ...] = ()
    """(path, content) of files that the client writes, as the user."""
    copy: Copy | None = None

    def as_json(self) -> dict[str, Any]:
        if self.needs:
            return {"need": list(self.needs)}
        body: dict[str, Any] = {"out": self.stdout, "err": self.stderr, "code": self.exit_code}
        if self.again_in_seconds is not None:
            body["again_in_seconds"] = self.again_in_seconds
        if self.question is not None:
            body["ask"] = self.question
        if self.state is not None:
            body["state"] = dict(self.state)
        if self.written:
            body["write"] = [{"path": p, "base64": base64.b64encode(data).decode()} for p, data in self.written]
        if self.copy is not None:
            body["copy"] = dataclasses.asdict(self.copy)
        return body


def call_from_json(body: object) -> Call:
    if not isinstance(body, dict):
        raise BadCall("not an object")
    argv = body.get("argv", [])
    if not isinstance(argv, list) or len(argv) > MOST_WORDS or not all(isinstance(word, str) for word in argv):
        raise BadCall("argv is not a list of strings")
    environ = body.get("env", {})
    if not isinstance(environ, dict) or not all(isinstance(value, str) for value in environ.values()):
        raise BadCall("env is not an object of strings")
    state = body.get("state") or {}
    if not isinstance(state, dict):
        raise BadCall("state is not an object")
    answer = body.get("answer")
    return Call(
        argv=tuple(argv),
        environ=environ,
        working_directory=_text(body, "cwd", "/"),
        umask=_number(body, "umask", 0o022) & 0o777,
        rlimits=_rlimits(body.get("rlimits")),
        host=_text(body, "host", "")[:255],
        writes_to_terminal=body.get("tty_err") is True,
        files=_files(body.get("files")),
        idempotency_key=_text(body, "key", "")[:200] or None,
        state=state,
        answer=answer if isinstance(answer, str) else None,
    )


def _text(body: Mapping[str, object], name: str, default: str) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise BadCall(f"{name} is not a string")
    return value


def _number(body: Mapping[str, object], name: str, default: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadCall(f"{name} is not a whole number")
    return value


def _rlimits(body: object) -> tuple[tuple[str, int, int], ...]:
    if body is None:
        return ()
    if not isinstance(body, dict) or len(body) > 100:
        raise BadCall("rlimits is not an object")
    limits = []
    for name, pair in body.items():
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(limit, int) for limit in pair)):
            raise BadCall(f"rlimits {name} is not a pair of whole numbers")
        limits.append((str(name), max(-1, int(pair[0])), max(-1, int(pair[1]))))
    return tuple(limits)


def _files(body: object) -> dict[str, bytes | str]:
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise BadCall("files is not an object")
    files: dict[str, bytes | str] = {}
    for name, entry in body.items():
        if not isinstance(entry, dict):
            raise BadCall(f"file {name} is not an object")
        if isinstance(entry.get("error"), str):
            files[name] = entry["error"]
            continue
        content = entry.get("base64")
        if not isinstance(content, str) or len(content) > MOST_FILE_BYTES * 4 // 3 + 4:
            raise BadCall(f"file {name} has no content, or more than {MOST_FILE_BYTES} bytes")
        try:
            files[name] = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadCall(f"file {name} is not base64") from error
    return files
