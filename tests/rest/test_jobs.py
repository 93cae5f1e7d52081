"""Looking at jobs and changing them; errors; nodes, health, metrics, tokens."""

import ast
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.slurm import errors
from bridge.core.errors import Unavailable
from bridge.core.job import JobState
from bridge.rest import cluster, statuses, views
from tests.builders import a_job
from tests.rest.test_submit import refused
from tests.rest.world import ALICE, BOB, OLGA, ROOT, a_world
from tests.store.support import in_loop

REPOSITORY = Path(__file__).parents[2]


async def ids(client: httpx.AsyncClient, query: str = "") -> list[str]:
    answer = await client.get(f"/v1/jobs{query}")
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


class TestLooking:
    @in_loop
    async def test_a_job_in_full(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            job = await world.submit(client, "--time=10", "-J", "train", working_directory="/work")
            await world.run(job, JobState.FAILED)
            [found] = (await client.get(f"/v1/jobs/{job}")).json()["jobs"]
            told = {
                key: found[key] for key in ("id", "name", "user", "state", "reason", "time_limit_seconds", "stdout")
            }
            assert told == {
                "id": "1", "name": "train", "user": "alice", "state": "FAILED", "reason": "NonZeroExitCode",
                "time_limit_seconds": 600, "stdout": "/work/slurm-1.out",
            }  # fmt: skip
            assert found["reason_sentence"] == "the script ended with a status other than 0"
            assert found["end"]["exit_status"] == 1
            assert found["nodes"][0]["gres"] == [{"name": "gpu", "type": "a100", "devices": [0, 1]}]

    def test_every_kind_of_job_can_be_shown(self) -> None:
        for state in JobState:
            assert views.job(a_job(state=state))["state"] == state.value
        assert views.job(a_job(asked={"array": "0-4%2"}))["waiting_tasks"] == "0-4"

    @in_loop
    async def test_a_list_is_filtered(self, url: str) -> None:
        async with a_world(url) as world:
            alice, bob = await world.client(), await world.client(BOB)
            await world.submit(alice, "-J", "a")
            await world.submit(bob, "-J", "b", "--hold")
            await world.submit(alice, "-J", "a", "--hold")
            await world.run("1", JobState.COMPLETED)
            assert await ids(alice) == ["1", "2", "3"]
            assert await ids(alice, "?user=alice&state=pending,running") == ["3"]
            assert await ids(alice, "?user=1002") == ["2"]
            assert await ids(alice, "?name=a&newest_first=true") == ["3", "1"]
            assert await ids(alice, "?partition=other") == []
            assert await ids(alice, "?ids=1,3") == ["1", "3"]
            for query, said in (
                ("?state=ALIVE", "ALIVE"),
                ("?user=nobody%20here", "nobody here"),
                ("?limit=0", "limit"),
                ("?since=nan", "since"),
                ("?states=PENDING", "no query parameter 'states'; known are account, cursor,"),
            ):
                assert said in refused(await alice.get(f"/v1/jobs{query}"), 422, "invalid_value")

    @pytest.mark.parametrize(
        ("query", "field"), [("?ids=x", "ids"), ("?cursor=x", "cursor"), ("?cursor=1_[2-3]", "cursor")]
    )
    @in_loop
    async def test_a_refusal_names_the_parameter(self, url: str, query: str, field: str) -> None:
        async with a_world(url) as world:
            answer = await (await world.client()).get(f"/v1/jobs{query}")
            assert (answer.status_code // 100, answer.json()["field"]) == (4, field)

    @in_loop
    async def test_pages_follow_each_other_to_the_end(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            for _ in range(5):
                await world.submit(client, "--hold")
            seen, query = [], "?limit=2"
            while True:
                page = (await client.get(f"/v1/jobs{query}")).json()
                seen.append([job["id"] for job in page["jobs"]])
                if page["next_cursor"] is None:
                    break
                query = f"?limit=2&cursor={page['next_cursor']}"
            assert seen == [["1", "2"], ["3", "4"], ["5"]]

    @in_loop
    async def test_waiting_for_the_end_answers_at_once_when_it_came(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            job = await world.submit(client)
            await world.run(job, JobState.COMPLETED)
            [found] = (await client.get(f"/v1/jobs/{job}?wait_seconds=60")).json()["jobs"]
            assert found["is_final"]

    @in_loop
    async def test_waiting_ends_with_the_bridge(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            job = await world.submit(client, "--hold")
            world.stopping.set()
            [found] = (await client.get(f"/v1/jobs/{job}?wait_seconds=60")).json()["jobs"]
            assert not found["is_final"]

    @in_loop
    async def test_the_history_has_a_sentence_for_each_event(self, url: str) -> None:
        async with a_world(url) as world:
            client, root = await world.client(), await world.client(ROOT)
            job = await world.submit(client)
            await root.post(f"/v1/jobs/{job}/hold")
            await root.post(f"/v1/jobs/{job}/cancel", json={"why": "not now"})
            events = (await client.get(f"/v1/jobs/{job}/history")).json()["events"]
            assert [(event["kind"], event["sentence"]) for event in events] == [
                ("Submitted", "Submitted."),
                ("Held", "Held by root, an operator."),
                ("StopAsked", "Cancelled by root (not now); it had not started."),
            ]

    @in_loop
    async def test_scripts_and_reports_are_the_owners(self, url: str) -> None:
        async with a_world(url) as world:
            alice, bob, root = await world.client(), await world.client(BOB), await world.client(ROOT)
            job = await world.submit(alice, "--nodes=1")
            for who in (alice, root):
                script = await who.get(f"/v1/jobs/{job}/script")
                assert (script.text, script.headers["content-type"]) == (
                    "#!/bin/bash\nsrun hostname\n", "text/plain; charset=utf-8",
                )  # fmt: skip
                assert (await who.get(f"/v1/jobs/{job}/report")).json()["entries"][0]["option"] == "--nodes=1"
            for what in ("script", "report"):
                refused(await bob.get(f"/v1/jobs/{job}/{what}"), 403, "access_denied")
            assert (await bob.get(f"/v1/jobs/{job}")).status_code == 200

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/jobs/99", "/v1/jobs/0", "/v1/jobs/-1", "/v1/jobs/x", "/v1/jobs/1.0", "/v1/jobs/1_[0-",
            "/v1/jobs/99999999999999999999999", "/v1/jobs/%00", "/v1/jobs/1%2F..%2F2", "/v1/jobs/%D9%A1",
            "/v1/jobs/..%2Fnodes", "/v1/jobs/" + "1" * 5000, "/v1/jobs/1/log/../../../etc/passwd", "/v1/",
            "/", "/docs", "/v1/jobs/1_4000001",
        ],
    )  # fmt: skip
    @in_loop
    async def test_what_is_not_there_is_404_whatever_the_path(self, url: str, path: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            await world.submit(client)
            answer = await client.get(path)
            assert answer.status_code == 404, answer.text
            assert set(answer.json()) == {"code", "sentence", "field"}


class TestChanging:
    @in_loop
    async def test_hold_release_cancel(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            job = await world.submit(client)

            async def held() -> bool:
                found: bool = (await client.get(f"/v1/jobs/{job}")).json()["jobs"][0]["is_held"]
                return found

            done = await client.post(f"/v1/jobs/{job}/hold")
            assert done.json() == {"results": [{"id": "1", "state": "PENDING", "error": None}]}
            assert await held()
            await client.post(f"/v1/jobs/{job}/release")
            assert not await held()
            done = await client.delete(f"/v1/jobs/{job}")
            assert done.json() == {"results": [{"id": "1", "state": "CANCELLED", "error": None}]}
            refused(await client.delete(f"/v1/jobs/{job}"), 409, "already_done")

    @in_loop
    async def test_other_peoples_jobs_are_left_alone(self, url: str) -> None:
        async with a_world(url) as world:
            alice, bob = await world.client(), await world.client(BOB)
            job = await world.submit(alice)
            for action in ("cancel", "hold", "release", "requeue", "suspend", "resume"):
                refused(await bob.post(f"/v1/jobs/{job}/{action}"), 403, "access_denied")
            refused(await bob.post(f"/v1/jobs/{job}/signal", json={"signal": 10}), 403, "access_denied")
            refused(await bob.patch(f"/v1/jobs/{job}", json={"comment": "mine"}), 403, "access_denied")
            refused(await bob.delete(f"/v1/jobs/{job}"), 403, "access_denied")

    @in_loop
    async def test_tasks_of_an_array_one_by_one(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            array = await world.submit(client, "--array=0-3", "--hold")
            done = await client.post(f"/v1/jobs/{array}_[1-2]/cancel")
            assert [(r["id"], r["state"]) for r in done.json()["results"]] == [
                ("1_1", "CANCELLED"), ("1_2", "CANCELLED"),
            ]  # fmt: skip
            jobs = (await client.get(f"/v1/jobs/{array}")).json()["jobs"]
            assert [(job["id"], job["waiting_tasks"]) for job in jobs] == [("1", "0,3"), ("1_1", None), ("1_2", None)]
            some = (await client.post(f"/v1/jobs/{array}_[0-1]/cancel")).json()["results"]
            assert [(r["id"], r["error"] and r["error"]["code"]) for r in some] == [
                ("1_0", None),
                ("1_1", "already_done"),
            ]

    @in_loop
    async def test_a_signal_reaches_the_backend(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            job = await world.submit(client)
            refused(await client.post(f"/v1/jobs/{job}/signal", json={"signal": "USR1"}), 409, "cannot_alter")
            await world.run(job)
            done = await client.post(f"/v1/jobs/{job}/signal", json={"signal": "SIGUSR1", "to": "batch"})
            assert done.status_code == 200
            assert world.backend.told == [("signal", 1, 1, 10, "batch")]
            for body in (
                {},
                {"signal": 0},
                {"signal": 65},
                {"signal": "BOO"},
                {"signal": True},
                {"signal": 9, "to": "x"},
            ):
                refused(await client.post(f"/v1/jobs/{job}/signal", json=body), 422, "invalid_body")

    @in_loop
    async def test_requeue(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            job = await world.submit(client)
            await world.run(job)
            done = await client.post(f"/v1/jobs/{job}/requeue", json={"hold": True})
            assert done.json()["results"][0]["state"] == "COMPLETING"
            refused(await client.post(f"/v1/jobs/{job}/requeue", json={"hold": 1}), 422, "invalid_body")

    @in_loop
    async def test_an_update_changes_what_it_names(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            job = await world.submit(client, "--time=10")
            body = {"time_limit": "+5", "comment": "longer", "nice": 3, "requeue": False, "stdout": "/x/%j"}
            assert (await client.patch(f"/v1/jobs/{job}", json=body)).status_code == 200
            [found] = (await client.get(f"/v1/jobs/{job}")).json()["jobs"]
            assert [found[k] for k in ("time_limit_seconds", "comment", "nice", "requeue", "stdout")] == [
                900, "longer", 3, False, "/x/1",
            ]  # fmt: skip

    @pytest.mark.parametrize(
        ("body", "code", "said"),
        [
            ({}, "invalid_body", "nothing is to change"),
            ({"time_limt": 5}, "invalid_body", "did you mean 'time_limit'?"),
            ({"time_limit": "soon"}, "invalid_value", "time_limit: "),
            ({"time_limit": [5]}, "invalid_body", "time_limit: a text without control characters"),
            ({"comment": "a\nb"}, "invalid_body", "comment: a text without control characters"),
            ({"dependency": "afterok:77"}, "bad_dependency", "no job 77"),
            ({"dependency": "afterok:1"}, "bad_dependency", "1 → 1"),
            ({"partition": "nowhere"}, "invalid_partition", "nowhere"),
        ],
    )
    @in_loop
    async def test_an_update_that_cannot_be(self, url: str, body: dict[str, Any], code: str, said: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            job = await world.submit(client)
            assert said in refused(await client.patch(f"/v1/jobs/{job}", json=body), 422, code)


class TestErrors:
    def test_every_code_has_its_status(self) -> None:
        """Those of Slurm's table, and each that stands in our sources."""
        written = {
            code
            for path in [*REPOSITORY.glob("bridge/**/*.py"), *REPOSITORY.glob("adapters/**/*.py")]
            for code in _codes(ast.parse(path.read_text()))
        }
        assert {"invalid_job_id", "fenced", "not_authenticated"} <= written
        assert (written | set(errors.ERRORS)) - set(statuses.STATUSES) == set()

    @in_loop
    async def test_a_bug_is_told_as_one_and_nothing_more(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        async with a_world(url) as world:
            client = await world.client()

            async def fail() -> int:
                raise RuntimeError("secret detail")

            world.store.last_seq = fail  # type: ignore[method-assign]
            answer = await client.get("/v1/health")
            assert "secret" not in refused(answer, 500, "internal")
            assert "a request failed" in caplog.text

    @in_loop
    async def test_a_database_that_cannot_be_used_is_503(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()

            async def fail(*_: object) -> None:
                raise Unavailable("the disk is full", code="disk_full")

            world.store.submit = fail  # type: ignore[assignment,method-assign]
            answer = await client.post("/v1/jobs", json={"script": "#!/bin/sh\n"})
            assert refused(answer, 503, "disk_full") == "the disk is full"
            assert answer.headers["retry-after"] == "1"

    @in_loop
    async def test_a_method_that_a_path_does_not_take(self, url: str) -> None:
        async with a_world(url) as world:
            refused(await (await world.client()).put("/v1/jobs"), 405, "method_not_allowed")


def _codes(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):
                found.add(node.value.value)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "default_code" for target in targets):
                found.add(node.value.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "wrong":
            found |= {a.value for a in node.args[2:] if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return {code for code in found if code.replace("_", "").isalpha()}


class TestCluster:
    @in_loop
    async def test_nodes_show_what_jobs_hold(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            await world.run(await world.submit(client))
            node = (await client.get("/v1/nodes/n1")).json()
            assert (node["cpus"], node["allocated_cpus"], node["jobs"]) == (2, 2, ["1"])
            assert [n["name"] for n in (await client.get("/v1/nodes")).json()["nodes"]] == ["n1", "n2"]
            refused(await client.get("/v1/nodes/n9"), 404, "not_found")

    @in_loop
    async def test_operators_mark_nodes(self, url: str) -> None:
        async with a_world(url) as world:
            alice, root = await world.client(), await world.client(ROOT)
            drain = {"state": "DRAIN", "reason": "disk"}
            refused(await alice.patch("/v1/nodes/n1", json=drain), 403, "access_denied")
            refused(await root.patch("/v1/nodes/n1", json={"state": "DRAIN"}), 422, "invalid_body")
            node = (await root.patch("/v1/nodes/n1", json=drain)).json()
            assert (node["state"], node["reason"], node["reason_by"]) == ("DRAIN", "disk", "root")

    @in_loop
    async def test_partitions_and_licenses(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            [main] = (await client.get("/v1/partitions")).json()["partitions"]
            assert (main["name"], main["is_default"], main["default_time_seconds"]) == ("main", True, 1800)
            assert (await client.get("/v1/licenses")).json() == {
                "licenses": [{"name": "matlab", "total": 4, "used": 0}]
            }

    @in_loop
    async def test_health_and_openapi_are_open_and_nothing_else_is(self, url: str) -> None:
        async with a_world(url) as world:
            stranger = await world.client(None)
            health = (await stranger.get("/v1/health")).json()
            assert health == {"status": "ok", "version": "9.9", "instance": world.store.instance_id}
            document = (await stranger.get("/v1/openapi.json")).json()
            assert set(cluster.OPEN_PATHS) == {"/v1/health", "/v1/openapi.json"}
            for path, operations in document["paths"].items():
                for method in operations:
                    if path in cluster.OPEN_PATHS:
                        continue
                    answer = await stranger.request(method, path.replace("{job_id}", "1").replace("{name}", "n1"))
                    refused(answer, 401, "not_authenticated")

    @in_loop
    async def test_openapi_has_an_example_for_every_body(self, url: str) -> None:
        async with a_world(url) as world:
            document = (await (await world.client()).get("/v1/openapi.json")).json()
            bodies = [
                o["requestBody"] for path in document["paths"].values() for o in path.values() if "requestBody" in o
            ]
            assert len(bodies) >= 8
            assert all(body["content"]["application/json"]["example"] for body in bodies)

    @in_loop
    async def test_metrics(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            await world.submit(client, "--hold")
            await world.run(await world.submit(client))
            lines = (await client.get("/v1/metrics")).text.splitlines()
            for line in (
                "# TYPE bridge_jobs gauge",
                'bridge_jobs{state="PENDING"} 1',
                'bridge_jobs{state="RUNNING"} 1',
                'bridge_node_cpus_allocated{node="n1",backend="local"} 2',
                'bridge_licenses{name="matlab"} 4',
            ):
                assert line in lines


class TestTokens:
    @in_loop
    async def test_a_token_is_its_user_until_it_is_revoked(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            made = await client.post("/v1/tokens", json={"lifespan_seconds": 60})
            assert (made.status_code, made.json()["user"]) == (201, "alice")
            token = made.json()["token"]
            remote = await world.client(None, **{"authorization": f"Bearer {token}"})
            assert await world.submit(remote) == "1"
            assert (await remote.post("/v1/tokens/revoke", json={"token": token})).json() == {"revoked": True}
            refused(await remote.get("/v1/jobs"), 401, "token_revoked")

    @in_loop
    async def test_tokens_of_others_are_for_root(self, url: str) -> None:
        async with a_world(url) as world:
            alice, root = await world.client(), await world.client(ROOT)
            refused(await alice.post("/v1/tokens", json={"user": "bob"}), 403, "access_denied")
            operator = await world.client(OLGA)
            refused(await operator.post("/v1/tokens", json={"user": "root"}), 403, "access_denied")
            token = (await root.post("/v1/tokens", json={"user": "bob"})).json()["token"]
            refused(await alice.post("/v1/tokens/revoke", json={"token": token}), 403, "access_denied")
            refused(await root.post("/v1/tokens", json={"user": "nobody here"}), 422, "invalid_value")
            refused(await root.post("/v1/tokens", json={"lifespan_seconds": 2**31 - 1}), 422, "invalid_lifespan")

    @in_loop
    async def test_a_jobs_token_acts_for_its_user_and_makes_no_other(self, url: str) -> None:
        async with a_world(url) as world:
            alice, bob = await world.client(), await world.client(BOB)
            job, others = await world.submit(alice), await world.submit(bob)
            await world.run(job)
            record = await world.store.find_by_raw_id(int(job))
            assert record is not None
            inside = await world.client(None, **{"x-slurm-user-token": world.gate.issue_for_job(record, ALICE)})
            assert await world.submit(inside) == "3"
            refused(await inside.post("/v1/tokens"), 403, "access_denied")
            refused(await inside.delete(f"/v1/jobs/{others}"), 403, "access_denied")
            assert (await inside.delete(f"/v1/jobs/{job}")).status_code == 200
