"""A picture of the cluster's objects that survives cuts and gaps, with a stand-in for the API server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.backends.kubernetes import reflector
from bridge.backends.kubernetes.reflector import Reflector
from tests.kubernetes.fake_api import FakeApi, a_list, an_object, for_ever, served, status_of, until

PATH = "/api/v1/namespaces/hpc/pods"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "_FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(reflector, "_MOST_WAIT_SECONDS", 0.01)


class Seen:
    def __init__(self) -> None:
        self.changes: list[tuple[str, str, bool]] = []
        self.lists = 0

    def change(self, key: str, item: dict[str, Any], is_gone: bool) -> None:
        self.changes.append((key, item["metadata"]["resourceVersion"], is_gone))

    def whole(self) -> None:
        self.lists += 1


def run(folder: Path, scenario: Callable[[FakeApi, Reflector, Seen], Awaitable[None]], prepare: Any) -> None:
    async def whole() -> None:
        async with served(folder) as (api, transport), _watching(api, transport, prepare) as (found, seen):
            await scenario(api, found, seen)

    asyncio.run(whole())


@contextlib.asynccontextmanager
async def _watching(api: FakeApi, transport: Any, prepare: Any) -> AsyncIterator[tuple[Reflector, Seen]]:
    prepare(api)
    seen = Seen()
    found = Reflector(transport, PATH, {}, lambda item: item, seen.change, seen.whole)
    task = asyncio.create_task(found.run())
    try:
        yield found, seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def watch(*events: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": kind, "object": item} for kind, item in events]


def versions_asked(api: FakeApi) -> list[str | None]:
    return [query.get("resourceVersion") for _, _, query, _ in api.calls]


def test_goes_on_from_the_last_version_after_a_cut_also_of_a_bookmark(tmp_path: Path) -> None:
    def prepare(api: FakeApi) -> None:
        first = watch(("MODIFIED", an_object("a", "4")), ("BOOKMARK", an_object("", "9")))
        api.on("GET", PATH, a_list(an_object("a", "3"), version="3"), first, [], for_ever)

    async def scenario(api: FakeApi, found: Reflector, seen: Seen) -> None:
        await until(lambda: len(api.calls) == 4)
        assert versions_asked(api) == [None, "3", "9", "9"]
        assert seen.changes == [("hpc/a", "3", False), ("hpc/a", "4", False)]
        assert seen.lists == 1

    run(tmp_path, scenario, prepare)


def test_lists_again_after_a_gap_and_tells_what_went_meanwhile(tmp_path: Path) -> None:
    gone = {"type": "ERROR", "object": status_of(410, "too old", reason="Expired")}

    def prepare(api: FakeApi) -> None:
        before = a_list(an_object("a", "3"), an_object("b", "3"), version="3")
        api.on("GET", PATH, before, [gone], a_list(an_object("b", "8"), version="8"), for_ever)

    async def scenario(api: FakeApi, found: Reflector, seen: Seen) -> None:
        await until(lambda: len(api.calls) == 4)
        assert seen.changes[2:] == [("hpc/b", "8", False), ("hpc/a", "3", True)]
        assert (seen.lists, list(found.objects), found.is_current) == (2, ["hpc/b"], True)

    run(tmp_path, scenario, prepare)


def test_what_is_deleted_is_told_with_its_last_state(tmp_path: Path) -> None:
    def prepare(api: FakeApi) -> None:
        api.on("GET", PATH, a_list(an_object("a", "3")), watch(("DELETED", an_object("a", "5"))), for_ever)

    async def scenario(api: FakeApi, found: Reflector, seen: Seen) -> None:
        await until(lambda: len(seen.changes) == 2)
        assert (seen.changes[1], found.objects) == (("hpc/a", "5", True), {})

    run(tmp_path, scenario, prepare)


def test_a_server_that_answers_errors_is_asked_again(tmp_path: Path) -> None:
    def prepare(api: FakeApi) -> None:
        broken = (400, status_of(400, "not now"))
        api.on("GET", PATH, a_list(version="1"), broken, a_list(an_object("a"), version="2"), for_ever)

    async def scenario(api: FakeApi, found: Reflector, seen: Seen) -> None:
        await until(lambda: found.objects)
        assert versions_asked(api)[:3] == [None, "1", None]

    run(tmp_path, scenario, prepare)


def test_a_watch_that_is_not_allowed_says_so_and_is_no_picture(tmp_path: Path) -> None:
    def prepare(api: FakeApi) -> None:
        told = 'nodes is forbidden: User "b" cannot list resource "nodes"'
        api.on("GET", PATH, (403, status_of(403, told, reason="Forbidden")))

    async def scenario(api: FakeApi, found: Reflector, seen: Seen) -> None:
        await until(lambda: not found.is_allowed)
        assert (found.is_current, seen.lists) == (False, 0)

    run(tmp_path, scenario, prepare)
