"""The HTTP application: our own routes, those of the commands, and who may call them."""

import asyncio
from collections.abc import Mapping, Sequence

from fastapi import APIRouter, FastAPI
from starlette.requests import ClientDisconnect, Request

from bridge.core.errors import BridgeError
from bridge.identity.gate import Gate
from bridge.identity.middleware import App, Identity, Receive, Scope, Send
from bridge.identity.people import People
from bridge.rest import answers, cluster, jobs, streams
from bridge.service.service import Service

DESCRIPTION = "Batch jobs: one id, one dependency graph, one history. Times are epoch seconds, UTC."


def make(
    service: Service,
    gate: Gate,
    people: People,
    stopping: asyncio.Event,
    *,
    version: str,
    others: Sequence[APIRouter] = (),
) -> App:
    """`stopping`: once set, streams end. `others`: routers of other front ends, behind the same gate."""
    application = FastAPI(
        title="bridge",
        version=version,
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
    )
    answers.install(application)
    for router in (
        jobs.make(service, people, stopping),
        streams.make(service, people, stopping),
        cluster.make(service, gate, people, version),
        *others,
    ):
        application.include_router(router)
    shortcut = Shortcut(application, {("POST", "/v1/jobs"): jobs.make_submit(service)})
    return Identity(shortcut, gate, open_paths=cluster.OPEN_PATHS)


class Shortcut:
    """Calls the handlers of the busiest routes at once; FastAPI's own way to them costs as much as a submission.

    They are routes of the application all the same: that is what documents them.
    """

    def __init__(self, app: App, handlers: Mapping[tuple[str, str], jobs.Handler]) -> None:
        self._app = app
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await handler(request)
        except BridgeError as error:
            response = answers.refusal(error)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as error:
            response = answers.failure(request, error)
        await response(scope, receive, send)
