"""Where the tasks of a step go: as a real Slurm 25.11 answered, recorded by `record_layouts.py`."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.agent import layout, step_options, step_request, step_wish

RECORDED = [json.loads(line) for line in Path(__file__).with_name("layouts_25.11.jsonl").read_text().splitlines()]
_LESS_PRECISE = "refused by both; that the named nodes are too small, Slurm tells only where nodes are of several sizes"
OTHERWISE = {
    "-N3 -n5": dict.fromkeys(["-N1 -w n2", "-N1 -x n1", "-N2 -x n1", "-N1 -n2 -x n1"], _LESS_PRECISE),
    "-N4": dict.fromkeys(
        ["-n2 --ntasks-per-node=1 -c2", "-n2 --ntasks-per-node=2 -c2"],
        "possible for neither; Slurm refuses it here and lets it wait for ever in jobs of other shapes, we always wait",
    ),
    "-N4 --exclusive": {"-w n2 -c1": "there is room, and Slurm waits for ever: -w with -c and without -n"},
}
"""sbatch's words → srun's words → why it is not as recorded."""
HOSTS = "n2\nn1\nn2\nn1\n"


def ask(job: dict[str, Any], allocation: layout.Allocation, argv: str) -> dict[str, Any]:
    """As the recorder puts it."""
    cpus = layout.folded(list(job["nodes"].values()))
    environment = {
        **job["environment"],
        "SLURM_JOB_CPUS_PER_NODE": cpus,
        **({"SLURM_HOSTFILE": "hosts"} if "arbitrary" in argv else {}),
    }
    given = step_options.read([*argv.split(), "true"], environment)
    said: list[str] = []
    answer: dict[str, Any] = {"argv": argv}
    try:
        wish, said = step_wish.make_wish(given, environment)
        parts = allocation.place(wish)
        allocation.take(0, parts)
        allocation.give_back(0)
    except step_request.Bad as bad:
        return {**answer, "code": bad.code, "said": [*said, *lines(bad)], "parts": {}}
    except layout.Refused as refused:
        why = lines(refused)
        if not refused.by_srun:
            why = ["error: Unable to create step for job J: " + str(refused)]
        return {**answer, "code": 1, "said": [*said, *why], "parts": {}}
    except layout.Busy:
        return {**answer, "waits": said}
    names = list(job["nodes"])
    placed = {names[part.node]: {"ranks": list(part.ranks), "cpus": part.cpus} for part in parts}
    return {**answer, "code": 0, "said": said, "parts": placed}


def lines(error: Exception) -> list[str]:
    return [f"error: {line}" for line in str(error).split("\n")]


@pytest.mark.parametrize("job", RECORDED, ids=[job["sbatch"] for job in RECORDED])
def test_steps_go_where_a_real_srun_puts_them(job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("hosts").write_text(HOSTS)
    allocation = layout.Allocation(list(job["nodes"]), list(job["nodes"].values()))
    ours = [ask(job, allocation, step["argv"]) for step in job["steps"]]
    differ = OTHERWISE.get(job["sbatch"], {})
    assert [one for one in ours if one["argv"] not in differ] == [
        one for one in job["steps"] if one["argv"] not in differ
    ]


@pytest.mark.parametrize("sbatch", OTHERWISE)
def test_what_is_listed_as_otherwise_is_still_so(sbatch):
    """Or the list is longer than the truth."""
    job = next(job for job in RECORDED if job["sbatch"] == sbatch)
    for argv in OTHERWISE[sbatch]:
        allocation = layout.Allocation(list(job["nodes"]), list(job["nodes"].values()))
        assert ask(job, allocation, argv) not in job["steps"]
