"""Makes the backends agree with the database.

One task turns: take in what changed, judge dependencies and clocks, place jobs, tell backends what is due.
One task a backend listens: what it sees becomes events, events become rows. Between reading and writing
nothing is locked; every write carries the lease's fence and is decided on the row as it is then.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from bridge.backends.port import Backend
from bridge.core import dag, events, nodes, placement, queue, state
from bridge.core.errors import BridgeError, Gone, Unavailable
from bridge.core.job import ON_NODES, WAITING, Job, JobKey, JobState
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS
from bridge.core.users import User
from bridge.reconcile import waiting
from bridge.reconcile.holdings import Holdings
from bridge.reconcile.recorder import Recorder
from bridge.reconcile.telling import Teller
from bridge.reconcile.working_set import WorkingSet
from bridge.service.service import Service
from bridge.store.records import Fence
from bridge.store.store import Store

log = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
"""How long a dead owner blocks a backend; an owner renews at a third of it. Takeover is promised within 15 s."""

REASON_WRITES_A_TURN = 200
"""Reasons of waiting jobs are news for people; they must not hold up submissions when thousands change."""

BUSY_SUBMISSIONS = 4
BUSY_REST_SECONDS = 0.03
"""Where a turn finds so many new jobs at once there are more to come: they are looked at together, a little later."""

MAX_REST_SECONDS = 1.0
"""A turn is followed by a rest of up to four times its own length, at most this: a long queue leaves time to others."""


class Reconciler:
    def __init__(
        self,
        store: Store,
        service: Service,
        backends: Mapping[str, Backend],
        find_user: Callable[[int], User | None],
        make_job_token: Callable[[Job, User], str],
        *,
        owner: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._service = service
        self._owner = owner
        self._now = now
        self._wake = asyncio.Event()
        self._holdings = Holdings(backends, service)
        self._working = WorkingSet(store, self._holdings)
        self._at_work = asyncio.Lock()
        """Held by whoever works on the working set: one turn, or the loading of it afresh."""
        self._recorder = Recorder(store, self._holdings, self._working, self.wake, now)
        self._teller = Teller(
            store,
            service,
            self._holdings,
            self._working,
            self._recorder,
            find_user,
            make_job_token,
            self.wake,
            now,
        )
        self._site_of_memo: nodes.Site | None = None
        service.nodes.when_changed(self.wake)
        service.accounting.when_changed(self.wake)
        service.runtime.when_changed(self.wake)

    def wake(self) -> None:
        self._wake.set()

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Until cancelled. A backend whose lease another holds is left to that one, and asked for again."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_store())
                group.create_task(self._turns())
                for name in self._holdings.backends:
                    group.create_task(self._own(name))
        finally:
            await self._teller.close()

    async def _own(self, name: str) -> None:
        """Hold the lease of a backend; while it is held, the backend is open and listened to."""
        while True:
            try:
                fence = await self._store.acquire_lease(name, self._owner, LEASE_SECONDS, self._now())
            except Unavailable as error:
                log.warning("backend cannot be owned", extra={"backend": name, "why": error.sentence})
                fence = None
            if fence is None:
                await asyncio.sleep(LEASE_SECONDS / 5)
                continue
            log.info("backend is ours", extra={"backend": name, "fence": fence.number})
            listener: asyncio.Task[None] | None = None
            backend = self._holdings.backends[name]
            try:
                await backend.open()
                async with self._at_work:
                    await self._working.load()
                    self._wake.set()
                    self._holdings.fences[name] = fence
                listener = asyncio.create_task(self._listen(name, fence))
                await self._renew(fence, listener)
            except Unavailable as error:
                log.warning("backend cannot be kept", extra={"backend": name, "why": error.sentence})
            finally:
                self._holdings.fences.pop(name, None)
                if listener is not None:
                    listener.cancel()
                    with contextlib.suppress(asyncio.CancelledError, BridgeError):
                        await listener
                await backend.close()
                with contextlib.suppress(BridgeError):
                    await self._store.release_lease(fence)
            await asyncio.sleep(1.0)

    async def _renew(self, fence: Fence, listener: "asyncio.Task[None]") -> None:
        """Returns when the lease is lost or the listener ended."""
        while True:
            done, _ = await asyncio.wait({listener}, timeout=LEASE_SECONDS / 3)
            if done:
                listener.result()
                return
            if not await self._store.renew_lease(fence, LEASE_SECONDS, self._now()):
                log.error("lease lost", extra={"backend": fence.backend, "fence": fence.number})
                return

    async def _watch_store(self) -> None:
        seq = self._working.seq
        while True:
            try:
                seq = await self._store.wait_for_change(seq, 60.0)
            except Unavailable:  # the turns say so
                await asyncio.sleep(MAX_REST_SECONDS)
            self._wake.set()

    async def _turns(self) -> None:
        while True:
            due = self._next_clock()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due):
                    await self._wake.wait()
            self._wake.clear()
            began = time.perf_counter()
            try:
                await self.turn()
            except Unavailable as error:
                log.warning("turn given up", extra={"why": error.sentence})
                await asyncio.sleep(MAX_REST_SECONDS)
            except Gone as error:
                log.warning("another owns a backend now", extra={"why": error.sentence})
            took = time.perf_counter() - began
            rest = 4 * took if took > 0.01 else 0.0
            if self._working.new >= BUSY_SUBMISSIONS:
                rest = max(rest, BUSY_REST_SECONDS)
            if rest:
                await asyncio.sleep(min(MAX_REST_SECONDS, rest))

    def _next_clock(self) -> float:
        """Seconds until the next moment at which something is due by the clock."""
        now = self._now()
        moments = [now + 30.0]
        for job in self._working.jobs.values():
            if job.state in WAITING:
                moments += [at for at in (job.begin_at, job.request.deadline_at) if at is not None and at > now]
        moments += [s.again_at for s in self._working.standings.values() if s.again_at is not None]
        moments += list(self._working.retry_at.values())
        moments += [at for one in self._service.runtime.standing() for at in (one.start_at, one.end_at) if at > now]
        return max(0.0, min(moments) - now)

    # ── one turn ──────────────────────────────────────────────────────────────────────────────────

    async def turn(self) -> None:
        async with self._at_work:
            await self._working.take_in()
            if not self._holdings.fences:
                return
            await self._give_up_nodes()
            await self._mind_clocks()
            await self._judge_dependencies()
            await self._place()
            await self._teller.tell()

    async def _give_up_nodes(self) -> None:
        """What runs on a node that an operator called down is lost."""
        down = frozenset(n.name for n in await self._service.nodes.known() if n.state.is_down)
        if not down:
            return
        now = self._now()
        hit = {
            job.key: next(share.node for share in job.nodes if share.node in down)
            for job in self._working.jobs.values()
            if job.state in ON_NODES and job.stop is None and any(share.node in down for share in job.nodes)
        }
        await self._working.change(
            hit,
            lambda job: (
                events.NodeFailed(now, job.attempt, f"node {hit[job.key]} is down")
                if state.is_legal(job, events.NodeFailed)
                else None
            ),
        )

    async def _mind_clocks(self) -> None:
        """Deadlines that cannot be met any more."""
        now = self._now()
        late = [
            job.key
            for job in self._working.jobs.values()
            if job.state in WAITING and job.request.deadline_at is not None and _misses_deadline(job, now)
        ]
        await self._working.change(late, lambda job: events.DeadlineMissed(now) if job.state in WAITING else None)

    async def _judge_dependencies(self) -> None:
        """Which waiting jobs are released, which can never be."""
        now = self._now()
        due = {
            key
            for key, standing in self._working.standings.items()
            if standing.again_at is not None and standing.again_at <= now
        }
        keys = [
            key
            for key in self._working.to_judge | due
            if key in self._working.jobs and self._working.jobs[key].state in WAITING
        ]
        self._working.to_judge.clear()
        if not keys:
            return
        concerned = [self._working.jobs[key] for key in keys if self._working.jobs[key].request.dependency is not None]
        targets = await self._store.targets(waiting.all_clauses(concerned))
        earliest = self._earliest_of_name() if any(_is_singleton(job) for job in concerned) else {}
        never: dict[JobKey, str] = {}
        for job in concerned:
            is_first = earliest.get((job.request.uid, job.request.name), job.key.id) >= job.key.id
            standing = waiting.judge(job, targets, is_first, now)
            self._working.standings[job.key] = standing
            never |= {JobKey(job.key.id, index): text for index, text in standing.never_tasks.items()}
            if standing.answer is dag.Answer.NEVER:
                never[job.key] = standing.text
        if never:
            await self._never(never, now)

    def _earliest_of_name(self) -> dict[tuple[int, str], int]:
        """(uid, name) → the least id of an unfinished job or array, for singletons."""
        found: dict[tuple[int, str], int] = {}
        for job in self._working.jobs.values():
            who = (job.request.uid, job.request.name)
            found[who] = min(job.key.id, found.get(who, job.key.id))
        return found

    async def _never(self, texts: Mapping[JobKey, str], now: float) -> None:
        def event(job: Job) -> events.Event | None:
            wish = job.request.kill_on_invalid_dependency
            kill = self._holdings.site.kill_invalid_depend if wish is None else wish
            if job.state is not JobState.PENDING or (job.priority == 0 and not kill):
                return None
            if job.reason is Reason.DEPENDENCY_NEVER_SATISFIED and not kill:
                return None
            return events.NeverSatisfied(now, kill, texts[job.key])

        await self._working.change(texts, event)

    async def _place(self) -> None:
        """Who may start now, and why the others may not."""
        now, began = self._now(), time.perf_counter()
        known = await self._service.nodes.known()
        if self._site_of_memo is not self._holdings.site:
            self._working.memo.clear()
            self._site_of_memo = self._holdings.site
        rules = await self._service.accounting.rules()
        view = queue.view(
            self._working.jobs.values(), self._holdings.site, now, self._standings_of, self._working.memo, rules
        )
        plan = placement.plan(
            view.candidates,
            view.running,
            known,
            self._holdings.site.partitions,
            view.licenses_free,
            now,
            tally=view.tally,
            kept=await self._service.runtime.reservations(),
        )
        self._service.cycles = self._service.cycles.after(time.perf_counter() - began, len(view.candidates))
        ours = {p.name for p in self._holdings.site.partitions if p.backend in self._holdings.fences}
        chosen = {p.key: p for p in plan.placements if p.partition in ours}

        def placed(job: Job) -> Sequence[events.Event] | events.Event | None:
            planned = self._working.jobs.get(job.key) or self._working.jobs.get(JobKey(job.key.id))
            if planned is None or not _is_as_planned(job, planned):
                return None  # changed while the plan was made: looked at again in the next turn
            return events.Placed(now, chosen[job.key].shares, partition=chosen[job.key].partition)

        await self._working.change(chosen, placed)
        await self._say_reasons({**view.reasons, **plan.reasons}, now)

    def _standings_of(self, job: Job) -> queue.Standing | None:
        standing = self._working.standings.get(job.key)
        if standing is None:
            return queue.Standing(blocked=job.request.dependency is not None)
        return queue.Standing(
            blocked=standing.answer is not dag.Answer.READY,
            never=standing.answer is dag.Answer.NEVER,
            ready_tasks=standing.ready_tasks,
        )

    async def _say_reasons(self, found: Mapping[JobKey, tuple[Reason, str]], now: float) -> None:
        # What keeps the next of an array's waiting tasks keeps the record that they share.
        own = self._working.jobs
        reasons = {key if key in own else JobKey(key.id): reason for key, reason in found.items()}
        news: list[JobKey] = []
        for key, (reason, detail) in reasons.items():
            job = self._working.jobs.get(key)
            if job is None or job.state is not JobState.PENDING or job.priority == 0:
                continue
            text = self._working.standings[key].text if key in self._working.standings else job.dependency_text
            if (job.reason, job.reason_detail, job.dependency_text) != (reason, detail, text):
                news.append(key)
        if len(news) > REASON_WRITES_A_TURN:
            self._wake.set()

        def event(job: Job) -> events.Event | None:
            if job.state is not JobState.PENDING or job.priority == 0:
                return None
            reason, detail = reasons[job.key]
            text = self._working.standings[job.key].text if job.key in self._working.standings else None
            eligible = reason not in (Reason.DEPENDENCY, Reason.BEGIN_TIME, Reason.DEPENDENCY_NEVER_SATISFIED)
            return events.Waits(now, reason, detail, eligible, text)

        await self._working.change(news[:REASON_WRITES_A_TURN], event)

    # ── listening ─────────────────────────────────────────────────────────────────────────────────

    async def _listen(self, name: str, fence: Fence) -> None:
        backend = self._holdings.backends[name]
        async for observation in backend.observe():
            if observation.nodes_changed:
                self._service.nodes.forget()
            await self._recorder.record(name, observation, fence)


def _misses_deadline(job: Job, now: float) -> bool:
    """Slurm removes a job that could not end before its deadline even if it started now."""
    deadline = job.request.deadline_at
    assert deadline is not None
    least = job.request.time_min_seconds or job.time_limit_seconds
    return now >= deadline or (least < UNLIMITED_SECONDS and now + least > deadline)


def _is_as_planned(job: Job, planned: Job) -> bool:
    """`planned` may be the record of the array that the job is a task of."""
    return (
        job.state is JobState.PENDING
        and job.priority > 0
        and (job.partition, job.begin_at, job.time_limit_seconds)
        == (planned.partition, planned.begin_at, planned.time_limit_seconds)
        and (job.request is planned.request or job.request == planned.request)
    )


def _is_singleton(job: Job) -> bool:
    dependency = job.request.dependency
    return dependency is not None and any(c.kind is dag.Kind.SINGLETON for c in dependency.clauses)
