"""Requests and their errors, with a stand-in for the API server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.backends.kubernetes import transport
from bridge.backends.kubernetes.transport import Access, Exists, Expired, NotAllowed, Transport
from bridge.core.errors import BridgeError, Gone, Refused, Unavailable
from tests.kubernetes.fake_api import FakeApi, a_list, an_object, served, status_of

PATH = "/api/v1/namespaces/hpc/secrets"
QUOTA = 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0'
RBAC = 'secrets is forbidden: User "bridge" cannot create resource "secrets" in API group "" in the namespace "hpc"'


def run(folder: Path, scenario: Callable[[FakeApi, Transport], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        async with served(folder) as (api, transport_made):
            return await scenario(api, transport_made)

    return asyncio.run(whole())


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (404, status_of(404, 'secrets "x" not found', reason="NotFound"), Gone),
            (404, "404 page not found", Gone),
            (409, status_of(409, 'secrets "x" already exists', reason="AlreadyExists"), Exists),
            (410, status_of(410, "too old resource version", reason="Expired"), Expired),
            (403, status_of(403, RBAC, reason="Forbidden"), NotAllowed),
            (403, status_of(403, QUOTA, reason="Forbidden"), Refused),
            (422, status_of(422, "Job is invalid: spec", reason="Invalid"), Refused),
            (401, status_of(401, "Unauthorized"), Unavailable),
            (500, status_of(500, "failed calling webhook"), Unavailable),
            (500, "<html>", Unavailable),
        ],
    )
    def test_are_ours_with_the_clusters_sentence(self, status: int, body: Any, kind: type[BridgeError]) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        error = transport.error_of(status, text.encode())
        assert type(error) is kind
        assert (body if isinstance(body, str) else body["message"]) in error.sentence

    def test_of_a_cluster_that_is_not_there_is_unavailable(self, tmp_path: Path) -> None:
        async def scenario(api: FakeApi, made: Transport) -> None:
            made._client.configuration.host = "http://127.0.0.1:1"
            with pytest.raises(Unavailable, match="the Kubernetes API does not answer"):
                await made.get("/version")

        run(tmp_path, scenario)

    def test_of_a_missing_kubeconfig_is_unavailable(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="no way to the Kubernetes cluster"):
            asyncio.run(Transport(Access(str(tmp_path / "none"))).open())


class TestRequests:
    def test_writes_are_validated_strictly_and_carry_our_name(self, tmp_path: Path) -> None:
        async def scenario(api: FakeApi, made: Transport) -> None:
            api.on("POST", PATH, (201, {"metadata": {"uid": "u"}}))
            assert await made.create(PATH, {"kind": "Secret"}) == {"metadata": {"uid": "u"}}
            query = {"fieldManager": "bridge", "fieldValidation": "Strict"}
            assert api.calls == [("POST", PATH, query, {"kind": "Secret"})]

        run(tmp_path, scenario)

    def test_are_tried_again_when_the_server_is_busy_and_after_the_time_it_says(self, tmp_path: Path) -> None:
        async def scenario(api: FakeApi, made: Transport) -> float:
            busy = (429, status_of(429, "too many requests"), {"Retry-After": "1"})
            api.on("POST", PATH, busy, (500, status_of(500, "etcd")), (201, {"metadata": {}}))
            loop = asyncio.get_running_loop()
            began = loop.time()
            await made.create(PATH, {})
            assert len(api.calls) == 3
            return loop.time() - began

        assert run(tmp_path, scenario) >= 1.2

    def test_give_up_after_a_few_tries(self, tmp_path: Path) -> None:
        async def scenario(api: FakeApi, made: Transport) -> None:
            api.on("GET", "/version", (503, status_of(503, "starting")))
            with pytest.raises(Unavailable, match="the Kubernetes API answers 503: starting"):
                await made.get("/version")
            assert len(api.calls) == 4

        run(tmp_path, scenario)

    def test_a_delete_of_what_is_gone_or_another_is_done(self, tmp_path: Path) -> None:
        async def scenario(api: FakeApi, made: Transport) -> None:
            api.on("DELETE", f"{PATH}/other", (409, status_of(409, "the UID in the precondition", reason="Conflict")))
            await made.delete(f"{PATH}/gone")
            await made.delete(f"{PATH}/other", uid="u1")
            assert api.calls[1][3] == {
                "kind": "DeleteOptions",
                "apiVersion": "v1",
                "propagationPolicy": "Background",
                "preconditions": {"uid": "u1"},
            }

        run(tmp_path, scenario)


class TestLists:
    def test_are_read_page_by_page(self, tmp_path: Path) -> None:
        async def scenario(api: FakeApi, made: Transport) -> None:
            api.on("GET", PATH, a_list(an_object("a"), more="next"), a_list(an_object("b"), version="7"))
            items, version = await made.list_all(PATH, {"labelSelector": "x=y"})
            assert ([item["metadata"]["name"] for item in items], version) == (["a", "b"], "7")
            assert [call[2] for call in api.calls] == [
                {"labelSelector": "x=y", "limit": "500"},
                {"labelSelector": "x=y", "limit": "500", "continue": "next"},
            ]

        run(tmp_path, scenario)


class TestWatches:
    def test_give_events_in_order_however_the_bytes_come(self, tmp_path: Path) -> None:
        async def scenario(api: FakeApi, made: Transport) -> None:
            events = [
                {"type": "ADDED", "object": an_object("x" * 100_000)},
                {"type": "DELETED", "object": an_object("b")},
            ]
            api.on("GET", PATH, events)
            found = [(kind, item) async for kind, item in made.watch(PATH, {}, "5")]
            assert found == [(event["type"], event["object"]) for event in events]
            assert (api.calls[0][2]["resourceVersion"], api.calls[0][2]["allowWatchBookmarks"]) == ("5", "true")

        run(tmp_path, scenario)

    @pytest.mark.parametrize("inside", [True, False])
    def test_that_are_too_late_say_so_in_both_forms(self, tmp_path: Path, inside: bool) -> None:
        async def scenario(api: FakeApi, made: Transport) -> None:
            gone = status_of(410, "too old resource version: 1 (9)", reason="Expired")
            api.on("GET", PATH, [{"type": "ERROR", "object": gone}] if inside else (410, gone))
            with pytest.raises(Expired, match="too old"):
                async for _ in made.watch(PATH, {}, "1"):
                    pass

        run(tmp_path, scenario)
