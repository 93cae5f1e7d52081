"""The kinds of values in slurmrestd's payloads: how each is written as JSON, and how OpenAPI describes it.

One description serves for answers, for the schema at /openapi/v3 and for reading requests (`parsing`), so that what
we say and what we serve cannot differ. Values are plain Python ones; an optional number is an int, None (not set) or
INFINITE. Fields that only some versions of the API have carry them (`since`, `until`).
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

VERSIONS = (41, 42, 43, 44)
"""v0.0.41 to v0.0.44, what 25.11 serves."""

INFINITE = math.inf

Json = Any
Components = dict[str, Json]
"""OpenAPI's schemas by name; filled on the way."""

dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, check_circular=False).encode
quoted = json.encoder.encode_basestring_ascii
"""A text as JSON."""


class Shape(Protocol):
    def plain(self, value: Any, version: int) -> Json:
        """The value as JSON."""

    def schema(self, version: int, components: Components) -> Json: ...


@dataclass(frozen=True, slots=True)
class Text:
    """bytes that are no UTF-8 come as surrogate escapes; they are written as such."""

    def plain(self, value: Any, version: int) -> Json:
        return "" if value is None else str(value)

    def schema(self, version: int, components: Components) -> Json:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Boolean:
    def plain(self, value: Any, version: int) -> Json:
        return bool(value)

    def schema(self, version: int, components: Components) -> Json:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Integer:
    bits: int

    def plain(self, value: Any, version: int) -> Json:
        return int(value)

    def schema(self, version: int, components: Components) -> Json:
        return {"type": "integer", "format": f"int{self.bits}"}


@dataclass(frozen=True, slots=True)
class Number:
    def plain(self, value: Any, version: int) -> Json:
        return float(value)

    def schema(self, version: int, components: Components) -> Json:
        return {"type": "number", "format": "double"}


@dataclass(frozen=True, slots=True)
class Optional:
    """A number that may be absent or without bound: `{"set": true, "infinite": false, "number": 5}`."""

    kind: str
    """uint16, uint32, uint64 or float64: the part of the schema's name."""

    def plain(self, value: Any, version: int) -> Json:
        number = 0.0 if self.kind.startswith("float") else 0
        if value is None:
            return {"set": False, "infinite": False, "number": number}
        if value == INFINITE:
            return {"set": False, "infinite": True, "number": number}
        return {"set": True, "infinite": False, "number": type(number)(value)}

    def schema(self, version: int, components: Components) -> Json:
        name = f"v0.0.{version}_{self.kind}_no_val_struct"
        is_float = self.kind.startswith("float")
        number = {"type": "number", "format": "double"} if is_float else {"type": "integer", "format": "int64"}
        components.setdefault(
            name,
            {
                "type": "object",
                "properties": {"set": {"type": "boolean"}, "infinite": {"type": "boolean"}, "number": number},
            },
        )
        return _reference(name)


@dataclass(frozen=True, slots=True)
class Word:
    """One of Slurm's words. `later`: words that only versions from the given one on know."""

    words: tuple[str, ...]
    later: tuple[tuple[int, tuple[str, ...]], ...] = ()

    def known(self, version: int) -> tuple[str, ...]:
        return self.words + tuple(word for since, words in self.later if version >= since for word in words)

    def plain(self, value: Any, version: int) -> Json:
        return str(value)

    def schema(self, version: int, components: Components) -> Json:
        return {"type": "string", "enum": list(self.known(version))}


@dataclass(frozen=True, slots=True)
class Flags:
    """A list of words. Those that a version does not know are left out, as slurmrestd does."""

    of: Word

    def plain(self, value: Any, version: int) -> Json:
        if not self.of.later:
            return list(value)
        known = self.of.known(version)
        return [word for word in value if word in known]

    def schema(self, version: int, components: Components) -> Json:
        return {"type": "array", "items": self.of.schema(version, components)}


def flags(words: str, **later: str) -> Flags:
    """`flags("A B", v44="C")`."""
    return Flags(word(words, **later))


def word(words: str, **later: str) -> Word:
    added = tuple((int(version[1:]), tuple(more.split())) for version, more in later.items())
    return Word(tuple(words.split()), added)


@dataclass(frozen=True, slots=True)
class List:
    of: Shape

    def plain(self, value: Any, version: int) -> Json:
        return [self.of.plain(one, version) for one in value]

    def schema(self, version: int, components: Components) -> Json:
        return {"type": "array", "items": self.of.schema(version, components)}


@dataclass(frozen=True, slots=True)
class Nullable:
    """slurmrestd writes null for some absent things, whatever its schema says of their type."""

    of: Shape

    def plain(self, value: Any, version: int) -> Json:
        return None if value is None else self.of.plain(value, version)

    def schema(self, version: int, components: Components) -> Json:
        return self.of.schema(version, components)


@dataclass(frozen=True, slots=True)
class Field:
    shape: Shape
    since: int = VERSIONS[0]
    until: int = VERSIONS[-1]


def since(version: int, shape: Shape) -> Field:
    return Field(shape, since=version)


def until(version: int, shape: Shape) -> Field:
    return Field(shape, until=version)


@dataclass(frozen=True)
class Record:
    """An object. With a name it stands in OpenAPI's components; without one it is written in place."""

    name: str
    fields: Mapping[str, Shape | Field]
    optional: frozenset[str] = frozenset()
    """Left out of an answer where there is no value."""
    required: tuple[str, ...] = ()
    """Promised by the schema."""
    _known: dict[int, dict[str, Shape]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of_version(self, version: int) -> dict[str, Shape]:
        known = self._known.get(version)
        if known is None:
            known = self._known[version] = {
                name: one.shape if isinstance(one, Field) else one
                for name, one in self.fields.items()
                if not isinstance(one, Field) or one.since <= version <= one.until
            }
        return known

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.fields)

    def plain(self, value: Mapping[str, Any], version: int) -> Json:
        """All fields of all versions are to be given; those of others are left out."""
        unknown = value.keys() - self._names
        if unknown:
            raise ValueError(f"{self.name or 'a record'} has no field {', '.join(sorted(unknown))}")
        found = {}
        for name, shape in self.of_version(version).items():
            if name in value:
                found[name] = shape.plain(value[name], version)
            elif name not in self.optional:
                raise ValueError(f"{self.name or 'a record'} lacks {name}")
        return found

    def schema(self, version: int, components: Components) -> Json:
        if not self.name:
            return self._described(version, components)
        name = f"v0.0.{version}_{self.name}"
        if name not in components:
            components[name] = {}  # a record may hold itself
            components[name] = self._described(version, components)
        return _reference(name)

    def _described(self, version: int, components: Components) -> Json:
        shapes = self.of_version(version)
        told: Json = {
            "type": "object",
            "properties": {name: shape.schema(version, components) for name, shape in shapes.items()},
        }
        required = [name for name in self.required if name in shapes]
        if required:
            told["required"] = required
        return told


@dataclass(frozen=True, slots=True)
class Anything:
    """An object or list whose content slurmrestd leaves open."""

    like: Json

    def plain(self, value: Any, version: int) -> Json:
        return value

    def schema(self, version: int, components: Components) -> Json:
        return dict(self.like)


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


TEXT = Text()
BOOLEAN = Boolean()
INT32, INT64 = Integer(32), Integer(64)
NUMBER = Number()
U16, U32, U64, F64 = Optional("uint16"), Optional("uint32"), Optional("uint64"), Optional("float64")
STRINGS = List(TEXT)


# ── many records of one kind ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Fixed:
    """A field's value that no record of ours ever has otherwise."""

    value: Any


@dataclass(frozen=True, slots=True)
class Written:
    """A field whose JSON text is put together at once, because it is asked for thousands of times."""

    write: Callable[[Any], str]


Value = Fixed | Written | Callable[[Any], Any]


class Encoder:
    """A record's JSON text, many times over: what never changes is written once, the rest costs one call a field."""

    def __init__(self, record: Record, values: Mapping[str, Value], version: int) -> None:
        """`values`: for every field of every version; ValueError where they and the record do not agree."""
        if values.keys() != record.fields.keys():
            raise ValueError(f"{record.name}: {sorted(values.keys() ^ record.fields.keys())}")
        parts: list[str] = []
        self._writers: list[tuple[Callable[[Any], Any], Callable[[Any], str]]] = []
        for name, shape in record.of_version(version).items():
            value = values[name]
            if isinstance(value, Fixed):
                text = dump(shape.plain(value.value, version)).replace("%", "%%")
            elif isinstance(value, Written):
                text = "%s"
                self._writers.append((value.write, str))
            else:
                text = "%s"
                self._writers.append((value, _writer(shape, version)))
            parts.append(f'"{name}":{text}')
        self._template = "{" + ",".join(parts) + "}"

    def __call__(self, row: Any) -> str:
        return self._template % tuple([write(value(row)) for value, write in self._writers])


def _writer(shape: Shape, version: int) -> Callable[[Any], str]:
    """The quick way for each kind; the same text as `dump(shape.plain(...))`."""
    match shape:
        case Text():
            return lambda value: quoted(value) if value else '""'
        case Boolean():
            return lambda value: "true" if value else "false"
        case Integer():
            return lambda value: str(int(value))
        case Optional() if not shape.kind.startswith("float"):
            return _optional_text
        case Flags():
            return _Remembering(shape, version).__getitem__
        case _:
            return lambda value: dump(shape.plain(value, version))


class _Remembering(dict[tuple[str, ...], str]):
    """There are few different sets of words."""

    def __init__(self, shape: Shape, version: int) -> None:
        self._shape, self._version = shape, version

    def __missing__(self, value: tuple[str, ...]) -> str:
        text = self[value] = dump(self._shape.plain(value, self._version))
        return text


_NOT_SET = '{"set":false,"infinite":false,"number":0}'
_WITHOUT_BOUND = '{"set":false,"infinite":true,"number":0}'
_ZERO = '{"set":true,"infinite":false,"number":0}'


def _optional_text(value: float | None) -> str:
    if not value:
        return _NOT_SET if value is None else _ZERO
    if value == INFINITE:
        return _WITHOUT_BOUND
    return '{"set":true,"infinite":false,"number":%d}' % value  # noqa: UP031 — it cuts fractions off, at once
