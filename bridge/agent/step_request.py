"""From srun's options to what the step services are asked: each task's program, files and variables. Pure. What
becomes of the options that say where tasks go is in `step_wish.py`.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from bridge.agent import hostnames, layout
from bridge.agent.step_options import Given

_CODE = re.compile(r"%(\d*)([%a-zA-Z])")
_PER_TASK = re.compile(r"%\d*[tnN]")
_INT_MAX = 2**31 - 1


class Bad(Exception):
    """A value that srun refuses; each line of the text comes after `srun: error: `."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def count(given: Given, name: str, least: int = 1) -> Optional[int]:
    text = given.get(name)
    if text is None or (text == "" and name not in given.values):
        return None
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise Bad(f'Invalid numeric value "{text}" for --{name}.')
    if int(text) >= _INT_MAX:
        raise Bad(f"Numeric argument ({text}) too large for --{name}.")
    return int(text)


def immediate_seconds(given: Given) -> Optional[float]:
    """How long a step may be waited for; None: as long as it takes."""
    text = given.get("immediate")
    if text is None:
        return None
    return float(text) if text.isdigit() else 1.0


def check(given: Given) -> None:
    """Values that are used only later. Raises Bad."""
    count(given, "wait", 0)
    if given.get("kill-on-bad-exit"):
        count(given, "kill-on-bad-exit", 0)


def time_limit_seconds(text: Optional[str]) -> Optional[int]:
    """--time; None: no limit of the step's own. Raises Bad."""
    if not text or text.lower() in ("unlimited", "infinite", "0", "-1"):
        return None
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if found is None:
        raise Bad("Invalid --time specification")
    days, first, second, third = (int(part) if part else 0 for part in found.groups())
    if found[1] is not None:
        seconds = days * 86400 + first * 3600 + second * 60 + third
    elif found[4] is not None:
        seconds = first * 3600 + second * 60 + third
    else:
        seconds = first * 60 + second
    return max(60, -(-seconds // 60) * 60)


def exported(given: Given, environment: Mapping[str, str]) -> Dict[str, str]:
    """The environment that --export leaves."""
    text = given.get("export")
    if text is None or text.upper() == "ALL":
        return dict(environment)
    ours = {n: v for n, v in environment.items() if n.startswith(("SLURM_", "SLURMD_", "SPANK_", "BRIDGE_"))}
    if text.upper() in ("NONE", "NIL"):
        return ours
    words = _comma_words(text)
    kept = dict(environment) if "ALL" in (word.upper() for word in words) else ours
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            kept[name] = value
        elif name in environment:
            kept[name] = environment[name]
    return kept


def exports_all(given: Given) -> bool:
    return "ALL" in (word.upper() for word in _comma_words(given.get("export") or "ALL"))


def _comma_words(text: str) -> List[str]:
    """Commas within quotes do not split."""
    words, word, quote = [], "", ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == ",":
            words.append(word)
            word = ""
            continue
        word += character
    return [word for word in [*words, word] if word]


def multi_prog(text: str, path: str, tasks: int) -> List[List[str]]:
    """The program of each task. `%t` is the rank, `%o` its place within its line. Raises Bad."""
    programs: List[Optional[List[str]]] = [None] * tasks
    for number, line in enumerate(text.replace("\\\n", " ").split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        ranks, _, rest = line.partition(" ")
        try:
            words = shlex.split(rest)
            found = _rank_list(ranks, tasks)
        except ValueError as error:
            raise Bad(f"Configuration file {path} invalid, line {number}: {error}") from None
        for offset, rank in enumerate(found):
            if rank < tasks:
                programs[rank] = [word.replace("%t", str(rank)).replace("%o", str(offset)) for word in words]
    for rank, program in enumerate(programs):
        if not program:
            raise Bad(f"Configuration file {path} invalid, no record for task id {rank}")
    return [program for program in programs if program]


def _rank_list(text: str, tasks: int) -> List[int]:
    if text == "*":
        return list(range(tasks))
    found: List[int] = []
    for item in text.split(","):
        first, dash, last = item.partition("-")
        low, high = int(first), int(last) if dash else int(first)
        if high - low > 1 << 20:
            raise ValueError(f"too many ranks: {item}")
        found += range(low, high + 1)
    return found


def is_per_task(pattern: str) -> bool:
    return "\\" not in pattern and _PER_TASK.search(pattern) is not None


def file_name(pattern: str, values: Mapping[str, Any], directory: str) -> str:
    """Absolute; codes by srun's manual page."""
    if "\\" in pattern:
        name = pattern.replace("\\", "")
    else:

        def one(found: "re.Match[str]") -> str:
            width, code = found[1], found[2]
            if code == "%":
                return "%"
            if code not in values:
                return found[0]
            value = values[code]
            return str(value).zfill(min(int(width), 10)) if width and isinstance(value, int) else str(value)

        name = _CODE.sub(one, pattern)
    return os.path.normpath(os.path.join(directory, name))


def environment_of_step(
    given: Given, environment: Mapping[str, str], parts: Sequence[Mapping[str, Any]], step_id: int
) -> Dict[str, str]:
    """What is the same in all tasks."""
    nodes = hostnames.compress([str(part["name"]) for part in parts])
    per_node = layout.folded([len(part["ranks"]) for part in parts])
    tasks = sum(len(part["ranks"]) for part in parts)
    found = exported(given, environment)
    found.update(_of_options(given, is_one_a_node=tasks <= len(parts)))
    found.update(
        {
            "SLURM_STEP_ID": str(step_id),
            "SLURM_STEPID": str(step_id),
            "SLURM_STEP_NODELIST": nodes,
            "SLURM_STEP_NUM_NODES": str(len(parts)),
            "SLURM_NNODES": str(len(parts)),
            "SLURM_STEP_NUM_TASKS": str(tasks),
            "SLURM_STEP_TASKS_PER_NODE": per_node,
            "SLURM_TASKS_PER_NODE": per_node,
            "SLURM_NTASKS": str(tasks),
            "SLURM_NPROCS": str(tasks),
        }
    )
    return found


_UNBOUND = {
    f"SLURM_{what}_BIND{part}": value
    for what in ("CPU", "MEM")
    for part, value in (("", "quiet,none"), ("_LIST", ""), ("_TYPE", "none"), ("_VERBOSE", "quiet"))
}

_TOLD_AS_GIVEN = (
    *("cpus-per-gpu", "gpu-freq", "gpus", "gpus-per-node", "network", "ntasks-per-core", "ntasks-per-node"),
    "threads-per-core",
)
"""Options that tasks find in their environment as they were written, whatever became of them."""


def _of_options(given: Given, *, is_one_a_node: bool) -> Dict[str, str]:
    distribution, _, plane = (given.get("distribution") or ("cyclic" if is_one_a_node else "block")).partition("=")
    found = {"SLURM_DISTRIBUTION": distribution}
    if exports_all(given):
        found["SRUN_DEBUG"] = str(3 + given.verbose - given.has("quiet"))
    if plane:
        found["SLURM_DIST_PLANESIZE"] = plane
    cpus = given.get("cpus-per-task")
    if cpus:
        found["SLURM_CPUS_PER_TASK"], found["SLURM_TRES_PER_TASK"] = cpus, f"cpu={cpus}"
    if given.values.get("job-name"):
        found["SLURM_JOB_NAME"] = given.values["job-name"]
    if given.has("label"):
        found["SLURM_LABELIO"] = "1"
    if given.has("external-launcher"):
        found.update(_UNBOUND)
    for name in _TOLD_AS_GIVEN:
        if name in given.values:
            found["SLURM_" + name.upper().replace("-", "_")] = given.values[name]
    return found


def environment_of_task(
    part: Mapping[str, Any], node_rank: int, local: int, srun_at: Tuple[Any, ...]
) -> Dict[str, str]:
    """What differs from task to task. `srun_at`: host and port of srun's end of the connection to its node."""
    host, port = str(srun_at[0]), str(srun_at[1])
    return {
        "SLURM_PROCID": str(part["ranks"][local]),
        "SLURM_LOCALID": str(local),
        "SLURM_NODEID": str(node_rank),
        "SLURM_GTIDS": ",".join(str(rank) for rank in part["ranks"]),
        "SLURM_CPUS_ON_NODE": str(part["cpus"]),
        "SLURM_TOPOLOGY_ADDR": str(part["name"]),
        "SLURM_LAUNCH_NODE_IPADDR": host,
        "SLURM_SRUN_COMM_HOST": host,
        "SLURM_SRUN_COMM_PORT": port,
        "SLURM_STEP_LAUNCHER_PORT": port,
    }
