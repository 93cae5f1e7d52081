"""--json and --yaml, held against what a real 25.11 printed (tests/slurm/real): the same keys, the same kinds."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.slurm import data
from bridge.core.job import End, Share
from tests.slurmcli.bridge import ALICE, ROOT, Bridge

pytestmark = pytest.mark.anyio

REAL = Path(__file__).parents[1] / "slurm" / "real"


def shape(value: Any) -> Any:
    """Keys in their order, and the kind of each value; of a list the kind of its first item."""
    if isinstance(value, dict):
        return [(name, shape(item)) for name, item in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def differences(ours: Any, real: Any, path: str = "") -> list[str]:
    """Where keys or kinds differ. A list that is empty on one side tells nothing of its items."""
    if isinstance(ours, dict) and isinstance(real, dict):
        found = [] if list(ours) == list(real) else [f"{path}: {sorted(ours.keys() ^ real.keys()) or 'order'}"]
        return found + [
            d for name in ours if name in real for d in differences(ours[name], real[name], f"{path}.{name}")
        ]
    if isinstance(ours, list) and isinstance(real, list):
        return differences(ours[0], real[0], f"{path}[]") if ours and real else []
    return [] if shape(ours) == shape(real) else [f"{path}: {shape(ours)} for {shape(real)}"]


async def a_running_job(bridge: Bridge) -> str:
    job = await bridge.submit(partitions=("gpu",))
    await bridge.start(job, (Share("n4", 1, 256, 1, (("gpu", "a100", (0,)),)),))
    return str(job.id)


@pytest.mark.parametrize(
    ("argv", "capture"),
    [
        (["squeue"], "squeue"),
        (["scontrol", "show", "job"], "squeue"),
        (["sinfo"], "sinfo"),
        (["scontrol", "show", "node"], "nodes"),
        (["scontrol", "show", "partition"], "partitions"),
        (["scontrol", "show", "step"], "steps"),
        (["squeue", "-s"], "steps"),
        (["scontrol", "show", "licenses"], "licenses"),
        (["scontrol", "ping"], "ping"),
        (["sacct"], "sacct"),
    ],
)
async def test_documents_have_the_real_ones_keys_and_kinds(bridge: Bridge, argv: list[str], capture: str):
    await a_running_job(bridge)
    text = await bridge.out(*argv, "--json")
    assert differences(json.loads(text), json.loads((REAL / f"{capture}.json").read_text())) == []


async def test_a_document_says_who_asked_by_what(bridge: Bridge):
    job = await a_running_job(bridge)
    meta = json.loads(await bridge.out("scontrol", "show", "job", job, "--json"))["meta"]
    assert meta["command"] == ["show", "job"]
    assert meta["client"]["user"] == "alice"
    assert meta["slurm"]["cluster"] == "oracle"
    assert meta["plugin"]["data_parser"] == "data_parser/v0.0.44"
    assert json.loads(await bridge.out("squeue", "--json"))["meta"]["command"] == ["squeue"]


async def test_documents_hold_what_was_chosen(bridge: Bridge):
    first = await bridge.submit(hold=True, name="a")
    second = await bridge.submit(hold=True, name="b", array="0-3")

    def names(text: str) -> list[str]:
        return [job["name"] for job in json.loads(text)["jobs"]]

    assert sorted(names(await bridge.out("squeue", "--json"))) == ["a", "b"]
    assert names(await bridge.out("squeue", "-j", str(first.id), "--json")) == ["a"]
    assert names(await bridge.out("squeue", "-n", "b", "--json")) == ["b"]
    assert names(await bridge.out("scontrol", "show", "job", "999", "--json")) == []
    both = await bridge.out("sacct", "-X", "-s", "PD", "-j", f"{first.id},{second.id}", "--json", caller=ALICE)
    assert names(both) == ["a", "b"]


async def test_reservations_are_told_as_the_real_one_tells_them(bridge: Bridge):
    real = json.loads((REAL / "reservations.json").read_text())
    empty = json.loads(await bridge.out("scontrol", "show", "reservation", "--json"))
    assert empty["reservations"] == []
    made = "create reservation starttime=now duration=60 users=-root flags=DAILY,IGNORE_JOBS"
    for named in ("reservationname=r3 nodes=n4", "reservationname=other nodes=n1"):
        await bridge.out("scontrol", *f"{made} {named}".split(), caller=ROOT)
    told = json.loads(await bridge.out("scontrol", "show", "reservation", "r3", "--json"))
    assert differences(told, real) == []
    [ours] = told["reservations"]
    [theirs] = [one for one in real["reservations"] if one["name"] == "r3"]
    its_own = ("start_time", "end_time", "core_count", "tres")
    assert {**ours, **dict.fromkeys(its_own)} == {**theirs, **dict.fromkeys(its_own)}
    assert ours["end_time"]["number"] - ours["start_time"]["number"] == 3600
    both = json.loads(await bridge.out("scontrol", "show", "reservation", "--json"))["reservations"]
    assert [one["name"] for one in both] == ["other", "r3"]
    [node] = json.loads(await bridge.out("scontrol", "show", "node", "n4", "--json"))["nodes"]
    assert (node["state"], node["reservation"]) == (["IDLE", "RESERVED"], "r3")


async def test_sacct_tells_how_a_job_ended(bridge: Bridge):
    job = await bridge.submit()
    await bridge.start(job, (Share("n1", 1, 256, 1),))
    await bridge.end(job, End(exit_status=3))
    told = json.loads(await bridge.out("sacct", "-j", str(job.id), "--json"))["jobs"][0]
    assert told["state"]["current"] == ["FAILED"]
    assert told["exit_code"]["return_code"]["number"] == 3
    assert [step["step"]["id"] for step in told["steps"]] == [f"{job.id}.batch"]
    alone = json.loads(await bridge.out("sacct", "-X", "-j", str(job.id), "--json"))["jobs"][0]
    assert alone["steps"] == []


async def test_other_versions_and_forms(bridge: Bridge):
    await a_running_job(bridge)
    old = json.loads(await bridge.out("squeue", "--json=v0.0.41"))
    assert old["meta"]["plugin"]["data_parser"] == "data_parser/v0.0.41"
    assert (await bridge.out("squeue", "--yaml")).startswith("%YAML 1.1\n--- !!map\n!!str jobs: !!seq\n- !!map\n")
    assert (await bridge.out("sinfo", "--json=list")).startswith("Possible data_parser plugins:\n")
    bad = await bridge.run("squeue", "--json=foo")
    assert (bad.exit_code, bad.stderr) == (
        1,
        "squeue: error: load_plugins: unable to find plugin: data_parser/foo\n"
        "squeue: error: data_parser_g_new: failure loading plugins: Plugin has invalid format or unable to be loaded\n"
        "squeue: error: application/json output not supported by data_parser/v0.0.44\n",
    )


def test_layout_of_json():
    value = {"a": [], "b": {"c": "x/y[]", "d": [1, {}]}, "e": "é", "f": 1.0}
    text = data.to_json(value)
    assert text == (
        '{\n  "a": [\n  ],\n  "b": {\n    "c": "x\\/y[]",\n    "d": [\n      1,\n      {\n      }\n    ]\n  },\n'
        '  "e": "é",\n  "f": 1.0\n}\n'
    )
    assert json.loads(text) == value


def test_layout_of_yaml():
    value = {"a": [], "b": {"c": "slurm-%j.out", "d": [1, {"e": True}]}, "f": "", "g": None, "h": "x: y", "i": 0.5}
    assert data.to_yaml(value) == (
        "%YAML 1.1\n--- !!map\n!!str a: !!seq []\n!!str b: !!map\n  !!str c: !!str slurm-%j.out\n  !!str d: !!seq\n"
        "  - !!int 1\n  - !!map\n    !!str e: !!bool true\n!!str f: !!str\n!!str g: !!null null\n"
        '!!str h: !!str "x: y"\n!!str i: !!float 0.500000\n...\n\n'
    )
