"""Puts on record what backends see of their jobs, and lets backends forget the ends that are on record."""

import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence

from bridge.backends.port import Observation, Sighting
from bridge.core import events
from bridge.core.errors import Gone
from bridge.core.job import ON_NODES, Job, JobKey
from bridge.reconcile import observe
from bridge.reconcile.holdings import Holdings
from bridge.reconcile.working_set import WorkingSet
from bridge.store.records import Fence, Outcome, StepRow
from bridge.store.store import Store

log = logging.getLogger(__name__)


class Recorder:
    def __init__(
        self,
        store: Store,
        holdings: Holdings,
        working: WorkingSet,
        wake: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._holdings = holdings
        self._working = working
        self._wake = wake
        self._now = now

    async def record(self, name: str, observation: Observation, fence: Fence) -> None:
        sightings: dict[JobKey, list[Sighting]] = {}  # several where an earlier attempt has not been forgotten yet
        known = await self._store.find_by_raw_ids([sighting.job_id for sighting in observation.sightings])
        for sighting in observation.sightings:
            if sighting.job_id in known:
                sightings.setdefault(known[sighting.job_id].key, []).append(sighting)
            else:
                log.error("the backend has a job that no row tells of; left alone", extra={"job": sighting.job_id})

        def news(job: Job) -> list[events.Event]:
            now = self._now()
            return [event for sighting in sightings[job.key] for event in observe.events_of(job, sighting, now)]

        outcomes = await self._store.change(list(sightings), news, fence=fence)
        steps = [row for key, seen in sightings.items() for sighting in seen for row in _step_rows(key, sighting)]
        if steps:
            await self._store.record_steps(steps, fence=fence)
        if observation.full:
            await self._miss(name, {(s.job_id, s.attempt) for s in observation.sightings}, fence)
        for outcome in outcomes:
            if outcome.error is not None:
                log.error("a sighting fits no step", extra={"job": str(outcome.key), "why": outcome.error.sentence})
        await self._let_go(name, outcomes)

    async def _let_go(self, name: str, outcomes: Iterable[Outcome]) -> None:
        """The ends that are on record now: what the backend kept of them may go."""
        for outcome in outcomes:
            for instruction in outcome.instructions:
                if outcome.after is not None and isinstance(instruction, events.Forget):
                    with contextlib.suppress(Gone):
                        await self._holdings.forget(name, outcome.after.id, instruction.attempt)

    async def _miss(self, name: str, seen: set[tuple[int, int]], fence: Fence) -> None:
        """Jobs that are on nodes here by our rows, and that a full picture does not show.

        Those that have begun are lost. The others may have been started after the picture was made: they are started,
        or stopped, once more, and the backend says what it has of them.
        """
        missing = [
            job
            for job in await self._store.unfinished()
            if job.state in ON_NODES and self._holdings.name_of(job) == name and (job.id, job.attempt) not in seen
        ]
        for job in missing:
            self._working.told.pop(job.key, None)
        await self.give_up(name, [job for job in missing if job.started_at is not None], fence)
        if missing:  # what is on record wakes by itself, that they are to be told again does not
            self._wake()

    async def give_up(self, name: str, jobs: Sequence[Job], fence: Fence) -> None:
        """The backend has no trace of these attempts, which should be on nodes."""
        now = self._now()
        attempts = {job.key: job.attempt for job in jobs}

        def event(job: Job) -> events.Event | None:
            if job.state not in ON_NODES or job.attempt != attempts[job.key]:
                return None
            if job.started_at is not None:
                return events.Lost(now, job.attempt, "its nodes have no trace of it")
            return events.NotStarted(now, job.attempt, "never reached its nodes")

        await self._let_go(name, await self._store.change(list(attempts), event, fence=fence))


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
