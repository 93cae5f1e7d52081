"""MPI as srun sees it: which kind the step gets, and what its nodes' servers have to tell each other.

srun is the middle: it passes on what ranks put, says when all nodes have reached the fence, and keeps published names.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence

from bridge.agent import pmi
from bridge.agent.step_options import Given
from bridge.agent.step_say import Fatal, say

TYPES = ("none", "pmix", "pmi2")
_ALSO_KNOWN_AS = {"openmpi": "none", "pmix_v4": "pmix", "pmix_v5": "pmix"}


def check(given: Given) -> None:
    """Raises Fatal for a kind that is none."""
    wanted = kind_of(given, "none")
    if wanted not in TYPES:
        raise Fatal(
            f"error: MPI: Cannot create context for mpi/{wanted}\n"
            "error: MPI: Unable to load any plugin\n"
            f"error: Invalid MPI type '{wanted}', --mpi=list for acceptable types"
        )


def kind_of(given: Given, default: str) -> str:
    """`default`: the site's."""
    kind = given.get("mpi") or default
    return _ALSO_KNOWN_AS.get(kind, kind)


def list_of_types() -> str:
    return "MPI plugin types are...\n" + "".join(f"\t{name}\n" for name in TYPES)


def launch_field(kind: str, step_name: str, parts: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """What each node's service is told at the start."""
    ranks = [part["ranks"] for part in parts]
    return {
        "kind": kind,
        "name": step_name,
        "size": sum(map(len, ranks)),
        "nodes": len(parts),
        "mapping": pmi.process_mapping(ranks),
        **({"names": [part["name"] for part in parts], "ranks": ranks} if kind == "pmix" else {}),
    }


class Hub:
    """`send` takes a node's name and a message; `abort` ends the step."""

    def __init__(
        self, nodes: Sequence[str], send: Callable[[str, Mapping[str, Any]], None], abort: Callable[[], None]
    ) -> None:
        self._nodes, self._send, self._abort = nodes, send, abort
        self._in_fence: Dict[str, int] = {}
        self._names: Dict[str, str] = {}
        self.abort_status = 0
        """Of a program that ended all by itself, where its kind of MPI tells (PMIx; Slurm's PMI loses it)."""

    def take(self, node: str, message: Mapping[str, Any]) -> None:
        """From the server of a node. Raises KeyError."""
        verb = message["do"]
        if verb == "puts":
            self._tell_others(node, message)
        elif verb == "fence":
            self._reach_fence(str(message.get("key", "")), message.get("nodes") or self._nodes)
        elif verb == "to":
            self._send(str(message["node"]), message["message"])
        elif verb in ("publish", "lookup", "unpublish"):
            self._answer_name(node, message)
        elif verb == "abort":
            self.abort_status = self.abort_status or int(message.get("status", 0))
            self._abort()
        elif verb == "say":
            say(str(message["line"]))

    def _tell_others(self, but: str, message: Mapping[str, Any]) -> None:
        for node in self._nodes:
            if node != but:
                self._send(node, message)

    def _reach_fence(self, key: str, nodes: Sequence[str]) -> None:
        """`key`: whose fence; PMIx has some of groups of ranks."""
        self._in_fence[key] = self._in_fence.get(key, 0) + 1
        if self._in_fence[key] == len(nodes):
            del self._in_fence[key]
            for node in nodes:
                self._send(node, {"do": "fenced", "key": key})

    def _answer_name(self, node: str, message: Mapping[str, Any]) -> None:
        verb, name = str(message["do"]), str(message["name"])
        if verb == "publish":
            self._names[name] = str(message["port"])
        elif verb == "unpublish":
            self._names.pop(name, None)
        is_good = verb != "lookup" or name in self._names
        port = self._names.get(name, "")
        self._send(node, {"do": "named", "rank": message["rank"], "verb": verb, "is_good": is_good, "port": port})
