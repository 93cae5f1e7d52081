"""kill -9 of the bridge at random moments: no job is lost, none starts twice, every end is true.

Each script appends its own mark when it starts. `BRIDGE_SEED` repeats a run; the seed is in every message.
"""

import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.e2e import conftest, harness
from tests.e2e.harness import Bridge

MARK = '#!/bin/bash\necho "${SLURM_ARRAY_TASK_ID-} ${SLURM_RESTART_COUNT:-0}" >> "mark-$MARK"\n'


@dataclass
class Kind:
    """A sort of job: what it runs, sbatch's options, and how each of its records must end."""

    name: str
    body: str
    ends: frozenset[str]
    options: tuple[str, ...] = ()
    starts: tuple[int, int] = (1, 1)
    """Marks: at least, at most."""


COMPLETED = frozenset({"COMPLETED 0:0"})
KINDS = [
    Kind("short", "exit 0", COMPLETED),
    Kind("fails", "exit 3", frozenset({"FAILED 3:0"})),
    Kind("killed", "kill -9 $$", frozenset({"FAILED 0:9"})),
    Kind("works", "sleep 0.7; exit 0", COMPLETED),
    Kind("longer", "sleep 3; exit 5", frozenset({"FAILED 5:0"})),
    Kind("array", "sleep 0.3; [ $SLURM_ARRAY_TASK_ID != 2 ]", COMPLETED | {"FAILED 1:0"}, ("-a1-3%2",), (3, 3)),
    Kind("held", "exit 0", COMPLETED, ("--hold",)),
    Kind("later", "exit 0", COMPLETED, ("--begin=now+2",)),
    Kind("behind", "exit 0", COMPLETED, ("-d", "afterany:{last}")),
    Kind("cancelled", "sleep 600", frozenset({"CANCELLED 0:15", "CANCELLED 0:0"}), (), (0, 1)),
]


@dataclass
class Submitted:
    kind: Kind
    job_id: int
    mark: str


@dataclass
class Story:
    """What was accepted, and what was asked of it, while the bridge died and came back."""

    bridge: Bridge
    dice: random.Random
    jobs: list[Submitted] = field(default_factory=list)
    made: int = 0

    def submit_until_it_dies(self, count: int) -> None:
        for _ in range(count):
            kind = self.dice.choice(KINDS) if self.made >= len(KINDS) else KINDS[self.made]
            if kind.name == "behind" and not self.jobs:
                kind = KINDS[0]
            self.made += 1
            mark = str(self.made)
            last = next((s.job_id for s in reversed(self.jobs) if s.kind.name not in ("held", "cancelled")), 0)
            options = [word.format(last=last) for word in kind.options]
            ran = self.bridge.run("sbatch", "--parsable", *options, stdin=_script(kind), env={"MARK": mark})
            if ran.code == 0:
                self.jobs.append(Submitted(kind, int(ran.out), mark))

    def ask(self) -> None:
        """Cancel what is to be cancelled, release what is held; repeated until the bridge is there to hear it."""
        for one in self.jobs:
            if one.kind.name == "cancelled" and self.bridge.state(one.job_id) not in harness.FINAL:
                self.bridge.ok("scancel", str(one.job_id))
            if one.kind.name == "held" and self.bridge.job(one.job_id)["Reason"] == "JobHeldUser":
                self.bridge.ok("scontrol", "release", str(one.job_id))


def _script(kind: Kind) -> bytes:
    return f"{MARK}{kind.body}\n".encode()


def _killed_at(bridge: Bridge, moment: float, meanwhile: Callable[[], None]) -> None:
    """Kill the bridge so many seconds after `meanwhile` was begun, then start it again."""
    timer = threading.Timer(moment, bridge.kill9)
    timer.start()
    meanwhile()
    timer.join()
    bridge.start()


def _problems(story: Story) -> Iterator[str]:
    for one in story.jobs:
        records = story.bridge.wait(one.job_id)
        ends = {f"{record['JobState']} {record['ExitCode']}" for record in records}
        if not ends <= one.kind.ends:
            yield f"{one.kind.name} job {one.job_id} ended as {ends}"
        marks = harness.lines_of(story.bridge.work / f"mark-{one.mark}")
        at_least, at_most = one.kind.starts
        if len(set(marks)) != len(marks):
            yield f"{one.kind.name} job {one.job_id} started twice: {marks}"
        if not at_least <= len(marks) <= at_most:
            yield f"{one.kind.name} job {one.job_id} has {len(marks)} starts"
        if one.kind.name == "array" and len(records) != 3:
            yield f"array {one.job_id} has {len(records)} tasks"


KIND = conftest.KINDS[0] if conftest.KINDS[0] != "real slurm" else "root's bridge"
TIMES = {"three times": (30, 3), "with fifty jobs": (50, 7), "many times": (150, 20)}
if KIND == "kubernetes":  # where each job takes seconds to begin
    del TIMES["many times"]


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "kills"), TIMES.values(), ids=TIMES.keys())
@pytest.mark.timeout(400)
def test_a_bridge_killed_at_random_moments_loses_nothing(jobs: int, kills: int) -> None:
    seed = int(os.environ.get("BRIDGE_SEED") or random.SystemRandom().randrange(10**6))
    print(f"BRIDGE_SEED={seed}")
    dice = random.Random(seed)
    with conftest.started(KIND) as bridge:
        story = Story(bridge, dice)
        turn = 0
        while turn < kills or len(story.jobs) < jobs // 2:  # a busy machine takes few jobs between two kills
            if turn % 3 == 1:  # else it is killed before it has found its jobs again
                bridge.wait(bridge.wrap("true"))
            _killed_at(bridge, dice.uniform(0.05, 2.0), lambda: story.submit_until_it_dies(jobs // kills + 1))
            if dice.random() < 0.5:
                story.ask()
            turn += 1
        story.ask()
        assert list(_problems(story)) == [], f"BRIDGE_SEED={seed}"
