"""Calls of sbatch with defaults, for tests of its reader; and the client's part, reading the files asked for."""

import dataclasses
from collections.abc import Mapping

from adapters.slurm import request
from bridge.core.nodes import Site
from tests.builders import NOON
from tests.slurm.recorded import ALICE, SITE

ENVIRONMENT = {
    "HOME": "/home/alice",
    "USER": "alice",
    "LOGNAME": "alice",
    "SHELL": "/bin/bash",
    "PATH": "/usr/bin:/bin",
    "LANG": "C",
    "TZ": "UTC",
}
DIRECTORY = "/home/alice"
PLAIN = "#!/bin/sh\necho running\n"


def a_call(*argv: str, environ: Mapping[str, str] | None = None, **fields: object) -> request.Call:
    values = {
        "argv": argv,
        "environ": {**ENVIRONMENT, **(environ or {})},
        "working_directory": DIRECTORY,
        "umask": 0o022,
        "rlimits": (("RLIMIT_NOFILE", 1024, 4096), ("RLIMIT_STACK", 8388608, -1)),
        "host": "login1",
        "user": ALICE,
        "is_root": False,
        "now": NOON,
        "files": {},
    }
    return request.Call(**{**values, **fields})


def answered(
    call: request.Call,
    files: Mapping[str, str | bytes] | None = None,
    stdin: str = "",
    site: Site = SITE,
) -> request.Answer | request.Parsed:
    """The last answer, after every need was met out of `files` (by name as given, or below DIRECTORY)."""
    given: dict[str, bytes | str] = dict(call.files)
    for _ in range(20):
        found = request.read(dataclasses.replace(call, files=given), site)
        if not isinstance(found, request.Needs):
            return found
        for wanted in found.files:
            assert wanted not in given, f"{wanted} is asked for twice"
            given[wanted] = stdin.encode() if wanted == "stdin" else _content(wanted, files or {})
    raise AssertionError(f"it never has enough: {given.keys()}")


def _content(wanted: str, files: Mapping[str, str | bytes]) -> bytes | str:
    path = wanted.partition(": ")[2].removeprefix(f"{DIRECTORY}/").removeprefix("./")
    if any(name.startswith(f"{path}/") for name in files):
        return "EISDIR"
    content = files.get(path)
    if content is None:
        return "ENOENT"
    return content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content


def parsed(
    *argv: str, script: str = PLAIN, environ: Mapping[str, str] | None = None, **fields: object
) -> request.Parsed:
    """sbatch ARGV job.sh, accepted."""
    found = answered(a_call(*argv, "job.sh", environ=environ, **fields), {"job.sh": script})
    assert isinstance(found, request.Parsed), found
    return found


def refused(*argv: str, script: str = PLAIN, environ: Mapping[str, str] | None = None) -> tuple[int, str]:
    """(exit code, standard error) of sbatch ARGV job.sh, refused."""
    found = answered(a_call(*argv, "job.sh", environ=environ), {"job.sh": script})
    assert isinstance(found, request.Answer), found
    return found.exit_code, found.stderr
