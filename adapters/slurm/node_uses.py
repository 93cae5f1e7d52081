"""Nodes with what is in use there, from what the service tells of nodes, recent jobs and reservations."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from adapters.slurm import scontrol_site
from adapters.slurm.scontrol_show import NodeUse
from bridge.core.job import ON_NODES, Job, JobState
from bridge.core.nodes import Node
from bridge.core.reservations import Reservation

Gres = tuple[str, str | None, tuple[int, ...]]


class View(Protocol):
    """A node with what the jobs on it were given."""

    @property
    def node(self) -> Node: ...
    @property
    def allocated_cpus(self) -> int: ...
    @property
    def allocated_memory_mib(self) -> int: ...
    @property
    def allocated_gres(self) -> tuple[tuple[str, str | None, int], ...]: ...


def of(views: Iterable[View], recent: Iterable[Job], kept: Sequence[Reservation], now: float) -> list[NodeUse]:
    """`recent`: jobs on nodes, and those that left them lately."""
    completing: set[str] = set()
    left: dict[str, float] = {}
    devices: dict[str, list[Gres]] = {}
    for job in recent:
        for share in job.nodes:
            left[share.node] = max(left.get(share.node, 0.0), job.ended_at or 0.0)
            if job.state is JobState.COMPLETING:
                completing.add(share.node)
            if job.state in ON_NODES:
                devices.setdefault(share.node, []).extend(share.gres)
    return [
        NodeUse(
            view.node,
            view.allocated_cpus,
            view.allocated_memory_mib,
            view.allocated_gres,
            view.node.name in completing,
            left.get(view.node.name) or None,
            tuple(devices.get(view.node.name, ())),
            *scontrol_site.kept_for(view.node.name, kept, now),
        )
        for view in views
    ]
