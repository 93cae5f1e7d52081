"""Output and events, over a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from bridge.core import events
from bridge.core.job import End, JobState
from tests.rest.test_submit import refused
from tests.rest.world import ALICE, BOB, a_world, served
from tests.store.support import in_loop

OUT = "/home/alice/slurm-1.out"
DEADLINE_SECONDS = 20


class TestLog:
    @in_loop
    async def test_whole_and_in_parts(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            job = await world.submit(client)
            refused(await client.get(f"/v1/jobs/{job}/log"), 404, "no_output")
            data = bytes(range(256)) * 4096
            world.backend.files[OUT] = data
            whole = await client.get(f"/v1/jobs/{job}/log")
            assert (whole.status_code, whole.content) == (200, data)
            part = await client.get(f"/v1/jobs/{job}/log", headers={"Range": "bytes=5-9"})
            assert (part.status_code, part.content) == (206, data[5:10])
            assert part.headers["content-range"] == "bytes 5-9/*"
            rest = await client.get(f"/v1/jobs/{job}/log", headers={"Range": f"bytes={len(data) - 3}-"})
            assert (rest.status_code, rest.content) == (206, data[-3:])
            beyond = await client.get(f"/v1/jobs/{job}/log", headers={"Range": f"bytes={len(data)}-"})
            refused(beyond, 416, "range_not_satisfiable")
            refused(
                await client.get(f"/v1/jobs/{job}/log", headers={"Range": "bytes=9-5"}), 416, "range_not_satisfiable"
            )
            assert (await client.get(f"/v1/jobs/{job}/log", headers={"Range": "lines=1-2"})).status_code == 200

    @in_loop
    async def test_only_the_owner_reads(self, url: str) -> None:
        async with a_world(url) as world:
            job = await world.submit(await world.client())
            world.backend.files[OUT] = b"secret"
            bob = await world.client(BOB)
            for query in ("", "?follow=true", "?stream=stderr"):
                refused(await bob.get(f"/v1/jobs/{job}/log{query}"), 403, "access_denied")
            refused(await bob.get(f"/v1/jobs/{job}/log", headers={"Range": "bytes=0-1"}), 403, "access_denied")

    @in_loop
    async def test_of_an_array_needs_a_task(self, url: str) -> None:
        async with a_world(url) as world:
            client = await world.client()
            array = await world.submit(client, "--array=0-1")
            refused(await client.get(f"/v1/jobs/{array}/log"), 422, "one_job_needed")
            refused(await client.get(f"/v1/jobs/{array}/log?stream=/etc/shadow"), 422, "invalid_value")
            refused(await client.get(f"/v1/jobs/{array}_1/log"), 404, "no_output")

    @in_loop
    async def test_following_goes_on_to_the_jobs_end(self, url: str, tmp_path: Path) -> None:
        async with a_world(url) as world, asyncio.timeout(DEADLINE_SECONDS):
            job = await world.submit(await world.client())
            token = world.gate.issue(ALICE, 60)
            async with (
                served(world, tmp_path, token) as client,
                client.stream("GET", f"/v1/jobs/{job}/log?follow=true") as log,
            ):
                pieces = log.aiter_bytes()
                await world.run(job)
                world.backend.files[OUT] = b"one\n"
                assert await anext(pieces) == b"one\n"
                world.backend.files[OUT] += b"two\n"
                assert await anext(pieces) == b"two\n"
                world.backend.files[OUT] += b"three\n"
                await world.tell(job, _ended())
                assert [piece async for piece in pieces] == [b"three\n"]

    @in_loop
    async def test_following_ends_with_the_bridge(self, url: str, tmp_path: Path) -> None:
        async with a_world(url) as world, asyncio.timeout(DEADLINE_SECONDS):
            job = await world.submit(await world.client())
            async with (
                served(world, tmp_path, world.gate.issue(ALICE, 60)) as client,
                client.stream("GET", f"/v1/jobs/{job}/log?follow=true") as log,
            ):
                world.stopping.set()
                assert [piece async for piece in log.aiter_bytes()] == []


def _ended() -> Any:
    return events.Ended(2_000_000_000.0, 1, End())


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


class TestEvents:
    @in_loop
    async def test_come_as_they_are_committed(self, url: str, tmp_path: Path) -> None:
        async with a_world(url) as world, asyncio.timeout(DEADLINE_SECONDS):
            await world.submit(await world.client())
            async with (
                served(world, tmp_path, world.gate.issue(BOB, 60)) as client,
                client.stream("GET", "/v1/events") as response,
            ):
                news = _events(response)
                assert response.headers["content-type"].startswith("text/event-stream")
                await world.run("1", JobState.COMPLETED)
                told = [await anext(news) for _ in range(3)]
                assert [(event["id"], event["kind"]) for event in told] == [
                    ("1", "Placed"),
                    ("1", "Began"),
                    ("1", "Ended"),
                ]
                assert told[2]["sentence"] == "The script ended with status 0; the job is COMPLETED."

    @in_loop
    async def test_go_on_behind_the_last_one_seen(self, url: str, tmp_path: Path) -> None:
        async with a_world(url) as world, asyncio.timeout(DEADLINE_SECONDS):
            alice = await world.client()
            for _ in range(3):
                await world.submit(alice)
            async with served(world, tmp_path, world.gate.issue(ALICE, 60)) as client:
                async with client.stream("GET", "/v1/events?since=0&job=2") as response:
                    first = await anext(_events(response))
                assert first["id"] == "2"
                headers = {"Last-Event-ID": str(first["seq"])}
                async with client.stream("GET", "/v1/events", headers=headers) as response:
                    assert (await anext(_events(response)))["id"] == "3"

    @in_loop
    async def test_of_a_task_that_is_named_by_its_raw_id(self, url: str, tmp_path: Path) -> None:
        async with a_world(url) as world, asyncio.timeout(DEADLINE_SECONDS):
            alice = await world.client()
            await world.submit(alice, "--array=0-3", "--hold")
            await alice.post("/v1/jobs/1_[1-2]/cancel")
            assert refused(await alice.get("/v1/events?since=0&job=99"), 404, "invalid_job_id") == "no job 99 is known"
            async with (
                served(world, tmp_path, world.gate.issue(ALICE, 60)) as client,
                client.stream("GET", "/v1/events?since=0&job=3") as response,
            ):
                news = _events(response)
                told = [await anext(news) for _ in range(2)]
                assert [(event["id"], event["kind"]) for event in told] == [("1", "Submitted"), ("1_1", "StopAsked")]

    @in_loop
    async def test_end_with_the_bridge(self, url: str, tmp_path: Path) -> None:
        async with (
            asyncio.timeout(DEADLINE_SECONDS),
            a_world(url) as world,
            served(world, tmp_path, world.gate.issue(ALICE, 60)) as client,
            client.stream("GET", "/v1/events") as response,
        ):
            world.stopping.set()
            assert [event async for event in _events(response)] == []
