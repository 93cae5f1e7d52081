"""Limits of associations and QOS, with what a real 25.11 made of the same jobs.

Each block sets limits with sacctmgr and submits jobs one after the other; then the queue is looked at once.
Clusters: 4 nodes of 4 CPUs and 8000 MB, 4 GPUs on n4, 256 MB a CPU where nothing is said.
"""

import dataclasses
import shlex
from pathlib import Path

import pytest

from adapters.slurm import sacctmgr, sacctmgr_changes
from adapters.slurm.sacctmgr_fields import ClusterFacts
from adapters.slurm.sacctmgr_texts import Asker
from bridge.core import accounting_admission, admission, placement, queue
from bridge.core.accounting import Book, empty_book
from bridge.core.accounting_limits import Rules
from bridge.core.errors import Refused
from bridge.core.job import Job
from bridge.core.nodes import Node, Partition, Site
from bridge.core.users import User
from tests.builders import NOON
from tests.slurm import calls

BOB = User("bob", 1001, 1001)
NODES = tuple(Node(f"n{k}", 4, 8000, gres=(("gpu", "a100", 4),) if k == 4 else ()) for k in range(1, 5))
SITE = Site(
    partitions=(
        Partition(
            "main",
            "local",
            ("n1", "n2", "n3", "n4"),
            is_default=True,
            max_time_seconds=86400,
            default_time_seconds=1800,
            default_memory_per_cpu_mib=256,
        ),
        Partition("gpu", "local", ("n4",), default_memory_per_cpu_mib=256),
    ),
    enforce=("associations", "limits", "qos"),
)
FACTS = ClusterFacts("tryout", tres=(("gres/gpu", 4),))


def changed(book: Book, line: str) -> Book:
    order = sacctmgr.read(["-i", *shlex.split(line)])
    assert isinstance(order, sacctmgr.Change), order
    planned = sacctmgr_changes.plan(order, book, Asker(FACTS, "root", is_operator=True))
    assert planned.book is not None, planned
    return planned.book


def a_book() -> Book:
    book = empty_book()
    for line in (
        "add account phys",
        "add account sub parent=phys",
        "add qos lim",
        "add user bob account=phys",
        "add user bob account=sub",
        "modify user bob set qos=normal,lim",
    ):
        book = changed(book, line)
    return book


class Queue:
    """Jobs are submitted by the site's rules, and wait until they are looked at."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.rules = Rules(book)
        self.jobs: list[Job] = []

    def submit(self, *argv: str) -> str | int:
        """Slurm's reason, or the new job's id."""
        request = dataclasses.replace(calls.parsed(*argv).request, user="bob", uid=1001)
        admitted = admission.admit(request, SITE, NODES, BOB, NOON, is_operator=False, book=self.book)
        request = dataclasses.replace(request, account=admitted.account, qos=admitted.qos)
        try:
            accounting_admission.check_limits(
                request,
                admitted.partition,
                admitted.time_limit_seconds,
                SITE,
                self.rules,
                self.rules.submitted([("bob", "phys", job.partition, job.request.qos, 1) for job in self.jobs]),
            )
        except Refused as refused:
            return f"refused {refused.sentence.partition(':')[0]}"
        number = len(self.jobs) + 1
        job = Job(number, request, admitted.partition, NOON + number, time_limit_seconds=admitted.time_limit_seconds)
        self.jobs.append(job)
        return number

    def states(self) -> dict[int, str]:
        view = queue.view(self.jobs, SITE, NOON + 100, rules=self.rules)
        plan = placement.plan(
            view.candidates, view.running, NODES, SITE.partitions, view.licenses_free, NOON + 100, tally=view.tally
        )
        reasons = {**view.reasons, **plan.reasons}
        return {placed.key.id: "runs" for placed in plan.placements} | {key.id: str(r[0]) for key, r in reasons.items()}


def blocks() -> list[list[str]]:
    found: list[list[str]] = []
    for line in (Path(__file__).parent / "limits_25.11.txt").read_text().splitlines():
        if line.startswith("#"):
            found.append([])
        found[-1].append(line)
    return found


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block[0].removeprefix("# sacctmgr modify "))
def test_jobs_fare_as_with_a_real_slurm(block: list[str]):
    waiting = Queue(changed(a_book(), block[0].removeprefix("# sacctmgr ")))
    answers = [waiting.submit(*line.partition(" -> ")[0].split()[1:]) for line in block[1:]]
    states = waiting.states()
    assert [one if isinstance(one, str) else states[one] for one in answers] == [
        line.partition(" -> ")[2] for line in block[1:]
    ]
