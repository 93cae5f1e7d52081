"""A refusal names the field that is at fault, as the caller wrote it."""

from typing import Any

import pytest

from tests.rest.world import SCRIPT, a_world
from tests.store.support import in_loop


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"fields": {"time": "soon"}}, "fields.time"),
        ({"fields": {"nodes": "two"}}, "fields.nodes"),
        ({"fields": {"job_name": "fine", "ntasks": "x"}}, "fields.ntasks"),
        ({"fields": {"cpus-per-task": "1.5"}}, "fields.cpus-per-task"),
        ({"fields": {"mem": 1, "mem_per_cpu": 1}}, "fields.mem"),
        ({"fields": {"hold": "x"}}, "fields.hold"),
        ({"fields": {"array": "3-1"}}, "fields.array"),
        ({"fields": {"begin": "soon"}}, "fields.begin"),
        ({"fields": {"dependency": "bogus"}}, "fields.dependency"),
        ({"fields": {"dependency": "afterok:99999"}}, "fields.dependency"),
        ({"fields": {"partition": "nope"}}, "fields.partition"),
        ({"fields": {"nodelist": "n99"}}, "fields.nodelist"),
        ({"fields": {"constraint": "nope"}}, "fields.constraint"),
        ({"fields": {"mem": "999G"}}, "fields.mem"),
        ({"fields": {"gres": "foo:1"}}, "fields.gres"),
        ({"fields": {"deadline": "now-1hour"}}, "fields.deadline"),
        ({"fields": {"wait": True}}, "fields.wait"),
        ({"fields": {"export_file": "/x"}}, "fields.export_file"),
        ({"fields": {"help": True}}, "fields.help"),
        ({"fields": {"comment": "a\0b"}}, "fields.comment"),
        ({"options": ["--time=soon"]}, "options"),
        ({"options": ["--time=soon"], "fields": {"nodes": 1}}, "options"),
        ({"options": ["--partition=nope"]}, "partition"),
    ],
)
@in_loop
async def test_the_field_at_fault_is_named(url: str, body: dict[str, Any], field: str) -> None:
    async with a_world(url) as world:
        client = await world.client()
        answer = await client.post("/v1/jobs", json={"script": SCRIPT, **body})
        assert (answer.status_code in (409, 422), answer.json()["field"]) == (True, field), answer.json()


@in_loop
async def test_the_member_of_a_graph_is_named_too(url: str) -> None:
    async with a_world(url) as world:
        client = await world.client()
        for wrong in ({"time": "soon"}, {"partition": "nope"}):
            members = [{"name": "a", "script": SCRIPT}, {"name": "b", "script": SCRIPT, "fields": wrong}]
            answer = await client.post("/v1/graphs", json={"members": members})
            assert answer.json()["field"] == f"members[1].fields.{next(iter(wrong))}"


@in_loop
async def test_options_of_nearly_that_name_are_told(url: str) -> None:
    async with a_world(url) as world:
        client = await world.client()
        answer = await client.post("/v1/jobs", json={"script": SCRIPT, "fields": {"time_limit": 5}})
        assert answer.json() == {
            "code": "invalid_option",
            "sentence": "unrecognized option '--time-limit=5'; near to it are time, time-min",
            "field": "fields.time_limit",
        }
