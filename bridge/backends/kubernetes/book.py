"""Which attempts the backend knows of, by job and by object, and of which there is news.

Everything here is what one process remembers: what counts is in the cluster, and is read again at every opening.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from adapters.kubernetes import bundle as bundles
from adapters.kubernetes import names
from bridge.backends.kubernetes.attempts import Attempt

log = logging.getLogger(__name__)

Json = dict[str, Any]
Key = tuple[int, int]
Place = tuple[str, str]
"""(namespace, name) of a Job."""

_MOST_FORGOTTEN = 20_000


class Book:
    def __init__(self) -> None:
        self.attempts: dict[Key, Attempt] = {}
        self.launches: dict[Place, str] = {}
        """Job → its launch Secret's name."""
        self.tries: dict[Place, str] = {}
        """Job that was perhaps made → the launch Secret of that try."""
        self.is_gap = True
        """A full picture is due."""
        self.nodes_changed = False
        self.news = asyncio.Event()
        self.gated = asyncio.Event()
        """Of a job with pods at our gate one has come or changed: perhaps all are there now."""
        self._by_group: dict[Place, dict[int | None, Key]] = {}
        """Job → its attempts, by their pods' index."""
        self._forgotten: dict[Place, None] = {}
        """The latest, in order: what the cluster still says of them is no news."""
        self._changed: set[Key] = set()

    def clear(self) -> None:
        self.attempts.clear()
        self.launches.clear()
        self.tries.clear()
        self._by_group.clear()
        self._forgotten.clear()

    # ── who is there ──────────────────────────────────────────────────────────────────────────────

    def __contains__(self, place: object) -> bool:
        return place in self._by_group

    def at(self, place: Place) -> list[Attempt]:
        """The attempts of one Job."""
        return [self.attempts[key] for key in self._by_group.get(place, {}).values()]

    def of_object(self, item: Json, *, is_gone: bool) -> dict[int | None, Key] | None:
        """The attempts that a Job or a pod belongs to; those that are new are taken in. None: it is no news."""
        meta = item["metadata"]
        place = (meta["namespace"], meta["labels"].get(names.GROUP, ""))
        if place in self._by_group:
            return self._by_group[place]
        if is_gone or place in self._forgotten:
            return None
        try:
            members = bundles.parse_members((meta.get("annotations") or {})[names.MEMBERS])
        except (KeyError, ValueError):
            log.error("an object with our label is not ours", extra={"object": f"{place[0]}/{meta['name']}"})
            return None
        is_wave = names.ATTEMPT not in meta["labels"]
        for index, (job_id, number) in enumerate(members):
            self.add(job_id, number, place, index if is_wave else None, meta)
        return self._by_group[place]

    def add(self, job_id: int, number: int, place: Place, index: int | None, meta: Json) -> None:
        """`meta`: of any object of its Job."""
        made = Attempt(job_id, number, place[1], place[0], index)
        made.partition = meta["annotations"].get(names.PARTITION, "")
        made.may_run_again = meta["annotations"].get(names.REQUEUE) != "no"
        self.attempts[made.key] = made
        self._by_group.setdefault(place, {})[index] = made.key

    def drop(self, attempt: Attempt) -> bool:
        """True: it was the last one of its Job."""
        self.attempts.pop(attempt.key, None)
        self._changed.discard(attempt.key)
        keys = self._by_group.get(attempt.place, {})
        keys.pop(attempt.index, None)
        if keys:
            return False
        self._by_group.pop(attempt.place, None)
        return True

    def forget(self, place: Place) -> None:
        """Its ends are committed: objects of it that are still on their way out tell nothing new."""
        self._forgotten[place] = None
        while len(self._forgotten) > _MOST_FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]

    # ── news ──────────────────────────────────────────────────────────────────────────────────────

    def tell(self, attempt: Attempt) -> None:
        self._changed.add(attempt.key)
        self.news.set()

    def tell_all(self) -> None:
        """A picture is whole again: everything is told anew, and what is not in it is not there."""
        self.is_gap = True
        self.news.set()

    def tell_nodes(self) -> None:
        self.nodes_changed = True
        self.news.set()

    @property
    def has_changes(self) -> bool:
        return bool(self._changed)

    def take_all(self) -> list[Attempt]:
        self.is_gap = False
        self._changed.clear()
        return list(self.attempts.values())

    def take_changed(self) -> Iterator[Attempt]:
        changed, self._changed = self._changed, set()
        for key in sorted(changed):
            if key in self.attempts:
                yield self.attempts[key]
