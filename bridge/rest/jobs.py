"""/v1/jobs and /v1/graphs: submit, look, change. Thin: bodies become values, the service does the rest."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from adapters.slurm import foreseen, values
from adapters.slurm import translate as translation
from bridge.core.errors import BridgeError, Conflict
from bridge.core.job import JobKey, JobState
from bridge.core.users import Caller
from bridge.identity.people import People
from bridge.rest import bodies, changes, documents, faults, graphs, selection, submission, views
from bridge.rest.answers import answer, error_fields, refusal
from bridge.service.service import Service
from bridge.service.terms import Result
from bridge.store.records import JobQuery

Handler = Callable[[Request], Awaitable[Response]]

MAX_PAGE = 1000
MAX_WAIT_SECONDS = 60.0
MAX_IDEMPOTENCY_KEY = 255
TARGETS = ("batch", "steps", "all")


def make(service: Service, people: People, stopping: asyncio.Event) -> APIRouter:
    router = APIRouter(prefix="/v1", dependencies=[Depends(bodies.refuse_unknown_parameters)])
    _add_submissions(router, service)
    _add_looks(router, service, people, stopping)
    _add_changes(router, service)
    return router


def _caller(request: Request) -> Caller:
    found: Caller = request.state.caller
    return found


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_IDEMPOTENCY_KEY:
        raise bodies.wrong("Idempotency-Key", f"1 to {MAX_IDEMPOTENCY_KEY} characters are expected", "invalid_value")
    return key


# ── submissions ───────────────────────────────────────────────────────────────────────────────────


def make_submit(service: Service) -> Handler:
    """POST /v1/jobs. The hot path: nothing here that a submission does not need."""

    async def submit(request: Request) -> Response:
        """Submit a batch script. Answers once the job is on disk."""
        caller = _caller(request)
        body = await bodies.read_json(request)
        found = submission.read(body, caller, service.site, time.time())
        draft = found.draft(_idempotency_key(request))
        try:
            if found.test_only:
                return answer({"estimate": views.estimate(await service.forecast.estimate(caller, draft))})
            jobs = await service.submit(caller, [draft])
        except BridgeError as error:
            error.field = faults.of_site(error.field, body.get("fields") or ())
            raise
        if len(jobs) != 1:
            raise _used_otherwise()
        job = jobs[0]
        told = {
            "id": job.display_id,
            "job_id": job.id,
            "state": job.state.value,
            "notes": submission.notes(found.report),
        }
        return answer(told, 201, {"location": f"/v1/jobs/{job.display_id}"})

    return submit


def _add_submissions(router: APIRouter, service: Service) -> None:
    router.post("/jobs", status_code=201, openapi_extra=documents.SUBMIT, tags=["jobs"])(make_submit(service))

    @router.post("/graphs", status_code=201, openapi_extra=documents.GRAPH, tags=["jobs"])
    async def submit_graph(request: Request) -> Response:
        """Submit many jobs that wait for each other by name: all of them or none."""
        caller = _caller(request)
        members = graphs.read(await bodies.read_json(request))
        # One key stands for the whole call: the store remembers all ids of it.
        key = _idempotency_key(request)
        drafts, reports = [], []
        for number, member in enumerate(members):
            draft, found = graphs.draft(member, number, caller, service.site, time.time(), None if number else key)
            drafts.append(draft)
            reports.append(found.report)
            if number % 20 == 19:
                await asyncio.sleep(0)  # others get their turn while a long graph is read
        try:
            jobs = await service.submit(caller, drafts)
        except BridgeError as error:
            if error.member is not None:
                fields = members[error.member].body.get("fields") or ()
                at_fault = faults.of_site(error.field, fields)
                error.field = ".".join(filter(None, (f"members[{error.member}]", at_fault)))
            raise
        if len(jobs) != len(members):
            raise _used_otherwise()
        told = [
            {"name": member.name, "id": job.display_id, "job_id": job.id, "notes": submission.notes(report)}
            for member, job, report in zip(members, jobs, reports, strict=True)
        ]
        return answer({"members": told}, 201)

    @router.post("/translate", openapi_extra=documents.TRANSLATE, tags=["jobs"])
    async def translate(request: Request) -> Response:
        """How a submission would be read. Nothing happens."""
        caller, now = _caller(request), time.time()
        found = submission.read(await bodies.read_json(request), caller, service.site, now)
        nodes = await service.nodes.known()
        seen = foreseen.of(found.request, found.script, found.environment, caller.user, service.site, nodes, now)
        return answer(translation.to_json(found.report, found.request, seen))


def _used_otherwise() -> Conflict:
    return Conflict("the Idempotency-Key was used for a call with other jobs", field="Idempotency-Key")


# ── looking ───────────────────────────────────────────────────────────────────────────────────────


def _add_looks(router: APIRouter, service: Service, people: People, stopping: asyncio.Event) -> None:
    @router.get("/jobs", tags=["jobs"], openapi_extra=documents.LIST)
    async def list_jobs(
        request: Request,
        ids: Annotated[str | None, Query(description="12,13_4", max_length=20_000)] = None,
        user: Annotated[str | None, Query(description="names, with commas; so the next")] = None,
        name: str | None = None,
        state: Annotated[str | None, Query(description="PENDING,RUNNING")] = None,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        node: str | None = None,
        since: Annotated[float | None, Query(allow_inf_nan=False, description="not ended before (epoch)")] = None,
        until: Annotated[float | None, Query(allow_inf_nan=False, description="submitted before (epoch)")] = None,
        newest_first: bool = False,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before")] = None,
    ) -> Response:
        """Jobs, arrays and their tasks, ordered by id. All filters must fit."""
        query = JobQuery(
            keys=None if ids is None else tuple(key for text in selection.split(ids) for key in selection.keys(text)),
            states=_states(state),
            uids=_uids(user, people),
            names=_names(name),
            partitions=_names(partition),
            accounts=_names(account),
            qos=_names(qos),
            nodes=_names(node),
            active_since=since,
            active_until=until,
            newest_first=newest_first,
            limit=limit + 1,
            after=None if cursor is None else selection.read_key(cursor, "cursor"),
        )
        found = await service.jobs(_caller(request), query)
        page = found[:limit]
        more = str(page[-1].key) if len(found) > limit else None
        return answer({"jobs": [views.job(job) for job in page], "next_cursor": more})

    @router.get("/jobs/{job_id}", tags=["jobs"], openapi_extra=documents.SHOW)
    async def show(
        job_id: str,
        request: Request,
        wait_seconds: Annotated[
            float, Query(ge=0, le=MAX_WAIT_SECONDS, description="answer earlier only if all have ended")
        ] = 0.0,
    ) -> Response:
        """The job, or all records of an array."""
        caller, selector = _caller(request), selection.read(job_id)
        found = None
        if wait_seconds:
            found = await or_stop(service.wait_for_end(caller, selector, wait_seconds), stopping)
        jobs = found if found is not None else await service.show(caller, selector)
        return answer({"jobs": [views.job(job) for job in jobs]})

    @router.get("/jobs/{job_id}/history", tags=["jobs"], openapi_extra=documents.HISTORY)
    async def history(job_id: str, request: Request) -> Response:
        """What happened to it, each event with a sentence."""
        rows = await service.history(_caller(request), selection.read(job_id))
        return answer({"events": [views.event(row, people.name_of) for row in rows]})

    @router.get("/jobs/{job_id}/report", tags=["jobs"])
    async def report(job_id: str, request: Request) -> Response:
        """What became of each directive. For its owner and operators."""
        return answer(views.report(await service.report(_caller(request), selection.read(job_id))))

    @router.get("/jobs/{job_id}/script", tags=["jobs"])
    async def script(job_id: str, request: Request) -> Response:
        """The script as submitted. For its owner and operators."""
        found = await service.script(_caller(request), selection.read(job_id))
        return Response(found, media_type="text/plain; charset=utf-8", headers={"x-content-type-options": "nosniff"})


async def or_stop(work: Any, stopping: asyncio.Event) -> Any:
    """What `work` gives, or None when the bridge is to stop before."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(filter(None, text.split(",")))


def _states(text: str | None) -> frozenset[JobState] | None:
    names = _names(text)
    if names is None:
        return None
    for name in names:
        if name.upper() not in JobState.__members__:
            raise bodies.wrong("state", f"{name!r} is none of {', '.join(JobState)}", "invalid_value")
    return frozenset(JobState[name.upper()] for name in names)


def _uids(text: str | None, people: People) -> tuple[int, ...] | None:
    names = _names(text)
    if names is None:
        return None
    found = [people.find(int(name) if name.isascii() and name.isdigit() else name) for name in names]
    for name, user in zip(names, found, strict=True):
        if user is None:
            raise bodies.wrong("user", f"no user {name!r} is known", "invalid_value")
    return tuple(user.uid for user in found if user is not None)


# ── changing ──────────────────────────────────────────────────────────────────────────────────────


def _add_changes(router: APIRouter, service: Service) -> None:
    @router.post("/jobs/{job_id}/cancel", tags=["jobs"], openapi_extra=documents.RESULTS)
    async def cancel(job_id: str, request: Request) -> Response:
        """End it, wherever it stands. The body may say why: {"why": "…"}."""
        body = await _body(request, {"why"})
        why = bodies.text(body, "why") or ""
        return _results(await service.cancel(_caller(request), [selection.read(job_id)], why=why[:1000]))

    @router.delete("/jobs/{job_id}", tags=["jobs"], openapi_extra=documents.RESULTS)
    async def delete(job_id: str, request: Request) -> Response:
        """The same as cancel; its record and history stay."""
        return _results(await service.cancel(_caller(request), [selection.read(job_id)]))

    @router.post("/jobs/{job_id}/signal", tags=["jobs"], openapi_extra=documents.SIGNAL)
    async def signal(job_id: str, request: Request) -> Response:
        """Send a signal: {"signal": "USR1", "to": "batch"}; to is batch, steps or all."""
        body = await _body(request, {"signal", "to"})
        to = body.get("to", "all")
        if to not in TARGETS:
            raise bodies.wrong("to", f"one of {', '.join(TARGETS)} is expected")
        number = _signal_number(body.get("signal"))
        return _results(await service.signal(_caller(request), [selection.read(job_id)], number, to))

    @router.post("/jobs/{job_id}/hold", tags=["jobs"], openapi_extra=documents.RESULTS)
    async def hold(job_id: str, request: Request) -> Response:
        """Keep it from starting."""
        return _results(await service.hold(_caller(request), [selection.read(job_id)]))

    @router.post("/jobs/{job_id}/release", tags=["jobs"], openapi_extra=documents.RESULTS)
    async def release(job_id: str, request: Request) -> Response:
        """End a hold."""
        return _results(await service.release(_caller(request), [selection.read(job_id)]))

    @router.post("/jobs/{job_id}/suspend", tags=["jobs"], openapi_extra=documents.RESULTS)
    async def suspend(job_id: str, request: Request) -> Response:
        """Stop its processes where they are. Operators only."""
        return _results(await service.suspend(_caller(request), [selection.read(job_id)]))

    @router.post("/jobs/{job_id}/resume", tags=["jobs"], openapi_extra=documents.RESULTS)
    async def resume(job_id: str, request: Request) -> Response:
        """Let its processes go on. Operators only."""
        return _results(await service.resume(_caller(request), [selection.read(job_id)]))

    @router.post("/jobs/{job_id}/requeue", tags=["jobs"], openapi_extra=documents.REQUEUE)
    async def requeue(job_id: str, request: Request) -> Response:
        """Run it again, with the same id: {"hold": false, "special_exit": false}."""
        body = await _body(request, {"hold", "special_exit"})
        results = await service.requeue(
            _caller(request),
            [selection.read(job_id)],
            hold=bodies.boolean(body, "hold"),
            special_exit=bodies.boolean(body, "special_exit"),
        )
        return _results(results)

    @router.patch("/jobs/{job_id}", tags=["jobs"], openapi_extra=documents.UPDATE)
    async def update(job_id: str, request: Request) -> Response:
        """Change what it asks for: all of the change or none of it, for each job."""
        caller, selector = _caller(request), selection.read(job_id)
        body = await bodies.read_json(request)
        job = (await service.show(caller, selector))[0]
        return _results(await service.update(caller, [selector], changes.read(body, job, time.time())))


async def _body(request: Request, known: set[str]) -> dict[str, Any]:
    body = await bodies.read_json(request)
    bodies.refuse_unknown(body, known)
    return body


def _signal_number(value: object) -> int:
    if isinstance(value, int | str) and not isinstance(value, bool):
        try:
            number = values.signal_number(str(value))
        except values.BadValue:
            number = 0
        if 0 < number < 65:
            return number
    raise bodies.wrong("signal", "a name such as USR1, or a number from 1 to 64, is expected")


def _results(results: Sequence[Result]) -> Response:
    """One entry for each job touched. Refused as a whole only when nothing was done."""
    if results and all(result.error is not None for result in results):
        error = results[0].error
        assert error is not None
        return refusal(error)
    told = [
        {
            "id": str(JobKey(result.selector.id)) if result.job is None else result.job.display_id,
            "state": None if result.job is None else result.job.state.value,
            "error": None if result.error is None else error_fields(result.error),
        }
        for result in results
    ]
    return answer({"results": told})
