"""POST reservation(s): a body as what `scontrol create` or `update` was told, and the answer to it. Pure."""

from collections.abc import Mapping
from typing import Any

from adapters.slurm import errors, scontrol_site
from adapters.slurm.rest import envelope, nodes, parsing
from adapters.slurm.rest.envelope import Error, Said
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.shapes import INFINITE, STRINGS, TEXT, U32, U64, Json, List, Record
from adapters.slurm.scontrol_site import ReservationOrder

DESCRIPTION = Record(
    "reservation_desc_msg",
    {
        "accounts": STRINGS,
        "burst_buffer": TEXT,
        "comment": TEXT,
        "core_count": U32,
        "duration": U32,
        "end_time": U64,
        "features": TEXT,
        "flags": nodes.RESERVATION_FLAGS,
        "groups": STRINGS,
        "licenses": STRINGS,
        "max_start_delay": U32,
        "name": TEXT,
        "node_count": U32,
        "node_list": STRINGS,
        "partition": TEXT,
        "purge_completed": Record("", {"time": U32}),
        "start_time": U64,
        "tres": STRINGS,
        "users": STRINGS,
    },
)
BODY = Record("reservation_mod_req", {"reservations": List(DESCRIPTION)})
ANSWER = envelope.answer("openapi_reservation_mod_resp", {"reservations": List(DESCRIPTION)})
INVALID = errors.number_of("invalid_reservation")
NOT_GIVEN = 4294967294
_LISTS = ("accounts", "groups", "licenses", "node_list", "tres", "users")
_NOT_HERE = ("burst_buffer", "comment", "core_count", "licenses", "max_start_delay", "purge_completed", "tres")


def many(body: Json) -> list[Json]:
    given = parsing.an_object({} if body is None else body, "#/")
    if "reservations" not in given:
        raise Failed(Error(NOTHING_LISTED, envelope.INVALID_QUERY, "_parse_resv_desc_list"))
    value = given["reservations"]
    return value if isinstance(value, list) else [value]


NOTHING_LISTED = "No reservation descriptions specified in reservations array"


def read(value: Json, place: str, version: int, said: Said) -> dict[str, Any]:
    """Fields of DESCRIPTION that were given."""
    given = parsing.an_object({} if value is None else value, place)
    lists: dict[str, Json] = {}
    for name in _LISTS:
        if isinstance(given.get(name), str):
            parsing.warn_of_type(given[name], STRINGS, f"{place}{name}/", said)
            lists[name] = [part for part in str(given[name]).split(",") if part]
    found = parsing.record({**given, **lists}, DESCRIPTION, place, said, "RESERVATION_DESC_MSG", version)
    if not found.get("name"):
        raise Failed(Error("Reservation must be given.", INVALID, "_mod_reservation"))
    return found


def order_of(found: Mapping[str, Any], verb: str) -> ReservationOrder:
    """As scontrol's words come to it."""
    refused = [name for name in _NOT_HERE if found.get(name)]
    if refused:
        sentence = f"the bridge reserves whole nodes and knows no {refused[0]} of reservations"
        raise Failed(Error(f"Error in reservation {found['name']}", -1, "_mod_reservation", sentence))
    settings: dict[str, object] = {}
    for field, word in (("start_time", "starttime"), ("end_time", "endtime")):
        if found.get(field) is not None:
            settings[word] = float(found[field])
    if found.get("duration") is not None:
        minutes = found["duration"]
        settings["duration"] = scontrol_site.YEAR_SECONDS if minutes == INFINITE else int(minutes) * 60
    if found.get("node_count") is not None:
        settings["nodecnt"] = int(found["node_count"])
    if found.get("node_list"):
        settings["nodes"] = ("", scontrol_site.expanded(",".join(found["node_list"])))
    for name in ("users", "groups", "accounts"):
        if found.get(name):
            settings[name] = ("", tuple(found[name]))
    if found.get("partition"):
        settings["partitionname"] = found["partition"]
    if found.get("features"):
        settings["features"] = found["features"]
    if found.get("flags"):
        settings["flags"] = ("", tuple(found["flags"]))
        if "ALL_NODES" in found["flags"]:
            settings["nodes"] = ("", "ALL")
    order = ReservationOrder(verb, found["name"], settings)
    if verb == "create":
        problem = scontrol_site.missing(order)
        if problem:
            raise Failed(Error(problem, INVALID, "validate_resv_create_desc"))
    return order


def told(found: Mapping[str, Any]) -> dict[str, Any]:
    """What was understood, as slurmrestd repeats it."""
    empty: dict[str, Any] = {
        **{name: [] for name in _LISTS},
        **dict.fromkeys(("burst_buffer", "comment", "features", "partition"), ""),
        **dict.fromkeys(("core_count", "duration", "max_start_delay", "node_count"), None),
        **dict.fromkeys(("start_time", "end_time"), NOT_GIVEN),
        "flags": (),
        "purge_completed": {"time": None},
    }
    given = {name: value for name, value in found.items() if value is not None and name != "purge_completed"}
    return {**empty, **given}
