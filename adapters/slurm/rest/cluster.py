"""Shapes and values of slurmrestd's answers about the controller itself."""

from adapters.slurm.rest.envelope import answer
from adapters.slurm.rest.shapes import (
    BOOLEAN,
    F64,
    INT32,
    INT64,
    NUMBER,
    STRINGS,
    TEXT,
    U32,
    U64,
    List,
    Record,
    flags,
    since,
)

PING = Record(
    "controller_ping",
    {
        "hostname": TEXT,
        "pinged": TEXT,
        "responding": since(42, BOOLEAN),
        "latency": INT64,
        "mode": TEXT,
        "primary": since(42, BOOLEAN),
    },
)
PING_ANSWER = answer("openapi_ping_array_resp", {"pings": List(PING)})
PLAIN_ANSWER = answer("openapi_resp", {})


def ping(host: str, latency_microseconds: int, *, is_up: bool) -> dict[str, object]:
    return {
        "hostname": host,
        "pinged": "UP" if is_up else "DOWN",
        "responding": is_up,
        "latency": latency_microseconds,
        "mode": "primary",
        "primary": True,
    }


_TRES_NUMBERS = List(Record("shares_uint64_tres", {"name": TEXT, "value": U64}))
SHARE = Record(
    "assoc_shares_obj_wrap",
    {
        "id": INT32,
        "cluster": TEXT,
        "name": TEXT,
        "parent": TEXT,
        "partition": TEXT,
        "shares_normalized": F64,
        "shares": U32,
        "tres": Record(
            "",
            {
                "run_seconds": _TRES_NUMBERS,
                "group_minutes": _TRES_NUMBERS,
                "usage": List(Record("shares_float128_tres", {"name": TEXT, "value": NUMBER})),
            },
        ),
        "effective_usage": F64,
        "usage_normalized": F64,
        "usage": INT64,
        "fairshare": Record("", {"factor": F64, "level": F64}),
        "type": flags("USER ASSOCIATION"),
    },
)
SHARES_ANSWER = answer(
    "openapi_shares_resp",
    {"shares": Record("shares_resp_msg", {"shares": List(SHARE), "total_shares": INT64})},
)
NO_SHARES = {"shares": [], "total_shares": 0}
"""Nothing is shared out by past use here: the list is empty, not invented."""

HOSTLIST = Record("openapi_hostlist_req", {"hostlist": TEXT})
HOSTNAMES = Record("openapi_hostnames_req", {"hostnames": STRINGS})
HOSTLIST_ANSWER = answer("openapi_hostlist_req_resp", {"hostlist": TEXT})
HOSTNAMES_ANSWER = answer("openapi_hostnames_req_resp", {"hostnames": STRINGS})
