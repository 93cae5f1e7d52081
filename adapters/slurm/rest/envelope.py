"""What every answer of slurmrestd carries besides its subject: meta, errors, warnings; and the errors' numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from adapters.slurm import errors
from adapters.slurm.answer import VERSION
from adapters.slurm.rest.shapes import INT32, STRINGS, TEXT, Field, Json, List, Record, Shape, dump
from bridge.core.errors import BridgeError

ERROR = Record("openapi_error", {"description": TEXT, "error_number": INT32, "error": TEXT, "source": TEXT})
WARNING = Record("openapi_warning", {"description": TEXT, "source": TEXT})
META = Record(
    "openapi_meta",
    optional=frozenset({"command"}),  # of commands with --json only; 25.11.8 leaves it out
    fields={
        "plugin": Record("", {"type": TEXT, "name": TEXT, "data_parser": TEXT, "accounting_storage": TEXT}),
        "client": Record("", {"source": TEXT, "user": TEXT, "group": TEXT}),
        "command": STRINGS,
        "slurm": Record(
            "",
            {
                "version": Record("", {"major": TEXT, "micro": TEXT, "minor": TEXT}),
                "release": TEXT,
                "cluster": TEXT,
            },
        ),
    },
)
_COMMON: Mapping[str, Shape] = {"meta": META, "errors": List(ERROR), "warnings": List(WARNING)}


def answer(name: str, subject: Mapping[str, Shape | Field], *, required: bool = True) -> Record:
    """The record of a whole answer. What it is about is left out where it could not be asked."""
    promised = tuple(name for name, one in subject.items() if not isinstance(one, Field)) if required else ()
    return Record(name, {**subject, **_COMMON}, optional=frozenset({*subject, *_COMMON}), required=promised)


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────

SUCCESS = 0
AUTHENTICATION_FAILED = 1007
NO_CONTROLLER = 1800
INVALID_JOB_ID = 2017
PARTITION_LACKS = 2015
JOB_HELD = 2042
EMPTY_LIST = 2162
NO_SUCH_USER = 2166
NO_DATABASE = 7000
ACTIVE_JOBS = 7001
INVALID_QUERY = 9000
NO_SUCH_PLACE = 9200
NOT_CONVERTED = 9202
BAD_FLAG = 9207
NOT_A_LIST = 9208
NOT_AN_OBJECT = 9209
AMBIGUOUS_CHANGE = 9210
AMBIGUOUS = 9211

_TEXTS = {
    -1: "Unspecified error",
    SUCCESS: "No error",
    AUTHENTICATION_FAILED: "Protocol authentication error",
    NO_DATABASE: "Unable to connect to database",
    INVALID_QUERY: "Query empty or not RFC7320 compliant",
    NO_SUCH_PLACE: "Unable to resolve path",
    NOT_CONVERTED: "Unable to convert Data type",
    BAD_FLAG: "Data parser unable to parse invalid flag",
    NOT_A_LIST: "Data parser expected a list",
    NOT_AN_OBJECT: "Data parser expected a dictionary or object",
    AMBIGUOUS_CHANGE: "Request matched more than one object to modify. Modifications must only apply to a single "
    "object. Try adding more properties to make update match a unique object.",
    AMBIGUOUS: "Request matched more than one object to query. "
    "Request is limited to query of a single matching object.",
    PARTITION_LACKS: "Requested partition configuration not available now",
    2063: "Job cannot be submitted without the current working directory specified.",
    2078: "Job can not start immediately",
    EMPTY_LIST: "Empty list",
    ACTIVE_JOBS: "Job(s) active, cancel job(s) before remove",
    NO_SUCH_USER: "Unable to resolve user ID to user name",
} | dict(errors.ERRORS.values())

_STATUSES = {
    SUCCESS: 200,
    AUTHENTICATION_FAILED: 511,
    NO_CONTROLLER: 504,
    INVALID_JOB_ID: 404,
    NO_DATABASE: 502,
    INVALID_QUERY: 422,
    NO_SUCH_PLACE: 422,
}


def text_of(number: int) -> str:
    return _TEXTS.get(number, "Unspecified error")


def status_of(number: int) -> int:
    """The HTTP status that an error makes; every other one is 500."""
    return _STATUSES.get(number, 500)


@dataclass(frozen=True, slots=True)
class Error:
    description: str
    number: int
    source: str
    text: str = ""
    """Slurm's for the number, unless another is given."""

    def plain(self) -> dict[str, Any]:
        return {
            "description": self.description,
            "error_number": self.number,
            "error": self.text or text_of(self.number),
            "source": self.source,
        }


def of_bridge(description: str, error: BridgeError, source: str) -> Error:
    """One of our errors in Slurm's words where it has words for it, else in ours."""
    number = errors.number_of(error.code)
    return Error(description, number, source, errors.text_of(error.code, error.sentence))


@dataclass(slots=True)
class Said:
    """What is gathered on the way to an answer."""

    errors: list[Error] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    """(description, source)"""

    def error(self, description: str, number: int, source: str, text: str = "") -> None:
        self.errors.append(Error(description, number, source, text))

    def warn(self, description: str, source: str) -> None:
        self.warnings.append((description, source))

    @property
    def status(self) -> int:
        """The last error's."""
        return status_of(self.errors[-1].number) if self.errors else 200


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, as far as the connection tells."""

    source: str
    user: str
    group: str


def meta(kind: str, version: int, client: Client, cluster: str) -> dict[str, Any]:
    """`kind`: slurmctld or slurmdbd, the half of the API that answers."""
    major, minor, micro = VERSION.split(".")
    return {
        "plugin": {
            "type": f"openapi/{kind}",
            "name": f"Slurm OpenAPI {kind}",
            "data_parser": f"data_parser/v0.0.{version}",
            "accounting_storage": "accounting_storage/slurmdbd",
        },
        "client": {"source": client.source, "user": client.user, "group": client.group},
        "slurm": {
            "version": {"major": major, "micro": micro, "minor": minor},
            "release": VERSION,
            "cluster": cluster,
        },
    }


@lru_cache(maxsize=256)
def meta_text(kind: str, version: int, client: Client, cluster: str) -> str:
    """The same as JSON: all requests of one client share it."""
    return dump(META.plain(meta(kind, version, client, cluster), version))


_NOTHING_SAID = '"errors":[],"warnings":[]'


def said_text(said: Said) -> str:
    """`"errors":[...],"warnings":[...]`"""
    if not said.errors and not said.warnings:
        return _NOTHING_SAID
    return dump(_plain(said))[1:-1]


def common(meta_fields: Mapping[str, Any], said: Said) -> dict[str, Json]:
    return {"meta": meta_fields, **_plain(said)}


def _plain(said: Said) -> dict[str, Json]:
    return {
        "errors": [error.plain() for error in said.errors],
        "warnings": [{"description": text, "source": source} for text, source in said.warnings],
    }


def names(records: Sequence[Record]) -> list[str]:
    return [record.name for record in records]
