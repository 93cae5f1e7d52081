"""The same requests to a real slurmrestd and to a bridge: answers that differ only in what must."""

import pytest

from tests.e2e import harness
from tests.slurmrest import sequence
from tests.slurmrest.real import Ours, Real

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]

SITE = """
[cluster]
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


def test_answers_differ_only_in_what_must(real: Real) -> None:
    theirs = sequence.play(real, "/tmp")
    with harness.a_bridge(site=site()) as bridge:
        token = bridge.ok("scontrol", "token", "lifespan=3600").strip().partition("=")[2]
        ours = sequence.play(Ours(bridge.socket, token), "/tmp")
    told = []
    for (label, status, answer), (our_label, our_status, our_answer) in zip(theirs, ours, strict=True):
        assert label == our_label
        found = sequence.unexplained(answer, our_answer)
        if status != our_status:
            found.insert(0, ("status", status, our_status))
        told += [f"{label}: {place}: Slurm {one!r}, ours {other!r}" for place, one, other in found]
    assert not told, "\n".join(told)
    assert len(theirs) > 100
