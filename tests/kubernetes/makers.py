"""Makers of groups and profiles with defaults, for tests of the mapping and of the backend."""

from typing import Any

from adapters.kubernetes import bundle, objects
from adapters.kubernetes.capabilities import Capabilities
from adapters.kubernetes.profile import Profile
from bridge.core import group
from bridge.core.job import Share

AGENT = "bridge-agent-0123456789"
TICKET = "t1ck3t"


def a_profile(**fields: Any) -> Profile:
    return Profile(**{"name": "main", "namespace": "hpc", "image": "registry.example/base:12", **fields})


def a_group(
    script: bytes = b"#!/bin/sh\nhostname\n", nodes: int = 1, shares: tuple[Share, ...] = (), **fields: Any
) -> group.Group:
    """Job 12 of alice (uid 1001), on so many nodes or on these shares. Fields of Batch may be given too."""
    shares = shares or tuple(Share(f"n{k + 1}", 2, 4096, 1) for k in range(nodes))
    batch: dict[str, Any] = {
        "script": script,
        "arguments": (),
        "environment": {"PATH": "/usr/bin:/bin", "SLURM_JOB_NODELIST": "n1", "SLURM_NODELIST": "n1"},
        "working_directory": "/home/alice",
        "umask": 0o022,
        "rlimits": (),
        "stdin": "/dev/null",
        "stdout": "/home/alice/slurm-12.out",
        "stderr": None,
        "append": False,
        "load_login_environment": False,
    }
    batch.update({name: fields.pop(name) for name in list(fields) if name in batch})
    values: dict[str, Any] = {
        "instance": "abcd1234",
        "job_id": 12,
        "display_id": "12",
        "attempt": 1,
        "array_id": None,
        "task_index": None,
        "job_name": "train",
        "user": "alice",
        "uid": 1001,
        "gid": 1001,
        "groups": (1001, 2000),
        "group_names": ("alice", "physics"),
        "home": "/home/alice",
        "shell": "/bin/bash",
        "nodes": shares,
        "node_environment": tuple(
            {"SLURMD_NODENAME": share.node, "HOSTNAME": share.node, "SLURM_NODEID": str(k)}
            for k, share in enumerate(shares)
        ),
        "time_limit_seconds": 3600,
        "kill_wait_seconds": 30,
        "signal": None,
        "memory_limit_mib": tuple(share.memory_mib or None for share in shares),
        "patience_seconds": 300,
        "key": "00ff" * 16,
        "job_token": "secret token",
        "partition": "main",
    }
    return group.Group(batch=group.Batch(**batch), **{**values, **fields})


def a_task(index: int, **fields: Any) -> group.Group:
    """Of the array 20, whose raw ids are 21 and so on."""
    environment = {"PATH": "/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": str(index)}
    own = {"job_id": 21 + index, "display_id": f"20_{index}", "array_id": 20, "task_index": index}
    paths = {"stdout": f"/home/alice/slurm-20_{index}.out"}
    return a_group(**{"environment": environment, **own, **paths, **fields})


def made(made_of: bundle.Bundle, profile: Profile | None = None, **can: Any) -> objects.Objects:
    return objects.make_objects(made_of, profile or a_profile(), Capabilities(**can), AGENT, TICKET)
