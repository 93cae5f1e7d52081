"""slurmrestd's language over 8 connections, and all of 5,000 jobs at once: the bridge beside slurmrestd.

Prints a line for each of the four: submissions and single jobs a second, seconds and memory of `jobs/`. The figure
is the weakest ratio of them.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import wire
from tests.bench.figure import Figure, note
from tests.bench.submissions import ENVIRONMENT, NUMBER, SCRIPT
from tests.e2e import harness, reference
from tests.slurmrest.real import OverUnix, Real, Served

SECONDS = 5.0
CONNECTIONS = 8
JOBS = 5000
V44 = "/slurm/v0.0.44"


@dataclass(frozen=True)
class Found:
    submissions: float
    single_jobs: float
    """A second, both."""
    seconds: float
    memory_mib: float
    """`jobs/`: until the last byte was read, and by how much the server's peak grew."""


def slurmrest() -> Figure:
    theirs = _slurmrestd()
    with harness.a_bridge() as bridge, bridge.user.effective():
        ours = _measured(str(bridge.socket), _OverUnix(bridge.socket), bridge.pid, {}, str(bridge.work))
    figures = [
        Figure("submit", ours.submissions, "submissions/s", theirs and theirs.submissions),
        Figure("job/{id}", ours.single_jobs, "answers/s", theirs and theirs.single_jobs),
        Figure("jobs/ time", ours.seconds, "s", theirs and theirs.seconds, more_is_better=False),
        Figure("jobs/ memory", ours.memory_mib, "MiB grown", theirs and theirs.memory_mib, more_is_better=False),
    ]
    for one in figures:
        note(benchmark="slurmrest", **json.loads(one.line()))
    ratios = [one.ratio for one in figures if one.ratio is not None]
    if not ratios:
        return Figure("slurmrest", ours.submissions, "submissions/s")
    return Figure("slurmrest", min(ratios), "weakest ratio", 1.0)


class _OverUnix(Served):
    def __init__(self, path: Path) -> None:
        self._path = path

    def connect(self) -> OverUnix:
        return OverUnix(self._path)

    def headers(self) -> dict[str, str]:
        return {}


def _slurmrestd() -> Found | None:
    bundle = reference.bundle()
    if bundle is None:
        return None
    slurm = reference.Slurm(bundle)
    served = Real(slurm)
    try:
        headers = served.headers()
        return _measured((served.host, int(served.port)), served, _pid_of_slurmrestd(), headers, "/tmp")
    finally:
        slurm.cancel_all()
        slurm.stop()


def _pid_of_slurmrestd() -> int:
    """The one of our own reference cluster."""
    configuration = str(reference.DIRECTORY)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if words[0].endswith("slurmrestd") and any(configuration in word for word in words):
            return int(process.name)
    raise AssertionError("no slurmrestd runs")


def _measured(address: wire.Address, served: Served, pid: int, headers: dict[str, str], directory: str) -> Found:
    submit = _submission(headers, directory)
    answers, seconds = wire.rate(address, submit, connections=CONNECTIONS, seconds=SECONDS)
    submissions = answers / seconds
    _fill(address, served, submit)
    look = [_get(f"{V44}/job/{number}", headers) for number in _waiting(served)[:1000]]
    answers, seconds = wire.rate(
        address, lambda number: look[number % len(look)], connections=CONNECTIONS, seconds=SECONDS
    )
    before = _peak_mib(pid)
    took = _all_jobs(served)
    return Found(submissions, answers / seconds, took, max(0.1, _peak_mib(pid) - before))


def _submission(headers: dict[str, str], directory: str) -> Callable[[int], bytes]:
    """Every script different, so that none is stored only once."""
    job = {
        "name": "bench",
        "hold": True,
        "tasks": 2,
        "time_limit": {"set": True, "number": 10},
        "memory_per_node": {"set": True, "number": 100},
        "environment": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
        "current_working_directory": directory,
    }
    request = wire.post(f"{V44}/job/submit", json.dumps({"script": SCRIPT, "job": job}).encode(), headers)
    before, _, after = request.partition(NUMBER.encode())
    return lambda number: b"%b%010d%b" % (before, number, after)


def _fill(address: wire.Address, served: Served, submit: Callable[[int], bytes]) -> None:
    """To at least JOBS jobs."""
    while len(_waiting(served)) < JOBS:
        wire.rate(address, submit, connections=CONNECTIONS, seconds=1.0)


def _waiting(served: Served) -> list[str]:
    """Ids of the jobs that are held: ours, which nobody forgets meanwhile."""
    status, told = served.call("GET", f"{V44}/jobs/state/")
    assert status == 200
    return [one["job_id"] for one in told["jobs"] if one["state"] == ["PENDING"]]


def _get(path: str, headers: dict[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: bridge", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _all_jobs(served: Served) -> float:
    """Seconds for each 5,000 jobs, should there be more."""
    connection = served.connect()
    began = time.perf_counter()
    connection.request("GET", f"{V44}/jobs/", None, served.headers())
    answer = connection.getresponse()
    text = answer.read()
    took = time.perf_counter() - began
    connection.close()
    assert answer.status == 200
    count = len(json.loads(text)["jobs"])
    assert count >= JOBS
    return took * JOBS / count


def _peak_mib(pid: int) -> float:
    """The most that the process ever held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
