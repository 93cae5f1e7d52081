"""-M of every command, in the words of 25.11."""

import pytest

from adapters.slurm.answer import Answer
from adapters.slurm.clusters import Chosen, choose

NOWHERE = "squeue: error: No cluster 'nowhere' known by database.\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("oracle", Chosen()),
        ("all", Chosen()),
        ("oracle,nowhere", Chosen(NOWHERE)),
        (
            "nowhere",
            Answer(
                "",
                f"{NOWHERE}squeue: error: 'nowhere' can't be reached now, or it is an invalid entry for --cluster.  "
                "Use 'sacctmgr list clusters' to see available clusters.\n"
                "squeue: fatal: Could not get cluster information\n",
                1,
            ),
        ),
    ],
)
def test_the_own_cluster_is_taken_and_others_are_refused(text, expected):
    assert choose("squeue", text, "oracle") == expected


def test_no_name_at_all_is_no_cluster():
    answer = choose("sinfo", "", "oracle")
    assert isinstance(answer, Answer)
    assert answer.stderr.startswith("sinfo: error: No cluster '' known by database.\n")
