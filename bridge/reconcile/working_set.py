"""The unfinished jobs in memory, with what is remembered of each between two turns. The rows are the truth."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence

from bridge.core import events, queue
from bridge.core.job import WAITING, Job, JobKey
from bridge.reconcile import waiting, wishes
from bridge.reconcile.holdings import Holdings
from bridge.store.store import Store

log = logging.getLogger(__name__)


class WorkingSet:
    def __init__(self, store: Store, holdings: Holdings) -> None:
        self._store = store
        self._holdings = holdings
        self._index = waiting.Index()
        self.seq = 0
        """The newest history number that is taken in."""
        self.new = 0
        """Jobs that the last look at the store brought."""
        self.jobs: dict[JobKey, Job] = {}
        self.standings: dict[JobKey, waiting.Standing] = {}
        self.to_judge: set[JobKey] = set()
        """Whose dependencies must be looked at again."""
        self.told: dict[JobKey, wishes.Told] = {}
        """What backends were told of their jobs."""
        self.retry_at: dict[JobKey, float] = {}
        """When a backend that did not take a wish is asked again."""
        self.memo: queue.Memo = {}

    async def load(self) -> None:
        """All of it afresh from the database."""
        self.seq = await self._store.last_seq()
        self.jobs.clear()
        self._index = waiting.Index()
        self.standings.clear()
        self.told.clear()
        self.retry_at.clear()
        self.memo.clear()
        for job in await self._store.unfinished():
            self._keep(job)
        self.to_judge = {key for key, job in self.jobs.items() if job.request.dependency is not None}

    async def take_in(self) -> None:
        """What changed since the last turn, whoever changed it."""
        self.seq, changed = await self._store.changes_since(self.seq)
        before = len(self.jobs)
        await self._refresh(changed)
        self.new = len(self.jobs) - before

    async def change(
        self, keys: Iterable[JobKey], event_of: Callable[[Job], Sequence[events.Event] | events.Event | None]
    ) -> None:
        """Change jobs of our backends under their fences, and take the result into the working set at once."""
        by_fence: dict[str, list[JobKey]] = {}
        changed: list[JobKey] = []
        for key in keys:
            job = self.jobs.get(key) or self.jobs.get(JobKey(key.id))
            if job is not None and (name := self._holdings.name_of(job)) in self._holdings.fences:
                by_fence.setdefault(name, []).append(key)
        for name, mine in by_fence.items():
            for outcome in await self._store.change_in_parts(mine, event_of, fence=self._holdings.fences[name]):
                if outcome.error is not None:
                    log.error("a change fits no step", extra={"job": str(outcome.key), "why": outcome.error.sentence})
                if outcome.after is not outcome.before:
                    changed.append(outcome.key)
        await self._refresh(changed)

    async def _refresh(self, keys: Collection[JobKey]) -> None:
        """Read these rows again. A task that got its row has left its array's record, so that is read too."""
        if not keys:
            return
        wanted = {*keys, *(JobKey(key.id) for key in keys)}
        for key, job in (await self._store.get_many(wanted)).items():
            if job is None or job.is_final or (job.is_array and not job.waiting):
                if job is not None:
                    self.to_judge |= self._index.concerned(job)
                self._drop(key)
                continue
            before = self.jobs.get(key)
            if before is None or before.state is not job.state:
                self.to_judge |= self._index.concerned(job)
            self._keep(job)
            if job.request.dependency is not None and job.state in WAITING:
                self.to_judge.add(key)

    def _keep(self, job: Job) -> None:
        self.jobs[job.key] = job
        self._index.add(job)
        if job.request.dependency is None:
            self.standings.pop(job.key, None)

    def _drop(self, key: JobKey) -> None:
        job = self.jobs.pop(key, None)
        if job is not None:
            self.to_judge |= self._index.concerned(job)
        self._index.discard(key)
        self.standings.pop(key, None)
        self.told.pop(key, None)
        self.memo.pop(key, None)
        self.retry_at.pop(key, None)
