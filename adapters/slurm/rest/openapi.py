"""`/openapi/v3`: what we serve, told from the table of paths and the shapes of their answers."""

from functools import lru_cache
from typing import Any

from adapters.slurm.answer import VERSION
from adapters.slurm.rest import tables
from adapters.slurm.rest.paths import Path
from adapters.slurm.rest.shapes import VERSIONS, Components, Flags, Json, Shape, Text, dump

_TAGS = {
    "slurm": "jobs, nodes and partitions as they are now",
    "slurmdb": "jobs as they were, and who may use what",
    "util": "lists of host names",
}
_SECURITY = {
    "user": {"type": "apiKey", "description": "the user to act as", "name": "X-SLURM-USER-NAME", "in": "header"},
    "token": {"type": "apiKey", "description": "who calls", "name": "X-SLURM-USER-TOKEN", "in": "header"},
    "bearerAuth": {"type": "http", "description": "who calls", "scheme": "bearer", "bearerFormat": "JWT"},
}


@lru_cache(maxsize=1)
def document_bytes() -> bytes:
    return dump(document()).encode("ascii")


def document() -> Json:
    components: Components = {}
    paths: dict[str, Any] = {}
    for version in VERSIONS:
        for one in tables.PATHS:
            if one.since <= version:
                url = f"/{one.half}/v0.0.{version}/{one.path}{'/' if one.slash else ''}"
                paths.setdefault(url, {})[one.method.lower()] = _operation(one, version, components)
    major, minor, micro = VERSION.split(".")
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Slurm REST API",
            "description": "A bridge that speaks slurmrestd's language.",
            "version": f"Slurm-{VERSION}",
            "x-slurm": {"version": {"major": major, "micro": micro, "minor": minor}, "release": VERSION},
        },
        "tags": [{"name": name, "description": told} for name, told in _TAGS.items()],
        "servers": [{"url": "/"}],
        "security": [{"user": [], "token": []}, {"token": []}, {"bearerAuth": []}, {}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


def _operation(one: Path, version: int, components: Components) -> Json:
    schema = one.answer.schema(version, components)
    content = {kind: {"schema": schema} for kind in ("application/json", "application/yaml")}
    told: dict[str, Any] = {
        "tags": [one.half],
        "summary": one.summary,
        "operationId": f"{one.half}_v00{version}_{one.operation}",
        "parameters": [
            *({"in": "path", "name": name, "required": True, "schema": {"type": "string"}} for name in one.parameters),
            *(
                {"in": "query", "name": name, "required": False, "schema": _of_parameter(shape, version)}
                for name, shape in one.query.of_version(version).items()
            ),
        ],
        "responses": {
            "200": {"description": one.summary, "content": content},
            "default": {"description": one.summary, "content": content},
        },
    }
    if one.body is not None:
        body = one.body.schema(version, components)
        told["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return told


def _of_parameter(shape: Shape, version: int) -> Json:
    if isinstance(shape, Flags):
        return {"type": "string", "enum": list(shape.of.known(version))}
    return Text().schema(version, {})
