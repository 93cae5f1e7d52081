"""JSON of a request to values, as slurmrestd's parser takes it: lenient with types, and telling of each slip.

A value of another type than the schema's is converted where that is possible at all, with a warning; unknown fields
are warned of and left alone. What cannot be converted ends the reading (`Failed`). Rules as 25.11 answers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from adapters.slurm.rest import envelope
from adapters.slurm.rest.envelope import Error, Said
from adapters.slurm.rest.shapes import (
    INFINITE,
    Boolean,
    Flags,
    Integer,
    Json,
    List,
    Optional,
    Record,
    Shape,
    Text,
    dump,
)

FLAGS_NOT_A_LIST = 9206


class Failed(Exception):
    """The reading ends. `error` None: slurmrestd says nothing of its own, the warnings tell."""

    def __init__(self, error: Error | None = None) -> None:
        super().__init__(error.description if error is not None else "")
        self.error = error


class NotJson(ValueError):
    """The body cannot be read at all."""


_DECODER = json.JSONDecoder()


def load(body: bytes) -> Json:
    """None for an empty body. What follows the first value is not looked at."""
    try:
        text = body.decode("utf-8", "surrogateescape").lstrip(" \t\r\n")
        if not text:
            return None
        value, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
    return value


_KINDS: tuple[tuple[type, str, str], ...] = (
    (bool, "boolean", "boolean"),
    (int, "integer", "64 bit integer"),
    (float, "number", "floating point number"),
    (str, "string", "string"),
    (list, "array", "list"),
    (dict, "object", "dictionary"),
)


def kind_of(value: Json) -> tuple[str, str]:
    """(OpenAPI's name of the type, Slurm's)"""
    for kind, name, own in _KINDS:
        if isinstance(value, kind):
            return name, own
    return "null", "null"


def shown(value: Json) -> str:
    """As slurmrestd repeats a value."""
    return dump(value).replace("/", "\\/")


def _expected(shape: Shape) -> str:
    match shape:
        case Boolean():
            return "type=boolean (Slurm type=boolean)"
        case Integer():
            return f"type=integer format=int{shape.bits} (Slurm type=64 bit integer)"
        case Text():
            return "type=string (Slurm type=string)"
        case _:
            return "type=array (Slurm type=list)"


def warn_of_type(value: Json, shape: Shape, where: str, said: Said) -> None:
    name, own = kind_of(value)
    expected = _expected(shape)
    said.warn(f"Expected OpenAPI {expected} but got OpenAPI type={name} (Slurm type={own}): {shown(value)}", where)


def not_converted(description: str, where: str) -> Failed:
    return Failed(Error(description, envelope.NOT_CONVERTED, where))


# ── scalars ───────────────────────────────────────────────────────────────────────────────────────

_NUMBER = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|\d+)\Z", re.ASCII)
_FALSE = frozenset({"", "0", "false", "f", "no", "n", "off"})


def _whole(text: str) -> int | None:
    found = _NUMBER.match(text)
    if found is None or len(text) > 40:
        return None
    number = int(found[2], 16 if found[2][:2].lower() == "0x" else 10)
    return -number if found[1] == "-" else number


def text(value: Json, where: str, said: Said) -> str | None:
    if value is None or isinstance(value, str):
        return value
    warn_of_type(value, Text(), where, said)
    found = plain_text(value)
    if found is None:
        raise Failed
    return found


def plain_text(value: Json) -> str | None:
    """A scalar as text, "" for null; None for what is none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return f"{value:f}" if isinstance(value, float) else None


def boolean(value: Json, where: str, said: Said) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    warn_of_type(value, Boolean(), where, said)
    if isinstance(value, str):
        return value.strip().lower() not in _FALSE
    if isinstance(value, int | float):
        return value != 0
    raise Failed


def integer(value: Json, shape: Integer, where: str, said: Said) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    warn_of_type(value, shape, where, said)
    if isinstance(value, float) and abs(value) < 2**63:
        return int(value)
    number = _whole(value) if isinstance(value, str) else None
    if number is None:
        raise Failed
    return number


def optional(value: Json, where: str, said: Said) -> float | None:
    """`{"set": true, "number": 5}`, `{"infinite": true}`, 5 or "5"; -1 is infinite, -2 is not set."""
    if value is None:
        return None
    if isinstance(value, dict):
        found = record(value, _OPTIONAL, where, said, "UINT64_NO_VAL_STRUCT")
        if found.get("infinite"):
            return INFINITE
        return _bounded(found.get("number") or 0) if found.get("set") else None
    number: int | None = None
    if isinstance(value, float) and abs(value) < 2**63:
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str):
        number = _whole(value)
    if number is None:
        raise not_converted(f"Expected integer but got {shown(value)}", where)
    return _bounded(number)


_OPTIONAL = Record("", {"set": Boolean(), "infinite": Boolean(), "number": Integer(64)})
_NO_NUMBER = -2


def _bounded(number: int) -> float | None:
    """Slurm keeps "without bound" and "not set" as the two largest numbers of a type."""
    if number == _NO_NUMBER:
        return None
    return INFINITE if number < 0 or number >= 2**32 - 2 else number


# ── lists and records ─────────────────────────────────────────────────────────────────────────────


def flags(value: Json, shape: Flags, version: int, where: str, said: Said) -> tuple[str, ...]:
    """An unknown word is an error that does not end the reading."""
    if value is None or isinstance(value, dict):
        found = "null" if value is None else "dictionary"
        raise Failed(Error(f"Expected a List but found a {found}", FLAGS_NOT_A_LIST, where, _FLAGS_TEXT))
    words = value if isinstance(value, list) else [value]
    known = {one.lower(): one for one in shape.of.known(version)}
    met: dict[str, None] = {}
    for index, one in enumerate(words):
        word = plain_text(one)
        name = known.get(word.lower()) if word is not None else None
        if name is None:
            shown_word = word if word is not None else shown(one)
            place = f"{where.removesuffix('/')}[{index}]/"
            said.error(f'Unknown flag "{shown_word}"', envelope.BAD_FLAG, place)
        else:
            met[name] = None
    return tuple(met)


_FLAGS_TEXT = "Data parser expects flags to be a list"


_ONLY_TEXT = frozenset({str})


def strings(value: Json, where: str, said: Said) -> list[str] | None:
    """Of an object, `name=value`."""
    if value is None:
        return None
    if isinstance(value, list):
        if set(map(type, value)) <= _ONLY_TEXT:  # hundreds of variables come so
            return value
        return [_string(one, where) for one in value]
    warn_of_type(value, List(Text()), where, said)
    if isinstance(value, dict):
        return [f"{name}={_string(one, where)}" for name, one in value.items()]
    raise Failed(Error(f"expected a list of strings but got {shown(value)}", envelope.NOT_A_LIST, where))


def _string(value: Json, where: str) -> str:
    found = plain_text(value)
    if found is None:
        raise not_converted(f"expected string but got {shown(value)}", where)
    return found


def joined(value: Json, where: str, said: Said) -> str | None:
    """A list whose parts are joined by commas, such as node names; a plain text serves too."""
    if value is None:
        return None
    if isinstance(value, list):
        parts = [plain_text(one) for one in value]
    else:
        warn_of_type(value, List(Text()), where, said)
        if isinstance(value, dict):
            parts = [f"{name}={plain_text(one) or ''}" for name, one in value.items()]
        else:
            parts = [plain_text(value)]
    if None in parts:
        raise not_converted("unable to convert csv entry list to string", where)
    return ",".join(part for part in parts if part)


def record(value: Json, shape: Record, where: str, said: Said, parser: str, version: int = 44) -> dict[str, Any]:
    """The fields that were given and are known, in the order of the record."""
    given = an_object(value, where)
    found: dict[str, Any] = {}
    try:
        for name, one in shape.of_version(version).items():
            if name in given:
                found[name] = by_shape(given[name], one, version, f"{where}{name}/", said)
    finally:
        warn_of_unknown(given, shape.of_version(version).keys(), where, said, parser)
    return found


def an_object(value: Json, where: str) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        described = f"Rejecting {kind_of(value)[1]} when dictionary expected"
        raise Failed(Error(described, envelope.NOT_AN_OBJECT, where))
    return value


def by_shape(value: Json, shape: Shape, version: int, where: str, said: Said) -> Any:
    match shape:
        case Text():
            return text(value, where, said)
        case Boolean():
            return boolean(value, where, said)
        case Integer():
            return integer(value, shape, where, said)
        case Optional():
            return optional(value, where, said)
        case Flags():
            return flags(value, shape, version, where, said)
        case List(of=Text()):
            return strings(value, where, said)
        case Record():
            return record(value, shape, where, said, shape.name.upper(), version)
        case _:
            return value


def warn_of_unknown(given: Mapping[str, Json], known: Any, where: str, said: Said, parser: str) -> None:
    """Objects in unknown fields are told by what they hold."""
    for name, value in given.items():
        if name not in known:
            for place, leaf in _leaves(value, f"{where}{name}/"):
                field = place.removesuffix("/").rpartition("/")[2]
                kind = kind_of(leaf)[1]
                said.warn(f'Ignoring unknown field "{field}" of type {kind} in DATA_PARSER_{parser}', place)


def _leaves(value: Json, place: str) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(one, f"{place}{name}/")
    else:
        yield place, value
