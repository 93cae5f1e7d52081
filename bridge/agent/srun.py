"""srun: inside a job it asks for a step and runs it. Run as a program: `python -I -S -E srun.py ARGUMENTS`.

What becomes of its options is in `step_options.py`; the step itself, from its start to its end, in `step.py`.
Words and exit codes are those of srun 25.11.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Dict, List, Mapping, Sequence

if not __package__:  # run as a program, by a path: our own package is two folders up
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from bridge.agent import layout, step, step_ask, step_mpi, step_options, step_request, step_wish
from bridge.agent.step_options import Given
from bridge.agent.step_say import Fatal, say

_VERSION = "slurm 25.11.8"
_USAGE = "Usage: srun [OPTIONS...] executable [args...]\n"


def run(argv: Sequence[str]) -> int:
    """With the environment that this process was given: Python itself may have set LC_CTYPE since."""
    environment = dict(os.environ)
    with contextlib.suppress(OSError):
        with open("/proc/self/environ", "rb") as file:
            given = file.read().decode("utf-8", "surrogateescape")
        if "LC_CTYPE" in environment and "\0LC_CTYPE=" not in f"\0{given}":
            del environment["LC_CTYPE"]
    return main(argv, environment)


def main(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        given = step_options.read(argv, environment)
    except step_options.Unreadable as error:
        say(str(error))
        os.write(2, b'Try "srun --help" for more information\n')
        return 255
    try:
        return _run(given, environment)
    except step_request.Bad as bad:
        say("\n".join(f"error: {line}" for line in str(bad).split("\n")))
        return bad.code
    except Fatal as fatal:
        say(fatal.line)
        return fatal.code


def _run(given: Given, environment: Mapping[str, str]) -> int:
    if "version" in given.values:
        os.write(1, f"{_VERSION}\n".encode())
        return 0
    if "help" in given.values or "usage" in given.values:
        os.write(1, (_USAGE + _help()).encode())
        return 0
    if given.get("mpi") == "list":
        os.write(1, step_mpi.list_of_types().encode())
        return 0
    _refuse(given)
    step_request.check(given)
    if not given.program:
        raise Fatal("fatal: No command given to execute.")
    return _run_step(given, environment)


def _help() -> str:
    lines = ["\nOptions within a job (the class says what becomes of each):\n"]
    for option in step_options.TABLE:
        short = f"-{option.short}, " if option.short else "    "
        lines.append(f"  {short}--{option.name:<24} {option.does}{': ' + option.because if option.because else ''}\n")
    return "".join(lines)


def _refuse(given: Given) -> None:
    for name in given.values:
        option = step_options.BY_NAME[name]
        if option.does == step_options.REFUSE:
            raise Fatal(f"error: --{name} is refused: {option.because}")
        if option.does == step_options.RECORD and given.verbose:
            say(f"note: --{name} changes nothing here: {option.because}")
    step_mpi.check(given)


def _run_step(given: Given, environment: Mapping[str, str]) -> int:
    quiet = given.has("quiet")
    key = _read_key(environment)
    job_id = environment.get("SLURM_JOB_ID", "?")
    wanted = given.values.get("jobid")
    if wanted is not None and wanted != job_id:
        raise Fatal(f"error: --jobid={wanted} is refused: steps start in their own job only ({job_id})")
    wish, said = step_wish.make_wish(given, environment)
    if not quiet:
        for line in said:
            say(line)
    host, _, port = environment["BRIDGE_AGENT"].rpartition(":")
    name = given.values.get("job-name") or os.path.basename(given.program[0])
    asker = step_ask.Asker(job_id, key, immediate_seconds=step_request.immediate_seconds(given), quiet=quiet)
    asked = asker.ask((host, int(port)), {"do": "create", "wish": _as_json(wish), "name": name})
    running = step.Step(given, environment, job_id, key, asked)
    if asked.has_waited and not quiet:
        say(f"Step created for StepId={running.name}")
    return running.run(_programs(given, running.tasks))


def _programs(given: Given, tasks: int) -> List[List[str]]:
    if not given.has("multi-prog"):
        return [given.program] * tasks
    path = given.program[0]
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(1 << 20)
    except OSError as error:
        raise Fatal(f"error: Unable to open configuration file {path}: {error.strerror}") from None
    return step_request.multi_prog(text, path, tasks)


def _read_key(environment: Mapping[str, str]) -> bytes:
    path = environment.get("BRIDGE_KEY_FILE")
    if not path or not environment.get("BRIDGE_AGENT"):
        raise Fatal("error: not within a job of the bridge: BRIDGE_AGENT and BRIDGE_KEY_FILE are not set")
    try:
        with open(path, "rb") as file:
            return bytes.fromhex(file.read(4096).decode().strip())
    except (OSError, ValueError) as error:
        raise Fatal(f"error: the job's key cannot be read: {error}") from None


def _as_json(wish: layout.Wish) -> Dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(wish).items()}


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
