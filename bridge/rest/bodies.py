"""JSON bodies: taken in with a limit, and read strictly, field by field.

No pydantic here: the way of a submission must be short, and refusals speak the bridge's words.
"""

import difflib
import json
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from starlette.requests import Request

from bridge.core.errors import Refused

MAX_BODY_BYTES = 32 << 20


async def read_json(request: Request, most: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The body, which must be one JSON object. An empty one is an empty object."""
    body = await read_body(request, most)
    if not body:
        return {}
    try:
        value = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is no JSON: {_why(error)}", code="no_json") from error
    if not isinstance(value, dict):
        raise Refused("the body must be a JSON object", code="no_json")
    return value


async def read_body(request: Request, most: int) -> bytes:
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length[:18]) > most:
        raise _too_large(most)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def _too_large(most: int) -> Refused:
    return Refused(f"the body has more than the {most} bytes allowed", code="body_too_large")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _why(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def refuse_unknown_parameters(request: Request) -> None:
    """Of a route's query: a filter that is misspelt would otherwise be none."""
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            told = f"known are {', '.join(sorted(known))}" if known else "none is taken here"
            raise Refused(f"there is no query parameter {name[:60]!r}; {told}", code="invalid_value", field=name[:60])


# ── fields ────────────────────────────────────────────────────────────────────────────────────────


def refuse_unknown(body: Mapping[str, Any], known: Collection[str], where: str = "") -> None:
    for name in body:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
            raise wrong(f"{where}{name}", f"there is no such field; {hint}")


def wrong(field: str, why: str, code: str = "invalid_body") -> Refused:
    return Refused(f"{field}: {why}", code=code, field=field)


def text(body: Mapping[str, Any], name: str, where: str = "") -> str | None:
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    raise wrong(f"{where}{name}", "a text is expected")


def boolean(body: Mapping[str, Any], name: str, default: bool = False) -> bool:
    value = body.get(name, default)
    if isinstance(value, bool):
        return value
    raise wrong(name, "true or false is expected")


def integer(body: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise wrong(name, f"a whole number from {low} to {high} is expected")


def texts(body: Mapping[str, Any], name: str, where: str = "") -> tuple[str, ...]:
    value = body.get(name)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise wrong(f"{where}{name}", "a list of texts is expected")


def table(body: Mapping[str, Any], name: str, where: str = "") -> Mapping[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise wrong(f"{where}{name}", "an object is expected")
