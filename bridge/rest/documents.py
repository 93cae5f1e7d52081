"""What OpenAPI says of bodies and answers that the routes read and write by hand. With examples; values only."""

from typing import Any

from bridge.rest.changes import SETTINGS
from bridge.rest.graphs import WHEN

Document = dict[str, Any]


def _body(schema: Document, example: object, *, required: bool = True) -> Document:
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema, "example": example}}}
    }


def _answers(status: int, told: str, example: object) -> Document:
    return {
        "responses": {
            str(status): {"description": told, "content": {"application/json": {"example": example}}},
            "4XX": {"description": "refused", "content": {"application/json": {"schema": _ERROR, "example": _REFUSAL}}},
        }
    }


def _object(properties: Document, required: list[str] | None = None) -> Document:
    made: Document = {"type": "object", "additionalProperties": False, "properties": properties}
    return made | ({"required": required} if required else {})


def _text(told: str) -> Document:
    return {"type": "string", "description": told}


_ERROR = _object(
    {
        "code": _text("short and stable, for programs"),
        "sentence": _text("for people"),
        "field": {"type": ["string", "null"], "description": "what of the request it is about"},
    }
)
_REFUSAL = {"code": "invalid_partition", "sentence": "no partition is named gpu2", "field": "partition"}

_IDEMPOTENCY = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "maxLength": 255},
            "description": "a second submission of the same user with the same key gives the first one's jobs",
        }
    ]
}

_SUBMISSION_FIELDS = {
    "script": _text("the batch script"),
    "script_base64": _text("the same as base64, for scripts that are no UTF-8"),
    "script_name": _text("its file name, from which the job's is taken"),
    "arguments": {"type": "array", "items": {"type": "string"}, "description": "words after the script"},
    "options": {"type": "array", "items": {"type": "string"}, "description": "options of sbatch, as words"},
    "fields": {
        "type": "object",
        "description": "options of sbatch by their long names; true for one without a value",
        "additionalProperties": {"type": ["string", "integer", "boolean", "array", "null"]},
    },
    "working_directory": _text("absolute; default: the user's home"),
    "environment": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "of the submitting side: what --export takes from, and SBATCH_* options",
    },
}
_SCRIPT = "#!/bin/bash\n#SBATCH --ntasks=2\nsrun hostname\n"
_SUBMISSION = {
    "script": _SCRIPT,
    "fields": {"job_name": "train", "nodes": 2, "time": "10:00"},
    "working_directory": "/home/alice",
    "environment": {"OMP_NUM_THREADS": "4"},
}
_SUBMITTED = {"id": "12", "job_id": 12, "state": "PENDING", "notes": []}

SUBMIT = _body(_object(_SUBMISSION_FIELDS), _SUBMISSION) | _answers(201, "on disk", _SUBMITTED) | _IDEMPOTENCY
TRANSLATE = _body(_object(_SUBMISSION_FIELDS), _SUBMISSION)
GRAPH = (
    _body(
        _object(
            {
                "members": {
                    "type": "array",
                    "items": _object(
                        {
                            "name": _text("by which others wait for it"),
                            "after": {
                                "type": "object",
                                "additionalProperties": _text(f"{', '.join(WHEN)}, or started+MINUTES"),
                            },
                            "after_any_of": {"type": "boolean", "description": "one of them is enough"},
                            **_SUBMISSION_FIELDS,
                        },
                        ["name"],
                    ),
                }
            },
            ["members"],
        ),
        {
            "members": [
                {"name": "prepare", "script": _SCRIPT},
                {"name": "train", "script": _SCRIPT, "after": {"prepare": "ok"}},
            ]
        },
    )
    | _answers(
        201,
        "all on disk",
        {
            "members": [
                {"name": "prepare", "id": "12", "job_id": 12, "notes": []},
                {"name": "train", "id": "13", "job_id": 13, "notes": []},
            ]
        },
    )
    | _IDEMPOTENCY
)

_JOB = {
    "id": "12",
    "job_id": 12,
    "name": "train",
    "user": "alice",
    "partition": "main",
    "state": "RUNNING",
    "reason": "None",
    "submitted_at": 1700000000.0,
    "started_at": 1700000001.0,
    "ended_at": None,
    "time_limit_seconds": 600,
    "nodes": [{"name": "n1", "cpus": 2, "memory_mib": 512, "tasks": 2, "gres": []}],
    "stdout": "/home/alice/slurm-12.out",
}
LIST = _answers(200, "one page", {"jobs": [_JOB], "next_cursor": "12"})
SHOW = _answers(200, "its records", {"jobs": [_JOB]})
_EVENT = {
    "seq": 77,
    "id": "12",
    "at": 1700000001.0,
    "kind": "Began",
    "state": "RUNNING",
    "reason": "None",
    "attempt": 1,
    "sentence": "The script was started (attempt 1).",
}
HISTORY = _answers(200, "in order", {"events": [_EVENT]})
EVENTS = {
    "responses": {
        "200": {"description": "each with id and data", "content": {"text/event-stream": {"example": _EVENT}}}
    }
}
LOG = {
    "parameters": [
        {"name": "Range", "in": "header", "required": False, "schema": {"type": "string"}, "example": "bytes=1000-1999"}
    ],
    "responses": {
        "200": {"description": "all of it", "content": {"text/plain": {"example": "n1\nn2\n"}}},
        "206": {"description": "a part", "content": {"text/plain": {"example": "n2\n"}}},
    },
}

RESULTS = _answers(200, "for each job touched", {"results": [{"id": "12", "state": "CANCELLED", "error": None}]})
SIGNAL = RESULTS | _body(
    _object(
        {"signal": {"type": ["string", "integer"]}, "to": {"type": "string", "enum": ["batch", "steps", "all"]}},
        ["signal"],
    ),
    {"signal": "USR1", "to": "batch"},
)
REQUEUE = RESULTS | _body(
    _object({"hold": {"type": "boolean"}, "special_exit": {"type": "boolean"}}), {"hold": True}, required=False
)
UPDATE = RESULTS | _body(
    _object({name: {"type": ["string", "integer", "boolean"]} for name in SETTINGS}),
    {"time_limit": "+10", "comment": "longer than I thought"},
)
MARK_NODE = _body(
    _object({"state": {"type": "string", "enum": ["UP", "DRAIN", "DOWN"]}, "reason": _text("why")}, ["state"]),
    {"state": "DRAIN", "reason": "disk"},
)
TOKEN = _body(
    _object({"lifespan_seconds": {"type": "integer", "minimum": 1}, "user": _text("operators: of whom")}),
    {"lifespan_seconds": 3600},
    required=False,
) | _answers(201, "made", {"token": "eyJhbGciOi…", "user": "alice"})
REVOKE = _body(_object({"token": _text("the token itself")}, ["token"]), {"token": "eyJhbGciOi…"})
