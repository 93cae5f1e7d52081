"""The site file's nodes in the state that the cluster says. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.kubernetes.profile import Profile
from bridge.backends.kubernetes import pictures
from bridge.core.nodes import Node, NodeState

Json = dict[str, Any]


def required(profiles: Iterable[Profile], nodes: Iterable[Node]) -> frozenset[str]:
    """Of the site's nodes those that must be the cluster's."""
    if all(profile.nodes_are == "room" for profile in profiles):
        return frozenset()
    return frozenset(node.name for node in nodes)


def as_they_are(nodes: Sequence[Node], hosts: frozenset[str], objects: Mapping[str, Json]) -> tuple[Node, ...]:
    """`hosts`: those that must be the cluster's; `objects`: its nodes, as the watch keeps them."""
    found = []
    for node in nodes:
        there = objects.get(f"/{node.name}")
        found.append(_as_it_is(node, there) if there is not None or node.name in hosts else node)
    return tuple(found)


def _as_it_is(node: Node, found: Json | None) -> Node:
    if found is None:
        return replace(node, state=NodeState.DOWN, reason="the cluster has no such node")
    ready = pictures.ready(found)
    if ready.get("status") != "True":
        return replace(
            node, state=NodeState.DRAIN, reason=f"{ready.get('reason', 'NotReady')}: {ready.get('message', '')}"
        )
    if found["spec"]["unschedulable"]:
        return replace(node, state=NodeState.DRAIN, reason="cordoned")
    return node
