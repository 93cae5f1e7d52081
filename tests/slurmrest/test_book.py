"""slurmdb's writes: by operators, into the book that sacctmgr shows, kept in the state database."""

from typing import Any

from tests.slurmrest.world import ALICE, BOB, ROOT, World, a_world
from tests.store.support import in_loop

DB = "/slurmdb/v0.0.44"
PLAIN = {"errors": [], "warnings": []}


async def put(world: World, path: str, body: Any, **options: Any) -> tuple[int, Any]:
    return await world.call("POST", f"{DB}/{path}", body, **{"user": ROOT, **options})


async def a_user_in_an_account(world: World) -> None:
    made = {"association_condition": {"accounts": ["physics"]}, "account": {"description": "d", "organization": "o"}}
    assert (await put(world, "accounts_association/", made))[0] == 200
    person = {"association_condition": {"accounts": ["physics"], "users": ["alice"]}, "user": {}}
    status, told = await put(world, "users_association/", person)
    assert (status, told["added_users"].splitlines()[:2]) == (200, [" Adding User(s)", "  alice"])


class TestAdding:
    @in_loop
    async def test_users_accounts_and_associations_one_after_the_other(self, url: str) -> None:
        async with a_world(url) as world:
            account = {"name": "Lab", "description": "the lab", "organization": "org"}
            assert await put(world, "accounts/", {"accounts": [account]}) == (200, PLAIN)
            assert await put(world, "users/", {"users": [{"name": "alice"}]}) == (200, PLAIN)
            limits = {
                "max": {
                    "jobs": {"active": {"set": True, "number": 2}, "per": {"wall_clock": {"set": True, "number": 60}}},
                    "tres": {"total": [{"type": "cpu", "count": 8}]},
                },
                "shares_raw": 7,
                "comment": "c",
            }
            place = {"account": "lab", "user": "alice", **limits}
            assert await put(world, "associations/", {"associations": [place]}) == (200, PLAIN)
            _, told = await world.call("GET", f"{DB}/associations/?user=alice")
            [one] = told["associations"]
            assert (one["account"], one["lineage"], one["is_default"], one["comment"], one["shares_raw"]) == (
                *("lab", "/lab/0-alice/", True, "c", 7),
            )
            jobs = one["max"]["jobs"]
            assert (jobs["active"]["number"], jobs["per"]["wall_clock"]["number"]) == (2, 60)
            assert one["max"]["tres"]["total"] == [{"type": "cpu", "name": "", "id": 1, "count": 8}]
            book = await world.service.accounting.book()
            assert book.version > 0
            assert (await world.store.accounting_book()) == book  # it outlives the process
            job = await world.shown(await world.submitted(hold=True))
            assert (job["account"], job["association_id"]) == ("lab", one["id"])

    @in_loop
    async def test_what_is_there_is_changed(self, url: str) -> None:
        async with a_world(url) as world:
            await a_user_in_an_account(world)
            level = {"name": "alice", "administrator_level": ["Operator"]}
            assert (await put(world, "users/", {"users": [level]}))[0] == 200
            described = {
                "name": "physics",
                "description": "new",
                "organization": "o2",
                "coordinators": [{"name": "alice", "direct": True}],
            }
            assert (await put(world, "accounts/", {"accounts": [described]}))[0] == 200
            _, told = await world.call("GET", f"{DB}/user/alice?with_assocs=1&with_coords=1")
            [user] = told["users"]
            assert (user["administrator_level"], user["default"]["account"]) == (["Operator"], "physics")
            assert user["coordinators"] == [{"name": "physics", "direct": True}]
            _, told = await world.call("GET", f"{DB}/account/physics")
            assert (told["accounts"][0]["description"], told["accounts"][0]["organization"]) == ("new", "o2")

    @in_loop
    async def test_a_qos_with_limits_and_what_is_not_said_again(self, url: str) -> None:
        async with a_world(url) as world:
            fast = {
                "name": "fast",
                "description": "quick ones",
                "priority": {"set": True, "number": 5},
                "flags": ["DENY_LIMIT"],
                "limits": {"max": {"jobs": {"active_jobs": {"per": {"user": {"set": True, "number": 3}}}}}},
            }
            assert await put(world, "qos/", {"qos": [fast]}) == (200, PLAIN)
            assert await put(world, "qos/", {"qos": [{"name": "fast", "description": "still"}]}) == (200, PLAIN)
            _, told = await world.call("GET", f"{DB}/qos/fast")
            [one] = told["qos"]
            per_user = one["limits"]["max"]["jobs"]["active_jobs"]["per"]["user"]
            assert (one["description"], one["priority"]["number"], one["flags"]) == ("still", 5, [])
            assert per_user == {"set": True, "infinite": False, "number": 3}

    @in_loop
    async def test_a_whole_configuration_or_nothing_of_it(self, url: str) -> None:
        async with a_world(url) as world:
            whole: dict[str, Any] = {
                "clusters": [{"name": "oracle"}],
                "accounts": [{"name": "a", "description": "d", "organization": "o"}],
                "users": [{"name": "alice"}],
                "qos": [{"name": "q"}],
                "associations": [{"account": "a", "user": "nobodyknows"}],
            }
            status, told = await put(world, "config", whole)
            assert (status, told["errors"][0]["error"]) == (500, "no user is named nobodyknows")
            assert (await world.call("GET", f"{DB}/account/a"))[1]["accounts"] == []
            whole["associations"][0]["user"] = "alice"
            assert await put(world, "config", whole) == (200, PLAIN)
            _, told = await world.call("GET", f"{DB}/user/alice?with_assocs=1")
            assert [one["account"] for one in told["users"][0]["associations"]] == ["a"]

    @in_loop
    async def test_what_is_not_whole_or_not_known_is_refused(self, url: str) -> None:
        async with a_world(url) as world:
            for path, body, number in (
                ("accounts/", {}, 9200),
                ("accounts/", {"accounts": [{"name": "a"}]}, 9200),
                ("users/", {"users": [{}]}, 9210),
                ("qos/", {"qos": [{}]}, 9000),
                ("associations/", {"associations": [{"account": "zork", "user": ""}]}, -1),
                ("associations/", {"associations": [{"account": "root", "user": "", "cluster": "other"}]}, -1),
                ("associations/", {"associations": [{"account": "root", "user": "", "qos": ["zork"]}]}, -1),
                ("clusters/", {"clusters": [{"name": "other"}]}, -1),
                ("users_association/", {"association_condition": {"accounts": ["zork"], "users": ["a"]}}, None),
                ("config", {}, 2162),
                ("tres/", {"TRES": []}, 2036),
            ):
                status, told = await put(world, path, body)
                if number is None:
                    assert (status, told) == (304, ""), path
                else:
                    assert told["errors"][0]["error_number"] == number, (path, told)
            assert (await world.service.accounting.book()).version == 0

    @in_loop
    async def test_only_operators_and_coordinators_of_an_account(self, url: str) -> None:
        async with a_world(url) as world:
            await a_user_in_an_account(world)
            place = {"associations": [{"account": "physics", "user": "alice", "comment": "mine"}]}
            status, told = await put(world, "associations/", place, user=BOB)
            assert (status, told["errors"][0]["error_number"]) == (500, -1)
            for path, body in (
                ("accounts/", {"accounts": [{"name": "a", "description": "", "organization": ""}]}),
                ("users/", {"users": [{"name": "alice", "administrator_level": ["Administrator"]}]}),
                ("qos/", {"qos": [{"name": "q"}]}),
                ("clusters/", {"clusters": [{"name": "c"}]}),
            ):
                status, told = await put(world, path, body, user=ALICE)
                assert (status, told["errors"][0]["error_number"]) == (500, 2002), path
            for path in ("user/alice", "account/physics", "qos/normal", "association/?user=alice", "cluster/oracle"):
                status, told = await world.call("DELETE", f"{DB}/{path}", user=ALICE)
                assert (status, told["errors"][-1]["error_number"]) == (500, 2002), path


class TestRemoving:
    @in_loop
    async def test_each_kind(self, url: str) -> None:
        async with a_world(url) as world:
            await a_user_in_an_account(world)
            await put(world, "qos/", {"qos": [{"name": "fast"}]})

            async def removed(path: str) -> Any:
                status, told = await world.call("DELETE", f"{DB}/{path}", user=ROOT)
                return told if status == 200 else status

            assert (await removed("association/?user=alice"))["removed_associations"] == [
                "C = oracle     A = physics    U = alice    "
            ]
            assert (await removed("user/Alice"))["removed_users"] == ["alice"]
            assert (await removed("qos/fast"))["removed_qos"] == ["fast"]
            assert (await removed("account/physics"))["removed_accounts"] == ["physics"]
            for path in ("association/?user=alice", "user/alice", "qos/fast", "account/physics", "cluster/zork"):
                assert await removed(path) == 304, path
            for path in ("account/root", "associations/?account=root", "cluster/oracle"):
                assert await removed(path) == 500, path

    @in_loop
    async def test_nothing_that_a_job_is_booked_on(self, url: str) -> None:
        async with a_world(url) as world:
            await a_user_in_an_account(world)
            await world.submitted(hold=True)
            for path in ("user/alice", "account/physics", "association/?user=alice", "qos/normal"):
                status, told = await world.call("DELETE", f"{DB}/{path}", user=ROOT)
                assert (status, told["errors"][-1]["error_number"]) == (500, 7001), path
