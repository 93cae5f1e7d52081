"""Output that no volume takes, with a stand-in for the API server: an end is told once all of it is here."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.kubernetes import names
from bridge.core.errors import Gone
from tests.builders import a_job as a_row
from tests.kubernetes.fake_api import FakeApi, a_list, for_ever, until
from tests.kubernetes.fake_cluster import CORE, World, a_pod, run

ISO = "2023-11-14T22:13:20Z"
LOG = f"{CORE}/pods/p/log"


def frames(*pieces: tuple[int, bytes]) -> str:
    return "".join(
        json.dumps({"event": "output", "stream": "stdout", "from": at, "data": base64.b64encode(data).decode()}) + "\n"
        for at, data in pieces
    )


def an_ended_pod(size: int) -> dict[str, Any]:
    last = {"event": "ended", "at": 1.0, "exit_status": 0, "signal": 0, "cause": "exit", "detail": ""}
    output = {"stdout": {"size": size, "lost": 0, "floor": 0}}
    message = json.dumps({"version": 1, "last": last, "began_at": 0.5, "output": output})
    word = {"exitCode": 0, "reason": "Completed", "finishedAt": ISO, "message": message}
    pod = a_pod(phase="Succeeded", containerStatuses=[{"name": "job", "state": {"terminated": word}}])
    pod["metadata"]["annotations"][names.OUTPUT] = "new"
    return pod


def prepared(size: int, log: Any) -> Any:
    def more(api: FakeApi) -> None:
        api.on("GET", f"{CORE}/pods", a_list(an_ended_pod(size)), for_ever)
        api.on("GET", LOG, log)

    return more


async def kept(world: World) -> bytes | None:
    row = a_row(id=12, attempt=1, partition="main", state="RUNNING")
    return await world.backend.read_kept(row, "stdout", "/tmp/a.out", 0, 1000)


class TestAnEnd:
    def test_is_told_with_all_output_here(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            await until(lambda: world.seen[12, 1].phase == "ended")
            assert (await kept(world), world.seen[12, 1].why) == (b"hello world\n", "")

        run(tmp_path, scenario, prepared(12, (200, frames((0, b"hello "), (6, b"world\n")))))

    def test_waits_for_it(self, tmp_path: Path) -> None:
        go_on = asyncio.Event()

        async def later(request: Any) -> Any:
            await go_on.wait()
            return web.Response(text=frames((0, b"late")))

        async def scenario(world: World) -> None:
            await until(lambda: ("GET", LOG) in world.asked("GET"))
            assert world.seen[12, 1].phase == "running"
            go_on.set()
            await until(lambda: world.seen[12, 1].phase == "ended")
            assert await kept(world) == b"late"

        run(tmp_path, scenario, prepared(4, later))

    def test_says_how_much_is_missing(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            await until(lambda: world.seen[12, 1].phase == "ended")
            assert world.seen[12, 1].why == "93 bytes of its output were lost"
            note = b"start\n!\n[93 bytes were lost here: nobody fetched them in time]\n"
            assert await kept(world) == note

        run(tmp_path, scenario, prepared(100, (200, "\nno frame\n" + frames((0, b"start\n"), (3, b"rt\n!")))))


class TestReading:
    def test_a_path_that_no_volume_has_is_never_read_from_the_bridge_s_own_disk(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> None:
            row = a_row(id=13, attempt=1, partition="main", state="RUNNING")
            with pytest.raises(Gone, match="/etc/passwd is in no volume of the partition main"):
                await world.backend.read_kept(row, "stdout", "/etc/passwd", 0, 10)

        run(tmp_path, scenario)
