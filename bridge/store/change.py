"""What is done to jobs, staged into a batch: submitted, changed by events, throttled."""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any

from bridge.core import dag, events, state
from bridge.core import job as jobs
from bridge.core.errors import BridgeError, IllegalStep, Refused
from bridge.core.job import Job, JobKey
from bridge.core.request import UNLIMITED_SECONDS, JobRequest
from bridge.store import codec, rows
from bridge.store.batch import Batch, Texts
from bridge.store.records import Fence, NewJob, Outcome
from bridge.store.tables import NO_TASK

EventOf = Callable[[Job], events.Event | Sequence[events.Event] | None]

# ── submissions ───────────────────────────────────────────────────────────────────────────────────


def submit(batch: Batch, new: Sequence[NewJob]) -> list[Job]:
    digests = [None if one.idempotency_key is None else _digest(one.idempotency_key) for one in new]
    for one, digest in zip(new, digests, strict=True):
        if digest is not None and (earlier := _earlier(batch, one.request.uid, digest)):
            return earlier
    ids, next_id = [], batch.next_job_id
    for one in new:
        ids.append(next_id)
        next_id += 1 if one.request.array is None else max(1, len(one.request.array.indices))
    made = [_make(one, job_id, ids, new) for one, job_id in zip(new, ids, strict=True)]
    for job, one, digest in zip(made, new, digests, strict=True):
        batch.add(job, Texts(one.script, one.environment, one.report))
        batch.tell(job, job.submitted_at, "Submitted", {})
        if digest is not None:
            batch.use_idempotency(one.request.uid, digest, ids[0], ids[-1])
    batch.next_job_id = next_id
    return made


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _earlier(batch: Batch, uid: int, digest: str) -> list[Job]:
    """The jobs of the call that used the key; none when it is new, or the jobs are purged."""
    call = batch.used_idempotency(uid, digest)
    if call is None:
        return []
    first, last = call
    keys = batch.own_records(first, last)
    return [job for key in keys if (job := batch.find(key)) is not None]


def _make(one: NewJob, job_id: int, ids: Sequence[int], new: Sequence[NewJob]) -> Job:
    request, text = one.request, one.dependency_text
    if request.dependency is not None:
        request = _with_real_ids(request, request.dependency, ids, new)
        text = re.sub(r":-(\d+)", lambda found: f":{_shown(int(found[1]) - 1, ids, new)}", text)
    return Job(
        id=job_id,
        request=request,
        partition=one.partition,
        submitted_at=one.submitted_at,
        reason=one.reason,
        waiting=None if request.array is None else request.array.indices,
        priority=one.priority,
        eligible_at=one.eligible_at,
        time_limit_seconds=min(one.time_limit_seconds, UNLIMITED_SECONDS),
        begin_at=one.begin_at,
        dependency_text=text,
    )


def _with_real_ids(
    request: JobRequest, dependency: dag.Dependency, ids: Sequence[int], new: Sequence[NewJob]
) -> JobRequest:
    """Clauses that name a member of the call by -1-k get its id."""
    clauses = []
    for clause in dependency.clauses:
        if clause.job_id is not None and clause.job_id < 0:
            member = -1 - clause.job_id
            if member >= len(ids):
                raise Refused(
                    "a dependency names a member that is not there", code="bad_dependency", field="dependency"
                )
            whole = clause.task is None and new[member].request.array is not None
            clause = dataclasses.replace(clause, job_id=ids[member], whole_array=whole)
        clauses.append(clause)
    if tuple(clauses) == dependency.clauses:
        return request
    return dataclasses.replace(request, dependency=dag.Dependency(tuple(clauses), dependency.any_of))


def _shown(member: int, ids: Sequence[int], new: Sequence[NewJob]) -> str:
    if member >= len(ids):
        return f"-{member + 1}"
    return f"{ids[member]}_*" if new[member].request.array is not None else str(ids[member])


# ── changes ───────────────────────────────────────────────────────────────────────────────────────


def change(batch: Batch, keys: Sequence[JobKey], event_of: EventOf, fence: Fence | None) -> list[Outcome]:
    """Staged when every key has been looked at: should `event_of` fail with an error that is not ours,
    nothing of the call is written."""
    batch.check_fence(fence)
    draft = _Draft(batch)
    outcomes = [_change_one(draft, key, event_of) for key in keys]
    draft.stage()
    return outcomes


class _Draft:
    """The changes of one call, before they are staged."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._jobs: dict[rows.RowKey, Job] = {}
        self._new: set[rows.RowKey] = set()
        self._told: list[tuple[Job, events.Event]] = []

    def find(self, key: JobKey) -> Job | None:
        row = rows.row_key(key)
        return self._jobs.get(row) or self._batch.find(row)

    def put(self, job: Job, *, is_new: bool = False) -> None:
        row = rows.row_key(job.key)
        self._jobs[row] = job
        if is_new:
            self._new.add(row)

    def tell(self, job: Job, event: events.Event) -> None:
        self._told.append((job, event))

    def stage(self) -> None:
        for row, job in self._jobs.items():
            if row in self._new:
                self._batch.add(job)
            else:
                self._batch.replace(job)
        for job, event in self._told:
            self._batch.tell(job, event.at, type(event).__name__, _data(event))


def _change_one(draft: _Draft, key: JobKey, event_of: EventOf) -> Outcome:
    job, array = draft.find(key), None
    if job is None and key.task_index is not None:
        array = draft.find(JobKey(key.id))
        job = rows.task_of(array, key.task_index)
    if job is None:
        return Outcome(key, None, None)
    try:
        after, instructions, told = _advance(job, _listed(event_of(job)))
    except BridgeError as error:
        return Outcome(key, job, job, error=error)
    if after is job:
        return Outcome(key, job, job, tuple(instructions))
    if array is not None and key.task_index is not None:
        draft.put(jobs.split_task(array, key.task_index)[0])
        draft.put(after, is_new=True)
    else:
        draft.put(after)
    for one, event in told:
        draft.tell(one, event)
    return Outcome(key, job, after, tuple(instructions))


def _listed(wanted: events.Event | Sequence[events.Event] | None) -> Sequence[events.Event]:
    if wanted is None:
        return ()
    return wanted if isinstance(wanted, list | tuple) else (wanted,)


def _advance(
    job: Job, wanted: Sequence[events.Event]
) -> tuple[Job, list[events.Instruction], list[tuple[Job, events.Event]]]:
    """(the job afterwards, what is to be done, what the history is to tell)"""
    instructions: list[events.Instruction] = []
    told: list[tuple[Job, events.Event]] = []
    for event in wanted:
        if job.is_array and isinstance(event, events.Placed):
            raise IllegalStep(f"array {job.id} is not placed itself; its tasks are")
        before = job
        stepped, todo = state.advance(before, event)
        instructions += todo
        if stepped is before or dataclasses.replace(stepped, revision=before.revision) == before:
            continue  # news of what is known already
        job = stepped
        if not (isinstance(event, events.Waits) and before.reason is job.reason):
            told.append((job, event))
    return job, instructions, told


def _data(event: events.Event) -> dict[str, Any]:
    """The event's own fields; of an update the words only, as the whole request says nothing to people."""
    data = codec.fields_of(event)
    del data["at"]
    data.pop("request", None)
    return data


def set_throttle(batch: Batch, array_id: int, throttle: int | None, by_uid: int, at: float) -> Job | None:
    """Of the array's own record; None when there is no such array."""
    array = batch.find((array_id, NO_TASK))
    if array is None or array.request.array is None:
        return None
    wanted = dataclasses.replace(array.request.array, throttle=throttle)
    if wanted == array.request.array:
        return array
    changed = array.changed(request=dataclasses.replace(array.request, array=wanted))
    batch.replace(changed)
    batch.tell(changed, at, "Throttled", {"by_uid": by_uid, "throttle": throttle})
    return changed
