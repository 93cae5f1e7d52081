"""`scontrol update` of every field, of a job that waits, runs or is over, by its owner and by an operator.

The table holds what a real 25.11 answered: Key=Value, the job's state, then exit code and standard error of the
owner's call and of root's after it. It is that of the oracle's cluster, `updates_25.11.tsv`.
"""

import json
from pathlib import Path

import pytest

from bridge.core.job import End, Share
from tests.slurmcli.bridge import ALICE, ROOT, Bridge

TABLE = Path(__file__).with_name("updates_25.11.tsv")

MEANT_TO_DIFFER = {
    ("Account=nosuch", "pending"): "this site enforces no associations",
    ("QOS=nosuch", "pending"): "the same",
    ("QOS=nosuch", "running"): "the same",
    ("Partition=all", "pending"): "this site has no such partition",
    ("TimeLimit=-5", "pending"): "the second lowering leaves no time at all: it is refused",
    ("TimeLimit=-5", "running"): "the same",
}


def rows(state: str) -> list[tuple[str, list[tuple[str, int]]]]:
    """(Key=Value, what the owner and root were told)"""
    found = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        word, of, *cells = line.split("\t")
        if of == state and (word, of) not in MEANT_TO_DIFFER:
            answers = [(json.loads(said), int(code)) for code, said in zip(cells[::2], cells[1::2], strict=True)]
            found.append((word, answers))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("state", ["pending", "running", "done"])
async def test_every_field_is_changed_or_refused_as_by_slurm(bridge: Bridge, state: str):
    wrong = []
    for word, expected in rows(state):
        job = await bridge.submit(hold=state == "pending", time_limit_seconds=600)
        if state != "pending":
            await bridge.start(job, (Share("n1", 1, 256, 1),))
        if state == "done":
            await bridge.end(job, End())
        for caller, (said, code) in zip((ALICE, ROOT), expected, strict=True):
            reply = await bridge.run("scontrol", "update", f"JobId={job.id}", word, caller=caller)
            told = (reply.stderr.replace(str(job.id), "{id}"), reply.exit_code)
            if told != (said, code):
                wrong.append((word, caller.user.name, (said, code), told))
    assert not wrong, "\n".join(map(str, wrong))
