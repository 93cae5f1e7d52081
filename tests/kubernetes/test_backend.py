"""Starting, stopping and forgetting as requests, with a stand-in for the API server that can lose answers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.kubernetes import names
from bridge.backends.kubernetes import attempts, patience
from bridge.backends.kubernetes import transport as transport_module
from bridge.core.errors import Gone, Refused, Unavailable
from tests.kubernetes.fake_api import FakeApi, a_list, for_ever, status_of, until
from tests.kubernetes.fake_cluster import CORE, JOBS, NAME, SECRETS, World, a_job, a_pod, an_object, run, taken
from tests.kubernetes.makers import a_group, a_task


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "_TRIES", 1)


class TestAStart:
    def test_makes_the_secret_first_and_everything_else_its_own(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            await world.backend.start([a_group()])
            (secret,), (job,) = world.posted(SECRETS), world.posted(JOBS)
            assert job["metadata"]["name"] == NAME and secret["metadata"]["name"].startswith(f"{NAME}-")
            assert [(one["kind"], one["name"], one["uid"]) for one in job["metadata"]["ownerReferences"]] == [
                ("Secret", secret["metadata"]["name"], f"uid-{secret['metadata']['name']}")
            ]
            assert world.asked("POST")[-2:] == [("POST", SECRETS), ("POST", JOBS)]

        run(tmp_path, scenario)

    def test_that_is_repeated_asks_nothing(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            await world.backend.start([a_group()])
            before = len(world.api.calls)
            await world.backend.start([a_group(key="11" * 16)])
            assert len(world.api.calls) == before

        run(tmp_path, scenario)

    def test_whose_answer_was_lost_counts_when_its_job_is_there(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            world.api.on("POST", JOBS, (500, status_of(500, "lost")))
            with pytest.raises(Unavailable):
                await world.backend.start([a_group()])
            (secret,) = world.posted(SECRETS)
            made = a_job()
            made["metadata"]["ownerReferences"][0]["name"] = secret["metadata"]["name"]
            world.api.on("GET", f"{JOBS}/{NAME}", (200, made))
            await world.backend.start([a_group(key="11" * 16)])
            assert (len(world.posted(SECRETS)), len(world.posted(JOBS))) == (1, 1)

        run(tmp_path, scenario)

    def test_that_came_to_nothing_istaken_back_before_another_is_made(self, tmp_path: Path) -> None:
        """So that a Job that is made too late finds no Secret."""

        async def scenario(world: World) -> None:
            world.api.on("POST", JOBS, (500, status_of(500, "lost")), taken)
            with pytest.raises(Unavailable):
                await world.backend.start([a_group()])
            await world.backend.start([a_group()])
            first, second = (secret["metadata"]["name"] for secret in world.posted(SECRETS))
            assert first != second
            assert world.asked("DELETE") == [("DELETE", f"{SECRETS}/{first}")]
            order = world.asked("POST", "DELETE")
            assert order.index(("DELETE", f"{SECRETS}/{first}")) < len(order) - 2

        run(tmp_path, scenario)

    def test_meets_an_older_job_of_its_name_and_waits(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            world.api.on("POST", JOBS, (409, status_of(409, "already exists", reason="AlreadyExists")))
            world.api.on("GET", f"{JOBS}/{NAME}", (200, a_job()))
            with pytest.raises(Unavailable, match=f"an older Job {NAME} is still being removed"):
                await world.backend.start([a_group()])

        run(tmp_path, scenario)

    def test_that_the_cluster_refuses_leaves_nothing_and_says_why(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            told = 'jobs.batch "x" is forbidden: exceeded quota: small'
            world.api.on("POST", JOBS, (403, status_of(403, told, reason="Forbidden")))
            with pytest.raises(Refused, match="exceeded quota: small"):
                await world.backend.start([a_group()])
            (secret,) = world.posted(SECRETS)
            assert world.asked("DELETE") == [("DELETE", f"{SECRETS}/{secret['metadata']['name']}")]

        run(tmp_path, scenario)

    def test_of_several_groups_goes_on_when_one_is_refused(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            with pytest.raises(Refused, match="the partition nowhere has no place on Kubernetes"):
                await world.backend.start([a_group(partition="nowhere", job_id=13), a_group()])
            assert len(world.posted(JOBS)) == 1

        run(tmp_path, scenario)

    def test_of_array_tasks_makes_one_job(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            await world.backend.start([a_task(0), a_task(1), a_task(2)])
            assert [job["spec"]["completions"] for job in world.posted(JOBS)] == [3]
            assert sorted(world.backend.book.attempts) == [(21, 1), (22, 1), (23, 1)]

        run(tmp_path, scenario)


class TestAtOpening:
    def test_starts_that_were_cut_short_aretaken_back(self, tmp_path: Path) -> None:
        def more(api: FakeApi) -> None:
            api.on("GET", SECRETS, a_list(an_object(f"{NAME}-t1"), an_object("job-13-1-abcd1234-t2")))
            api.on("GET", JOBS, a_list(a_job()), for_ever)

        async def scenario(world: World) -> None:
            assert world.asked("DELETE") == [("DELETE", f"{SECRETS}/job-13-1-abcd1234-t2")]
            assert world.full == [{(12, 1)}]

        run(tmp_path, scenario, more)

    def test_an_attempt_is_known_by_its_pod_alone(self, tmp_path: Path) -> None:
        """Its Job was deleted while the bridge was away; the finalizer has kept the pod."""
        word = {"exitCode": 137, "reason": "Error", "finishedAt": "2023-11-14T22:13:20Z"}
        ended = [{"name": "job", "state": {"terminated": word}}]

        def more(api: FakeApi) -> None:
            api.on("GET", f"{CORE}/pods", a_list(a_pod(phase="Failed", containerStatuses=ended)), for_ever)

        async def scenario(world: World) -> None:
            assert world.seen[12, 1].phase == "lost"

        run(tmp_path, scenario, more)


class TestCapabilities:
    """Asked again when the API server was away: it may come back as another."""

    WITH_GROUPS = {
        "items": [
            {
                "metadata": {"name": "scheduling.k8s.io"},
                "versions": [{"version": "v1beta1", "resources": [{"resource": "podgroups"}]}],
            }
        ]
    }

    @staticmethod
    async def nodes(request: Any) -> Any:
        """None, whenever somebody asks."""
        return await for_ever(request) if "watch" in request.query else web.json_response(a_list()[1])

    ECHO = {"metadata": {}, "spec": {"schedulingGroup": {"podGroupName": "bridge-probe"}}}

    def test_what_a_rollback_took_away_is_not_used_any_more(self, tmp_path: Path) -> None:
        go_on = asyncio.Event()

        async def then_broken(request: Any) -> Any:
            await go_on.wait()
            return web.json_response(status_of(500, "going down"), status=500)

        def more(api: FakeApi) -> None:
            api.on("GET", "/apis", (200, self.WITH_GROUPS), (200, {"items": []}))
            api.on("GET", "/api/v1/nodes", self.nodes)
            api.on("POST", f"{CORE}/pods", (201, self.ECHO))
            api.on("GET", "/version", (200, {"gitVersion": "v1.37.2"}), (200, {"gitVersion": "v1.36.3"}))
            api.on("GET", JOBS, a_list(), then_broken, for_ever)
            api.on("POST", f"{CORE}/services", taken)

        async def scenario(world: World) -> None:
            before = world.backend._launcher.capabilities
            assert (before.version, before.pod_group) == ("v1.37.2", "yes")
            go_on.set()
            await until(lambda: world.backend._launcher.capabilities.version == "v1.36.3")
            await world.backend.start([a_group(nodes=2)])
            assert [path for _, path in world.asked("POST")[-3:]] == [SECRETS, f"{CORE}/services", JOBS]
            assert world.posted(JOBS)[0]["spec"]["template"]["spec"]["schedulingGates"] == [{"name": names.GATE}]

        run(tmp_path, scenario, more)

    def test_an_object_that_has_no_place_any_more_is_to_be_tried_again(self, tmp_path: Path) -> None:
        def more(api: FakeApi) -> None:
            api.on("GET", "/apis", (200, self.WITH_GROUPS), (200, {"items": []}))
            api.on("GET", "/api/v1/nodes", self.nodes)
            api.on("POST", f"{CORE}/pods", (201, self.ECHO))
            api.on("POST", f"{CORE}/services", taken)

        async def scenario(world: World) -> None:
            with pytest.raises(Unavailable, match="the cluster has no place for a Workload any more"):
                await world.backend.start([a_group(nodes=2)])
            await until(lambda: world.backend._launcher.capabilities.pod_group == "no")

        run(tmp_path, scenario, more)


class TestAStop:
    def test_before_there_is_a_pod_takes_everything_back(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            await world.backend.start([a_group()])
            (secret,) = world.posted(SECRETS)
            world.api.on("GET", f"{CORE}/pods", a_list())
            await world.backend.stop(12, 1, "cancel")
            assert world.asked("DELETE") == [
                ("DELETE", f"{SECRETS}/{secret['metadata']['name']}"),
                ("DELETE", f"{JOBS}/{NAME}"),
            ]
            await until(lambda: (12, 1) in world.seen)
            assert world.seen[12, 1].phase == "not_started"

        run(tmp_path, scenario)

    def test_ends_the_first_pod_and_no_other_of_that_name(self, tmp_path: Path) -> None:
        def more(api: FakeApi) -> None:
            api.on("GET", f"{CORE}/pods", a_list(a_pod()), for_ever)

        async def scenario(world: World) -> None:
            await world.backend.stop(12, 1, "cancel")
            ((_, path, _, body),) = [call for call in world.api.calls if call[0] == "DELETE"]
            assert (path, body["preconditions"]) == (f"{CORE}/pods/p", {"uid": "uid-p"})

        run(tmp_path, scenario, more)

    def test_of_what_is_unknown_removes_a_start_that_was_cut_short(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            with pytest.raises(Gone, match="nothing of attempt 1 of job 12 is here"):
                await world.backend.stop(12, 1, "cancel")
            ((_, path, query, _),) = [call for call in world.api.calls if call[0] == "DELETE"]
            assert (path, query) == (SECRETS, {"labelSelector": f"bridge.hpc/group={NAME}"})

        run(tmp_path, scenario)


class TestAPodThatIsToEnd:
    def test_and_runs_on_is_told_so_in_another_way(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its signal came before the agent could hear it."""
        monkeypatch.setattr(patience, "_LOOK_SECONDS", 0.02)
        monkeypatch.setattr(attempts, "_REMIND_SECONDS", 0.05)

        def more(api: FakeApi) -> None:
            pod = a_pod(phase="Running", containerStatuses=[{"name": "job", "state": {"running": {}}}])
            pod["metadata"]["deletionTimestamp"] = "2023-11-14T22:14:00Z"
            api.on("GET", f"{CORE}/pods", a_list(pod), for_ever)
            api.on("GET", f"{CORE}/pods/p/log", for_ever)
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            node = {"metadata": {"name": "n1", "resourceVersion": "1"}, "status": ready}
            api.on("GET", "/api/v1/nodes", a_list(node), a_list(node), for_ever)

        async def scenario(world: World) -> None:
            await until(lambda: world.asked("GET").count(("GET", f"{CORE}/pods/p/exec")) >= 2)
            told = next(query for _, path, query, _ in world.api.calls if path == f"{CORE}/pods/p/exec")
            assert (told["container"], world.asked("DELETE")) == ("job", [])

        run(tmp_path, scenario, more)


class TestPodsThatWaitForEachOther:
    @staticmethod
    def pod(index: int, *gates: str) -> dict[str, Any]:
        """One of two, without a host."""
        found = a_pod(f"p{index}")
        found["metadata"]["annotations"] |= {"batch.kubernetes.io/job-completion-index": str(index), names.PODS: "2"}
        found["spec"] |= {"nodeName": None, "schedulingGates": [{"name": gate} for gate in gates]}
        return found

    @pytest.mark.parametrize("gates", [(names.GATE,), ()])
    def test_are_let_through_once_the_last_has_come(self, tmp_path: Path, gates: tuple[str, ...]) -> None:
        """Also where that was let through already, by a bridge that was killed then."""
        go_on = asyncio.Event()

        async def then_the_first(request: Any) -> Any:
            await go_on.wait()
            return web.Response(text=json.dumps({"type": "ADDED", "object": self.pod(0, *gates)}) + "\n")

        def more(api: FakeApi) -> None:
            api.on("GET", f"{CORE}/pods", a_list(self.pod(1, names.GATE)), then_the_first, for_ever)

        async def scenario(world: World) -> None:
            assert (world.full[-1], world.asked("PATCH")) == ({(12, 1)}, [])
            go_on.set()
            waiting = [("PATCH", f"{CORE}/pods/p0"), ("PATCH", f"{CORE}/pods/p1")][0 if gates else 1 :]
            await until(lambda: sorted(world.asked("PATCH")) == waiting)
            bodies = [body for method, _, _, body in world.api.calls if method == "PATCH"]
            assert all(
                body["spec"] == {"schedulingGates": [{"$patch": "delete", "name": names.GATE}]} for body in bodies
            )

        run(tmp_path, scenario, more)


class TestForgetting:
    def test_lets_the_pod_go_and_the_secret_with_all_that_it_owns(self, tmp_path: Path) -> None:
        def more(api: FakeApi) -> None:
            api.on("GET", f"{CORE}/pods", a_list(a_pod(phase="Succeeded")), for_ever)
            api.on("GET", JOBS, a_list(a_job()), for_ever)
            api.on("PATCH", f"{CORE}/pods/p", (200, {"metadata": {}}))

        async def scenario(world: World) -> None:
            await world.backend.forget(12, 1)
            assert world.asked("PATCH", "DELETE") == [("PATCH", f"{CORE}/pods/p"), ("DELETE", f"{SECRETS}/{NAME}-t1")]
            (change,) = [body for method, _, _, body in world.api.calls if method == "PATCH"]
            assert change == {
                "metadata": {"uid": "uid-p", "$deleteFromPrimitiveList/finalizers": ["bridge.hpc/end-is-committed"]}
            }

        run(tmp_path, scenario, more)

    def test_what_the_cluster_still_says_of_it_is_no_news(self, tmp_path: Path) -> None:
        late = {"type": "MODIFIED", "object": a_pod(phase="Succeeded")}
        go_on = asyncio.Event()

        async def then_modified(request: Any) -> Any:
            await go_on.wait()
            return web.Response(text=json.dumps(late) + "\n")

        def more(api: FakeApi) -> None:
            api.on("GET", f"{CORE}/pods", a_list(a_pod(phase="Succeeded")), then_modified, for_ever)

        async def scenario(world: World) -> None:
            await world.backend.forget(12, 1)
            world.seen.clear()
            asked = len(world.api.calls)
            go_on.set()
            await until(lambda: len(world.api.calls) > asked)  # the next watch: the event has been taken in
            assert (world.seen, world.backend.book.attempts) == ({}, {})

        run(tmp_path, scenario, more)


class TestWishes:
    def test_of_an_attempt_that_has_ended_or_is_unknown_are_gone(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            with pytest.raises(Gone):
                await world.backend.signal(12, 1, 10, "batch")

        run(tmp_path, scenario)

    def test_of_one_that_has_not_started_are_to_be_repeated(self, tmp_path: Path) -> None:
        def more(api: FakeApi) -> None:
            api.on("GET", f"{CORE}/pods", a_list(a_pod()), for_ever)

        async def scenario(world: World) -> None:
            with pytest.raises(Unavailable, match="does not run yet"):
                await world.backend.set_time_limit(12, 1, 60)

        run(tmp_path, scenario, more)
