"""The nodes of all backends as operators marked them, with what jobs use of them; and the licences."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.backends.port import Backend
from bridge.core import queue
from bridge.core.errors import BridgeError, Conflict, NotFound
from bridge.core.job import ON_NODES, JobKey, Share
from bridge.core.nodes import Node, NodeState, Order, ordered
from bridge.core.users import Caller, must_operate
from bridge.service.site import SiteState
from bridge.store.records import JobQuery, NodeMark
from bridge.store.store import Store

FRESH_SECONDS = 5.0
"""How long what operators marked through another process may go unseen."""


@dataclass(frozen=True, slots=True)
class NodeView:
    node: Node
    allocated_cpus: int = 0
    allocated_memory_mib: int = 0
    allocated_gres: tuple[tuple[str, str | None, int], ...] = ()
    jobs: tuple[JobKey, ...] = ()


class Nodes:
    def __init__(
        self,
        store: Store,
        site_state: SiteState,
        backends: Mapping[str, Backend],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._site_state = site_state
        self._backends = backends
        self._now = now
        self._nodes: tuple[Node, ...] | None = None
        self._until = 0.0
        self._generation = 0
        self._watchers: list[Callable[[], None]] = []

    async def known(self) -> tuple[Node, ...]:
        """The nodes of all backends, as operators marked them."""
        if self._nodes is None or self._now() >= self._until:
            generation = self._generation
            found: list[Node] = []
            for backend in self._backends.values():
                found += await backend.nodes()
            marks = await self._store.node_marks()
            seen = tuple(_marked(node, marks.get(node.name)) for node in found)
            if generation != self._generation:
                return seen  # marked meanwhile: not to be kept
            self._nodes, self._until = seen, self._now() + FRESH_SECONDS
        return self._nodes

    def forget(self) -> None:
        """The next look asks the backends again."""
        self._nodes = None
        self._generation += 1
        for watcher in self._watchers:
            watcher()

    def when_changed(self, watcher: Callable[[], None]) -> None:
        self._watchers.append(watcher)

    async def views(self) -> list[NodeView]:
        nodes = await self.known()
        here: defaultdict[str, list[tuple[JobKey, Share]]] = defaultdict(list)
        for running in (await self._in_use()).running:
            for share in running.shares:
                here[share.node].append((running.key, share))
        return [_node_view(node, here[node.name]) for node in nodes]

    async def _in_use(self) -> queue.View:
        """Of the jobs on nodes alone: those that wait hold nothing, and may be many."""
        return queue.view(await self._store.list_jobs(JobQuery(states=ON_NODES)), self._site_state.site, self._now())

    async def mark(self, caller: Caller, names: Sequence[str], order: Order, reason: str) -> None:
        """As in Slurm an order that some of the nodes refuse is carried out on the others, and then refused."""
        must_operate(caller)
        known = {node.name: node for node in await self.known()}
        busy = {view.node.name for view in await self.views() if view.jobs} if order == "IDLE" else frozenset()
        refused: BridgeError | None = None
        for name in names:
            if name not in known:
                refused = NotFound(f"no node {name} is known", code="invalid_node_name", field="node")
                continue
            node = known[name]
            state = ordered(node.state, order, is_busy=name in busy)
            if state is None:
                sentence = f"{name} is {node.state}: no {order} from there"
                refused = refused or Conflict(sentence, code="invalid_node_state", field="state")
            elif state is not node.state or (reason and state is not NodeState.UP):
                kept = "" if state is NodeState.UP else reason or node.reason
                await self._store.mark_node(NodeMark(name, state, kept, caller.user.name, self._now()))
        self.forget()
        if refused is not None:
            raise refused

    async def licenses(self) -> list[tuple[str, int, int]]:
        """(name, total, used)"""
        free = (await self._in_use()).licenses_free
        return [(name, total, total - free.get(name, total)) for name, total in self._site_state.site.licenses]


def _marked(node: Node, mark: NodeMark | None) -> Node:
    if mark is None:
        return node
    state = NodeState(mark.state)
    if state is NodeState.UP:
        return replace(node, state=state)
    return replace(node, state=state, reason=mark.reason, reason_by=mark.by, reason_at=mark.at)


def _node_view(node: Node, here: Sequence[tuple[JobKey, Share]]) -> NodeView:
    used: dict[tuple[str, str | None], int] = {}
    for _, share in here:
        for name, kind, devices in share.gres:
            used[name, kind] = used.get((name, kind), 0) + len(devices)
    return NodeView(
        node,
        sum(share.cpus for _, share in here),
        sum(share.memory_mib for _, share in here),
        tuple((name, kind, count) for (name, kind), count in used.items()),
        tuple(key for key, _ in here),
    )
