"""Nodes, partitions, reservations, licences, diag, accounting; and who is let in."""

from typing import Any

from bridge.core.job import JobKey, Share
from bridge.core.reservations import Reservation
from bridge.core.state import Began, Placed
from bridge.slurmrest.application import OTHERS
from tests.builders import NOON
from tests.slurmrest.world import ALICE, BOB, ROOT, V44, World, a_number, a_world
from tests.store.support import in_loop

DB = "/slurmdb/v0.0.44"
INFINITE = {"set": False, "infinite": True, "number": 0}
UNKNOWN_PATH = "Unable to find requested URL endpoint."


async def a_running_job(world: World) -> None:
    number = await world.submitted(licenses="matlab:3")
    await world.tell(str(number), Placed(NOON, (Share("n1", 2, 512, 2),)), Began(NOON + 1, 1))


class TestController:
    @in_loop
    async def test_ping(self, url: str) -> None:
        async with a_world(url) as world:
            status, told = await world.call("GET", f"{V44}/ping")
            [ping] = told["pings"]
            assert status == 200
            assert ping.pop("latency") >= 0
            assert ping == {
                "hostname": "here",
                "pinged": "UP",
                "responding": True,
                "mode": "primary",
                "primary": True,
            }
            _, old = await world.call("GET", "/slurm/v0.0.41/ping/")
            assert set(old["pings"][0]) == {"hostname", "pinged", "latency", "mode"}

    @in_loop
    async def test_diag_counts_what_happened(self, url: str) -> None:
        async with a_world(url) as world:
            await a_running_job(world)
            await world.submitted(hold=True)
            await world.call("GET", f"{V44}/job/1", user=BOB)
            _, told = await world.call("GET", f"{V44}/diag/")
            found = told["statistics"]
            counted = {name: found[name] for name in found if name.startswith("jobs_")}
            assert (counted["jobs_submitted"], counted["jobs_pending"], counted["jobs_running"]) == (2, 1, 1)
            calls = {one["message_type"]: one["count"] for one in found["rpcs_by_message_type"]}
            assert calls == {"REQUEST_SUBMIT_BATCH_JOB": 2, "REQUEST_JOB_INFO_SINGLE": 1}
            assert {one["user"]: one["count"] for one in found["rpcs_by_user"]} == {"alice": 2, "bob": 1}


class TestNodes:
    @in_loop
    async def test_a_node_with_a_job_on_it(self, url: str) -> None:
        async with a_world(url) as world:
            await a_running_job(world)
            _, told = await world.call("GET", f"{V44}/node/n1")
            [node] = told["nodes"]
            names = (
                "state",
                "cpus",
                "alloc_cpus",
                "alloc_idle_cpus",
                "alloc_memory",
                "tres",
                "tres_used",
                "partitions",
            )
            assert {name: node[name] for name in names} == {
                "state": ["ALLOCATED"],
                "cpus": 2,
                "alloc_cpus": 2,
                "alloc_idle_cpus": 0,
                "alloc_memory": 512,
                "tres": "cpu=2,mem=1000M,billing=2",
                "tres_used": "cpu=2,mem=512M",
                "partitions": ["main"],
            }
            _, told = await world.call("GET", f"{V44}/nodes/")
            assert [one["name"] for one in told["nodes"]] == ["n1", "n2"]

    @in_loop
    async def test_an_unknown_node_is_told_of_without_an_error_status(self, url: str) -> None:
        async with a_world(url) as world:
            error = {
                "description": "Failure to query node zork",
                "error_number": 0,
                "error": "No error",
                "source": "_dump_nodes",
            }
            assert await world.call("GET", f"{V44}/node/zork") == (200, {"errors": [error], "warnings": []})

    @in_loop
    async def test_an_operator_drains_a_node_and_takes_it_back(self, url: str) -> None:
        async with a_world(url) as world:
            drain = {"state": ["DRAIN"], "reason": "fan"}
            status, told = await world.call("POST", f"{V44}/node/n1", drain)
            assert (status, told["errors"][0]["error_number"]) == (500, 2010)
            assert await world.call("POST", f"{V44}/node/n1", drain, user=ROOT) == (200, {"errors": [], "warnings": []})
            _, told = await world.call("GET", f"{V44}/node/n1")
            node = told["nodes"][0]
            assert (node["state"], node["reason"], node["reason_set_by_user"]) == (["IDLE", "DRAIN"], "fan", "root")
            assert (await world.call("POST", f"{V44}/node/n1", {"state": ["RESUME"]}, user=ROOT))[0] == 200
            status, told = await world.call("POST", f"{V44}/node/n1", {"state": ["ZORK"]}, user=ROOT)
            assert (status, [one["error_number"] for one in told["errors"]]) == (500, [9207, 2180])

    @in_loop
    async def test_several_are_changed_at_once_and_unknown_ones_are_told_of(self, url: str) -> None:
        async with a_world(url) as world:
            drain = {"name": "n[1-2]", "state": ["DRAIN"], "reason": "fans"}
            status, told = await world.call("POST", f"{V44}/nodes/", drain)
            assert (status, told["errors"][0]["error_number"]) == (500, 2010)
            status, told = await world.call("POST", f"{V44}/nodes/", drain, user=ROOT)
            assert (status, told["errors"], [one["source"] for one in told["warnings"]]) == (200, [], ["#/name/"])
            back = {"name": ["n1", "zork"], "state": ["RESUME"]}
            status, told = await world.call("POST", f"{V44}/nodes/", back, user=ROOT)
            assert (status, told["errors"][0]["description"]) == (500, "Failure to update node n1,zork")
            _, told = await world.call("GET", f"{V44}/nodes/")
            assert {one["name"]: (one["state"], one["reason"]) for one in told["nodes"]} == {
                "n1": (["IDLE"], ""),
                "n2": (["IDLE", "DRAIN"], "fans"),
            }
            assert (await world.call("POST", f"{V44}/node/n2", {"reason": "two fans"}, user=ROOT))[0] == 200
            assert (await world.call("POST", f"{V44}/node/n1", {"reason": "none"}, user=ROOT))[0] == 200
            _, told = await world.call("GET", f"{V44}/nodes/")
            assert [one["reason"] for one in told["nodes"]] == ["", "two fans"]

    @in_loop
    async def test_nothing_is_sent_that_has_not_changed(self, url: str) -> None:
        async with a_world(url) as world:
            for path in ("nodes/", "partitions/", "reservations/", "node/n1", "partition/main"):
                client = await world.client()
                answer = await client.get(f"{V44}/{path}?update_time=1999999999")
                assert (answer.status_code, answer.content) == (304, b""), path


class TestPartitions:
    @in_loop
    async def test_limits_that_are_none_are_infinite(self, url: str) -> None:
        async with a_world(url) as world:
            _, told = await world.call("GET", f"{V44}/partition/main")
            [one] = told["partitions"]
            assert (one["maximums"]["time"], one["maximums"]["nodes"]) == (INFINITE, INFINITE)
            assert one["defaults"] == {
                "memory_per_cpu": 256 - 2**63,
                "partition_memory_per_cpu": a_number(256),
                "partition_memory_per_node": a_number(None),
                "time": a_number(30),
                "job": "",
            }

    @in_loop
    async def test_an_unknown_one_is_422(self, url: str) -> None:
        async with a_world(url) as world:
            status, told = await world.call("GET", f"{V44}/partition/zork")
            assert (status, told["errors"][0]["description"]) == (422, "Unable to find partition zork")

    @in_loop
    async def test_licences_in_use(self, url: str) -> None:
        async with a_world(url) as world:
            await a_running_job(world)
            _, told = await world.call("GET", f"{V44}/licenses")
            [one] = told["licenses"]
            assert (one["LicenseName"], one["Total"], one["Used"], one["Free"]) == ("matlab", 4, 3, 1)

    @in_loop
    async def test_a_reservation_with_all_that_it_keeps(self, url: str) -> None:
        async with a_world(url) as world:
            assert (await world.call("GET", f"{V44}/reservations/"))[1]["reservations"] == []
            kept = Reservation("r1", 4e9, 4e9 + 3600, ("n1", "n2"), ("bob",), accounts=("x",), flags=("MAINT",))
            await world.service.runtime.put_reservation(kept)
            _, told = await world.call("GET", f"{V44}/reservation/r1")
            [one] = told["reservations"]
            names = ("name", "users", "accounts", "flags", "node_list", "node_count", "core_count", "tres")
            assert {name: one[name] for name in names} == {
                "name": "r1",
                "users": "bob",
                "accounts": "x",
                "flags": ["MAINT"],
                "node_list": "n[1-2]",
                "node_count": 2,
                "core_count": 4,
                "tres": "cpu=4",
            }
            assert (one["start_time"], one["end_time"]) == (a_number(4_000_000_000), a_number(4_000_003_600))

    @in_loop
    async def test_a_reservation_is_created_changed_and_deleted_by_operators(self, url: str) -> None:
        async with a_world(url) as world:
            whole = {
                "name": "r1",
                "start_time": {"set": True, "number": 4_000_000_000},
                "duration": {"set": True, "number": 60},
                "users": ["alice"],
                "node_list": ["n1"],
            }
            status, told = await world.call("POST", f"{V44}/reservation", whole, user=ALICE)
            assert (status, told["errors"][0]["error_number"]) == (500, 2010)
            status, told = await world.call("POST", f"{V44}/reservation", whole, user=ROOT)
            assert (status, [one["name"] for one in told["reservations"]]) == (200, ["r1"])
            longer = {"reservations": [{"name": "r1", "duration": 120, "flags": ["IGNORE_JOBS"]}]}
            assert (await world.call("POST", f"{V44}/reservations/", longer, user=ROOT))[0] == 200
            _, told = await world.call("GET", f"{V44}/reservation/r1")
            [one] = told["reservations"]
            assert (one["end_time"]["number"], one["users"], one["flags"]) == (
                *(4_000_007_200, "alice"),
                ["IGNORE_JOBS", "SPEC_NODES"],
            )
            status, told = await world.call("POST", f"{V44}/reservation", {"name": "r2"}, user=ROOT)
            assert (status, told["errors"][0]["error_number"]) == (500, 2053)
            for expected in (200, 500):
                assert (await world.call("DELETE", f"{V44}/reservation/r1", user=ROOT))[0] == expected
            assert (await world.call("GET", f"{V44}/reservations/"))[1]["reservations"] == []
            assert (await world.call("POST", "/slurm/v0.0.42/reservation", whole, user=ROOT))[0] == 404


class TestAccounting:
    @in_loop
    async def test_jobs_stay_after_the_controller_forgot_them(self, url: str) -> None:
        async with a_world(url) as world:
            job_id = await world.submitted(comment="kept", user=ALICE)
            await world.run(str(job_id))
            _, told = await world.call("GET", f"{DB}/job/{job_id}")
            [one] = told["jobs"]
            assert (one["comment"]["job"], one["state"]["current"], one["user"]) == ("kept", ["RUNNING"], "alice")
            assert [step["step"]["id"] for step in one["steps"]] == [f"{job_id}.batch"]
            _, told = await world.call("GET", f"{DB}/jobs/?users=bob")
            assert (told["jobs"], told["warnings"][0]["description"]) == ([], "slurmdb_jobs_get() found nothing")
            _, told = await world.call("GET", f"{DB}/jobs/?users=alice&state=RUNNING&skip_steps=true")
            assert [(one["job_id"], one["steps"]) for one in told["jobs"]] == [(job_id, [])]
            assert (await world.store.get(JobKey(job_id))) is not None

    @in_loop
    async def test_what_is_not_eligible_yet_is_shown_by_its_id_alone(self, url: str) -> None:
        async with a_world(url) as world:
            held = await world.submitted(hold=True, name="held", array="1-3%2", tasks=1)
            _, told = await world.call("GET", f"{DB}/jobs/?job_name=held")
            assert told["jobs"] == []
            _, told = await world.call("GET", f"{DB}/jobs/?step={held}")
            assert [(one["array"]["task"], one["state"]["reason"]) for one in told["jobs"]] == [("0xE", "None")]

    @in_loop
    async def test_filters_that_name_nothing_known(self, url: str) -> None:
        async with a_world(url) as world:
            await world.run(str(await world.submitted(name="a")))
            status, told = await world.call("GET", f"{DB}/jobs/?users=nosuchuser")
            assert (status, [one["error_number"] for one in told["errors"]]) == (422, [2166, 9000])
            for query in ("users=4242", "cluster=zork", "association=7", "state=ZORK", "account=zork"):
                _, told = await world.call("GET", f"{DB}/jobs/?{query}")
                assert told["jobs"] == [], query
            _, told = await world.call("GET", f"{DB}/jobs/?cluster=oracle&association=0&state=RUNNING&users=alice")
            assert [one["name"] for one in told["jobs"]] == ["a"]

    @in_loop
    async def test_a_job_names_the_association_that_it_is_booked_on(self, url: str) -> None:
        async with a_world(url) as world:
            job_id = await world.submitted(user=ROOT, account="root")
            assert (await world.shown(job_id))["association_id"] == 2
            _, told = await world.call("GET", f"{DB}/job/{job_id}")
            assert told["jobs"][0]["association"]["id"] == 2
            _, old = await world.call("GET", f"/slurmdb/v0.0.42/job/{job_id}")
            assert {name: old["jobs"][0]["association"][name] for name in ("account", "user", "id")} == {
                "account": "root",
                "user": "root",
                "id": 2,
            }

    @in_loop
    async def test_lists_of_what_nobody_keeps_are_empty(self, url: str) -> None:
        async with a_world(url) as world:
            for path, name in (("wckeys/", "wckeys"), ("wckey/1", "wckeys"), ("instances/", "instances")):
                status, told = await world.call("GET", f"{DB}/{path}", user=ROOT)
                assert (status, told[name], len(told["warnings"])) == (200, [], 1), path
            assert (await world.call("GET", f"{DB}/wckeys/"))[0] == 500

    @in_loop
    async def test_the_book_of_a_new_site(self, url: str) -> None:
        async with a_world(url) as world:
            _, told = await world.call("GET", f"{DB}/qos/normal")
            assert (told["qos"][0]["name"], told["qos"][0]["preempt"]["mode"]) == ("normal", ["DISABLED"])
            _, told = await world.call("GET", f"{DB}/user/root?with_assocs=1")
            assert told["users"][0]["default"] == {"qos": 0, "account": "root", "wckey": ""}
            _, told = await world.call("GET", f"{DB}/associations/?user=root")
            [one] = told["associations"]
            assert (one["account"], one["lineage"], one["is_default"]) == ("root", "/0-root/", True)
            _, told = await world.call("GET", f"{DB}/config")
            assert [one["name"] for one in told["clusters"]] == ["oracle"]

    @in_loop
    async def test_one_association_must_be_one(self, url: str) -> None:
        async with a_world(url) as world:
            status, told = await world.call("GET", f"{DB}/association/?account=root")
            assert (status, told["errors"][0]["error_number"]) == (500, 9211)

    @in_loop
    async def test_what_is_not_there_is_a_warning(self, url: str) -> None:
        async with a_world(url) as world:
            for path, name in (("user/zork", "users"), ("account/zork", "accounts"), ("cluster/zork", "clusters")):
                status, told = await world.call("GET", f"{DB}/{path}")
                assert (status, told[name], len(told["warnings"])) == (200, [], 1)


class TestWhoIsLetIn:
    @in_loop
    async def test_nobody_without_a_token_over_tcp(self, url: str) -> None:
        async with a_world(url) as world:
            for path in (f"{V44}/ping/", "/openapi/v3", "/nowhere"):
                assert await world.call("GET", path, user=None) == (401, "Authentication failure")

    @in_loop
    async def test_a_token_in_either_header(self, url: str) -> None:
        async with a_world(url) as world:
            token = world.gate.issue(ALICE, 60)
            given: list[dict[str, str]] = [{"x_slurm_user_token": token}, {"authorization": f"Bearer {token}"}]
            for headers in given:
                assert (await world.call("GET", f"{V44}/jobs/", user=None, **headers))[0] == 200

    @in_loop
    async def test_a_bad_token_shows_where_the_controller_is_asked(self, url: str) -> None:
        async with a_world(url) as world:
            asked = {"user": None, "x_slurm_user_token": "no.such.token"}
            _, told = await world.call("GET", f"{V44}/ping/", **asked)
            assert (told["pings"][0]["pinged"], told["pings"][0]["responding"]) == ("DOWN", False)
            status, told = await world.call("GET", f"{V44}/jobs/", **asked)
            assert (status, told["jobs"]) == (511, [])
            assert told["errors"] == [
                {
                    "description": "Unable to query jobs",
                    "error_number": 1007,
                    "error": "Protocol authentication error",
                    "source": "slurm_load_jobs()",
                }
            ]
            status, told = await world.call("GET", f"{DB}/users/", **asked)
            assert (status, told["errors"][0]["error_number"]) == (502, 7000)
            body: Any = {"script": "#!/bin/sh\n", "job": {}}
            status, told = await world.call("POST", f"{V44}/job/submit", body, **asked)
            assert (status, told["errors"][0]["error_number"]) == (511, 1007)

    @in_loop
    async def test_only_an_operator_acts_for_another(self, url: str) -> None:
        async with a_world(url) as world:
            for user, status in ((ROOT, 200), (ALICE, 511)):
                token = world.gate.issue(user, 60)
                headers = {"x_slurm_user_token": token, "x_slurm_user_name": "bob"}
                body = {"script": "#!/bin/sh\n", "job": {"environment": ["A=1"], "current_working_directory": "/"}}
                assert (await world.call("POST", f"{V44}/job/submit", body, user=None, **headers))[0] == status
            assert (await world.shown(1))["user_name"] == "bob"


class TestPaths:
    @in_loop
    async def test_paths_that_are_none(self, url: str) -> None:
        async with a_world(url) as world:
            for path in ("/", "/nowhere", "/slurm/v0.0.1/ping", "/slurm/v0.0.40/ping", f"{V44}/zork", f"{V44}/job"):
                status, text = await world.call("GET", path)
                assert (status, text[: len(UNKNOWN_PATH)]) == (404, UNKNOWN_PATH), path
            assert (await world.call("PUT", f"{V44}/job/1"))[0] == 404
            assert await world.call("GET", f"{V44}/job/1+0") == (404, "Invalid or unknown URL path")

    @in_loop
    async def test_the_other_front_ends_are_where_they_were(self, url: str) -> None:
        async with a_world(url) as world:
            for prefix in OTHERS:
                status, told = await world.call("GET", f"{prefix}nowhere")
                assert (status, told["code"]) in ((404, "not_found"), (405, "method_not_allowed")), prefix
            assert (await world.call("GET", "/v1/jobs"))[0] == 200

    @in_loop
    async def test_kinds_of_content(self, url: str) -> None:
        async with a_world(url) as world:
            assert (await world.call("GET", f"{V44}/ping/", accept="text/html"))[0] == 415
            client = await world.client(accept="application/yaml")
            answer = await client.get(f"{V44}/ping/")
            assert answer.headers["content-type"] == "application/yaml"
            assert answer.text.startswith(
                "%YAML 1.1\n--- !!map\n!!str pings: !!seq\n- !!map\n  !!str hostname: !!str here\n"
            )
            answer = await client.get(f"{V44}/jobs/")
            assert answer.text.startswith("%YAML 1.1\n--- !!map\n!!str jobs: !!seq []\n")
            answer = await client.post(f"{V44}/job/submit", content=b"a: 1", headers={"content-type": "text/plain"})
            assert (answer.status_code, answer.text) == (415, "MIME type is unknown to any loaded plugins")
