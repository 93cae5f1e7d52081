"""`bridge shims DIR`: writes commands named as Slurm's, and `bridge`, into a folder, for the front of PATH.

Each is a small script that runs the standalone client by the interpreter that the bridge runs with.
A file that is not ours is never overwritten.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys

COMMANDS = (
    "sbatch",
    "squeue",
    "scancel",
    "sacct",
    "sacctmgr",
    "scontrol",
    "sinfo",
    "srun",
    "sattach",
    "sbcast",
    "scrontab",
    "sdiag",
    "sprio",
    "sshare",
    "sstat",
    "strigger",
)

BRIDGE = "bridge"
"""Written beside them: `bridge logs`, `bridge history` and the rest, for users whose PATH has not the installation."""

MARK = "# A command of the bridge; written by `bridge shims`."
"""By this line a shim is known as ours."""

# A path may be longer than what a #! line may hold, or have a blank in it; sh has no such bounds. `exec`
# leaves one process, so that signals and exit codes are the client's own.
_THROUGH_SHELL = """\
#!/bin/sh
{mark}
exec {python} -ISc 'import os, sys
sys.path.append(sys.argv.pop(1))
import client
os._exit(client.run(sys.argv[1], sys.argv[2:]))' {folder} {name} "$@"
"""

_DIRECT = """\
#!{python} -IS
{mark}
import os, sys
sys.path.append({folder!r})
import client
os._exit(client.run({name!r}, sys.argv[1:]))
"""

# In a job srun is the agent's, in the same process: another start of Python would be felt at each step.
_SRUN_CODE = """\
import os, sys
if os.environ.get("BRIDGE_AGENT"):
    sys.path.append({root!r})
    from bridge.agent import srun
    sys.exit(srun.run(sys.argv[1:]))
sys.stderr.write(
    "srun: error: the bridge starts no allocations from srun yet; put the srun line into a script and "
    "submit it with sbatch\\n"
)
os._exit(1)
"""

_SRUN = """\
#!{python} -IS
{mark}
{code}"""

_SRUN_THROUGH_SHELL = """\
#!/bin/sh
{mark}
exec {python} -ISc {code} "$@"
"""

_BRIDGE = """\
#!/bin/sh
{mark}
exec {python} -Ic 'import sys
sys.path.insert(0, sys.argv.pop(1))
sys.argv[0] = "bridge"
from bridge.main import main
sys.exit(main())' {root} "$@"
"""

_LONGEST_INTERPRETER = 120
"""Linux cuts a #! line at 127 or 255 bytes, by version."""


class NotOurs(Exception):
    """Files of those names are there that we did not write; the text lists them."""


def write(folder: str, python: str | None = None) -> list[str]:
    """Write or renew all commands. Returns their paths. NotOurs: nothing was written."""
    python = python or sys.executable
    os.makedirs(folder, exist_ok=True)
    folder = os.path.abspath(folder)
    names = (*COMMANDS, BRIDGE)
    paths = [os.path.join(folder, name) for name in names]
    foreign = [path for path in paths if os.path.lexists(path) and not is_ours(path)]
    if foreign:
        raise NotOurs("not overwritten, because the bridge did not write them: " + ", ".join(foreign))
    _compile()
    for name, path in zip(names, paths):  # noqa: B905 — Python 3.9 knows no strict
        _replace(path, text_of(name, python))
    return paths


def _compile() -> None:
    """A user who may not write beside the client and the agent would compile them at each command and each srun."""
    import compileall

    here = os.path.dirname(os.path.abspath(__file__))
    with contextlib.suppress(OSError):
        compileall.compile_file(os.path.join(here, "client.py"), quiet=2)
        compileall.compile_dir(os.path.join(os.path.dirname(here), "agent"), maxlevels=0, quiet=2)


def is_ours(path: str) -> bool:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        with open(path, encoding="utf-8", errors="replace") as file:
            return MARK in file.read(1000)
    except OSError:
        return False


def text_of(name: str, python: str) -> str:
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(os.path.dirname(here))
    is_direct = len(python) <= _LONGEST_INTERPRETER and not any(character.isspace() for character in python)
    if name == BRIDGE:
        return _BRIDGE.format(python=_quoted(python), mark=MARK, root=_quoted(root))
    if name == "srun":
        code = _SRUN_CODE.format(root=root)
        if is_direct:
            return _SRUN.format(python=python, mark=MARK, code=code)
        return _SRUN_THROUGH_SHELL.format(python=_quoted(python), mark=MARK, code=_quoted(code))
    if not is_direct:
        return _THROUGH_SHELL.format(python=_quoted(python), mark=MARK, folder=_quoted(here), name=name)
    return _DIRECT.format(python=python, mark=MARK, folder=here, name=name)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _replace(path: str, text: str) -> None:
    """In one step, so that a command that is just being started is the old one or the new one."""
    new = path + ".new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o755)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o755)
        file.write(text)
    os.replace(new, path)
