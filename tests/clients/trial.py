"""One program's uses against one bridge: our commands first on its PATH, nothing else changed."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from bridge.cli import shims
from tests.clients import programs
from tests.e2e import harness, person


def run(program: programs.Program, bridge: harness.Bridge) -> str:
    """What failed; empty when all is well."""
    installed = programs.install(program)
    folder = bridge.work / program.name
    folder.mkdir()
    with contextlib.suppress(PermissionError):  # not root: it is one's own already
        os.chown(folder, bridge.user.uid, bridge.user.gid)
    output = bridge.root / f"{program.name}.out"
    environment = {
        **bridge.user.environment(),
        "PATH": f"{commands(bridge)}:{installed / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "BRIDGE_SOCKET": str(bridge.socket),
        "PYTHONUNBUFFERED": "1",
    }
    with output.open("wb") as out:
        process = subprocess.Popen(
            [installed / "bin" / "python", program.script],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
            **bridge.user.popen_options(),
        )
        try:
            code: int | None = process.wait(program.seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever it left behind
            process.wait()
    if code == 0:
        return ""
    end = f"exit status {code}" if code is not None else f"not done after {program.seconds:.0f} s"
    return f"{program.name}: {end}\n{output.read_text(errors='replace')}\n── the bridge's log\n{bridge.log_end()}"


def commands(bridge: harness.Bridge) -> Path:
    """The folder of our commands, written once for each bridge."""
    folder = bridge.root / "bin"
    if not folder.exists():
        shims.write(str(folder), person.python())
    return folder
