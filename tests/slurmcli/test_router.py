"""`POST /cli/NAME` through FastAPI, and the client against it over a Unix socket."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from bridge.cli import shims
from bridge.slurmcli import router
from tests.slurmcli.bridge import ALICE, Bridge

pytestmark = pytest.mark.anyio


def app_of(bridge: Bridge) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def identify(request: Request, call_next: Any) -> Any:
        request.state.caller = ALICE
        return await call_next(request)

    app.include_router(router.make(bridge.service, bridge.world.make_token, bridge.world.find_user))
    return app


async def post(bridge: Bridge, name: str, content: bytes) -> httpx.Response:
    transport = httpx.ASGITransport(app=app_of(bridge))
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
        return await client.post(f"/cli/{name}", content=content)


async def test_a_command_is_answered(bridge: Bridge):
    await bridge.submit(name="x\udcff", hold=True)
    answer = await post(bridge, "squeue", json.dumps({"argv": ["-h", "-o", "%j"]}).encode())
    assert (answer.status_code, answer.json()) == (200, {"out": "x\udcff\n", "err": "", "code": 0})


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"argv": 1}'])
async def test_what_is_no_call_is_refused(bridge: Bridge, content: bytes):
    answer = await post(bridge, "squeue", content)
    assert answer.status_code == 400
    assert answer.json()["err"].startswith("squeue: error: the bridge cannot read the call: ")


async def test_an_unknown_command(bridge: Bridge):
    answer = await post(bridge, "sreport", b"{}")
    assert (answer.status_code, answer.json()["err"]) == (404, "sreport: the bridge has no such command\n")


async def test_the_commands_work_from_a_shell(bridge: Bridge, tmp_path: Path):
    shims.write(str(tmp_path / "bin"))
    (tmp_path / "job.sh").write_text("#!/bin/sh\n#SBATCH -J fromshell\necho running\n")
    socket_path = str(tmp_path / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(socket_path)
    listener.listen()  # who connects before the server is up waits
    server = uvicorn.Server(uvicorn.Config(app_of(bridge), log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        async with asyncio.timeout(20):
            environ = {
                "PATH": f"{tmp_path / 'bin'}:{os.path.dirname(sys.executable)}:/bin",
                "BRIDGE_SOCKET": socket_path,
            }
            script = 'id=$(sbatch --parsable -H job.sh) && squeue -h -j $id -o "%j %T" && scancel $id && squeue -h'
            shell = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                script,
                env=environ,
                cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await shell.communicate()
            assert (out, err, shell.returncode) == (b"fromshell PENDING\n", b"", 0)
    finally:
        server.should_exit = True
        await serving
