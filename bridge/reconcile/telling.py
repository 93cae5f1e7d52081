"""Tells backends what their jobs are to do: starts together, everything else one task a job."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

from adapters.slurm import batch_group
from bridge.core import events, state
from bridge.core.errors import BridgeError, Gone, Refused, Unavailable
from bridge.core.group import Group
from bridge.core.job import Job, JobKey, JobState
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS
from bridge.core.users import User
from bridge.reconcile import observe, wishes
from bridge.reconcile.holdings import Holdings
from bridge.reconcile.recorder import Recorder
from bridge.reconcile.working_set import WorkingSet
from bridge.service.service import Service
from bridge.store.store import Store

log = logging.getLogger(__name__)

WISHES_AT_ONCE = 32
"""Connections to monitors, for jobs that are cancelled or changed together."""


BLOBS_KEPT = 16
"""Scripts with their environments, for the tasks of arrays that start one after the other."""


class Teller:
    def __init__(
        self,
        store: Store,
        service: Service,
        holdings: Holdings,
        working: WorkingSet,
        recorder: Recorder,
        find_user: Callable[[int], User | None],
        make_job_token: Callable[[Job, User], str],
        wake: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._service = service
        self._holdings = holdings
        self._working = working
        self._recorder = recorder
        self._find_user = find_user
        self._make_job_token = make_job_token
        self._wake = wake
        self._now = now
        self._wishes: dict[JobKey, asyncio.Task[None]] = {}
        """What is being told to backends, one task a job."""
        self._telling = asyncio.Semaphore(WISHES_AT_ONCE)
        self._blobs: dict[int, tuple[bytes, bytes]] = {}
        """Script and environment of the jobs and arrays that were started last."""

    async def close(self) -> None:
        """Give up what is being told."""
        telling = list(self._wishes.values())
        for task in telling:
            task.cancel()
        await asyncio.gather(*telling, return_exceptions=True)

    async def tell(self) -> None:
        """Tell the backends what their jobs are to do."""
        now = self._now()
        starts: dict[str, list[Job]] = {}
        for job in list(self._working.jobs.values()):
            if not job.nodes or self._working.retry_at.get(job.key, 0.0) > now:
                continue
            todo, told = wishes.due(self._within_reservation(job), self._working.told.get(job.key))
            name = self._holdings.name_of(job)
            if not todo or told is None or name not in self._holdings.fences:
                continue
            if any(isinstance(wish, events.Start) for wish in todo):
                starts.setdefault(name, []).append(job)
                self._working.retry_at.pop(job.key, None)
                self._working.told[job.key] = told
            elif job.key not in self._wishes:
                self._working.retry_at.pop(job.key, None)
                self._wishes[job.key] = asyncio.create_task(self._tell_one(name, job, todo, told))
        for name, jobs in starts.items():
            await self._start(name, sorted(jobs, key=lambda job: job.key))

    async def _tell_one(self, name: str, job: Job, todo: Sequence[events.Instruction], told: wishes.Told) -> None:
        """Beside the turns: a monitor that does not answer must not hold up anybody else."""
        try:
            async with self._telling:
                for wish in todo:
                    await self._carry_out(name, job, wish)
        except Unavailable as error:
            log.warning("backend did not take a wish", extra={"job": str(job.key), "why": error.sentence})
            self._working.retry_at[job.key] = self._now() + 1.0
        except BridgeError as error:
            log.error("backend refused a wish", extra={"job": str(job.key), "why": error.sentence})
            self._working.told[job.key] = told
        except Exception:
            log.exception("a wish failed", extra={"job": str(job.key)})
            self._working.retry_at[job.key] = self._now() + 1.0
        else:
            self._working.told[job.key] = told
        finally:
            del self._wishes[job.key]
            if job.key not in self._working.jobs:
                self._working.told.pop(job.key, None)
                self._working.retry_at.pop(job.key, None)
            self._wake()

    def _within_reservation(self, job: Job) -> Job:
        """A reservation's end is its jobs' end, though they keep their time limit on record."""
        if job.request.reservation is None or job.started_at is None:
            return job
        end_at = self._service.runtime.end_of(job.request.reservation, job.started_at)
        if end_at is None:
            return job
        left = max(1, int(end_at - job.started_at - job.suspended_seconds))
        return replace(job, time_limit_seconds=min(job.time_limit_seconds, left))

    async def _carry_out(self, name: str, job: Job, wish: events.Instruction) -> None:
        backend = self._holdings.backends[name]
        with contextlib.suppress(Gone):  # its end is on the way
            match wish:
                case events.EndGroup(attempt, why):
                    try:
                        await backend.stop(job.id, attempt, why)
                    except Gone:  # it was to be ended before it was started
                        if (fence := self._holdings.fences.get(name)) is not None:
                            await self._recorder.give_up(name, [job], fence)
                case events.NewLimit(attempt, seconds):
                    limit = None if seconds >= UNLIMITED_SECONDS else seconds
                    await backend.set_time_limit(job.id, attempt, limit)
                case events.Pause(attempt, resume):
                    await backend.pause(job.id, attempt, resume=resume)
                case events.Forget(attempt):
                    await self._holdings.forget(name, job.id, attempt)
                case _:
                    pass

    async def _start(self, name: str, jobs: Sequence[Job]) -> None:
        """What the working set calls placed may have run, ended and been forgotten by now: the rows decide."""
        try:
            async with self._holdings.handover[name]:
                rows = await self._store.get_many([job.key for job in jobs])
                await self._start_placed(name, [job for job in jobs if _is_placed(rows[job.key], job.attempt)])
        except BridgeError as error:
            for job in jobs:
                self._working.told.pop(job.key, None)
                self._working.retry_at[job.key] = self._now() + 1.0
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
            await self._holdings.backends[name].start(groups)
        except Refused:
            for group in groups:  # one of them is at fault: find out which
                job = next(j for j in jobs if j.id == group.job_id)
                try:
                    await self._holdings.backends[name].start([group])
                except Refused as error:
                    await self._not_started(job, error.sentence)

    async def _not_started(self, job: Job, why: str) -> None:
        now = self._now()
        retry_at = now + observe.retry_delay_seconds(job)
        await self._working.change(
            [job.key],
            lambda row: (
                events.NotStarted(now, job.attempt, why, Reason.LAUNCH_FAILURE, retry_at)
                if state.is_legal(row, events.NotStarted)
                else None
            ),
        )

    async def _group(self, job: Job) -> Group:
        user = self._find_user(job.request.uid)
        if user is None:
            raise Refused(f"the uid {job.request.uid} is not known on this host any more")
        script, environment = await self._blobs_of(job)
        return batch_group.make_group(
            job,
            instance=self._store.instance_id,
            user=user,
            site=self._holdings.site,
            script=script,
            submitted=environment,
            key=secrets.token_hex(32),
            job_token=self._make_job_token(job, user),
        )

    async def _blobs_of(self, job: Job) -> tuple[bytes, bytes]:
        """Script and environment; those of an array are the same for all its tasks."""
        if job.key.id not in self._blobs:
            script, environment = await self._store.script(job.key), await self._store.environment(job.key)
            if script is None or environment is None:
                raise Refused("its script or environment is no longer kept")
            if len(self._blobs) >= BLOBS_KEPT:
                self._blobs.clear()
            self._blobs[job.key.id] = (script, environment)
        return self._blobs[job.key.id]


def _is_placed(row: Job | None, attempt: int) -> bool:
    return row is not None and row.state is JobState.CONFIGURING and row.attempt == attempt
