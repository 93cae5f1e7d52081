"""Answers and refusals as JSON: one shape of error, {code, sentence, field}, whatever went wrong."""

import json
import logging
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bridge.core.errors import BridgeError
from bridge.rest.statuses import status_of

log = logging.getLogger(__name__)

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, check_circular=False).encode


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """ASCII only: names that are no UTF-8 come as escapes instead of breaking the answer."""
    return Response(_encode(value).encode("ascii"), status, headers, media_type="application/json")


def refusal(error: BridgeError) -> Response:
    status = status_of(error)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {"retry-after": "1"} if status == 503 else None
    return answer(error_fields(error), status, headers)


def error_fields(error: BridgeError) -> dict[str, Any]:
    return {"code": error.code, "sentence": error.sentence, "field": error.field}


def failure(request: Request, error: Exception) -> Response:
    """A bug: its story is for the log."""
    log.error("a request failed", exc_info=error, extra={"method": request.method, "path": request.url.path})
    body = {"code": "internal", "sentence": "the bridge failed at this; its log says more", "field": None}
    return answer(body, 500)


def install(application: FastAPI) -> None:
    """Every error of every route of the application in our shape."""

    @application.exception_handler(BridgeError)
    async def _ours(request: Request, error: BridgeError) -> Response:
        return refusal(error)

    @application.exception_handler(HTTPException)
    async def _of_routing(request: Request, error: HTTPException) -> Response:
        codes = {404: "not_found", 405: "method_not_allowed"}
        sentences = {404: "there is nothing at this path", 405: "this path does not take that method"}
        code = codes.get(error.status_code, "error")
        sentence = sentences.get(error.status_code, str(error.detail))
        body = {"code": code, "sentence": sentence, "field": None}
        return answer(body, error.status_code, dict(error.headers or {}))

    @application.exception_handler(RequestValidationError)
    async def _of_parameters(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:])
        body = {"code": "invalid_value", "sentence": f"{name}: {first['msg']}", "field": name}
        return answer(body, 422)

    @application.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> Response:
        return failure(request, error)
