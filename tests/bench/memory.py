"""Memory of a bridge whose database holds many jobs: it must not grow with what has ended."""

import asyncio
import dataclasses
from pathlib import Path

import sqlalchemy

from bridge.core import report
from bridge.core.job import End, JobState, Share
from bridge.core.reasons import Reason
from bridge.store import rows, tables
from bridge.store.records import NewJob
from bridge.store.store import Store
from tests.bench.figure import Figure, note
from tests.builders import NOON, a_job, a_request
from tests.e2e import harness
from tests.e2e.harness import Bridge
from tests.e2e.person import Person

PENDING = 5000
FIRST_ENDED = 10_000_000


def memory() -> Figure:
    return _memory("memory", 100_000)


def memory_1m() -> Figure:
    return _memory("memory-1m", 1_000_000)


def _memory(name: str, ended: int) -> Figure:
    with harness.a_bridge() as bridge:
        note(benchmark=name, ended=0, pending=0, resident_mib=round(_resident_mib(bridge), 1))
        bridge.stop()
        url = f"sqlite:///{bridge.data / 'bridge.db'}"
        _fill_with_ended(url, ended, bridge.user)
        asyncio.run(_fill_with_pending(url, bridge.user, bridge.work))
        bridge.start()
        listed = bridge.ok("squeue", "-h", "-o", "%i").count("\n")
        assert listed == PENDING, listed
        value = _resident_mib(bridge)
        note(benchmark=name, ended=ended, pending=PENDING, resident_mib=round(value, 1))
        return Figure(name, value, "MiB resident", more_is_better=False)


def _resident_mib(bridge: Bridge) -> float:
    """Of the serving process, after it has answered."""
    bridge.ok("squeue")
    status = Path(f"/proc/{bridge.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _fill_with_ended(url: str, count: int, user: Person) -> None:
    """Straight into the table: through the front door it would take an hour."""
    request = a_request(name="done", user=user.name, uid=user.uid, gid=user.gid)
    job = a_job(request=request, state=JobState.COMPLETED, attempt=1, started_at=NOON, ended_at=NOON + 1, end=End())
    row = rows.new_row(dataclasses.replace(job, nodes=(Share("n1", 1, 256, 1),)))
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        for first in range(0, count, 10_000):
            ids = range(FIRST_ENDED + first, FIRST_ENDED + min(first + 10_000, count))
            with connection.begin():
                connection.execute(
                    sqlalchemy.insert(tables.jobs),
                    [{**row, "key_id": k, "raw_id": k, "last_raw_id": k, "ended_at": NOON + k / 1000} for k in ids],
                )
    engine.dispose()


async def _fill_with_pending(url: str, user: Person, directory: Path) -> None:
    store = await Store.open(url)
    environment = b"\0".join(b"NAME_%d=value" % k for k in range(60))

    def new(number: int) -> NewJob:
        request = a_request(
            name=f"wait{number % 50}",
            user=user.name,
            uid=user.uid,
            gid=user.gid,
            hold=True,
            tasks=2,
            working_directory=str(directory),
        )
        script = b"#!/bin/bash\n# %d\n" % number + b"echo a line\n" * 200
        return NewJob(
            request,
            script,
            environment,
            report=report.Report(),
            partition="main",
            time_limit_seconds=600,
            submitted_at=NOON,
            priority=0,
            reason=Reason.HELD_USER,
        )

    try:
        for first in range(0, PENDING, 500):
            await store.submit([new(first + k) for k in range(500)])
    finally:
        await store.close()
