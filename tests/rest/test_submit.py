# ruff: noqa: E501  # bodies and what is said of them, each on a line
"""POST /v1/jobs, /v1/graphs and /v1/translate."""

import base64
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import dag
from bridge.core.errors import Refused
from bridge.core.job import JobKey
from bridge.core.request import Origin
from bridge.core.users import Caller
from bridge.rest import graphs, submission
from tests.builders import NOON, a_site
from tests.rest.world import ALICE, BOB, ROOT, SCRIPT, a_world
from tests.store.support import in_loop


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """The sentence of a refusal that has the shape of all."""
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert set(body) == {"code", "sentence", "field"}
    sentence: str = body["sentence"]
    return sentence


class TestSubmission:
    @in_loop
    async def test_a_job_is_on_disk_when_it_is_answered(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            body = {
                "script": SCRIPT,
                "options": ["--hold", "-J", "train"],
                "fields": {"nodes": 2, "time": "10", "requeue": True, "mem": None},
                "arguments": ["a b", "--c"],
                "working_directory": "/work",
                "environment": {"GREETING": "hé"},
            }
            answer = await client.post("/v1/jobs", json=body)
            assert (answer.status_code, answer.headers["location"]) == (201, "/v1/jobs/1")
            assert answer.json() == {"id": "1", "job_id": 1, "state": "PENDING", "notes": []}
            job = await world.store.get(JobKey(1))
            assert job is not None
            request = job.request
            assert (request.name, request.user, request.uid, request.origin) == ("train", "alice", 1001, Origin.HTTP)
            assert (request.component.nodes_min, request.time_limit_seconds, request.hold) == (2, 600, True)
            assert request.program.arguments == ("a b", "--c")
            assert request.working_directory == "/work"
            assert await world.store.script(job.key) == SCRIPT.encode()
            environment = (await world.store.environment(job.key) or b"").split(b"\0")
            assert {"GREETING=hé".encode(), b"HOME=/home/alice", b"USER=alice"} <= set(environment)

    @in_loop
    async def test_the_job_is_the_callers(self, url: str) -> None:
        async with a_world(url) as world:
            as_bob = await world.client(ROOT, **{"X-SLURM-USER-NAME": "bob"})
            await world.submit(as_bob)
            job = await world.store.get(JobKey(1))
            assert job is not None
            assert (job.request.user, job.request.uid, job.request.working_directory) == ("bob", 1002, "/home/bob")

    @in_loop
    async def test_what_is_recorded_only_is_said(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            body = {"script": SCRIPT, "options": ["--nodes=1", "--mail-type=END"]}
            [note] = (await client.post("/v1/jobs", json=body)).json()["notes"]
            assert (note["option"], note["treatment"]) == ("--mail-type=END", "recorded")

    @in_loop
    async def test_a_script_of_any_bytes_comes_as_base64(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            data = b"#!/bin/sh\necho \xff\n"
            body = {"script_base64": base64.b64encode(data).decode()}
            assert (await client.post("/v1/jobs", json=body)).status_code == 201
            assert await world.store.script(JobKey(1)) == data

    @in_loop
    async def test_the_same_idempotency_key_gives_the_same_job(self, url: str) -> None:
        async with a_world(url) as world:
            client, other = await world.client(), await world.client(BOB)
            key = {"Idempotency-Key": "once"}
            ids = [
                (await c.post("/v1/jobs", json={"script": SCRIPT}, headers=key)).json()["id"]
                for c in (client, client, other)
            ]
            assert ids == ["1", "1", "2"]
            too_long = await client.post("/v1/jobs", json={"script": SCRIPT}, headers={"Idempotency-Key": "x" * 256})
            assert refused(too_long, 422, "invalid_value").startswith("Idempotency-Key: 1 to 255")

    @in_loop
    async def test_test_only_submits_nothing(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            answer = await client.post("/v1/jobs", json={"script": SCRIPT, "options": ["--test-only"]})
            assert answer.status_code == 200
            assert answer.json()["estimate"]["nodes"] == ["n1"]
            assert await world.store.unfinished() == []

    @pytest.mark.parametrize(
        ("body", "status", "code", "said"),
        [
            ("[1]", 400, "no_json", "the body must be a JSON object"),
            ("{", 400, "no_json", "the body is no JSON"),
            ('{"script": NaN}', 400, "no_json", "NaN is no number"),
            ("[" * 100_000, 400, "no_json", "nested too deeply"),
            ('{"scrpt": "x"}', 422, "invalid_body", "scrpt: there is no such field; did you mean 'script'?"),
            ('{"script": 3}', 422, "invalid_body", "script: a text is expected"),
            ('{"script": "#!/bin/sh\\n", "script_base64": "x"}', 422, "invalid_body", "script is given too"),
            ('{"script_base64": "%%"}', 422, "invalid_body", "script_base64: base64 is expected"),
            ('{"script": "#!/bin/sh\\n", "script_name": "../x"}', 422, "invalid_body", "script_name: a file's plain name"),
            ('{"script": "#!/bin/sh\\n", "script_name": "--wrap=x"}', 422, "invalid_body", "script_name: a file's plain"),
            ('{"script": "#!/bin/sh\\n", "options": "x"}', 422, "invalid_body", "options: a list of texts is expected"),
            ('{"script": "#!/bin/sh\\n", "options": ["other.sh"]}', 422, "invalid_option", "'other.sh' is no"),
            ('{"script": "#!/bin/sh\\n", "options": ["--"]}', 422, "invalid_body", "-- is not taken here"),
            ('{"script": "#!/bin/sh\\n", "options": ["-J\\u0000"]}', 422, "invalid_body", "a NUL character"),
            ('{"script": "#!/bin/sh\\n", "options": ["-J\\ud800"]}', 422, "invalid_body", "options: a text of Unicode"),
            ('{"script": "#!/bin/sh\\n", "options": ["--no-such"]}', 422, "invalid_option", "--no-such"),
            ('{"script": "#!/bin/sh\\n", "options": ["--wait"]}', 422, "invalid_option", "--wait is for the command"),
            ('{"script": "#!/bin/sh\\n", "arguments": ["a\\u0000"]}', 422, "invalid_body", "arguments: a NUL character"),
            ('{"script": "#!/bin/sh\\n", "arguments": ["\\ud800"]}', 422, "invalid_body", "arguments: a text of Unicode"),
            ('{"script": "#!/bin/sh\\n", "fields": {"a b": 1}}', 422, "invalid_body", "fields.a b: the long name"),
            ('{"script": "#!/bin/sh\\n", "fields": {"nodes": 1.5}}', 422, "invalid_body", "fields.nodes: a text, a whole"),
            ('{"script": "#!/bin/sh\\n", "environment": {"A=": "x"}}', 422, "invalid_body", "environment: no NUL, no ="),
            ('{"script": "#!/bin/sh\\n", "environment": {"A": 1}}', 422, "invalid_body", "environment: names and"),
            ('{"script": "#!/bin/sh\\n", "working_directory": "x"}', 422, "invalid_body", "an absolute path is expected"),
            ('{"script": "#!/bin/sh\\n", "options": ["--export-file=/etc/shadow"]}', 422, "invalid_option", "over HTTP"),
            ('{"script": "echo hello\\n"}', 422, "invalid_option", "This does not look like a batch script"),
            ("{}", 422, "script_missing", "script: a script is needed, or the option --wrap"),
            ('{"script": "#!/bin/sh\\n", "fields": {"partition": "x"}}', 422, "invalid_partition", "x"),
            ('{"script": "#!/bin/sh\\n", "fields": {"dependency": "afterok:99"}}', 422, "bad_dependency", "no job 99"),
        ],
    )  # fmt: skip
    @in_loop
    async def test_a_refusal_says_what_and_where(self, url: str, body: str, status: int, code: str, said: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            answer = await client.post("/v1/jobs", content=body)
            assert said in refused(answer, status, code)
            assert await world.store.unfinished() == []

    @in_loop
    async def test_a_body_that_is_too_large_is_not_taken_in(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            answer = await client.post("/v1/jobs", content=b"x", headers={"content-length": str(1 << 40)})
            refused(answer, 413, "body_too_large")

            async def endless() -> Any:
                for _ in range(40):
                    yield b" " * (1 << 20)

            refused(await client.post("/v1/jobs", content=endless()), 413, "body_too_large")

    @given(
        st.dictionaries(
            st.sampled_from([*sorted(submission.FIELDS), "x"]),
            st.recursive(
                st.one_of(st.none(), st.text(), st.integers(), st.booleans()),
                lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
                max_leaves=6,
            ),
        )
    )
    def test_any_body_is_read_or_refused(self, body: dict[str, Any]) -> None:
        try:
            found = submission.read(body, Caller(ALICE), a_site(), NOON)
        except Refused as refusal:
            assert refusal.sentence  # noqa: PT017 — either way is fine
        else:
            assert found.request.uid == 1001


def members(*told: tuple[str, dict[str, str]], **more: Any) -> dict[str, Any]:
    return {"members": [{"name": name, "script": SCRIPT, "after": after, **more} for name, after in told]}


class TestGraph:
    @in_loop
    async def test_names_become_ids(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            earlier = await world.submit(client)
            graph = members(
                ("report", {"train": "any", "prepare": "started+5"}), ("prepare", {}), ("train", {"prepare": "ok"})
            )
            graph["members"][2]["options"] = [f"--dependency=afterany:{earlier}"]
            answer = await client.post("/v1/graphs", json=graph)
            assert answer.status_code == 201, answer.text
            assert [(m["name"], m["id"]) for m in answer.json()["members"]] == [
                ("report", "2"), ("prepare", "3"), ("train", "4"),
            ]  # fmt: skip
            jobs = {job.id: job.request for job in await world.store.unfinished()}
            assert jobs[2].dependency == dag.Dependency(
                (dag.Clause(dag.Kind.AFTER_ANY, 4), dag.Clause(dag.Kind.AFTER, 3, delay_minutes=5))
            )
            assert jobs[4].dependency == dag.Dependency(
                (dag.Clause(dag.Kind.AFTER_OK, 3), dag.Clause(dag.Kind.AFTER_ANY, 1))
            )
            assert [jobs[k].name for k in (2, 3, 4)] == ["report", "prepare", "train"]

    @in_loop
    async def test_one_that_is_refused_leaves_none(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            graph = members(("a", {}), ("b", {"a": "ok"}))
            graph["members"][1]["fields"] = {"partition": "nowhere"}
            answer = await client.post("/v1/graphs", json=graph)
            refused(answer, 422, "invalid_partition")
            assert answer.json()["field"] == "members[1].fields.partition"
            assert await world.store.unfinished() == []

    @in_loop
    async def test_the_same_idempotency_key_gives_the_same_jobs(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            key = {"Idempotency-Key": "once"}
            graph = members(("a", {}), ("b", {"a": "ok"}))
            answers = [(await client.post("/v1/graphs", json=graph, headers=key)).json() for _ in range(2)]
            assert answers[0] == answers[1]
            assert len(await world.store.unfinished()) == 2
            single = await client.post("/v1/jobs", json={"script": SCRIPT}, headers=key)
            assert "used for a call with other jobs" in refused(single, 409, "conflict")

    @pytest.mark.parametrize(
        ("graph", "code", "said"),
        [
            ({}, "invalid_body", "members: a list of at least one object"),
            ({"members": []}, "invalid_body", "members: a list of at least one object"),
            ({"members": [{"script": SCRIPT}]}, "invalid_body", "members[0].name: a text of 1 to 255"),
            (members(("a", {}), ("a", {})), "invalid_body", "members[1].name: the name 'a' is given twice"),
            (members(("a", {"b": "ok"})), "bad_dependency", "members[0].after: no member is named 'b'; there are 'a'"),
            (members(("a", {"a": "ok"})), "circular_dependency", "a → a"),
            (
                members(("x", {}), ("a", {"c": "ok"}), ("b", {"a": "ok"}), ("c", {"b": "any"})),
                "circular_dependency",
                "members wait for each other: a → c → b → a",
            ),
            (members(("a", {}), ("b", {"a": "maybe"})), "bad_dependency", "members[1].after.a: one of ok, notok, any"),
            (members(("a", {}), ("b", {"a": "ok+5"})), "bad_dependency", "members[1].after.a: one of ok, notok, any"),
            (members(("a", {}), scrpt="x"), "invalid_body", "members[0].scrpt: there is no such field"),
            (members(("a", {}), options=["--test-only"]), "invalid_option", "--test-only is for single jobs"),
        ],
    )
    @in_loop
    async def test_a_refusal_names_the_member(self, url: str, graph: Any, code: str, said: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            assert said in refused(await client.post("/v1/graphs", json=graph), 422, code)
            assert await world.store.unfinished() == []

    @given(st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=1, max_size=6))
    def test_exactly_graphs_without_a_cycle_are_taken(self, edges: list[list[int]]) -> None:
        size = len(edges)
        told = [(f"m{k}", {f"m{t}": "ok" for t in targets if t < size}) for k, targets in enumerate(edges)]
        left = {k: {t for t in targets if t < size} for k, targets in enumerate(edges)}
        while free := [k for k, targets in left.items() if not targets]:
            left = {k: targets - set(free) for k, targets in left.items() if k not in free}
        try:
            found = graphs.read(members(*told))
        except Refused as refusal:
            assert (refusal.code, bool(left)) == ("circular_dependency", True)  # noqa: PT017 — the other half of it
        else:
            assert not left
            assert len(found) == size


class TestTranslate:
    @in_loop
    async def test_nothing_happens(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            answer = await client.post("/v1/translate", json={"script": SCRIPT, "fields": {"nodes": 2}})
            assert answer.status_code == 200
            told = answer.json()
            assert [entry["text"] for entry in told["report"]] == ["--nodes=2"]
            assert [node["name"] for node in told["group"]["nodes"]] == ["n1", "n2"]
            assert not {"key", "job_token", "instance"} & set(told["group"])
            assert await world.store.unfinished() == []
