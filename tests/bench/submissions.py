"""Durable submissions a second over HTTP: a script of 3 KB, held, over 8 connections; slurmrestd beside it."""

import json
import re

from tests.bench import wire
from tests.bench.figure import Figure, note
from tests.e2e import harness, reference

SECONDS = 5.0
CONNECTIONS = 8
ENVIRONMENT = {f"NAME_{k}": f"/some/value/of/a/variable/{k}" for k in range(60)} | {"PATH": "/usr/bin:/bin"}


def script(number: int) -> str:
    """Every one different, so that none is stored only once."""
    lines = ["#!/bin/bash", f"# run {number}", *(f"echo 'line {k} of a script of the usual size'" for k in range(72))]
    return "\n".join(lines) + "\n"


def submit_http() -> Figure:
    theirs = _slurmrestd()
    with harness.a_bridge() as bridge:
        cwd = str(bridge.work)

        def request(number: int) -> bytes:
            body = {
                "script": script(number),
                "options": ["--hold", "-n2", "-t10", "--mem=100M", "-J", "bench"],
                "environment": ENVIRONMENT,
                "working_directory": cwd,
            }
            return wire.post("/v1/jobs", json.dumps(body).encode(), {})

        for connections in (1, CONNECTIONS):
            answers, seconds = wire.rate(
                str(bridge.socket), request, connections=connections, seconds=SECONDS / (1 if connections > 1 else 2)
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
    environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]

    def request(number: int) -> bytes:
        job = {
            "name": "bench",
            "hold": True,
            "tasks": 2,
            "time_limit": {"set": True, "number": 10},
            "memory_per_node": {"set": True, "number": 100},
            "environment": environment,
            "current_working_directory": "/tmp",
        }
        body = json.dumps({"script": script(number), "job": job}).encode()
        return wire.post("/slurm/v0.0.44/job/submit", body, headers)

    try:
        answers, seconds = wire.rate((host, int(port)), request, connections=CONNECTIONS, seconds=SECONDS)
    finally:
        slurm.cancel_all()
    note(benchmark="submit-http", server="slurmrestd", connections=CONNECTIONS, per_second=round(answers / seconds, 1))
    return answers / seconds
