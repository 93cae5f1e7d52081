"""From srun's options to the wish: how many tasks, on which nodes, dealt out how. Pure but for files of node names,
which srun's user can read.
"""

from __future__ import annotations

import os
import re
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from bridge.agent import distribution, hostnames, layout
from bridge.agent.step_options import Given
from bridge.agent.step_request import Bad, count
from bridge.agent.step_say import Fatal

_UNREADABLE = 255
_KIB = {"k": 1, "m": 1 << 10, "g": 1 << 20, "t": 1 << 30}
_LEVELS_WITHIN = 2
"""Sockets and cores."""


def make_wish(given: Given, environment: Mapping[str, str]) -> Tuple[layout.Wish, List[str]]:
    """(the wish, lines that srun says first). Raises Bad."""
    said: List[str] = []
    tasks, per_node, cpus = count(given, "ntasks"), count(given, "ntasks-per-node"), _cpus_per_task(given)
    nodes_min, nodes_max = _nodes(given)
    method, plane_size, is_packed = _distribution(given, environment)
    arbitrary: Tuple[str, ...] = ()
    if method == distribution.ARBITRARY:
        if "nodes" in given.values:
            raise Bad("--nodes is incompatible with --distribution=arbitrary")
        arbitrary = _host_file(environment, tasks if "ntasks" in given.values else None)
    if "nodes" in given.values and "ntasks" not in given.values and per_node is not None:
        tasks = None
    if tasks is not None:
        if is_packed and "nodes" not in given.values:
            nodes_min = nodes_max = _fewest_nodes(tasks * (cpus or 1), environment) or nodes_min
        said += _warnings(tasks, per_node, nodes_min, nodes_max)
        if nodes_min is not None and tasks < nodes_min:
            nodes_min, nodes_max = tasks, tasks
    relative = count(given, "relative", 0)
    node_list = _node_list(given)
    excluded = _names(given.values.get("exclude"))
    if relative is not None and (node_list or excluded):
        raise Bad("-r,--relative not allowed with -w,--nodelist or -x,--exclude.")
    if given.has("whole") and cpus is not None:
        said.append("Ignoring --whole since -c/--cpus-per-task used")
    of_job = environment.get("SLURM_CPUS_PER_TASK", "")
    if "cpus-per-task" in given.values and cpus and of_job.isdigit() and cpus > int(of_job):
        words = f"({cpus} > {of_job}). Job step may never run."
        said.append(f"Job step's --cpus-per-task value exceeds that of job {words}")
    is_launcher = given.has("external-launcher")  # its tasks only start others: what those use is its own affair
    wish = layout.Wish(
        tasks=tasks,
        nodes_min=nodes_min,
        nodes_max=nodes_max,
        is_node_count_asked="nodes" in given.values,
        tasks_per_node=per_node,
        cpus_per_task=cpus or 1,
        fills_nodes=tasks is None and per_node is None and cpus is not None,
        node_list=node_list,
        exclude=excluded,
        relative=relative,
        distribution=method,
        plane_size=plane_size,
        is_packed=is_packed,
        # -c implies --exact, as since Slurm 22.05.
        exact=cpus is not None or ((given.has("exact") or given.has("exclusive")) and not given.has("whole")),
        overlap=given.has("overlap") or is_launcher,
        overcommit=given.has("overcommit") or is_launcher,
        is_one_a_node=is_launcher,
        arbitrary=arbitrary,
        **_memory(given),
    )
    return wish, said


def _names(text: Optional[str]) -> Tuple[str, ...]:
    if not text:
        return ()
    try:
        return tuple(hostnames.expand(text))
    except ValueError:
        raise Bad(f"Invalid node list: {text}") from None


def _warnings(tasks: int, per_node: Optional[int], nodes_min: Optional[int], nodes_max: Optional[int]) -> Iterator[str]:
    if per_node is not None and nodes_max is not None and per_node * nodes_max < tasks:
        yield (
            f"warning: can't honor --ntasks-per-node set to {per_node} which doesn't match the requested tasks "
            f"{tasks} with the maximum number of requested nodes {nodes_max}. Ignoring --ntasks-per-node."
        )
    if nodes_min is not None and tasks < nodes_min:
        yield f"warning: can't run {tasks} processes on {nodes_min} nodes, setting nnodes to {tasks}"


def _cpus_per_task(given: Given) -> Optional[int]:
    """-c, else what --tres-per-task says of CPUs; the job's own values come after both."""
    if "cpus-per-task" not in given.values:
        for item in (given.get("tres-per-task") or "").split(","):
            name, _, number = re.sub("[:=]", "=", item).partition("=")
            if name == "cpu" and number.isdigit() and int(number) > 0:
                return int(number)
    return count(given, "cpus-per-task")


def _memory(given: Given) -> Dict[str, int]:
    """The command line's --mem or --mem-per-cpu, else what the job has; in MiB. Raises Bad or Fatal."""
    fields = {"mem": "memory_per_node_mib", "mem-per-cpu": "memory_per_cpu_mib"}
    asked = [name for name in fields if name in given.values]
    if len(asked) > 1:
        raise Fatal("fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.")
    if not asked and len(fields.keys() & given.from_environment.keys()) > 1:  # sbatch from within a job may do that
        raise Fatal("fatal: SLURM_MEM_PER_CPU, SLURM_MEM_PER_GPU, and SLURM_MEM_PER_NODE are mutually exclusive.")
    found: Dict[str, int] = {}
    for name in asked or fields:
        text = given.get(name)
        if text is None:
            continue
        parts = re.fullmatch(r"(\d+)([kKmMgGtT]?)[bB]?", text)
        if parts is None:
            raise Bad(f"Invalid --{name} specification", _UNREADABLE)
        kib = int(parts[1]) * _KIB[parts[2].lower() or "m"]
        found[fields[name]] = -(-kib // 1024)
    return found


def _fewest_nodes(cpus: int, environment: Mapping[str, str]) -> Optional[int]:
    """That have so many CPUs, where all nodes of the job have the same number of them."""
    of_node = re.fullmatch(r"(\d+)(?:\(x\d+\))?", environment.get("SLURM_JOB_CPUS_PER_NODE", ""))
    return -(-cpus // int(of_node[1])) if of_node is not None and int(of_node[1]) > 0 else None


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
    return low, high


def _distribution(given: Given, environment: Mapping[str, str]) -> Tuple[str, int, bool]:
    """(how ranks go over nodes, size of a plane, whether nodes are filled one after the other). Of levels within a
    node it is only checked that they are some.
    """
    wrong = "Invalid --distribution specification"
    levels, _, rest = (given.get("distribution") or "block").lower().partition(",")
    if levels in ("pack", "nopack"):
        levels, rest = "*", levels
    first, *within = levels.split(":")
    method, _, size = first.partition("=")
    if method == distribution.PLANE:
        size = size or ("" if "distribution" in given.values else environment.get("SLURM_DIST_PLANESIZE", ""))
        if not size.isdigit() or int(size) < 1:
            raise Bad(f"Invalid plane size or size not specified\n{wrong}", _UNREADABLE)
        return method, int(size), False
    known = (distribution.BLOCK, distribution.CYCLIC, distribution.ARBITRARY, "*", "")
    if size or method not in known or rest not in ("", "pack", "nopack") or len(within) > _LEVELS_WITHIN:
        raise Bad(wrong, _UNREADABLE)
    if any(level not in ("block", "cyclic", "fcyclic", "*") for level in within):
        raise Bad(wrong, _UNREADABLE)
    method = distribution.BLOCK if method in ("*", "") else method
    return method, 1, rest == "pack" and method == distribution.BLOCK


def _node_list(given: Given) -> Tuple[str, ...]:
    """--nodelist; with a slash it is a file of names."""
    text = given.values.get("nodelist")
    if text is None or "/" not in text:
        return _names(text)
    return tuple(dict.fromkeys(_names_in(text)))


def _names_in(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return [name for line in file for name in hostnames.expand(line.split("#")[0].strip())]
    except (OSError, ValueError):
        raise Bad(f"Unable to open file {path}" if not os.path.exists(path) else f"Invalid node list: {path}") from None


def _host_file(environment: Mapping[str, str], tasks: Optional[int]) -> Tuple[str, ...]:
    path = environment.get("SLURM_HOSTFILE")
    if not path:
        raise Bad("SLURM_HOSTFILE must name a file for --distribution=arbitrary")
    names = _names_in(path)
    if tasks is not None and len(names) < tasks:
        raise Bad("Too few NodeNames in Slurm Hostfile\nFailure getting NodeNames from hostfile")
    return tuple(names[:tasks])
