"""The /etc/hosts of a virtual node, in which the nodes of its job have addresses. The host's own name stays: MPI tells
by it which nodes share memory.
"""

from __future__ import annotations

import contextlib
import os
from typing import Sequence

from bridge.agent import launch, namespaces

_HOSTS = "/etc/hosts"
FILE = "hosts"


def hosts_text(nodes: Sequence[launch.Node], before: str) -> str:
    """The job's nodes first: the first line that names somebody counts. `before`: the machine's own file."""
    lines = [f"{node.address}\t{node.name}\n" for node in nodes]
    return "".join(lines) + before


def write(folder: int, nodes: Sequence[launch.Node]) -> None:
    """As FILE in a folder that is held open. Raises OSError."""
    before = ""
    with contextlib.suppress(OSError), open(_HOSTS, encoding="utf-8", errors="surrogateescape") as file:
        before = file.read()
    fd = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=folder)
    with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(fd, 0o644)
        file.write(hosts_text(nodes, before))


def settle(hosts: str) -> None:
    """In a mount namespace of its own: puts `hosts` over /etc/hosts, where the machine has one."""
    with contextlib.suppress(OSError):
        namespaces.bind(hosts, _HOSTS)
