"""The recorded answers of a real Slurm, its cluster as values of ours, and a small reader of sbatch's words.

The reader knows only the options that decide sizes and places, written plainly; it stands in where a test is
about what follows from a request, not about how sbatch reads it.
"""

import argparse
import functools
import json
import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from adapters.slurm import arrayspec, choices, hostlist, timespec, values
from bridge.core.errors import Refused
from bridge.core.nodes import Node, Partition, Site
from bridge.core.request import Component, Files, Gres, JobRequest
from bridge.core.users import User
from tests.builders import NOON

_FILE = pathlib.Path(__file__).parents[1] / "slurm-oracle.jsonl"
VERSION = "25.11.8"

Case = dict[str, Any]

ALICE = User("alice", 1001, 1001, (1001,), ("alice",))
NODES = (
    Node("n1", 8, 16000, ("intel", "ib"), sockets=2),
    Node("n2", 8, 16000, ("intel",), sockets=2),
    Node("n3", 8, 16000, ("amd", "ib"), sockets=2),
    Node("n4", 8, 16000, ("amd",), (("gpu", "a100", 4),), sockets=2),
)
_DAY = 86400


def _partition(name: str, nodes: str, **fields: Any) -> Partition:
    return Partition(name, "local", tuple(hostlist.expand(nodes)), default_memory_per_cpu_mib=256, **fields)


PARTITIONS = (
    _partition("main", "n[1-3]", is_default=True, max_time_seconds=_DAY, default_time_seconds=1800),
    _partition("short", "n[1-2]", max_time_seconds=300, priority_tier=2),
    _partition("gpu", "n4"),
    _partition("all", "n[1-4]"),
    _partition("closed", "n3", state="DOWN"),
    _partition("small", "n1", max_nodes=1, max_time_seconds=3600),
)
SITE = Site(
    cluster_name="oracle",
    partitions=PARTITIONS,
    licenses=(("matlab", 4),),
    accounts=(("alice", ("physics", "chem")), ("bob", ("physics",))),
    qos=(("alice", ("normal", "high")), ("bob", ("normal",))),
)


@functools.cache
def _all() -> tuple[Case, ...]:
    lines = _FILE.read_text(encoding="utf-8").splitlines()[1:]
    return tuple(case for case in map(json.loads, lines) if case["slurm_version"] == VERSION)


def cases(*groups: str) -> Iterator[Case]:
    """The cases of these groups that begin with a plain sbatch that the small reader can read."""
    for case in _all():
        argv = case["how"].get("argv") or [""]
        if case["group"] in groups and argv[0] == "sbatch" and not _sets_options(case):
            try:
                request_of(case)
            except NotRead:
                continue
            yield case


def _sets_options(case: Case) -> bool:
    """Options from elsewhere than the command line are not this reader's business."""
    script = str(case["how"].get("files", {}).get("job.sh", ""))
    return "#SBATCH" in script or any(name.startswith("SBATCH_") for name in case["how"].get("env", {}))


class NotRead(Exception):
    """Has options that the small reader does not know, or values that sbatch itself refuses."""


class _Reader(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise NotRead(message)


def _reader() -> _Reader:
    reader = _Reader(allow_abbrev=False, add_help=False)
    for names in (
        *("-N --nodes", "-n --ntasks", "-c --cpus-per-task", "--ntasks-per-node --tasks-per-node", "--mincpus"),
        *("--sockets-per-node", "--cores-per-socket", "--threads-per-core", "--ntasks-per-core"),
        *("--ntasks-per-socket", "--ntasks-per-gpu", "--cpus-per-gpu", "--mem", "--mem-per-cpu", "--mem-per-gpu"),
        *("--tmp", "--gres", "-G --gpus", "--gpus-per-node", "--gpus-per-task", "-C --constraint", "-w --nodelist"),
        *("-x --exclude", "-L --licenses", "-p --partition", "-t --time", "--time-min", "-b --begin", "--deadline"),
        *("-a --array", "-J --job-name", "-o --output", "-e --error", "-i --input", "-A --account", "-q --qos"),
        *("-D --chdir", "-B", "--nice-value"),
    ):
        reader.add_argument(*names.split())
    for names in ("-H --hold", "-O --overcommit", "-s --oversubscribe", "--contiguous", "--spread-job"):
        reader.add_argument(*names.split(), action="store_true")
    reader.add_argument("--exclusive", nargs="?", const="node")
    reader.add_argument("--nice", nargs="?", const="100")
    reader.add_argument("script")
    reader.add_argument("arguments", nargs=argparse.REMAINDER)
    return reader


def request_of(case: Case, directory: str = "/home/alice") -> JobRequest:
    """NotRead for what the reader does not know."""
    argv = [word.replace("{CWD}", directory) for word in case["how"]["argv"][1:]]
    found = _reader().parse_args(_with_equals(argv))
    try:
        return _request(found, directory)
    except (values.BadValue, ValueError, Refused) as bad:
        raise NotRead(str(bad)) from bad


def _with_equals(argv: Sequence[str]) -> list[str]:
    """`--nice 5` is a bare --nice and an operand to sbatch; argparse would take 5 as its value."""
    return [
        f"{word}={'100' if word == '--nice' else 'node'}" if word in ("--nice", "--exclusive") else word
        for word in argv
    ]


def _request(found: argparse.Namespace, directory: str) -> JobRequest:
    working_directory = found.chdir if found.chdir else directory
    if not working_directory.startswith("/"):
        working_directory = f"{directory}/{working_directory}"
    return JobRequest(
        name=found.job_name if found.job_name is not None else found.script.rpartition("/")[2],
        user="alice",
        uid=1001,
        gid=1001,
        components=(_component(found),),
        account=found.account,
        qos=found.qos,
        array=arrayspec.parse(found.array, 1001) if found.array else None,
        time_limit_seconds=_read(values.time_limit, found.time),
        time_min_seconds=_read(values.time_limit, found.time_min),
        begin_at=_time(found.begin),
        deadline_at=_time(found.deadline),
        hold=found.hold,
        nice=values.nice(found.nice) if found.nice is not None else 0,
        files=Files(found.output, found.error, found.input),
        working_directory=working_directory,
        submit_directory=directory,
        submit_host="host",
    )


def _time(text: str | None) -> float | None:
    return None if text is None else timespec.parse_begin(text, NOON)


def _read(reader: Any, text: str | None) -> Any:
    return None if text is None else reader(text)


def _component(found: argparse.Namespace) -> Component:
    nodes = values.node_count(found.nodes) if found.nodes is not None else None
    shape = [None if word == "*" else values.count(word) for word in found.B.split(":")] if found.B else []
    sockets, cores, threads = (*shape, None, None, None)[:3]
    gpus = _gpus(found.gpus)
    tasks = _read(values.count, found.ntasks)
    if tasks is None and shape:  # sbatch counts the places of the shape itself
        tasks = (nodes.least if nodes else 1) * math.prod(count or 1 for count in shape)
    return Component(
        nodes_min=nodes.least if nodes else None,
        nodes_max=nodes.most if nodes else None,
        node_sizes=nodes.sizes if nodes else None,
        tasks=tasks,
        tasks_per_node=_read(values.count, found.ntasks_per_node),
        tasks_per_core=_read(values.count, found.ntasks_per_core),
        tasks_per_socket=_read(values.count, found.ntasks_per_socket),
        tasks_per_gpu=_read(values.count, found.ntasks_per_gpu),
        cpus_per_task=_read(values.count, found.cpus_per_task),
        cpus_per_gpu=_read(values.count, found.cpus_per_gpu),
        cpus_per_node_min=_read(values.count, found.mincpus),
        sockets_per_node=_read(values.count, found.sockets_per_node) or sockets,
        cores_per_socket=_read(values.count, found.cores_per_socket) or cores,
        threads_per_core=_read(values.count, found.threads_per_core) or threads,
        memory_per_node_mib=_read(values.memory, found.mem),
        memory_per_cpu_mib=_read(values.memory, found.mem_per_cpu),
        memory_per_gpu_mib=_read(values.memory, found.mem_per_gpu),
        temporary_disk_mib=_read(values.memory, found.tmp),
        gres_per_node=(*(values.gres_list(found.gres) if found.gres else ()), *_gpus(found.gpus_per_node)),
        gres_per_job=gpus,
        gres_per_task=_gpus(found.gpus_per_task),
        constraint=found.constraint,
        node_list=tuple(hostlist.expand(found.nodelist)) if found.nodelist else (),
        exclude=tuple(hostlist.expand(found.exclude)) if found.exclude else (),
        exclusive=choices.exclusive(found.exclusive) if found.exclusive else None,
        oversubscribe=found.oversubscribe,
        overcommit=found.overcommit,
        licenses=found.licenses,
        partitions=tuple(found.partition.split(",")) if found.partition else (),
    )


def _gpus(text: str | None) -> tuple[Gres, ...]:
    return values.gres_list(text, "gpu") if text else ()
