"""The same requests to a real slurmrestd and to a bridge: answers that differ only in what must."""

import socket
from collections.abc import Iterator

import pytest

from tests.e2e import harness
from tests.slurmrest import comparison, sequence, sequence_site
from tests.slurmrest.real import OursOverTcp, Real, Served

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]

SITE = """
[cluster]
name = "slurm2511"
kill_wait_seconds = 5
default_memory_per_cpu_mib = 256
min_job_age_seconds = 300
licenses = { matlab = 4 }
"""
_NODE = """
[[nodes]]
name = "n{number}"
cpus = 4
sockets = 2
memory_mib = 8000
features = {features}
gres = {gres}
"""
_PARTITIONS = """
[[partitions]]
name = "main"
nodes = "n[1-4]"
default = true
default_time_seconds = 1800
max_time_seconds = 86400

[[partitions]]
name = "short"
nodes = "n[1-2]"
max_time_seconds = 300
priority_tier = 2

[[partitions]]
name = "gpu"
nodes = "n4"

[[partitions]]
name = "closed"
nodes = "n3"
state = "DOWN"
"""
FEATURES = ('["intel", "ib"]', '["intel"]', '["amd", "ib"]', '["amd"]')


def site() -> str:
    """What the bundle's own cluster has."""
    nodes = [
        _NODE.format(number=number, features=features, gres='["gpu:a100:4"]' if number == 4 else "[]")
        for number, features in enumerate(FEATURES, 1)
    ]
    return "".join([SITE, *nodes, _PARTITIONS])


BOOK = ("add account physics", "add user {} account=physics")
"""The same accounts on both sides, so that jobs are booked in the same place."""

SUBJECTS = {**sequence.SUBJECTS, **sequence_site.SUBJECTS}


@pytest.fixture(scope="module")
def real_root(real: Real) -> Real:
    real.slurm.free()
    for line in BOOK:
        real.slurm.run("sacctmgr", "-i", *line.format(real.slurm.user.name).split(), as_root=True)
    return Real(real.slurm, "root")


@pytest.fixture(scope="module")
def ours() -> Iterator[tuple[Served, Served]]:
    """A bridge, asked by a plain user and by root."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with harness.a_bridge(site=site(), server=f'tcp_host = "127.0.0.1"\ntcp_port = {port}') as bridge:
        asking = (bridge.user, bridge.owner)
        tokens = [bridge.ok("scontrol", "token", "lifespan=3600", as_user=one).strip() for one in asking]
        for line in BOOK:
            bridge.run("sacctmgr", "-i", *line.format(bridge.user.name).split(), as_user=bridge.owner)
        plain, root = (OursOverTcp(port, token.partition("=")[2]) for token in tokens)
        yield plain, root


@pytest.mark.parametrize("subject", SUBJECTS)
def test_answers_differ_only_in_what_must(
    real: Real, real_root: Real, ours: tuple[Served, Served], subject: str
) -> None:
    theirs = sequence.play(real, real_root, SUBJECTS[subject])
    told = []
    found = sequence.play(*ours, SUBJECTS[subject])
    for (label, status, answer), (our_label, our_status, our_answer) in zip(theirs, found, strict=True):
        assert label == our_label
        differing = comparison.unexplained(label, answer, our_answer)
        if status != our_status and not comparison.may_differ(label):
            differing.insert(0, ("status", status, our_status))
        told += [f"{label}: {place}: Slurm {one!r}, ours {other!r}" for place, one, other in differing]
    assert not told, "\n".join(told)
