"""Keeps a picture of one kind of object: lists, watches from there, goes on after a cut, lists again after a gap."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any

from bridge.backends.kubernetes.transport import Expired, NotAllowed, Transport
from bridge.core.errors import BridgeError, Unavailable

log = logging.getLogger(__name__)

Json = dict[str, Any]

_FIRST_WAIT_SECONDS, _MOST_WAIT_SECONDS = 0.2, 15.0
_NOT_ALLOWED_SECONDS = 300.0


class Reflector:
    def __init__(
        self,
        transport: Transport,
        path: str,
        query: Mapping[str, Any],
        keep: Callable[[Json], Json],
        on_change: Callable[[str, Json, bool], None],
        on_list: Callable[[], None],
        on_break: Callable[[], None] = lambda: None,
    ) -> None:
        """`keep` makes an object small; `on_change(key, object, is gone)`; `on_list`: the picture is whole again;
        `on_break`: the API server was away, and may come back as another."""
        self.path = path
        self.objects: dict[str, Json] = {}
        """By namespace/name."""
        self.is_current = False
        """A first list has come, and no gap is open."""
        self.is_allowed = True
        self._transport, self._query, self._keep = transport, query, keep
        self._on_change, self._on_list, self._on_break = on_change, on_list, on_break
        self._version = ""

    async def run(self) -> None:
        """Until cancelled."""
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                wait = _FIRST_WAIT_SECONDS
            except Expired:
                log.info("a watch has a gap; listing again", extra={"path": self.path})
                self._version, self.is_current = "", False
            except NotAllowed as error:
                if self.is_allowed:
                    log.warning("not allowed to watch", extra={"path": self.path, "why": error.sentence})
                self.is_allowed = False
                wait = _NOT_ALLOWED_SECONDS
            except Unavailable as error:
                log.warning("a watch broke off", extra={"path": self.path, "why": error.sentence})
                self._on_break()
                wait = min(_MOST_WAIT_SECONDS, wait * 2)
            except BridgeError as error:
                log.error("a watch cannot be read", extra={"path": self.path, "why": error.sentence})
                self._version, self.is_current = "", False
                wait = _MOST_WAIT_SECONDS
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 — so that not all come back at once

    async def _list(self) -> None:
        items, version = await self._transport.list_all(self.path, self._query)
        before = self.objects
        self.objects = {key_of(item): self._keep(item) for item in items}
        self._version, self.is_current, self.is_allowed = version, True, True
        for key, one in self.objects.items():
            self._on_change(key, one, False)
        for key, one in before.items():
            if key not in self.objects:
                self._on_change(key, one, True)
        self._on_list()

    async def _watch(self) -> None:
        async for kind, item in self._transport.watch(self.path, self._query, self._version):
            self._version = item["metadata"]["resourceVersion"]
            if kind == "BOOKMARK":
                continue
            key, kept = key_of(item), self._keep(item)
            if kind == "DELETED":
                self.objects.pop(key, None)
            else:
                self.objects[key] = kept
            self._on_change(key, kept, kind == "DELETED")


def key_of(item: Json) -> str:
    return f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
