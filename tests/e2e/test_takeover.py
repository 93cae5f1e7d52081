"""Two bridges on one PostgreSQL: one runs the jobs, and when it is killed the other takes over. Root only, as jobs
run under a plain user; the local backend's data directory is shared, as it would be on one host with a spare."""

import time
from collections.abc import Iterator

import pytest

from tests import postgresql
from tests.e2e import harness
from tests.postgresql import postgresql_server  # noqa: F401  # a fixture

pytestmark = [pytest.mark.root, pytest.mark.skipif(not postgresql.programs(), reason=postgresql.LEFT_OUT)]

TAKEOVER_SECONDS = 15.0
"""The promise."""


@pytest.fixture
def pair(postgresql_server: postgresql.Server) -> Iterator[tuple[harness.Bridge, harness.Bridge]]:  # noqa: F811
    name = postgresql_server.make_database()
    store = f'\n[store]\nurl = "{postgresql_server.url(name)}"\n'
    with harness.a_bridge(site=harness.SITE + store) as first:
        root = first.root / "second"
        (root / "work").mkdir(parents=True)
        second = harness.Bridge(root, first.owner, first.user, harness.SITE + store)
        second.socket = first.root / "second.sock"
        text = second._site_file.read_text().replace(
            f'data_directory = "{second.data}"', f'data_directory = "{first.data}"\nsocket = "{second.socket}"'
        )
        second._site_file.write_text(text)
        second.work = first.work
        second.start()
        yield first, second
        second.clear()
        first._process = None if first._process is None or first._process.poll() is not None else first._process
    postgresql_server.drop_database(name)


@pytest.mark.slow
def test_the_other_takes_over_within_fifteen_seconds_and_starts_nothing_twice(pair):
    first, second = pair
    gate, bell = first.gate(), first.bell()
    mark = f"echo $SLURM_JOB_ID.$SLURM_RESTART_COUNT >> {first.work}/starts"
    running = second.wrap(f"{mark}; {bell.ring}; {gate.wait}; exit 7")
    bell.wait()
    first.kill9()
    killed = time.monotonic()
    waiting = second.wrap(mark)
    assert second.ends_as(waiting) == "COMPLETED 0:0"
    assert time.monotonic() - killed < TAKEOVER_SECONDS
    gate.open()
    assert second.ends_as(running) == "FAILED 7:0"
    assert sorted((first.work / "starts").read_text().split()) == sorted([f"{running}.", f"{waiting}."])
