"""The launch file: what one attempt is, as the bridge wrote it (`bridge/core/group.py` says what is in it).

Fields that are not known here are ignored, so that an agent understands a bridge that is newer or older.
Everybody in an attempt reads the same file; `raw` is handed to the step service as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

NAME = "launch.json"
SCRIPT = "slurm_script"
KEY, TOKEN = "key", "token"
VERSION = 1


@dataclass(frozen=True)
class Node:
    name: str
    address: str
    port: int


@dataclass(frozen=True)
class Batch:
    arguments: Tuple[str, ...]
    environment: Dict[str, str] = field(repr=False)
    working_directory: str
    umask: int
    rlimits: Tuple[Tuple[str, int, int], ...]
    """Name, soft, hard; -1: unlimited."""
    stdin: str
    stdout: str
    stderr: Optional[str]
    """None: the same file as stdout."""
    append: bool
    load_login_environment: bool


@dataclass(frozen=True)
class Warn:
    number: int
    before_seconds: int
    batch_shell_only: bool


@dataclass(frozen=True)
class Launch:
    instance: str
    job_id: int
    attempt: int
    user: str
    uid: int
    gid: int
    groups: Tuple[int, ...]
    home: str
    shell: str
    nodes: Tuple[Node, ...]
    node_environment: Tuple[Dict[str, str], ...] = field(repr=False)
    batch: Batch
    time_limit_seconds: Optional[int]
    kill_wait_seconds: float
    warning: Optional[Warn]
    memory_limit_mib: Tuple[Optional[int], ...]
    patience_seconds: float
    poke: str
    bin: str
    socket: str
    slurm_conf: str
    """Empty: there is none on this node."""
    boot_id: Optional[str]
    raw: Dict[str, Any] = field(repr=False)


def parse(data: bytes) -> Launch:
    """Raises ValueError that says what is wrong."""
    try:
        raw = json.loads(data)
        if raw["version"] != VERSION:
            raise ValueError(f"launch file of version {raw['version']}; this agent reads version {VERSION}")
        return _launch(raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"launch file: {type(error).__name__} {error}") from None


def _launch(raw: Dict[str, Any]) -> Launch:
    nodes: List[Dict[str, Any]] = raw["nodes"]
    signal = raw.get("signal")
    return Launch(
        instance=raw["instance"],
        job_id=raw["job_id"],
        attempt=raw["attempt"],
        user=raw["user"],
        uid=raw["uid"],
        gid=raw["gid"],
        groups=tuple(raw["groups"]),
        home=raw["home"],
        shell=raw["shell"],
        nodes=tuple(Node(n["name"], n.get("address", "127.0.0.1"), n.get("port", 0)) for n in nodes),
        node_environment=tuple(raw.get("node_environment") or [{} for _ in nodes]),
        batch=_batch(raw["batch"]),
        time_limit_seconds=raw.get("time_limit_seconds"),
        kill_wait_seconds=raw["kill_wait_seconds"],
        warning=Warn(signal["number"], signal["before_seconds"], signal["batch_shell_only"]) if signal else None,
        memory_limit_mib=tuple(raw.get("memory_limit_mib") or [None for _ in nodes]),
        patience_seconds=raw.get("patience_seconds", 300),
        poke=raw.get("poke") or "",
        bin=raw.get("bin") or "",
        socket=raw.get("socket") or "",
        slurm_conf=raw.get("slurm_conf") or "",
        boot_id=raw.get("boot_id"),
        raw=raw,
    )


def _batch(raw: Dict[str, Any]) -> Batch:
    return Batch(
        arguments=tuple(raw["arguments"]),
        environment=raw["environment"],
        working_directory=raw["working_directory"],
        umask=raw["umask"],
        rlimits=tuple((name, soft, hard) for name, soft, hard in raw["rlimits"]),
        stdin=raw["stdin"],
        stdout=raw["stdout"],
        stderr=raw["stderr"],
        append=raw["append"],
        load_login_environment=raw["load_login_environment"],
    )
