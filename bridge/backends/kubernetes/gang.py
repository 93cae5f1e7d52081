"""All pods of a job are placed or none, where neither the scheduler nor Kueue sees to it.

Pods wait at a scheduling gate of ours. When all of a job's are there, and no other job is being placed, they are let
through; if not all of them have hosts in time the job gives its place back (see `patience`), and the next has its turn.
So two jobs never hold halves of what either needs, whoever else takes room meanwhile.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from adapters.kubernetes import names, standing
from adapters.kubernetes.profile import Profile
from bridge.backends.kubernetes.attempts import Attempt
from bridge.backends.kubernetes.book import Book
from bridge.backends.kubernetes.transport import STRATEGIC_PATCH, Exists, Transport
from bridge.core.errors import Gone, Unavailable

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_REMOVAL_SECONDS = 15.0
"""How long the pods of a job that has given its place back may take to go."""


class Gang:
    def __init__(self, transport: Transport, book: Book, profiles: Mapping[str, Profile]) -> None:
        self._transport, self._book, self._profiles = transport, book, profiles

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            attempt = self._next()
            if attempt is None:
                self._book.gated.clear()
                await self._book.gated.wait()
                continue
            try:
                await self._place(attempt)
            except Unavailable as error:
                log.info("a job's pods cannot be placed now", extra={"job": attempt.job_id, "why": error.sentence})
                await asyncio.sleep(1.0)

    def _next(self) -> Attempt | None:
        """The one that waits longest."""
        ready = [one for one in self._book.attempts.values() if one.is_gated and one.is_complete and _is_wanted(one)]
        return min(ready, key=lambda one: one.made_at, default=None)

    async def _place(self, attempt: Attempt) -> None:
        """Its turn: until all of its pods have hosts, or it has given its place back."""
        loop = asyncio.get_running_loop()
        attempt.made_at = loop.time()  # its time to find hosts begins now
        gated = [pod for pod in attempt.pods.values() if standing.is_gated(pod)]
        await asyncio.gather(*(self._let_through(attempt, pod) for pod in gated))
        profile = self._profiles.get(attempt.partition)
        until = loop.time() + (profile.bind_seconds if profile is not None else 30) + _REMOVAL_SECONDS
        # The watch tells others of news, and a tenth of a second is short beside what binding takes.
        while loop.time() < until and self._asks_for_room(attempt):  # noqa: ASYNC110 — see above
            await asyncio.sleep(_LOOK_SECONDS)

    def _asks_for_room(self, attempt: Attempt) -> bool:
        # After it has given its place back there may be another of the same number.
        if self._book.attempts.get(attempt.key) is not attempt:
            return False
        pods = attempt.pods.values()
        return not all(map(standing.is_scheduled, pods)) and not all(map(_is_on_its_way_out, pods))

    async def _let_through(self, attempt: Attempt, pod: dict[str, Any]) -> None:
        path = f"/api/v1/namespaces/{attempt.namespace}/pods/{pod['metadata']['name']}"
        change = {
            "metadata": {"uid": pod["metadata"]["uid"]},
            "spec": {"schedulingGates": [{"$patch": "delete", "name": names.GATE}]},
        }
        with contextlib.suppress(Gone, Exists):
            await self._transport.patch(path, change, STRATEGIC_PATCH)


def _is_wanted(attempt: Attempt) -> bool:
    return not attempt.stop_asked and not attempt.given_up


def _is_on_its_way_out(pod: dict[str, Any]) -> bool:
    return standing.is_over(pod) or standing.is_deleted(pod)
