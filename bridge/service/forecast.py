"""When waiting jobs, and a job that somebody only asks about, would start."""

import asyncio
import time
from collections.abc import Callable, Mapping

from bridge.core import forecast, placement, queue
from bridge.core.errors import Refused
from bridge.core.job import Job, JobKey
from bridge.core.users import Caller
from bridge.service.accounting import Accounting
from bridge.service.admission import Admission
from bridge.service.nodes import Nodes
from bridge.service.site import SiteState
from bridge.service.terms import Draft, Estimate
from bridge.store.store import Store

STARTS_FRESH_SECONDS = 1.0
"""How long a forecast is given again: making one takes longer than anything else that is asked."""


class Forecast:
    def __init__(
        self,
        store: Store,
        site_state: SiteState,
        accounting: Accounting,
        nodes: Nodes,
        admission: Admission,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._site_state = site_state
        self._accounting = accounting
        self._nodes = nodes
        self._admission = admission
        self._now = now
        self._starts: Mapping[JobKey, forecast.Start] = {}
        self._starts_until = 0.0
        self._foreseeing = asyncio.Lock()

    def forget(self) -> None:
        """The site is another: the next look makes it afresh."""
        self._starts_until = 0.0

    async def estimate(self, caller: Caller, draft: Draft) -> Estimate:
        """When and where the job would start if it were submitted now (--test-only)."""
        nodes = await self._nodes.known()
        new = await self._admission.admit(caller, draft, nodes, 1)
        now = self._now()
        job = queue.unsaved_job(new.request, new.partition, new.time_limit_seconds, now)
        unfinished = await self._store.unfinished()
        view = queue.view([*unfinished, job], self._site_state.site, now, rules=await self._accounting.rules())
        wanted = frozenset(c.keys[0] for c in view.candidates if c.keys[0].id == job.id)
        plan = placement.plan(
            view.candidates,
            view.running,
            nodes,
            self._site_state.site.partitions,
            view.licenses_free,
            now,
            estimate=wanted,
            tally=view.tally,
            kept=self._site_state.standing(),
        )
        found = queue.estimate_of(plan, job, now)
        if found is None:
            raise Refused("the job could not start on any node", code="not_available")
        start_at, shares = found
        start_at = max(start_at, new.begin_at or 0.0)
        names = tuple(share.node for share in shares)
        cpus = sum(share.cpus for share in shares)
        return Estimate(await self._store.draw_id(), start_at, cpus, names, new.partition)

    async def starts(self) -> Mapping[JobKey, forecast.Start]:
        """Of waiting jobs that lack only room, as far as can be foreseen; an array's tasks have each their own."""
        async with self._foreseeing:  # those who ask meanwhile wait for the same one
            if self._now() >= self._starts_until:
                await self._foresee()
        return self._starts

    async def _foresee(self) -> None:
        now = self._now()
        nodes = await self._nodes.known()

        def blocked(job: Job) -> queue.Standing:
            return queue.Standing(blocked=bool(job.dependency_text))

        rules = await self._accounting.rules()
        view = queue.view(await self._store.unfinished(), self._site_state.site, now, blocked, rules=rules)
        self._starts = await asyncio.to_thread(
            forecast.starts,
            view.candidates,
            view.running,
            nodes,
            self._site_state.site.partitions,
            view.licenses_free,
            now,
            self._site_state.standing(),
        )
        self._starts_until = now + STARTS_FRESH_SECONDS
