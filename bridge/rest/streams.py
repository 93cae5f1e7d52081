"""A job's output and the bridge's events, as they come."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bridge.core.errors import NotFound, Refused
from bridge.core.job import Job, JobKey
from bridge.core.users import Caller
from bridge.identity.people import People
from bridge.rest import bodies, documents, selection, views
from bridge.rest.jobs import or_stop
from bridge.service.service import Service
from bridge.service.terms import Selector

PIECE_BYTES = 256 * 1024
MOST_RANGE_BYTES = 8 << 20
"""Of one answer to a Range; the answer says how much it has, the client asks on."""
LOOK_SECONDS = 0.5
"""How often a file that is followed is looked at: files tell nobody that they grow."""
KEEP_ALIVE_SECONDS = 15.0
EVENTS_AT_ONCE = 500

_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")
_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store", "accept-ranges": "bytes"}
_TEXT = "text/plain; charset=utf-8"

Stream = Literal["stdout", "stderr"]


def make(service: Service, people: People, stopping: asyncio.Event) -> APIRouter:
    router = APIRouter(prefix="/v1", dependencies=[Depends(bodies.refuse_unknown_parameters)])

    @router.get("/jobs/{job_id}/log", tags=["jobs"], openapi_extra=documents.LOG)
    async def log(job_id: str, request: Request, stream: Stream = "stdout", follow: bool = False) -> Response:
        """Its output file. `Range: bytes=100-` gives a part; `follow` goes on until the job has ended."""
        caller: Caller = request.state.caller
        job = await selection.one_job(service, caller, job_id)
        reader = _Reader(service, caller, job, stream)
        if follow:
            await reader.check()
            return StreamingResponse(_followed(reader, stopping), media_type=_TEXT, headers=_HEADERS)
        part = _RANGE.fullmatch(request.headers.get("range", ""))
        if part is not None:
            return await _part(reader, int(part[1]), int(part[2]) if part[2] else None)
        first = await reader.read(0, PIECE_BYTES)
        if len(first) < PIECE_BYTES:
            return Response(first, media_type=_TEXT, headers=_HEADERS)
        return StreamingResponse(_whole(reader, first), media_type=_TEXT, headers=_HEADERS)

    @router.get("/events", tags=["events"], openapi_extra=documents.EVENTS)
    async def events(
        request: Request,
        since: Annotated[int | None, Query(ge=0, description="events after this number; default: from now on")] = None,
        job: Annotated[str | None, Query(description="of this job or array only")] = None,
    ) -> Response:
        """Server-sent events: what happens to jobs, as it is committed. Last-Event-ID is understood."""
        resumed = request.headers.get("last-event-id", "")
        if since is None and resumed.isascii() and resumed.isdigit():
            since = int(resumed[:18])
        caller: Caller = request.state.caller
        seq = await service.store.last_seq() if since is None else since
        selector = None if job is None else await service.resolved(caller, selection.read(job, "job"))
        return StreamingResponse(
            _events(service, people, seq, selector, stopping),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    return router


class _Reader:
    def __init__(self, service: Service, caller: Caller, job: Job, stream: Stream) -> None:
        self._service, self._caller, self._job, self._stream = service, caller, job, stream

    async def read(self, offset: int, limit: int) -> bytes:
        return await self._service.read_output(self._caller, self._job, self._stream, offset, limit)

    async def read_if_there(self, offset: int, limit: int) -> bytes:
        """Nothing while the file is not there."""
        try:
            return await self.read(offset, limit)
        except NotFound:
            return b""

    async def check(self) -> None:
        """Raise what forbids reading; a file that is still to come is fine."""
        try:
            await self.read(0, 1)
        except NotFound:
            if await self.has_ended():
                raise

    async def has_ended(self) -> bool:
        found = await self._service.store.get(self._job.key)
        if found is not None:
            self._job = found
        return found is None or found.is_final

    async def wait(self) -> None:
        store = self._service.store
        await store.wait_for_change(await store.last_seq(), LOOK_SECONDS)


async def _part(reader: _Reader, first: int, last: int | None) -> Response:
    wanted = MOST_RANGE_BYTES if last is None else min(MOST_RANGE_BYTES, last - first + 1)
    if wanted <= 0:
        raise Refused("the range ends before it begins", code="range_not_satisfiable", field="Range")
    parts: list[bytes] = []
    size = 0
    while size < wanted:
        piece = await reader.read(first + size, min(PIECE_BYTES, wanted - size))
        if not piece:
            break
        parts.append(piece)
        size += len(piece)
    if not size:
        raise Refused(f"the output has no byte {first} (yet)", code="range_not_satisfiable", field="Range")
    headers = {**_HEADERS, "content-range": f"bytes {first}-{first + size - 1}/*"}
    return Response(b"".join(parts), 206, headers, _TEXT)


async def _whole(reader: _Reader, piece: bytes) -> AsyncIterator[bytes]:
    offset = 0
    while piece:
        yield piece
        offset += len(piece)
        piece = await reader.read_if_there(offset, PIECE_BYTES)


async def _followed(reader: _Reader, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    offset = 0
    while not stopping.is_set():
        ended = await reader.has_ended()  # before reading: what was written before the end is then read
        piece = await reader.read_if_there(offset, PIECE_BYTES)
        offset += len(piece)
        if piece:
            yield piece
        elif ended:
            return
        else:
            await or_stop(reader.wait(), stopping)


async def _events(
    service: Service, people: People, seq: int, selector: Selector | None, stopping: asyncio.Event
) -> AsyncIterator[str]:
    yield ": from here on\n\n"
    while not stopping.is_set():
        rows = await service.store.history_since(seq, EVENTS_AT_ONCE)
        for row in rows:
            seq = row.seq
            if selector is None or _is_of(selector, row.key):
                yield f"id: {row.seq}\ndata: {json.dumps(views.event(row, people.name_of))}\n\n"
        if not rows:
            newest = await or_stop(service.store.wait_for_change(seq, KEEP_ALIVE_SECONDS), stopping)
            if newest is not None and newest <= seq:
                yield ": nothing new\n\n"


def _is_of(selector: Selector, key: JobKey) -> bool:
    if key.id != selector.id:
        return False
    return selector.tasks is None or key.task_index is None or key.task_index in selector.tasks
