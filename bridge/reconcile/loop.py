"""Makes the backends agree with the database.

One task turns: take in what changed, judge dependencies and clocks, place jobs, tell backends what is due.
One task a backend listens: what it sees becomes events, events become rows. Between reading and writing
nothing is locked; every write carries the lease's fence and is decided on the row as it is then.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from bridge.backends.port import Backend, Observation, Sighting
from bridge.core import dag, nodes, placement, queue, state
from bridge.core.errors import BridgeError, Gone, Refused, Unavailable
from bridge.core.group import Group
from bridge.core.job import ON_NODES, WAITING, Job, JobKey, JobState
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS
from bridge.core.users import User
from bridge.reconcile import launch, observe, waiting, wishes
from bridge.service import Service
from bridge.store.records import Fence, Outcome, StepRow
from bridge.store.store import Store

log = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
"""How long a dead owner blocks a backend; an owner renews at a third of it. Takeover is promised within 15 s."""

REASON_WRITES_A_TURN = 200
"""Reasons of waiting jobs are news for people; they must not hold up submissions when thousands change."""

BUSY_SUBMISSIONS = 4
BUSY_REST_SECONDS = 0.03
"""Where a turn finds so many new jobs at once there are more to come: they are looked at together, a little later."""

WISHES_AT_ONCE = 32
"""Connections to monitors, for jobs that are cancelled or changed together."""

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
        self._backends = backends
        self._site_of_memo: nodes.Site | None = None
        self._find_user = find_user
        self._make_job_token = make_job_token
        self._owner = owner
        self._now = now
        self._fences: dict[str, Fence] = {}
        self._handover = {name: asyncio.Lock() for name in backends}
        """Held while a backend starts or forgets attempts: a start is decided on rows that no forgetting overtakes."""
        self._seq = 0
        self._new = 0
        """Jobs that the last look at the store brought."""
        self._jobs: dict[JobKey, Job] = {}
        self._index = waiting.Index()
        self._standings: dict[JobKey, waiting.Standing] = {}
        self._to_judge: set[JobKey] = set()
        self._told: dict[JobKey, wishes.Told] = {}
        self._memo: queue.Memo = {}
        self._blobs: dict[tuple[int, str], tuple[bytes, bytes]] = {}
        self._wake = asyncio.Event()
        service.when_nodes_change(self._wake.set)
        service.accounting.when_changed(self._wake.set)
        service.runtime.when_changed(self._wake.set)
        self._wishes: dict[JobKey, asyncio.Task[None]] = {}
        """What is being told to backends, one task a job."""
        self._telling = asyncio.Semaphore(WISHES_AT_ONCE)
        self._retry_at: dict[JobKey, float] = {}
        self._working = asyncio.Lock()
        """Held by whoever works on the working set: one turn, or the loading of it afresh."""

    def wake(self) -> None:
        self._wake.set()

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Until cancelled. A backend whose lease another holds is left to that one, and asked for again."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_store())
                group.create_task(self._turns())
                for name in self._backends:
                    group.create_task(self._own(name))
        finally:
            telling = list(self._wishes.values())
            for task in telling:
                task.cancel()
            await asyncio.gather(*telling, return_exceptions=True)

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
            backend = self._backends[name]
            try:
                await backend.open()
                async with self._working:
                    await self._load()
                    self._fences[name] = fence
                listener = asyncio.create_task(self._listen(name, fence))
                await self._renew(fence, listener)
            except Unavailable as error:
                log.warning("backend cannot be kept", extra={"backend": name, "why": error.sentence})
            finally:
                self._fences.pop(name, None)
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
        seq = self._seq
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
            if self._new >= BUSY_SUBMISSIONS:
                rest = max(rest, BUSY_REST_SECONDS)
            if rest:
                await asyncio.sleep(min(MAX_REST_SECONDS, rest))

    def _next_clock(self) -> float:
        """Seconds until the next moment at which something is due by the clock."""
        now = self._now()
        moments = [now + 30.0]
        for job in self._jobs.values():
            if job.state in WAITING:
                moments += [at for at in (job.begin_at, job.request.deadline_at) if at is not None and at > now]
        moments += [s.again_at for s in self._standings.values() if s.again_at is not None]
        moments += list(self._retry_at.values())
        moments += [at for one in self._service.runtime.standing() for at in (one.start_at, one.end_at) if at > now]
        return max(0.0, min(moments) - now)

    # ── one turn ──────────────────────────────────────────────────────────────────────────────────

    async def turn(self) -> None:
        async with self._working:
            await self._take_in()
            if not self._fences:
                return
            await self._give_up_nodes()
            await self._mind_clocks()
            await self._judge_dependencies()
            await self._place()
            await self._tell()

    async def _load(self) -> None:
        """The working set, afresh from the database."""
        self._seq = await self._store.last_seq()
        self._jobs.clear()
        self._index = waiting.Index()
        self._standings.clear()
        self._told.clear()
        self._retry_at.clear()
        for job in await self._store.unfinished():
            self._keep(job)
        self._to_judge = {key for key, job in self._jobs.items() if job.request.dependency is not None}
        self._wake.set()

    async def _take_in(self) -> None:
        """1. What changed since the last turn, whoever changed it."""
        self._seq, changed = await self._store.changes_since(self._seq)
        before = len(self._jobs)
        await self._refresh(changed)
        self._new = len(self._jobs) - before

    async def _refresh(self, keys: Collection[JobKey]) -> None:
        """Read these rows again. A task that got its row has left its array's record, so that is read too."""
        if not keys:
            return
        wanted = {*keys, *(JobKey(key.id) for key in keys)}
        for key, job in (await self._store.get_many(wanted)).items():
            if job is None or job.is_final or (job.is_array and not job.waiting):
                if job is not None:
                    self._to_judge |= self._index.concerned(job)
                self._drop(key)
                continue
            before = self._jobs.get(key)
            if before is None or before.state is not job.state:
                self._to_judge |= self._index.concerned(job)
            self._keep(job)
            if job.request.dependency is not None and job.state in WAITING:
                self._to_judge.add(key)

    def _keep(self, job: Job) -> None:
        self._jobs[job.key] = job
        self._index.add(job)
        if job.request.dependency is None:
            self._standings.pop(job.key, None)

    def _drop(self, key: JobKey) -> None:
        job = self._jobs.pop(key, None)
        if job is not None:
            self._to_judge |= self._index.concerned(job)
        self._index.discard(key)
        self._standings.pop(key, None)
        self._told.pop(key, None)
        self._memo.pop(key, None)
        self._retry_at.pop(key, None)

    async def _give_up_nodes(self) -> None:
        """2. What runs on a node that an operator called down is lost."""
        down = frozenset(n.name for n in await self._service.known_nodes() if n.state is nodes.NodeState.DOWN)
        if not down:
            return
        now = self._now()
        hit = {
            job.key: next(share.node for share in job.nodes if share.node in down)
            for job in self._jobs.values()
            if job.state in ON_NODES and job.stop is None and any(share.node in down for share in job.nodes)
        }
        await self._change(
            hit,
            lambda job: (
                state.NodeFailed(now, job.attempt, f"node {hit[job.key]} is down")
                if state.is_legal(job, state.NodeFailed)
                else None
            ),
        )

    async def _mind_clocks(self) -> None:
        """3. Deadlines that cannot be met any more."""
        now = self._now()
        late = [
            job.key
            for job in self._jobs.values()
            if job.state in WAITING and job.request.deadline_at is not None and _misses_deadline(job, now)
        ]
        await self._change(late, lambda job: state.DeadlineMissed(now) if job.state in WAITING else None)

    async def _judge_dependencies(self) -> None:
        """4. Which waiting jobs are released, which can never be."""
        now = self._now()
        due = {
            key
            for key, standing in self._standings.items()
            if standing.again_at is not None and standing.again_at <= now
        }
        keys = [key for key in self._to_judge | due if key in self._jobs and self._jobs[key].state in WAITING]
        self._to_judge.clear()
        if not keys:
            return
        concerned = [self._jobs[key] for key in keys if self._jobs[key].request.dependency is not None]
        targets = await self._store.targets(waiting.all_clauses(concerned))
        earliest = self._earliest_of_name() if any(_is_singleton(job) for job in concerned) else {}
        never: dict[JobKey, str] = {}
        for job in concerned:
            is_first = earliest.get((job.request.uid, job.request.name), job.key.id) >= job.key.id
            standing = waiting.judge(job, targets, is_first, now)
            self._standings[job.key] = standing
            never |= {JobKey(job.key.id, index): text for index, text in standing.never_tasks.items()}
            if standing.answer is dag.Answer.NEVER:
                never[job.key] = standing.text
        if never:
            await self._never(never, now)

    def _earliest_of_name(self) -> dict[tuple[int, str], int]:
        """(uid, name) → the least id of an unfinished job or array, for singletons."""
        found: dict[tuple[int, str], int] = {}
        for job in self._jobs.values():
            who = (job.request.uid, job.request.name)
            found[who] = min(job.key.id, found.get(who, job.key.id))
        return found

    async def _never(self, texts: Mapping[JobKey, str], now: float) -> None:
        def event(job: Job) -> state.Event | None:
            wish = job.request.kill_on_invalid_dependency
            kill = self._site.kill_invalid_depend if wish is None else wish
            if job.state is not JobState.PENDING or (job.priority == 0 and not kill):
                return None
            if job.reason is Reason.DEPENDENCY_NEVER_SATISFIED and not kill:
                return None
            return state.NeverSatisfied(now, kill, texts[job.key])

        await self._change(texts, event)

    @property
    def _site(self) -> nodes.Site:
        """The service's, which an operator may have read again at any time."""
        return self._service.site

    async def _place(self) -> None:
        """5. Who may start now, and why the others may not."""
        now, began = self._now(), time.perf_counter()
        known = await self._service.known_nodes()
        if self._site_of_memo is not self._site:
            self._memo.clear()
            self._site_of_memo = self._site
        rules = await self._service.accounting.rules()
        view = queue.view(self._jobs.values(), self._site, known, now, self._standings_of, self._memo, rules)
        plan = placement.plan(
            view.candidates,
            view.running,
            known,
            self._site.partitions,
            view.licenses_free,
            now,
            tally=view.tally,
            kept=await self._service.runtime.reservations(),
        )
        self._service.cycles = self._service.cycles.after(time.perf_counter() - began, len(view.candidates))
        ours = {p.name for p in self._site.partitions if p.backend in self._fences}
        chosen = {p.key: p for p in plan.placements if p.partition in ours}

        def placed(job: Job) -> Sequence[state.Event] | state.Event | None:
            planned = self._jobs.get(job.key) or self._jobs.get(JobKey(job.key.id))
            if planned is None or not _is_as_planned(job, planned):
                return None  # changed while the plan was made: looked at again in the next turn
            return state.Placed(now, chosen[job.key].shares, partition=chosen[job.key].partition)

        await self._change(chosen, placed)
        await self._say_reasons({**view.reasons, **plan.reasons}, now)

    def _standings_of(self, job: Job) -> queue.Standing | None:
        standing = self._standings.get(job.key)
        if standing is None:
            return queue.Standing(blocked=job.request.dependency is not None)
        return queue.Standing(
            blocked=standing.answer is not dag.Answer.READY,
            never=standing.answer is dag.Answer.NEVER,
            ready_tasks=standing.ready_tasks,
        )

    async def _say_reasons(self, reasons: Mapping[JobKey, tuple[Reason, str]], now: float) -> None:
        news: list[JobKey] = []
        for key, (reason, detail) in reasons.items():
            job = self._jobs.get(key)
            if job is None or job.state is not JobState.PENDING or job.priority == 0:
                continue
            text = self._standings[key].text if key in self._standings else job.dependency_text
            if (job.reason, job.reason_detail, job.dependency_text) != (reason, detail, text):
                news.append(key)
        if len(news) > REASON_WRITES_A_TURN:
            self._wake.set()

        def event(job: Job) -> state.Event | None:
            if job.state is not JobState.PENDING or job.priority == 0:
                return None
            reason, detail = reasons[job.key]
            text = self._standings[job.key].text if job.key in self._standings else None
            eligible = reason not in (Reason.DEPENDENCY, Reason.BEGIN_TIME, Reason.DEPENDENCY_NEVER_SATISFIED)
            return state.Waits(now, reason, detail, eligible, text)

        await self._change(news[:REASON_WRITES_A_TURN], event)

    async def _tell(self) -> None:
        """6. Tell the backends what their jobs are to do."""
        now = self._now()
        starts: dict[str, list[Job]] = {}
        for job in list(self._jobs.values()):
            if not job.nodes or self._retry_at.get(job.key, 0.0) > now:
                continue
            todo, told = wishes.due(self._within_reservation(job), self._told.get(job.key))
            name = self._backend_name(job)
            if not todo or told is None or name not in self._fences:
                continue
            if any(isinstance(wish, state.Start) for wish in todo):
                starts.setdefault(name, []).append(job)
                self._retry_at.pop(job.key, None)
                self._told[job.key] = told
            elif job.key not in self._wishes:
                self._retry_at.pop(job.key, None)
                self._wishes[job.key] = asyncio.create_task(self._tell_one(name, job, todo, told))
        for name, jobs in starts.items():
            await self._start(name, sorted(jobs, key=lambda job: job.key))

    async def _tell_one(self, name: str, job: Job, todo: Sequence[state.Instruction], told: wishes.Told) -> None:
        """Beside the turns: a monitor that does not answer must not hold up anybody else."""
        try:
            async with self._telling:
                for wish in todo:
                    await self._carry_out(name, job, wish)
        except Unavailable as error:
            log.warning("backend did not take a wish", extra={"job": str(job.key), "why": error.sentence})
            self._retry_at[job.key] = self._now() + 1.0
        except BridgeError as error:
            log.error("backend refused a wish", extra={"job": str(job.key), "why": error.sentence})
            self._told[job.key] = told
        except Exception:
            log.exception("a wish failed", extra={"job": str(job.key)})
            self._retry_at[job.key] = self._now() + 1.0
        else:
            self._told[job.key] = told
        finally:
            del self._wishes[job.key]
            if job.key not in self._jobs:
                self._told.pop(job.key, None)
                self._retry_at.pop(job.key, None)
            self._wake.set()

    def _within_reservation(self, job: Job) -> Job:
        """A reservation's end is its jobs' end, though they keep their time limit on record."""
        if job.request.reservation is None or job.started_at is None:
            return job
        end_at = self._service.runtime.end_of(job.request.reservation, job.started_at)
        if end_at is None:
            return job
        left = max(1, int(end_at - job.started_at - job.suspended_seconds))
        return replace(job, time_limit_seconds=min(job.time_limit_seconds, left))

    async def _carry_out(self, name: str, job: Job, wish: state.Instruction) -> None:
        backend = self._backends[name]
        with contextlib.suppress(Gone):  # its end is on the way
            match wish:
                case state.EndGroup(attempt, why):
                    try:
                        await backend.stop(job.id, attempt, why)
                    except Gone:  # it was to be ended before it was started
                        if (fence := self._fences.get(name)) is not None:
                            await self._give_up(name, [job], fence)
                case state.NewLimit(attempt, seconds):
                    limit = None if seconds >= UNLIMITED_SECONDS else seconds
                    await backend.set_time_limit(job.id, attempt, limit)
                case state.Pause(attempt, resume):
                    await backend.pause(job.id, attempt, resume=resume)
                case state.Forget(attempt):
                    async with self._handover[name]:
                        await backend.forget(job.id, attempt)
                case _:
                    pass

    async def _start(self, name: str, jobs: Sequence[Job]) -> None:
        """What the working set calls placed may have run, ended and been forgotten by now: the rows decide."""
        try:
            async with self._handover[name]:
                rows = await self._store.get_many([job.key for job in jobs])
                await self._start_placed(name, [job for job in jobs if _is_placed(rows[job.key], job.attempt)])
        except BridgeError as error:
            for job in jobs:
                self._told.pop(job.key, None)
                self._retry_at[job.key] = self._now() + 1.0
            if not isinstance(error, Unavailable):
                raise
            log.warning("jobs cannot be started now", extra={"backend": name, "why": error.sentence})

    async def _start_placed(self, name: str, jobs: Sequence[Job]) -> None:
        groups: list[Group] = []
        for job in jobs:
            try:
                groups.append(await self._group(job))
            except Refused as error:
                await self._not_started(job, error.sentence)
        try:
            await self._backends[name].start(groups)
        except Refused:
            for group in groups:  # one of them is at fault: find out which
                job = next(j for j in jobs if j.id == group.job_id)
                try:
                    await self._backends[name].start([group])
                except Refused as error:
                    await self._not_started(job, error.sentence)

    async def _not_started(self, job: Job, why: str) -> None:
        now = self._now()
        retry_at = now + observe.retry_delay_seconds(job)
        await self._change(
            [job.key],
            lambda row: (
                state.NotStarted(now, job.attempt, why, Reason.LAUNCH_FAILURE, retry_at)
                if state.is_legal(row, state.NotStarted)
                else None
            ),
        )

    async def _group(self, job: Job) -> Group:
        user = self._find_user(job.request.uid)
        if user is None:
            raise Refused(f"the uid {job.request.uid} is not known on this host any more")
        script, environment = await self._blobs_of(job)
        return launch.make_group(
            job,
            instance=self._store.instance_id,
            user=user,
            site=self._site,
            script=script,
            submitted=environment,
            key=secrets.token_hex(32),
            job_token=self._make_job_token(job, user),
        )

    async def _blobs_of(self, job: Job) -> tuple[bytes, bytes]:
        """Script and environment; those of an array are the same for all its tasks."""
        cache_key = (job.key.id, "")
        if cache_key not in self._blobs:
            script, environment = await self._store.script(job.key), await self._store.environment(job.key)
            if script is None or environment is None:
                raise Refused("its script or environment is no longer kept")
            if len(self._blobs) > 16:
                self._blobs.clear()
            self._blobs[cache_key] = (script, environment)
        return self._blobs[cache_key]

    def _backend_name(self, job: Job) -> str:
        partition = self._site.partition(job.partition)
        return partition.backend if partition else ""

    # ── listening ─────────────────────────────────────────────────────────────────────────────────

    async def _listen(self, name: str, fence: Fence) -> None:
        backend = self._backends[name]
        async for observation in backend.observe():
            if observation.nodes_changed:
                self._service.forget_nodes()
            await self._record(name, backend, observation, fence)

    async def _record(self, name: str, backend: Backend, observation: Observation, fence: Fence) -> None:
        sightings: dict[JobKey, list[Sighting]] = {}  # several where an earlier attempt has not been forgotten yet
        known = await self._store.find_by_raw_ids([sighting.job_id for sighting in observation.sightings])
        for sighting in observation.sightings:
            if sighting.job_id in known:
                sightings.setdefault(known[sighting.job_id].key, []).append(sighting)
            else:
                log.error("the backend has a job that no row tells of; left alone", extra={"job": sighting.job_id})

        def events(job: Job) -> list[state.Event]:
            now = self._now()
            return [event for sighting in sightings[job.key] for event in observe.events_of(job, sighting, now)]

        outcomes = await self._store.change(list(sightings), events, fence=fence)
        steps = [row for key, seen in sightings.items() for sighting in seen for row in _step_rows(key, sighting)]
        if steps:
            await self._store.record_steps(steps, fence=fence)
        if observation.full:
            await self._miss(name, {(s.job_id, s.attempt) for s in observation.sightings}, fence)
        for outcome in outcomes:
            if outcome.error is not None:
                log.error("a sighting fits no step", extra={"job": str(outcome.key), "why": outcome.error.sentence})
        await self._let_go(name, outcomes)
        self._wake.set()

    async def _let_go(self, name: str, outcomes: Iterable[Outcome]) -> None:
        """The ends that are on record now: what the backend kept of them may go."""
        for outcome in outcomes:
            for instruction in outcome.instructions:
                if outcome.after is not None and isinstance(instruction, state.Forget):
                    await self._carry_out(name, outcome.after, instruction)

    async def _miss(self, name: str, seen: set[tuple[int, int]], fence: Fence) -> None:
        """Jobs that are on nodes here by our rows, and that a full picture does not show.

        Those that have begun are lost. The others may have been started after the picture was made: they are started,
        or stopped, once more, and the backend says what it has of them.
        """
        missing = [
            job
            for job in await self._store.unfinished()
            if job.state in ON_NODES and self._backend_name(job) == name and (job.id, job.attempt) not in seen
        ]
        for job in missing:
            self._told.pop(job.key, None)
        await self._give_up(name, [job for job in missing if job.started_at is not None], fence)

    async def _give_up(self, name: str, jobs: Sequence[Job], fence: Fence) -> None:
        """The backend has no trace of these attempts, which should be on nodes."""
        now = self._now()
        attempts = {job.key: job.attempt for job in jobs}

        def event(job: Job) -> state.Event | None:
            if job.state not in ON_NODES or job.attempt != attempts[job.key]:
                return None
            if job.started_at is not None:
                return state.Lost(now, job.attempt, "its nodes have no trace of it")
            return state.NotStarted(now, job.attempt, "never reached its nodes")

        await self._let_go(name, await self._store.change(list(attempts), event, fence=fence))

    async def _change(
        self, keys: Iterable[JobKey], event_of: Callable[[Job], Sequence[state.Event] | state.Event | None]
    ) -> None:
        """Change jobs of our backends under their fences, and take the result into the working set at once."""
        by_fence: dict[str, list[JobKey]] = {}
        changed: list[JobKey] = []
        for key in keys:
            job = self._jobs.get(key) or self._jobs.get(JobKey(key.id))
            if job is not None and (name := self._backend_name(job)) in self._fences:
                by_fence.setdefault(name, []).append(key)
        for name, mine in by_fence.items():
            for outcome in await self._store.change_in_parts(mine, event_of, fence=self._fences[name]):
                if outcome.error is not None:
                    log.error("a change fits no step", extra={"job": str(outcome.key), "why": outcome.error.sentence})
                if outcome.after is not outcome.before:
                    changed.append(outcome.key)
        await self._refresh(changed)


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


def _is_placed(row: Job | None, attempt: int) -> bool:
    return row is not None and row.state is JobState.CONFIGURING and row.attempt == attempt


def _is_singleton(job: Job) -> bool:
    dependency = job.request.dependency
    return dependency is not None and any(c.kind is dag.Kind.SINGLETON for c in dependency.clauses)


def _step_rows(key: JobKey, sighting: Sighting) -> list[StepRow]:
    return [
        StepRow(
            key=key,
            attempt=sighting.attempt,
            step_id=step.step_id,
            name=step.name,
            node_list=step.node_list,
            tasks=step.tasks,
            cpus=step.cpus,
            started_at=step.started_at,
            ended_at=step.ended_at,
            exit_status=step.exit_status,
            signal=step.signal,
            max_rss_kib=step.max_rss_kib,
            user_seconds=step.user_seconds,
            system_seconds=step.system_seconds,
        )
        for step in sighting.steps
    ]
