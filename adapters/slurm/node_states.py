"""Slurm's words for how a node stands: `idle`, `mix`, `drng`, `DOWN` ..."""

from typing import Protocol

from bridge.core.nodes import Node


class Use(Protocol):
    """A node with what is in use there."""

    @property
    def node(self) -> Node: ...
    @property
    def cpus(self) -> int: ...
    @property
    def completing(self) -> bool: ...
    @property
    def kept_for(self) -> str: ...


_COMPACT = {
    "idle": "idle",
    "mixed": "mix",
    "allocated": "alloc",
    "completing": "comp",
    "drained": "drain",
    "draining": "drng",
    "down": "down",
    "fail": "fail",
    "failing": "failg",
    "maint": "maint",
    "reserved": "resv",
}

_MATCHES = {
    "idle": {"idle"},
    "allocated": {"allocated", "completing"},
    "alloc": {"allocated", "completing"},
    "mixed": {"mixed"},
    "mix": {"mixed"},
    "completing": {"completing"},
    "comp": {"completing"},
    "drain": {"drained", "draining"},
    "drained": {"drained"},
    "draining": {"draining"},
    "drng": {"draining"},
    "down": {"down"},
    "fail": {"fail", "failing"},
    "failing": {"failing"},
    "failg": {"failing"},
    "maint": {"maint"},
    "reserved": {"reserved"},
    "resv": {"reserved"},
}

SHORT = frozenset(_MATCHES)

_NAMES = (
    "unknown,down,idle,allocated,mixed,future,drain,drained,draining,no_respond,reserved,planned,blocked,cloud,"
    "completing,powering_down,powered_down,power_down,powering_up,power_up,inval,fail,maint,reboot,reboot^,external,"
    "dynamic_future,dynamic_norm"
)
NAMES = tuple(_NAMES.split(","))
"""Every long name that sinfo -t takes."""


def long(use: Use) -> str:
    node = use.node
    if node.state.flag == "DRAIN":
        return "draining" if use.cpus else "drained"
    if node.state.flag == "FAIL":
        return "failing" if use.cpus else "fail"
    if node.state.is_down:
        return "down"
    if use.cpus >= node.cpus:
        return "allocated"
    if use.cpus:
        return "mixed"
    return "completing" if use.completing else use.kept_for or "idle"


def compact(use: Use) -> str:
    return _COMPACT[long(use)]


def complete(use: Use) -> str:
    """scontrol's State: the base state and what is added to it."""
    node = use.node
    if node.state.is_down:
        return node.state.value
    base = "ALLOCATED" if use.cpus >= node.cpus else "MIXED" if use.cpus else "IDLE"
    if use.completing:
        base += "+COMPLETING"
    if use.kept_for:
        base += "+MAINTENANCE+RESERVED" if use.kept_for == "maint" else "+RESERVED"
    return "+".join(filter(None, (base, node.state.flag)))


def matches(name: str, use: Use) -> bool | None:
    """Whether the node is in the state of that name; None: no such name."""
    name = name.lower()
    if name not in _MATCHES and name not in NAMES:
        return None
    return long(use) in _MATCHES.get(name, set())
