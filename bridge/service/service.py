"""The use cases: what every front end can ask for.

Keeps nothing that it could not read again: reads and changes go through the store, what is to happen on nodes is
made to happen by the reconciler, which sees the changed rows. To a backend go from here only signals and what is
asked of running jobs: output and measures.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from adapters.slurm import filenames
from bridge.backends.port import Backend, Rights, Target, TaskUsage
from bridge.core import (
    accounting_admission,
    admission,
    change,
    circles,
    dag,
    events,
    indexset,
    queue,
    reservations,
    state,
)
from bridge.core.accounting import Book
from bridge.core.cycles import Cycles
from bridge.core.errors import BridgeError, Conflict, Gone, NotFound, NotPermitted, Refused, Unavailable
from bridge.core.indexset import IndexSet
from bridge.core.job import ON_NODES, WAITING, Job, JobKey, JobState
from bridge.core.nodes import Node, Site
from bridge.core.report import Report
from bridge.core.request import JobRequest
from bridge.core.users import Caller, User, must_operate
from bridge.service.accounting import Accounting
from bridge.service.admission import Admission
from bridge.service.changes import SiteChanges
from bridge.service.forecast import Forecast
from bridge.service.nodes import Nodes
from bridge.service.site import SiteState
from bridge.service.terms import Draft, Result, Selector
from bridge.store.records import HistoryRow, JobQuery, Outcome, StepRow
from bridge.store.store import Store


class Service:
    def __init__(
        self,
        store: Store,
        site: Site,
        backends: Mapping[str, Backend],
        find_user: Callable[[int], User | None],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.runtime = SiteState(store, site, now=now)
        self._backends = backends
        self._find_user = find_user
        self._now = now
        self.nodes = Nodes(store, self.runtime, backends, now=now)
        self.accounting = Accounting(store, site, now=now)
        self._admission = Admission(store, self.runtime, self.accounting, find_user, now=now)
        self.forecast = Forecast(store, self.runtime, self.accounting, self.nodes, self._admission, now=now)
        self.changes = SiteChanges(store, self.runtime, self.accounting, self.nodes.known, list(backends), now=now)
        self.stopping = asyncio.Event()
        """Once set, nobody waits here any longer."""
        self._redirecting = asyncio.Lock()
        """Held while an edge of the graph is changed: two at once could close a circle that neither sees."""
        self.cycles = Cycles()
        """Of the reconciler, which keeps it."""

    @property
    def site(self) -> Site:
        """As it stands, with what operators changed of it."""
        return self.runtime.site

    @site.setter
    def site(self, site: Site) -> None:
        self.runtime.site = site

    # ── submission ────────────────────────────────────────────────────────────────────────────────

    async def submit(self, caller: Caller, drafts: Sequence[Draft]) -> list[Job]:
        """Take all of them or none. Answers once they are on disk."""
        nodes = await self.nodes.known()
        new = []
        for number, draft in enumerate(drafts):
            try:
                new.append(await self._admission.admit(caller, draft, nodes, len(drafts)))
            except BridgeError as error:
                error.member = number
                raise
        async with self.accounting.submitting(new):
            return await self.store.submit(new)

    # ── looking ───────────────────────────────────────────────────────────────────────────────────

    async def jobs(self, caller: Caller, query: JobQuery) -> list[Job]:
        return await self.store.list_jobs(query)

    async def show(self, caller: Caller, selector: Selector) -> list[Job]:
        """All records of the selection. NotFound when there is none."""
        found = await self._select(selector)
        if not found:
            raise NotFound(f"no job {selector.id} is known", code="invalid_job_id", field="job_id")
        return found

    async def resolved(self, caller: Caller, selector: Selector) -> Selector:
        """The same selection without a task's raw id: its array's id and its index."""
        if selector.tasks is not None:
            return selector
        key = (await self.show(caller, selector))[0].key
        return selector if key.id == selector.id else Selector(key.id, indexset.of([key.task_index or 0]))

    async def history(self, caller: Caller, selector: Selector) -> list[HistoryRow]:
        selector = await self.resolved(caller, selector)
        found = await self.show(caller, selector)
        if len(found) == 1 and not found[0].is_array:
            return await self.store.history(found[0].key)
        rows = await self.store.history(JobKey(selector.id))
        meant = None if selector.tasks is None else {None, *(job.key.task_index for job in found)}
        return [row for row in rows if meant is None or row.key.task_index in meant]

    async def report(self, caller: Caller, selector: Selector) -> Report:
        job = (await self.show(caller, selector))[0]
        _must_own(caller, job)
        return await self.store.report(job.key)

    async def script(self, caller: Caller, selector: Selector) -> bytes:
        job = (await self.show(caller, selector))[0]
        _must_own(caller, job)
        script = await self.store.script(job.key)
        if script is None:
            raise Gone("the script is no longer kept", code="gone", field="script")
        return script

    async def steps(self, caller: Caller, keys: Sequence[JobKey]) -> list[StepRow]:
        return await self.store.steps(keys)

    async def read_output(
        self, caller: Caller, job: Job, stream: Literal["stdout", "stderr"], offset: int, limit_bytes: int
    ) -> bytes:
        """A part of the job's output file, as its owner could read it. NotFound when there is none."""
        _must_own(caller, job)
        path = filenames.stdout_path(job)
        error_path = filenames.stderr_path(job) or path
        if stream == "stderr" and error_path != path:
            path = error_path
        else:
            stream = "stdout"
        backend = self._backend_of(job)
        try:
            kept = await backend.read_kept(job, stream, path, offset, limit_bytes)
            if kept is not None:
                return kept
            user = self._find_user(job.request.uid)
            rights = Rights(job.request.uid, job.request.gid, () if user is None else user.groups)
            return await backend.read_output(rights, path, offset, limit_bytes)
        except Gone as gone:
            raise NotFound(f"there is no output to read: {gone.sentence}", code="no_output", field=stream) from gone

    async def wait_for_end(self, caller: Caller, selector: Selector, timeout_seconds: float) -> list[Job] | None:
        """All records of the selection once all have ended; None when the time is over before, or the bridge stops."""
        deadline = self._now() + timeout_seconds
        seq = await self.store.last_seq()
        while True:
            found = await self.show(caller, selector)
            if all(job.is_final for job in found):
                return found
            left = deadline - self._now()
            if left <= 0 or self.stopping.is_set():
                return None
            seq = await self._change_or_stop(seq, left)

    async def _change_or_stop(self, seq: int, timeout_seconds: float) -> int:
        change = asyncio.ensure_future(self.store.wait_for_change(seq, timeout_seconds))
        stop = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({change, stop}, return_when=asyncio.FIRST_COMPLETED)
            return change.result() if change.done() else seq
        finally:
            change.cancel()
            stop.cancel()
            await asyncio.gather(change, stop, return_exceptions=True)

    # ── changing ──────────────────────────────────────────────────────────────────────────────────

    async def cancel(self, caller: Caller, selectors: Sequence[Selector], *, why: str = "") -> list[Result]:
        def event(job: Job) -> events.Event | None:
            _must_not_have_ended(job)
            return events.StopAsked(self._now(), caller.user.uid, why)

        return await self._change(caller, selectors, event)

    async def hold(
        self, caller: Caller, selectors: Sequence[Selector], *, by_admin: bool | None = None
    ) -> list[Result]:
        """What runs is held for the time after a requeue. An operator's hold of another's job, and root's of its own,
        can be released by an operator only."""

        def event(job: Job) -> events.Event | None:
            _must_not_have_ended(job, "already_finished")
            if job.held_by_admin and not caller.is_operator:
                return None
            admin = by_admin
            if admin is None:
                admin = caller.is_operator and (caller.user.uid == 0 or job.request.uid != caller.user.uid)
            return events.Held(self._now(), caller.user.uid, admin)

        return await self._change(caller, selectors, event)

    async def release(self, caller: Caller, selectors: Sequence[Selector]) -> list[Result]:
        book = await self.accounting.book()

        def event(job: Job) -> events.Event | None:
            _must_not_have_ended(job, "already_finished")
            if job.held_by_admin and not caller.is_operator:
                raise NotPermitted("an operator holds the job", code="access_denied")
            if job.priority > 0:
                return None
            return events.Released(
                self._now(), caller.user.uid, accounting_admission.priority(book, self.site, job.request)
            )

        return await self._change(caller, selectors, event)

    async def suspend(self, caller: Caller, selectors: Sequence[Selector]) -> list[Result]:
        def event(job: Job) -> events.Event | None:
            must_operate(caller)
            if job.state is JobState.SUSPENDED:
                return None
            _must_not_have_ended(job)
            if not state.is_legal(job, events.Suspended):
                raise Conflict(f"a job that is {job.state} cannot be suspended", code="job_pending")
            return events.Suspended(self._now(), caller.user.uid)

        return await self._change(caller, selectors, event)

    async def resume(self, caller: Caller, selectors: Sequence[Selector]) -> list[Result]:
        def event(job: Job) -> events.Event | None:
            must_operate(caller)
            _must_not_have_ended(job)
            if not state.is_legal(job, events.Resumed):
                raise Conflict(f"a job that is {job.state} cannot be resumed", code="job_pending")
            return events.Resumed(self._now(), caller.user.uid)

        return await self._change(caller, selectors, event)

    async def top(self, caller: Caller, selector: Selector) -> list[Result]:
        """Before the other waiting jobs of the same user, partition, account and QOS; nobody else's move."""
        if not caller.is_operator:
            error: BridgeError = NotPermitted("only an operator may do this", code="access_denied")
            return [Result(selector, None, error)]
        found = await self._select(selector)
        if not found:
            return [Result(selector, None, NotFound(f"no job {selector.id} is known", code="invalid_job_id"))]
        job = found[0]
        if job.state not in WAITING:
            return [Result(selector, job, Conflict("the job has started", code="not_pending"))]
        if job.priority == 0:
            return [Result(selector, job, Conflict("the job is held", code="job_held"))]
        mine = (job.request.uid, job.partition, job.request.account, job.request.qos)
        ahead = [
            other
            for other in await self.store.unfinished()
            if other.state is JobState.PENDING
            and other.priority > 0
            and other.key.id != job.key.id
            and (other.request.uid, other.partition, other.request.account, other.request.qos) == mine
            and _order_of(other) < _order_of(job)
        ]
        results = []
        for other in ahead:
            tasks = None if other.task_index is None else IndexSet(((other.task_index, other.task_index, 1),))
            behind = change.Change(
                request={"nice": max(other.request.nice, job.request.nice + 1)},
                priority=min(other.priority, job.priority),
            )
            results += await self.update(caller, [Selector(other.key.id, tasks)], behind)
        return results or [Result(selector, job)]

    async def requeue(
        self, caller: Caller, selectors: Sequence[Selector], *, hold: bool = False, special_exit: bool = False
    ) -> list[Result]:
        def event(job: Job) -> events.Event | None:
            if job.request.requeue is False:
                raise Conflict("the job was submitted with --no-requeue", code="disabled")
            if job.ended_at is not None and job.ended_at + self.site.min_job_age_seconds < self._now():
                # Its environment is no longer kept; Slurm has forgotten the whole job by then.
                raise Conflict("the job ended too long ago to be requeued", code="invalid_job_id")
            if job.state in WAITING:
                raise Conflict("the job has not started", code="job_pending")
            if not state.is_legal(job, events.Requeued):
                raise Conflict("the job is being ended", code="cannot_alter")
            return events.Requeued(self._now(), caller.user.uid, hold, special_exit)

        return await self._change(caller, selectors, event)

    async def signal(self, caller: Caller, selectors: Sequence[Selector], number: int, to: Target) -> list[Result]:
        """Deliver now; nothing is recorded but what the job makes of it."""
        results = []
        for selector in selectors:
            found = await self._select(selector)
            if not found:
                results.append(Result(selector, None, NotFound(f"no job {selector.id}", code="invalid_job_id")))
            for job in found:
                results.append(Result(selector, job, await self._signal_one(caller, job, number, to)))
        return results

    async def _signal_one(self, caller: Caller, job: Job, number: int, to: Target) -> BridgeError | None:
        try:
            _must_own(caller, job)
            _must_not_have_ended(job)
            if job.state not in ON_NODES:
                raise Conflict("the job has not started", code="cannot_alter")
            await self._backend_of(job).signal(job.id, job.attempt, number, to)
        except Gone:
            return Conflict("the job is ending", code="already_done")
        except BridgeError as error:
            return error
        return None

    async def measure(self, caller: Caller, job: Job) -> tuple[TaskUsage, ...]:
        """What the tasks of a running job use now; the user's own business. Gone when it has ended meanwhile."""
        _must_own(caller, job)
        if job.state not in ON_NODES:
            raise Conflict("the job does not run", code="not_running")
        return await self._backend_of(job).measure(job.id, job.attempt)

    async def update(self, caller: Caller, selectors: Sequence[Selector], wanted: change.Change) -> list[Result]:
        """All the change or none of it, for each job."""
        dependency = wanted.request.get("dependency")
        if not isinstance(dependency, dag.Dependency):
            return await self._update(caller, selectors, wanted)
        async with self._redirecting:
            resolved = await self._admission.resolve(dependency, 0)
            wanted = replace(wanted, request={**wanted.request, "dependency": resolved})
            return await self._update(caller, selectors, wanted, await self._circles(selectors, resolved))

    async def _update(
        self,
        caller: Caller,
        selectors: Sequence[Selector],
        wanted: change.Change,
        refused: Mapping[JobKey, BridgeError] = MappingProxyType({}),
    ) -> list[Result]:
        throttle, holds = wanted.array_throttle, wanted.priority == 0
        wanted = replace(wanted, array_throttle=None, priority=wanted.priority or None)
        results: list[Result] = []
        if not wanted.is_empty():
            nodes = await self.nodes.known()
            book = await self.accounting.book()

            def event(job: Job) -> events.Event | None:
                self._check_names(job, wanted, caller, book)
                change.check(job, wanted, is_operator=caller.is_operator)
                if job.key in refused:
                    raise refused[job.key]
                return self._updated(caller, job, wanted, nodes, book)

            results = await self._change(caller, selectors, event)
        if holds and all(result.error is None for result in results):
            results = await self.hold(caller, selectors)
        if throttle is not None and all(result.error is None for result in results):
            results += [await self._throttle(caller, selector, throttle) for selector in selectors]
        return results

    def _check_names(self, job: Job, wanted: change.Change, caller: Caller, book: Book) -> None:
        """Of a job that has started: what does not exist is told before that it is too late."""
        if job.state in WAITING or job.is_final:
            return
        if "licenses" in wanted.component:
            admission.check_licenses(change.changed_request(job, wanted).component, self.site)
        user = self._find_user(job.request.uid) or caller.user
        if "qos" in wanted.request:
            accounting_admission.charged(change.changed_request(job, wanted), self.site, user.name, book)
        name = wanted.request.get("reservation")
        if isinstance(name, str):
            reservations.asked_for(name, self.runtime.standing(), user, job.request.account, book)

    def _updated(
        self, caller: Caller, job: Job, wanted: change.Change, nodes: Sequence[Node], book: Book
    ) -> events.Updated:
        request = change.changed_request(job, wanted)
        now = self._now()
        limit, partition = change.changed_time_limit(job, wanted), job.partition
        if job.state in WAITING:
            user = self._find_user(request.uid) or caller.user
            admitted = admission.admit(
                request,
                self.site,
                nodes,
                user,
                now,
                is_operator=caller.is_operator,
                book=book,
                kept=self.runtime.standing(),
            )
            partition = admitted.partition
            request = replace(request, account=admitted.account, qos=admitted.qos)
            if limit > job.time_limit_seconds and not caller.is_operator:
                self._must_fit(limit, request.component.partitions or (partition,))
        begin_at = job.begin_at
        if "begin_at" in wanted.request:
            begin_at = request.begin_at if request.begin_at is not None and request.begin_at > now else None
        return events.Updated(
            at=now,
            by_uid=caller.user.uid,
            what=_describe(wanted),
            request=request,
            time_limit_seconds=limit,
            partition=partition,
            begin_at=begin_at,
            priority=self._priority(job, request, wanted, book),
            dependency_text=queue.dependency_text(request.dependency)
            if "dependency" in wanted.request
            else job.dependency_text,
        )

    def _priority(self, job: Job, request: JobRequest, wanted: change.Change, book: Book) -> int:
        """A priority that somebody set stays as it is; one that was worked out is worked out again."""
        if wanted.priority is not None:
            return wanted.priority
        if job.priority != accounting_admission.priority(book, self.site, job.request):
            return job.priority
        return accounting_admission.priority(book, self.site, request)

    def _must_fit(self, limit_seconds: int, partitions: Sequence[str]) -> None:
        """Nobody but operators raises a limit above what all of the job's partitions allow."""
        found = [self.site.partition(name) for name in partitions]
        most = [one.max_time_seconds for one in found if one is not None]
        if most and all(one is not None and limit_seconds > one for one in most):
            raise NotPermitted("no partition of the job allows as much time", code="access_denied", field="time_limit")

    async def _throttle(self, caller: Caller, selector: Selector, throttle: int) -> Result:
        job = await self.store.get(JobKey(selector.id))
        try:
            if job is None or not job.is_array:
                raise NotFound(f"no array {selector.id} is known", code="invalid_job_id")
            _must_own(caller, job)
            return Result(
                selector, await self.store.set_throttle(job.id, throttle or None, caller.user.uid, self._now())
            )
        except BridgeError as error:
            return Result(selector, job, error)

    async def _circles(
        self, selectors: Sequence[Selector], dependency: dag.Dependency | None
    ) -> Mapping[JobKey, BridgeError]:
        """What is refused to those that would wait for themselves."""
        if dependency is None:
            return {}
        waiters = {key for selector in selectors for key in await self._keys(selector)}
        found = circles.find(waiters, dependency, await self.store.unfinished())
        return {key: _circle(way) for key, way in found.items()}

    async def _change(
        self, caller: Caller, selectors: Sequence[Selector], event: Callable[[Job], events.Event | None]
    ) -> list[Result]:
        """Resolve the selectors, check ownership, change each job. One result for each job touched."""

        def checked(job: Job) -> events.Event | None:
            _must_own(caller, job)
            return event(job)

        owner_of: dict[JobKey, Selector] = {}
        missing: list[Result] = []
        for selector in selectors:
            keys = await self._keys_to_change(selector)
            if not keys:
                missing.append(
                    Result(selector, None, NotFound(f"no job {selector.id} is known", code="invalid_job_id"))
                )
            for key in keys:
                owner_of.setdefault(key, selector)
        outcomes: list[Outcome] = []
        todo = list(owner_of)
        while todo:
            done = await self.store.change_in_parts(todo, checked)
            outcomes += done
            # Tasks may have left an array's record between the look and the change: they are meant too.
            arrays = [outcome.key for outcome in done if outcome.before is not None and outcome.before.is_array]
            todo = []
            for array in arrays:
                meant = owner_of[array].tasks
                found = [job for job in await self._select(Selector(array.id)) if job.key not in owner_of]
                late = [job.key for job in found if meant is None or job.task_index in meant]
                owner_of |= dict.fromkeys(late, owner_of[array])
                todo += late
        return missing + [_result(owner_of[outcome.key], outcome) for outcome in outcomes]

    async def _keys_to_change(self, selector: Selector) -> list[JobKey]:
        """As `_keys`, but where all tasks that wait with their array are meant it is their one record that changes:
        there may be a million of them."""
        array = None if selector.tasks is None else await self.store.get(JobKey(selector.id))
        if selector.tasks is None or array is None or array.request.array is None or array.waiting is None:
            return await self._keys(selector)
        wanted = selector.tasks.intersection(array.request.array.indices)
        if len(array.waiting) < 2 or len(wanted.intersection(array.waiting)) < len(array.waiting):
            return await self._keys(selector)
        return [array.key, *(JobKey(selector.id, index) for index in wanted.without(array.waiting))]

    async def _keys(self, selector: Selector) -> list[JobKey]:
        """What rows a selector means. Tasks that still wait with their array are named one by one."""
        if selector.tasks is None:
            return [job.key for job in await self._select(selector)]
        array = await self.store.get(JobKey(selector.id))
        if array is None or array.request.array is None:
            return []
        return [JobKey(selector.id, index) for index in selector.tasks.intersection(array.request.array.indices)]

    async def _select(self, selector: Selector) -> list[Job]:
        if selector.tasks is not None:
            found = await self.store.get_many(await self._keys(selector))
            return [job for job in found.values() if job is not None]
        found_rows = await self.store.list_jobs(JobQuery(keys=(JobKey(selector.id),)))
        if found_rows:
            return found_rows
        task = await self.store.find_by_raw_id(selector.id)
        return [task] if task is not None else []

    def replace_site(self, site: Site) -> None:
        """The site file was read again."""
        self.site = site
        self.accounting.replace_site(site)
        self.forecast.forget()
        self.nodes.forget()

    def _backend_of(self, job: Job) -> Backend:
        partition = self.site.partition(job.partition)
        backend = self._backends.get(partition.backend) if partition else None
        if backend is None:
            raise Unavailable(f"the partition {job.partition} has no backend any more", code="unavailable")
        return backend


def _must_own(caller: Caller, job: Job) -> None:
    if not caller.is_operator and caller.user.uid != job.request.uid:
        raise NotPermitted(f"job {job.display_id} belongs to {job.request.user}", code="access_denied")


def _must_not_have_ended(job: Job, code: str = "already_done") -> None:
    if job.is_final:
        raise Conflict("the job has ended", code=code)


def _result(selector: Selector, outcome: Outcome) -> Result:
    if outcome.before is None and outcome.error is None:
        return Result(selector, None, NotFound(f"no job {outcome.key} is known", code="invalid_job_id"))
    return Result(selector, outcome.after or outcome.before, outcome.error)


def _circle(way: Sequence[JobKey]) -> BridgeError:
    told = " → ".join(map(str, way))
    if len(set(way)) == 1:
        return Refused(f"a job cannot wait for itself: {told}", code="bad_dependency", field="dependency")
    return Refused(f"jobs would wait for each other: {told}", code="circular_dependency", field="dependency")


def _order_of(job: Job) -> tuple[int, int, float, JobKey]:
    """As the scheduler takes jobs of one partition."""
    return -job.priority, job.request.nice, job.submitted_at, job.key


def _describe(wanted: change.Change) -> str:
    parts = [f"{name}={value}" for name, value in {**wanted.request, **wanted.component}.items()]
    if wanted.time_limit_seconds is not None:
        parts.append(f"time_limit_seconds={wanted.time_limit_seconds}")
    if wanted.time_limit_delta_seconds is not None:
        parts.append(f"time_limit_seconds{wanted.time_limit_delta_seconds:+d}")
    if wanted.priority is not None:
        parts.append(f"priority={wanted.priority}")
    return ", ".join(parts)
