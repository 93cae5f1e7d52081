"""The asking user's view on a small site, for tests of the commands' texts."""

from collections.abc import Mapping, Sequence

from adapters.slurm import durations, jobfacts, sizes, squeue
from adapters.slurm.squeue_columns import View
from bridge.core.job import Job
from bridge.core.nodes import Partition, Site
from tests.builders import NOON, a_node

SITE = Site(
    cluster_name="oracle",
    partitions=(
        Partition(
            "main",
            "local",
            ("n1", "n2", "n3"),
            is_default=True,
            max_time_seconds=86400,
            default_time_seconds=1800,
            default_memory_per_cpu_mib=256,
        ),
        Partition(
            "short", "local", ("n1", "n2"), max_time_seconds=300, priority_tier=2, default_memory_per_cpu_mib=256
        ),
        Partition("gpu", "local", ("n4",), default_memory_per_cpu_mib=256),
    ),
    licenses=(("matlab", 4),),
)

NODES = tuple(
    a_node(name, cpus=8, memory_mib=16000, features=features, sockets=2, gres=gres)
    for name, features, gres in (
        ("n1", ("intel", "ib"), ()),
        ("n2", ("intel",), ()),
        ("n3", ("amd", "ib"), ()),
        ("n4", ("amd",), (("gpu", "a100", 4),)),
    )
)


def a_view(now: float = NOON + 100, environ: Mapping[str, str] | None = None) -> View:
    environ = {"TZ": "UTC", **(environ or {})}
    return View(
        clock=durations.clock_of(environ, now),
        site=SITE,
        fleet=sizes.fleet_of(SITE, NODES),
        group_of={1001: "alice", 0: "root"}.__getitem__,
        bracket_length=jobfacts.bracket_length(environ.get("SLURM_BITSTR_LEN")),
    )


ASKER = squeue.Asker(1001, {"alice": 1001, "bob": 1002}.get, {node.name for node in NODES}.__contains__)


def queue_text(jobs: Sequence[Job], *argv: str, environ: Mapping[str, str] | None = None) -> tuple[str, str]:
    """(standard output, standard error) of squeue over these jobs."""
    query = squeue.read(argv, environ or {}, ASKER)
    assert isinstance(query, squeue.Query), query
    shown = [left for job in jobs if (left := squeue.narrowed(query, job)) is not None]
    answer = squeue.render(query, shown, a_view(environ=environ))
    return answer.stdout, answer.stderr
