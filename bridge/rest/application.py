"""The HTTP application: our own routes, those of the commands, and who may call them."""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from bridge.identity.gate import Gate
from bridge.identity.middleware import App, Identity
from bridge.identity.people import People
from bridge.rest import answers, cluster, jobs, streams
from bridge.service import Service

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
    return Identity(application, gate, open_paths=cluster.OPEN_PATHS)
