"""What operators do to reservations and partitions, with who may and what is refused."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.core import constraint, queue, reservations
from bridge.core.errors import Conflict, NotFound, Refused
from bridge.core.job import ON_NODES
from bridge.core.nodes import Node, Partition
from bridge.core.reservations import Busy, Reservation
from bridge.core.users import Caller, must_operate
from bridge.service.accounting import Accounting
from bridge.service.site import SiteState
from bridge.store.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """A reservation as it is asked for; its nodes may be chosen by number."""

    reservation: Reservation
    """`nodes` empty: by number."""
    node_count: int | None = None
    all_nodes: bool = False


class SiteChanges:
    def __init__(
        self,
        store: Store,
        runtime: SiteState,
        accounting: Accounting,
        known_nodes: Callable[[], Awaitable[Sequence[Node]]],
        backend_names: Sequence[str],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._accounting = accounting
        self._known_nodes = known_nodes
        self._backend_names = tuple(backend_names)
        self._now = now

    # ── reservations ──────────────────────────────────────────────────────────────────────────────

    async def create_reservation(self, caller: Caller, wanted: Wanted, is_known: Callable[[str], bool]) -> Reservation:
        """`is_known`: whether there is a user of that name."""
        must_operate(caller, "invalid_user_id")
        others = await self._runtime.reservations()
        names = {one.name for one in others}
        one = wanted.reservation
        if not one.name:
            one = replace(one, name=reservations.free_name(one, names))
        elif one.name in names:
            raise Conflict(f"there is a reservation {one.name}", code="reservation_exists", field="name")
        return await self._keep(replace(wanted, reservation=one), others, is_known)

    async def update_reservation(
        self, caller: Caller, name: str, change: Callable[[Reservation], Wanted], is_known: Callable[[str], bool]
    ) -> None:
        must_operate(caller, "invalid_user_id")
        kept = await self._runtime.reservations()
        before = self._find(kept, name)
        others = [one for one in kept if one.name != name]
        await self._keep(change(before), others, is_known, mine=before)

    async def delete_reservation(self, caller: Caller, name: str) -> None:
        must_operate(caller, "invalid_user_id")
        self._find(await self._runtime.reservations(), name)
        if any(job.request.reservation == name for job in await self._store.unfinished()):
            raise Conflict(f"jobs use {name}", code="reservation_busy", field="name")
        await self._runtime.drop_reservation(name)

    @staticmethod
    def _find(kept: Sequence[Reservation], name: str) -> Reservation:
        found = next((one for one in kept if one.name == name), None)
        if found is None:
            raise NotFound(f"no reservation is named {name}", code="invalid_reservation", field="name")
        return found

    async def _keep(
        self,
        wanted: Wanted,
        others: Sequence[Reservation],
        is_known: Callable[[str], bool],
        mine: Reservation | None = None,
    ) -> Reservation:
        one = wanted.reservation
        if one.end_at <= max(self._now(), one.start_at):
            raise Refused("it would end before it begins, or is over", code="invalid_time", field="end_at")
        await self._check_people(one, is_known)
        one = await self._with_nodes(wanted, others, mine)
        await self._runtime.put_reservation(one)
        return one

    async def _check_people(self, one: Reservation, is_known: Callable[[str], bool]) -> None:
        if not (one.users or one.groups or one.accounts):
            raise Refused("for nobody", code="reservation_for_nobody", field="users")
        for name in one.users:
            if not is_known(name):
                raise Refused(f"no user is named {name}", code="unspecified", field="users")
        book = await self._accounting.book()
        for name in one.accounts:
            if name not in book.accounts:
                raise Refused(f"no account is named {name}", code="invalid_account", field="accounts")

    async def _with_nodes(self, wanted: Wanted, others: Sequence[Reservation], mine: Reservation | None) -> Reservation:
        one = wanted.reservation
        nodes = {node.name: node for node in await self._known_nodes()}
        partition = self._partition(one.partition)
        busy = await self._busy(mine)
        if wanted.all_nodes:
            one = replace(one, nodes=tuple(nodes) if one.partition is None else partition.nodes)
        elif wanted.node_count is not None:
            members = [nodes[name] for name in partition.nodes if name in nodes]
            if one.features is not None:
                wish = constraint.parse(one.features)
                members = [node for node in members if wish.matches(node.features)]
            chosen = reservations.choose_nodes(wanted.node_count, members, one, others, busy)
            return replace(one, nodes=chosen, partition=partition.name)
        unknown = next((name for name in one.nodes if name not in nodes), None)
        if unknown is not None:
            raise Refused(f"no node is named {unknown}", code="invalid_node_name", field="nodes")
        reservations.check_nodes(one, others, busy)
        return one

    def _partition(self, name: str | None) -> Partition:
        site = self._runtime.site
        found = site.default_partition if name is None else site.partition(name)
        if found is None:
            raise Refused(f"no partition is named {name}", code="invalid_partition", field="partition")
        return found

    async def _busy(self, mine: Reservation | None) -> list[Busy]:
        """What runs, but for the jobs of the reservation itself."""
        now = self._now()
        found: list[Busy] = []
        for job in await self._store.unfinished():
            if job.state in ON_NODES and (mine is None or job.request.reservation != mine.name):
                running = queue.make_running(job, now)
                found += [Busy(share.node, running.ends_at) for share in running.shares]
        return found

    # ── partitions ────────────────────────────────────────────────────────────────────────────────

    async def create_partition(self, caller: Caller, name: str, fields: Mapping[str, object]) -> None:
        must_operate(caller, "invalid_user_id")
        if self._runtime.site.partition(name) is not None:
            raise Conflict(f"there is a partition {name}", code="invalid_partition", field="name")
        usual = self._runtime.site.default_partition
        backend = usual.backend if usual is not None else self._backend_names[0]
        await self._keep_partition(Partition(name, backend, ()), fields)

    async def update_partition(self, caller: Caller, name: str, fields: Mapping[str, object]) -> None:
        must_operate(caller, "invalid_user_id")
        found = self._runtime.site.partition(name)
        if found is None:
            raise NotFound(f"no partition is named {name}", code="invalid_partition", field="name")
        await self._keep_partition(found, fields)

    async def delete_partition(self, caller: Caller, name: str) -> None:
        must_operate(caller, "invalid_user_id")
        if self._runtime.site.partition(name) is None:
            raise NotFound(f"no partition is named {name}", code="invalid_partition", field="name")
        jobs = await self._store.unfinished()
        if any(name in (job.partition, *job.request.component.partitions) for job in jobs):
            raise Conflict(f"jobs are in {name}", code="partition_busy", field="name")
        await self._runtime.drop_partition(name)

    async def _keep_partition(self, before: Partition, fields: Mapping[str, object]) -> None:
        changed = replace(before, **fields)  # type: ignore[arg-type]  # names and values come from a translator's table
        nodes = {node.name: node for node in await self._known_nodes()}
        backends = set()
        for name in changed.nodes:
            if name not in nodes:
                raise Refused(f"no node is named {name}", code="invalid_node_name", field="nodes")
            backends.add(nodes[name].backend)
        if len(backends) > 1:
            raise Refused("its nodes would be of several backends", code="invalid_node_name", field="nodes")
        if backends:
            changed = replace(changed, backend=backends.pop())
        await self._runtime.put_partition(changed)
