"""--json and --yaml of the commands: slurmrestd's payloads, in the layout in which Slurm's commands print them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.slurm.answer import Answer
from adapters.slurm.rest import envelope
from adapters.slurm.rest.shapes import VERSIONS, Record

NEWEST = max(VERSIONS)


@dataclass(frozen=True, slots=True)
class Wish:
    form: str
    """json | yaml"""
    version: int = NEWEST
    """44 of v0.0.44."""


def wish(command: str, given: Sequence[tuple[str, str | None]]) -> Wish | Answer | None:
    """What --json[=VERSION] and --yaml[=VERSION] ask for; None: neither was given."""
    last = next(((name, value) for name, value in reversed(given) if name in ("json", "yaml")), None)
    if last is None:
        return None
    form, text = last
    if text == "list":
        parsers = "".join(f"data_parser/v0.0.{version}\n" for version in VERSIONS)
        return Answer("Possible data_parser plugins:\n" + parsers)
    name = (text or "latest").partition("+")[0]
    if name in ("", "latest"):
        return Wish(form)
    number = name.removeprefix("v0.0.")
    if not name.startswith("v0.0.") or not number.isascii() or not number.isdigit() or int(number) not in VERSIONS:
        return Answer(
            stderr=f"{command}: error: load_plugins: unable to find plugin: data_parser/{name}\n"
            f"{command}: error: data_parser_g_new: failure loading plugins: Plugin has invalid format or unable to be "
            "loaded\n"
            f"{command}: error: application/{form} output not supported by data_parser/v0.0.{NEWEST}\n",
            exit_code=1,
        )
    return Wish(form, int(number))


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks by which command: part of every document."""

    words: tuple[str, ...]
    """What `meta.command` tells."""
    user: str
    group: str
    cluster: str


def document(
    wanted: Wish,
    shape: Record,
    fields: Mapping[str, Any],
    asked: Asked,
    *,
    written: Mapping[str, Sequence[str]] | None = None,
    warnings: Sequence[str] = (),
) -> str:
    """`fields` are values as the shape takes them; `written` are lists whose items are JSON texts already."""
    meta = envelope.meta("", wanted.version, envelope.Client("", asked.user, asked.group), asked.cluster)
    meta["plugin"].update(type="", name="")
    meta["command"] = list(asked.words)
    written = written or {}
    said = envelope.Said(warnings=[(text, "") for text in warnings])
    empty: dict[str, Any] = {name: [] for name in written}
    told = shape.plain({**empty, **fields, **envelope.common(meta, said)}, wanted.version)
    for name, items in written.items():
        told[name] = [json.loads(item) for item in items]
    return to_yaml(told) if wanted.form == "yaml" else to_json(told)


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────

_EMPTY = re.compile(r"^( *)(.*?)([\[{])([\]}])(,?)$", re.MULTILINE)
"""A line that ends with an empty list or object; within quotes there is one more quote behind it."""


def to_json(value: Any) -> str:
    """Two blanks a level, empty lists over two lines, slashes escaped; ends with a line's end."""
    text = json.dumps(value, indent=2, ensure_ascii=False).replace("/", "\\/")
    return _EMPTY.sub(r"\1\2\3\n\1\4\5", text) + "\n"


# ── YAML ──────────────────────────────────────────────────────────────────────────────────────────


def to_yaml(value: Any) -> str:
    """Every value with its tag; ends with the document's end."""
    return "%YAML 1.1\n---" + _node(value, -1) + "...\n\n"


def _node(value: Any, level: int) -> str:
    """From behind the key, or the dash, to the line's end and on."""
    indent = "  " * (level + 1)
    if isinstance(value, Mapping):
        if not value:
            return " !!map {}\n"
        return " !!map\n" + "".join(f"{indent}!!str {name}:{_node(item, level + 1)}" for name, item in value.items())
    if isinstance(value, list):
        if not value:
            return " !!seq []\n"
        dashes = "  " * max(0, level)
        return " !!seq\n" + "".join(f"{dashes}-{_node(item, max(0, level))}" for item in value)
    return _scalar(value)


_PLAIN = re.compile(r"[A-Za-z0-9_./(\[$](?:[^\n\t\"'\\#:]|:(?! |$)|(?<! )#)*")


def _scalar(value: Any) -> str:
    if value is None:
        return " !!null null\n"
    if isinstance(value, bool):
        return f" !!bool {'true' if value else 'false'}\n"
    if isinstance(value, int):
        return f" !!int {value}\n"
    if isinstance(value, float):
        return f" !!float {value:.6f}\n"
    if not value:
        return " !!str\n"
    text = value if _PLAIN.fullmatch(value) and value == value.strip() else json.dumps(value, ensure_ascii=False)
    return f" !!str {text}\n"
