"""Shapes and values of slurmrestd's answers about the controller itself."""

from adapters.slurm.rest.envelope import answer
from adapters.slurm.rest.shapes import BOOLEAN, INT64, TEXT, List, Record, since

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
