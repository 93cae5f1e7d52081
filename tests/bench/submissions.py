"""Durable submissions a second over HTTP: a script of 3 KB, held, over 8 connections; slurmrestd beside it."""

import json
import re
from collections.abc import Callable

from tests.bench import wire
from tests.bench.figure import Figure, note
from tests.e2e import harness, reference

SECONDS = 5.0
CONNECTIONS = 8
ENVIRONMENT = {f"NAME_{k}": f"/some/value/of/a/variable/{k}" for k in range(60)} | {"PATH": "/usr/bin:/bin"}


NUMBER = "0000000000"
SCRIPT = "\n".join(
    ["#!/bin/bash", f"# run {NUMBER}", *(f"echo 'line {k} of a usual script, 3 KB'" for k in range(82)), ""]
)


def _numbered(request: bytes) -> Callable[[int], bytes]:
    """Every script different, so that none is stored only once; cheap, because the client shares the processors."""
    before, _, after = request.partition(NUMBER.encode())
    return lambda number: b"%b%010d%b" % (before, number, after)


def submit_http() -> Figure:
    theirs = _slurmrestd()
    with harness.a_bridge() as bridge:
        cwd = str(bridge.work)

        body = {
            "script": SCRIPT,
            "options": ["--hold", "-n2", "-t10", "--mem=100M", "-J", "bench"],
            "environment": ENVIRONMENT,
            "working_directory": cwd,
        }
        request = _numbered(wire.post("/v1/jobs", json.dumps(body).encode(), {}))
        for connections in (1, CONNECTIONS):
            with bridge.user.effective():
                answers, seconds = wire.rate(
                    str(bridge.socket), request, connections=connections, seconds=SECONDS if connections > 1 else 2.0
                )
            ours = answers / seconds
            note(benchmark="submit-http", server="bridge", connections=connections, per_second=round(ours, 1))
        listed = bridge.ok("squeue", "-h", "-o", "%i", as_user=bridge.owner).count("\n")
        note(benchmark="submit-http", jobs_in_the_queue=listed)
    return Figure("submit-http", ours, "submissions/s", theirs)


def _slurmrestd() -> float | None:
    bundle = reference.bundle()
    if bundle is None:
        return None
    slurm = reference.Slurm(bundle)
    host, port = re.fullmatch(r"https?://([^:/]+):(\d+).*", slurm.exported["SLURM_REST_URL"]).groups()  # type: ignore[union-attr]
    headers = {"X-SLURM-USER-TOKEN": slurm.token(), "X-SLURM-USER-NAME": "root"}
    job = {
        "name": "bench",
        "hold": True,
        "tasks": 2,
        "time_limit": {"set": True, "number": 10},
        "memory_per_node": {"set": True, "number": 100},
        "environment": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
        "current_working_directory": "/tmp",
    }
    body = json.dumps({"script": SCRIPT, "job": job}).encode()
    request = _numbered(wire.post("/slurm/v0.0.44/job/submit", body, headers))
    try:
        answers, seconds = wire.rate((host, int(port)), request, connections=CONNECTIONS, seconds=SECONDS)
    finally:
        slurm.cancel_all()
    note(benchmark="submit-http", server="slurmrestd", connections=CONNECTIONS, per_second=round(answers / seconds, 1))
    return answers / seconds
