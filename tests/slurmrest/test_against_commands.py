"""--json of the commands, held against a real Slurm's: the same jobs on both sides, every key and value compared."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e import harness
from tests.slurmrest import comparison
from tests.slurmrest.real import Real, Served
from tests.slurmrest.sequence import Play
from tests.slurmrest.test_against_sequence import BOOK, site

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]

WAIT_SECONDS = 60.0
JOBS: dict[str, tuple[str, ...]] = {
    "held": ("-H", "-J", "h", "-n2", "-c2", "-t7", "--comment=c", "--mail-type=END,FAIL", "--nice=3"),
    "an array": ("-H", "-J", "a", "--array=1-5:2%2", "--mem=100M"),
    "one that waits for another": ("-J", "d", "-d", "afterok:{held}", "-o", "/tmp/o-%j"),
    "one that begins later": ("-J", "b", "--begin=2033-05-18T03:33:20", "-N2", "-C", "intel"),
    "one that ran": ("-J", "r", "-n1", "-o", "/dev/null"),
    "one that failed": ("-J", "f", "-n2", "-o", "/dev/null", "--no-requeue"),
    "CPUs for each task": ("-H", "-J", "c", "-n8", "-c2", "--mem=100M"),
    "tasks on each node": ("-H", "-J", "t", "-n3", "--ntasks-per-node=2", "--gres=gpu:1", "-p", "gpu"),
    "some nodes": ("-H", "-J", "n", "-N1-3", "--mincpus=2", "--exclusive", "-x", "n1", "-L", "matlab:1"),
    "one that runs": ("-J", "w", "-n1", "-o", "/dev/null", "-t5"),
}
SCRIPTS = {"one that failed": "exit 3", "one that runs": "sleep 600"}
LOOKS: tuple[tuple[str, ...], ...] = (
    ("squeue", "-j", "{id}", "--json"),
    ("scontrol", "show", "job", "{id}", "--json"),
    ("sacct", "-j", "{id}", "--json"),
    ("squeue", "-j", "{id}", "--json=v0.0.41"),
    ("sacct", "-j", "{id}", "--json=v0.0.42"),
)
OF_THE_SITE: tuple[tuple[str, ...], ...] = (
    ("sinfo", "--json"),
    ("scontrol", "show", "node", "n4", "--json"),
    ("scontrol", "show", "partition", "--json"),
    ("scontrol", "show", "licenses", "--json"),
    ("scontrol", "show", "reservation", "--json"),
    ("scontrol", "ping", "--json"),
    ("squeue", "-j", "9999999", "--json"),
    ("scontrol", "show", "job", "9999999", "--json"),
    ("sacct", "-j", "9999999", "--json"),
    ("sacctmgr", "show", "qos", "--json"),
    ("sacctmgr", "show", "account", "--json"),
    ("sacctmgr", "show", "assoc", "user=root", "--json"),
)
Run = Callable[..., harness.Ran]


@dataclass
class Played:
    run: Run
    ids: dict[str, str] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    def play(self) -> None:
        for label, words in JOBS.items():
            script = SCRIPTS.get(label, "true")
            filled = [word.format(held=self.ids.get("held")) for word in words]
            ran = self.run("sbatch", "--parsable", *filled, stdin=f"#!/bin/sh\n{script}\n".encode())
            assert ran.code == 0, ran.err
            self.ids[label] = ran.out.strip().partition(";")[0]
        self._until("one that runs", "RUNNING")
        for label in ("one that ran", "one that failed"):
            self._until(label, "COMPLETED", "FAILED")
        for label, number in self.ids.items():
            for words in LOOKS:
                self._look(f"{' '.join(words)}: {label}", [word.format(id=number) for word in words])
        for words in OF_THE_SITE:
            self._look(" ".join(words), words)
        self.run("scancel", *self.ids.values())

    def _until(self, label: str, *states: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while self.run("sacct", "-n", "-X", "-P", "-o", "state", "-j", self.ids[label]).out.strip() not in states:
            assert time.monotonic() < deadline, label
            time.sleep(0.2)  # slurmctld has no events to wait for

    def _look(self, label: str, words: Any) -> None:
        ran = self.run(*words)
        document = json.loads(ran.out) if ran.out else {}
        general = Play(Served(), Served(), ids=[int(number) for number in self.ids.values()]).general(document)
        self.told[label] = {**general, "exit code": ran.code, "stderr": ran.err}


@pytest.fixture(scope="module")
def theirs(real: Real) -> Played:
    real.slurm.free()
    for line in BOOK:
        real.slurm.run("sacctmgr", "-i", *line.format(real.slurm.user.name).split(), as_root=True)
    found = Played(lambda *words, **options: real.slurm.run(*words, cwd="/tmp", **options))
    found.play()
    return found


@pytest.fixture(scope="module")
def ours() -> Iterator[Played]:
    with harness.a_bridge(site=site()) as bridge:
        for line in BOOK:
            bridge.run("sacctmgr", "-i", *line.format(bridge.user.name).split(), as_user=bridge.owner)
        found = Played(lambda *words, **options: bridge.run(*words, cwd="/tmp", **options))
        found.play()
        yield found


def test_documents_differ_only_in_what_must(theirs: Played, ours: Played) -> None:
    assert theirs.told.keys() == ours.told.keys()
    told = [
        f"{label}: {place}: Slurm {one!r}, ours {other!r}"
        for label in theirs.told
        for place, one, other in comparison.unexplained(label, theirs.told[label], ours.told[label])
    ]
    assert not told, "\n".join(told)
