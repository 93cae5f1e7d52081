"""What operators change of the site at run time: partitions and reservations, kept in the state database.

The site file's partitions count as it says until an operator changes or deletes one; that record then stands for
it, also after a restart, until it is changed back or deleted.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.core import reservations
from bridge.core.nodes import Partition, Site
from bridge.core.reservations import Reservation
from bridge.store import codec
from bridge.store.store import Store

FRESH_SECONDS = 5.0
"""How long what another process changed may go unseen."""

_PARTITION, _RESERVATION = "partition", "reservation"


@dataclass(frozen=True, slots=True)
class _PartitionRecord:
    partition: Partition | None = None
    """None: an operator deleted one of the site file's."""


class SiteState:
    def __init__(self, store: Store, site: Site, *, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._base = site
        self._partitions: dict[str, Partition | None] = {}
        self._reservations: dict[str, Reservation] = {}
        self._until = 0.0
        self._site = site
        self._watchers: list[Callable[[], None]] = []

    @property
    def site(self) -> Site:
        """As it stands: the site file with what operators made of it."""
        return self._site

    @site.setter
    def site(self, base: Site) -> None:
        """Another site file."""
        self._base = base
        self._site = self._merged()

    def when_changed(self, watcher: Callable[[], None]) -> None:
        self._watchers.append(watcher)

    async def refresh(self) -> None:
        """Look at the database where that was not done lately."""
        if self._now() >= self._until:
            await self._load()

    async def reservations(self) -> tuple[Reservation, ...]:
        """Those that are not over, by start."""
        await self.refresh()
        return self.standing()

    def standing(self) -> tuple[Reservation, ...]:
        """The same as last seen."""
        return reservations.standing(self._reservations.values(), self._now()) if self._reservations else ()

    def end_of(self, name: str, at: float) -> float | None:
        """When the reservation that was there at that time ends or ended; None: nothing is known of it."""
        one = self._reservations.get(name)
        if one is None:
            return None
        return (one.at(at) or one).end_at

    async def put_reservation(self, one: Reservation) -> None:
        await self._save(_RESERVATION, one.name, codec.dump(one))

    async def drop_reservation(self, name: str) -> None:
        await self._save(_RESERVATION, name, None)

    async def put_partition(self, one: Partition) -> None:
        """Another default takes the place of the one before."""
        if one.is_default:
            for other in self._site.partitions:
                if other.is_default and other.name != one.name:
                    await self._save_partition(replace(other, is_default=False))
        await self._save_partition(one)

    async def _save_partition(self, one: Partition) -> None:
        """One that is as the site file says needs no record: what the file says later counts again."""
        as_of_file = one in self._base.partitions
        await self._save(_PARTITION, one.name, None if as_of_file else codec.dump(_PartitionRecord(one)))

    async def drop_partition(self, name: str) -> None:
        is_of_file = any(one.name == name for one in self._base.partitions)
        await self._save(_PARTITION, name, codec.dump(_PartitionRecord()) if is_of_file else None)

    async def _save(self, kind: str, name: str, data: str | None) -> None:
        await self._store.save_site_record(kind, name, data)
        await self._load()
        for watcher in self._watchers:
            watcher()

    async def _load(self) -> None:
        found = await self._store.site_records([_PARTITION, _RESERVATION])
        self._partitions = {
            name: codec.load(_PartitionRecord, data).partition for name, data in found[_PARTITION].items()
        }
        self._reservations = {name: codec.load(Reservation, data) for name, data in found[_RESERVATION].items()}
        self._until = self._now() + FRESH_SECONDS
        merged = self._merged()
        if merged.partitions != self._site.partitions:
            self._site = merged

    def _merged(self) -> Site:
        if not self._partitions:
            return self._base
        known = {one.name for one in self._base.partitions}
        kept = [self._partitions.get(one.name, one) for one in self._base.partitions]
        added = [self._partitions[name] for name in sorted(self._partitions) if name not in known]
        return replace(self._base, partitions=tuple(one for one in (*kept, *added) if one is not None))
