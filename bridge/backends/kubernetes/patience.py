"""Clocks over what is on its way and what runs: pods without hosts, containers that do not start, nodes that are lost.

Counted by our own clock, from when we first saw it: a clock of the cluster that is off says nothing false.
"""

import asyncio
import contextlib
from collections.abc import Mapping

from adapters.kubernetes import standing
from adapters.kubernetes.profile import Profile
from bridge.backends.kubernetes import pictures
from bridge.backends.kubernetes.attempts import Attempt
from bridge.backends.kubernetes.book import Book
from bridge.backends.kubernetes.ending import Ender
from bridge.backends.kubernetes.watching import Watch
from bridge.core.errors import Unavailable

_LOOK_SECONDS = 1.0


class Patience:
    def __init__(self, book: Book, watch: Watch, ender: Ender, profiles: Mapping[str, Profile]) -> None:
        self._book, self._watch, self._ender, self._profiles = book, watch, ender, profiles
        self._not_ready_since: dict[str, float] = {}

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for attempt in list(self._book.attempts.values()):
                with contextlib.suppress(Unavailable):
                    await self._look(attempt)

    async def _look(self, attempt: Attempt) -> None:
        """Give up what waits too long, and take what its node took along for lost."""
        if attempt.key not in self._book.attempts:
            return
        now = asyncio.get_running_loop().time()
        pod = attempt.first_pod
        if pod is not None and standing.is_deleted(pod) and standing.is_running(pod) and attempt.reminds(now):
            await self._ender.remind(attempt)
        if attempt.given_up or attempt.stop_asked:
            return
        profile = self._profile_at(attempt)
        # A Job that Kueue holds back has no pods, for as long as Kueue likes; and at our gate pods wait for their turn.
        is_queued = (profile.queue is not None and not attempt.pods) or attempt.is_gated
        may_have_begun = attempt.has_run and not attempt.unbound
        # What costs most comes last: this is asked of every job once a second.
        if not may_have_begun and not is_queued and attempt.standing().phase == "starting":
            overdue = attempt.overdue(now, profile.bind_seconds, profile.patience_seconds)
            if overdue is not None:
                await self._ender.give_up(attempt, *overdue)
                return
        node = attempt.node
        if node is not None and not attempt.lost:
            why = self._lost_node(node, now, profile.node_timeout_seconds)
            if why:
                await self._lose(attempt, why)

    def _profile_at(self, attempt: Attempt) -> Profile:
        found = self._profiles.get(attempt.partition)
        return found or next(one for one in self._profiles.values() if one.namespace == attempt.namespace)

    def _lost_node(self, name: str, now: float, timeout_seconds: int) -> str:
        """Why the node counts as lost; empty: it does not, or nobody can know."""
        nodes = self._watch.nodes
        if nodes is None or not nodes.is_current:
            return ""
        node = nodes.objects.get(f"/{name}")
        if node is None:
            return f"the node {name} was removed from the cluster"
        ready = pictures.ready(node)
        if ready.get("status") == "True":
            self._not_ready_since.pop(name, None)
            return ""
        if now - self._not_ready_since.setdefault(name, now) < timeout_seconds:
            return ""
        told = f"{ready.get('reason', '')}: {ready.get('message', '')}".strip(": ")
        return f"the node {name} has been NotReady for {timeout_seconds} seconds ({told})"

    async def _lose(self, attempt: Attempt, why: str) -> None:
        """Its pod is to end, should the node come back. Only then, or when the node is gone from the cluster, it is
        certain that it has ended: a job that may run again is not told lost before."""
        await self._ender.end_pods(attempt)
        is_gone = self._watch.nodes is not None and f"/{attempt.node}" not in self._watch.nodes.objects
        if is_gone or not attempt.may_run_again:
            attempt.lost = why
        attempt.why = why
        self._book.tell(attempt)
