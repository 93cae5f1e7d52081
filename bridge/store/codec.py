"""Our frozen dataclasses as JSON and back.

Fields that stand at their default are left out, which makes rows small and reading quick; a default of a
stored dataclass must therefore not be changed later. Fields that a reader does not know are ignored, so
that an older release can read a newer row. Text is written as ASCII: `json` escapes what UTF-8 cannot say
(lone surrogates, from file names that are no UTF-8), which pydantic's own JSON refuses.
"""

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable
from enum import Enum
from typing import Any


def dump(value: object) -> str:
    """Tuples, dictionaries and StrEnums are JSON's own affair; only dataclasses need us."""
    return _dump(value)


def dump_all(value: object) -> str:
    """With the fields that stand at their default: for people and other programs."""
    return _dump_all(value)


def fields_of(value: Any) -> dict[str, Any]:
    """Names and values, not going deeper."""
    return {name: getattr(value, name) for name, _ in _defaults(typing.cast(Any, type(value)))}


def _given_fields(value: Any) -> dict[str, Any]:
    found = {}
    for name, default in _defaults(typing.cast(Any, type(value))):
        item = getattr(value, name)
        if item is not default and item != default:
            found[name] = item
    return found


_dump = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=_given_fields).encode
_dump_all = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=fields_of).encode


@functools.cache
def _defaults(kind: Any) -> tuple[tuple[str, Any], ...]:
    """(field, its default) of a dataclass; a fresh object, equal to nothing, where it has none."""
    fields = []
    for field in dataclasses.fields(kind):
        default: Any = object()
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        fields.append((field.name, default))
    return tuple(fields)


T = typing.TypeVar("T")


def load(kind: type[T], text: str) -> T:
    """What `dump` wrote of a `kind`; also of `tuple[X, ...]`."""
    reader = _reader(typing.cast(Any, kind))
    value = json.loads(text)
    return typing.cast(T, value if reader is None else reader(value))


_Reader = Callable[[Any], Any]


@functools.cache
def _reader(kind: Any) -> _Reader | None:
    """What makes a `kind` of plain JSON; None where it is one already."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        readers = [r for r in map(_reader, arguments) if r is not None]
        return _optional(readers[0]) if readers else None
    if origin is tuple:
        return _tuple_reader(arguments)
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(typing.cast(type, kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return None


def _optional(reader: _Reader) -> _Reader:
    return lambda value: None if value is None else reader(value)


def _tuple_reader(arguments: tuple[Any, ...]) -> _Reader:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        each = _reader(arguments[0])
        return tuple if each is None else lambda value: tuple([each(item) for item in value])
    readers = [_reader(argument) for argument in arguments]
    return lambda value: tuple(
        [item if read is None else read(item) for read, item in zip(readers, value, strict=True)]
    )


def _dataclass_reader(kind: type) -> _Reader:
    hints = typing.get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}

    def read(value: dict[str, Any]) -> Any:
        found = {}
        for name, item in value.items():
            if name in readers:
                reader = readers[name]
                found[name] = item if reader is None else reader(item)
        return kind(**found)

    return read
