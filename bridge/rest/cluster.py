"""Nodes, partitions, licences, health, metrics, tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from bridge.core.errors import NotFound, NotPermitted
from bridge.core.job import JobState
from bridge.core.users import Caller
from bridge.identity.gate import Gate
from bridge.identity.people import People
from bridge.rest import bodies, documents, views
from bridge.rest.answers import answer
from bridge.service.nodes import NodeView
from bridge.service.service import Service

OPEN_PATHS = ("/v1/health", "/v1/openapi.json")
"""Answered to anybody: they tell nothing of jobs or people."""
DEFAULT_TOKEN_SECONDS = 1800
MARKS = ("UP", "DRAIN", "DOWN")


def make(service: Service, gate: Gate, people: People, version: str) -> APIRouter:
    router = APIRouter(prefix="/v1", dependencies=[Depends(bodies.refuse_unknown_parameters)])
    _add_nodes(router, service)
    _add_watching(router, service, version)
    _add_tokens(router, gate, people)
    return router


def _add_nodes(router: APIRouter, service: Service) -> None:
    @router.get("/nodes", tags=["cluster"])
    async def nodes() -> Response:
        """What each node has, and what of it jobs hold."""
        return answer({"nodes": [views.node(view) for view in await service.nodes.views()]})

    @router.get("/nodes/{name}", tags=["cluster"])
    async def node(name: str) -> Response:
        found = next((view for view in await service.nodes.views() if view.node.name == name), None)
        if found is None:
            raise NotFound("no node of that name is known", field="name")
        return answer(views.node(found))

    @router.patch("/nodes/{name}", tags=["cluster"], openapi_extra=documents.MARK_NODE)
    async def mark(name: str, request: Request) -> Response:
        """Operators: {"state": "DRAIN", "reason": "disk"}; DRAIN takes no new jobs, DOWN gives up those it has."""
        body = await bodies.read_json(request)
        bodies.refuse_unknown(body, {"state", "reason"})
        state, reason = body.get("state"), bodies.text(body, "reason") or ""
        if state not in MARKS:
            raise bodies.wrong("state", f"one of {', '.join(MARKS)} is expected")
        if state != "UP" and not reason:
            raise bodies.wrong("reason", "a reason is needed to drain a node or call it down")
        await service.nodes.mark(request.state.caller, [name], state, reason)
        return await node(name)

    @router.get("/partitions", tags=["cluster"])
    async def partitions() -> Response:
        return answer({"partitions": [views.partition(one) for one in service.site.partitions]})

    @router.get("/licenses", tags=["cluster"])
    async def licenses() -> Response:
        found = [{"name": name, "total": total, "used": used} for name, total, used in await service.nodes.licenses()]
        return answer({"licenses": found})


# ── watching ──────────────────────────────────────────────────────────────────────────────────────


def _add_watching(router: APIRouter, service: Service, version: str) -> None:
    @router.get("/health", tags=["watching"])
    async def health() -> Response:
        """200 when the bridge can read its database; anybody may ask."""
        await service.store.last_seq()
        return answer({"status": "ok", "version": version, "instance": service.store.instance_id})

    @router.get("/metrics", tags=["watching"])
    async def metrics() -> Response:
        """For Prometheus."""
        text = metrics_text(
            await service.store.counts(),
            await service.nodes.views(),
            await service.nodes.licenses(),
            await service.store.last_seq(),
        )
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def metrics_text(
    counts: Mapping[JobState, int], nodes: Sequence[NodeView], licenses: Sequence[tuple[str, int, int]], seq: int
) -> str:
    families: list[tuple[str, str, str, list[tuple[dict[str, str], float]]]] = [
        ("bridge_jobs", "gauge", "Jobs on record, by state.", [({"state": s}, counts.get(s, 0)) for s in JobState]),
        ("bridge_events_total", "counter", "Events in the history, since the database was made.", [({}, seq)]),
        _of_nodes("bridge_node_cpus", "CPUs of a node.", nodes, lambda view: view.node.cpus),
        _of_nodes("bridge_node_cpus_allocated", "CPUs that jobs hold.", nodes, lambda view: view.allocated_cpus),
        _of_nodes("bridge_node_memory_mib", "Memory of a node.", nodes, lambda view: view.node.memory_mib),
        _of_nodes(
            "bridge_node_memory_mib_allocated", "Memory that jobs hold.", nodes, lambda view: view.allocated_memory_mib
        ),
        _of_nodes("bridge_node_up", "1: takes new jobs.", nodes, lambda view: view.node.state.value == "UP"),
        ("bridge_licenses", "gauge", "Licences there are.", [({"name": n}, total) for n, total, _ in licenses]),
        ("bridge_licenses_used", "gauge", "Licences that jobs hold.", [({"name": n}, used) for n, _, used in licenses]),
    ]
    lines: list[str] = []
    for name, kind, told, samples in families:
        lines += [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{_labels(labels)} {int(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _of_nodes(name: str, told: str, nodes: Sequence[NodeView], value: Any) -> Any:
    return (
        name,
        "gauge",
        told,
        [({"node": view.node.name, "backend": view.node.backend}, value(view)) for view in nodes],
    )


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    escaped = {k: v.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for k, v in labels.items()}
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


def _add_tokens(router: APIRouter, gate: Gate, people: People) -> None:
    @router.post("/tokens", status_code=201, tags=["tokens"], openapi_extra=documents.TOKEN)
    async def issue(request: Request) -> Response:
        """A token for oneself; root may name another user. Not from within a job."""
        caller: Caller = request.state.caller
        body = await bodies.read_json(request)
        bodies.refuse_unknown(body, {"lifespan_seconds", "user"})
        if caller.job_id is not None:
            raise NotPermitted("a job's token makes no others: they would outlive the job", code="access_denied")
        seconds = bodies.integer(body, "lifespan_seconds", 1, 2**31 - 1)
        name = bodies.text(body, "user")
        user = caller.user
        if name is not None and name != user.name:
            if user.uid != 0:
                raise NotPermitted("only root may make a token for another user", code="access_denied")
            found = await people.find_soon(name)
            if found is None:
                raise bodies.wrong("user", "no user of that name is known", "invalid_value")
            user = found
        token = gate.issue(user, DEFAULT_TOKEN_SECONDS if seconds is None else seconds)
        return answer({"token": token, "user": user.name}, 201, {"cache-control": "no-store"})

    @router.post("/tokens/revoke", tags=["tokens"], openapi_extra=documents.REVOKE)
    async def revoke(request: Request) -> Response:
        """{"token": "…"}: it is refused from now on."""
        body = await bodies.read_json(request)
        bodies.refuse_unknown(body, {"token"})
        await gate.revoke(request.state.caller, bodies.text(body, "token") or "")
        return answer({"revoked": True})
