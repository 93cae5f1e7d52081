"""From srun's options to what the step services are asked: the wish, and each task's program, files, variables. Pure
but for the files that options name (--multi-prog, arbitrary host lists), which srun's user can read.
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
    """A value that srun refuses; the text comes after `srun: error: ` and the exit code is 1."""


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


def _names(text: Optional[str]) -> Tuple[str, ...]:
    if not text:
        return ()
    try:
        return tuple(hostnames.expand(text))
    except ValueError:
        raise Bad(f"Invalid node list: {text}") from None


def make_wish(given: Given, environment: Mapping[str, str]) -> Tuple[layout.Wish, List[str]]:
    """(the wish, warnings). Raises Bad."""
    warnings: List[str] = []
    tasks = count(given, "ntasks")
    per_node = count(given, "ntasks-per-node")
    cpus = count(given, "cpus-per-task")
    nodes_min, nodes_max = _nodes(given)
    node_list = _names(given.values.get("nodelist"))
    if tasks is not None and nodes_min is not None and tasks < nodes_min:
        warnings.append(f"can't run {tasks} processes on {nodes_min} nodes, setting nnodes to {tasks}")
        nodes_min, nodes_max = tasks, tasks
    if (
        tasks is not None
        and per_node is not None
        and "ntasks-per-node" not in given.values
        and "ntasks" in given.values
    ):
        per_node = None  # --ntasks beats what the job was submitted with
    distribution, plane = _distribution(given)
    arbitrary: Tuple[str, ...] = ()
    if distribution == "arbitrary":
        arbitrary = _host_file(environment, tasks)
    wish = layout.Wish(
        tasks=tasks,
        nodes_min=nodes_min,
        nodes_max=nodes_max,
        tasks_per_node=per_node,
        cpus_per_task=cpus or 1,
        node_list=node_list,
        exclude=_names(given.values.get("exclude")),
        relative=count(given, "relative", 0) or 0,
        distribution=distribution,
        plane_size=plane,
        # -c implies --exact, as since Slurm 22.05.
        exact=(given.has("exact") or given.has("exclusive") or cpus is not None) and not given.has("whole"),
        overlap=given.has("overlap"),
        overcommit=given.has("overcommit"),
        arbitrary=arbitrary,
    )
    return wish, warnings


def _nodes(given: Given) -> Tuple[Optional[int], Optional[int]]:
    text = given.get("nodes")
    if not text:
        return None, None
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if found is None:
        raise Bad(f'"{text}" is not a valid node count')
    low, high = int(found[1]), int(found[2] or found[1])
    if high < low:
        raise Bad(f"Maximum node count {high} is less than minimum node count {low}")
    if "nodes" not in given.values and (given.values.get("nodelist") or "relative" in given.values):
        return None, None  # the job's own number of nodes says nothing of a step that names its nodes
    return low, high


def _distribution(given: Given) -> Tuple[str, int]:
    text = (given.get("distribution") or "block").lower()
    first = text.split(":")[0].split(",")[0]
    name, _, size = first.partition("=")
    if name in ("", "*"):
        name = "block"
    if name not in ("block", "cyclic", "plane", "arbitrary", "pack", "nopack"):
        raise Bad(f"Invalid --distribution specification: {text}")
    if name == "plane" and not (size.isdigit() and int(size) > 0):
        size = os.environ.get("SLURM_DIST_PLANESIZE", "1")
    return ("block" if "pack" in name else name), int(size) if size.isdigit() else 1


def _host_file(environment: Mapping[str, str], tasks: Optional[int]) -> Tuple[str, ...]:
    path = environment.get("SLURM_HOSTFILE")
    if not path:
        raise Bad("SLURM_HOSTFILE must name a file for --distribution=arbitrary")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            names = [name for line in file for name in hostnames.expand(line.split("#")[0].strip())]
    except (OSError, ValueError) as error:
        raise Bad(f"Could not read {path}: {error}") from None
    if tasks is not None and len(names) < tasks:
        raise Bad(f"{path} names {len(names)} hosts for {tasks} tasks")
    return tuple(names[:tasks])


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
    found.update(_of_options(given))
    found.update(
        {
            "SLURM_STEP_ID": str(step_id),
            "SLURM_STEPID": str(step_id),
            "SLURM_STEP_NODELIST": nodes,
            "SLURM_STEP_NUM_NODES": str(len(parts)),
            "SLURM_STEP_NUM_TASKS": str(tasks),
            "SLURM_STEP_TASKS_PER_NODE": per_node,
            "SLURM_TASKS_PER_NODE": per_node,
            "SLURM_NTASKS": str(tasks),
            "SLURM_NPROCS": str(tasks),
        }
    )
    return found


def _of_options(given: Given) -> Dict[str, str]:
    distribution, _, plane = (given.get("distribution") or "block").partition("=")
    found = {"SLURM_DISTRIBUTION": distribution, "SRUN_DEBUG": str(3 + given.verbose - given.has("quiet"))}
    if plane:
        found["SLURM_DIST_PLANESIZE"] = plane
    cpus = given.get("cpus-per-task")
    if cpus:
        found["SLURM_CPUS_PER_TASK"], found["SLURM_TRES_PER_TASK"] = cpus, f"cpu={cpus}"
    if given.values.get("job-name"):
        found["SLURM_JOB_NAME"] = given.values["job-name"]
    if given.has("label"):
        found["SLURM_LABELIO"] = "1"
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
