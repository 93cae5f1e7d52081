"""`POST /cli/NAME`: the door that our commands knock at."""

import json
import socket
import time
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from adapters.slurm.scontrol_config import Installation
from bridge.core.errors import BridgeError, Unavailable
from bridge.core.users import Caller
from bridge.identity.people import People
from bridge.service.service import Service
from bridge.slurmcli import (
    sacct,
    sacctmgr,
    sbatch,
    sbcast,
    scancel,
    scontrol,
    sdiag,
    sinfo,
    sprio,
    squeue,
    sstat,
    unsupported,
    wire,
)
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import FindUser, MakeToken, World

Command = Callable[[World, Caller, Call], Awaitable[Reply]]

COMMANDS: dict[str, Command] = {
    "sacct": sacct.run,
    "sacctmgr": sacctmgr.run,
    "sbatch": sbatch.run,
    "sbcast": sbcast.run,
    "scancel": scancel.run,
    "scontrol": scontrol.run,
    "sdiag": sdiag.run,
    "sinfo": sinfo.run,
    "sprio": sprio.run,
    "squeue": squeue.run,
    "sstat": sstat.run,
    **{name: unsupported.make(name) for name in unsupported.COMMANDS},
}

MOST_BYTES = 128 * 1024 * 1024
"""Of a body: a script, the environment, and files named by options."""


def make(
    service: Service,
    make_token: MakeToken,
    find_user: FindUser | None = None,
    here: Installation | None = None,
    reload: Callable[[], Awaitable[None]] | None = None,
) -> APIRouter:
    """`find_user` by uid or name; without it the host is asked. `reload` is what `scontrol reconfigure` does."""
    here = here or Installation(socket.gethostname())
    world = World(service, find_user or People().find, make_token, here=here, reload=reload)
    router = APIRouter(prefix="/cli", include_in_schema=False)

    @router.post("/{name}")
    async def answer(name: str, request: Request) -> Response:
        run = COMMANDS.get(name)
        if run is None:
            return _json({"err": f"{name}: the bridge has no such command\n", "out": "", "code": 1}, 404)
        try:
            call = wire.call_from_json(json.loads(await _body(request)))
        except (wire.BadCall, ValueError, RecursionError) as bad:
            return _json({"err": f"{name}: error: the bridge cannot read the call: {bad}\n", "out": "", "code": 1}, 400)
        caller: Caller = request.state.caller
        try:
            began = time.perf_counter()
            reply = await run(world, caller, call)
            world.calls.add(name, caller.user.uid, caller.user.name, time.perf_counter() - began)
        except BridgeError as error:
            reply = _refusal(name, error)
        return _json(reply.as_json())

    return router


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise wire.BadCall(f"more than {MOST_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


def _json(body: dict[str, object], status: int = 200) -> Response:
    # ASCII: what is not UTF-8 in a name travels as \udcXX and comes back as the byte that it was.
    return Response(json.dumps(body).encode("ascii"), status, media_type="application/json")


def _refusal(name: str, error: BridgeError) -> Reply:
    """What no command has words of its own for."""
    if isinstance(error, Unavailable):
        return Reply(stderr=f"{name}: error: the bridge cannot answer now: {error.sentence}\n", exit_code=1)
    return Reply(stderr=f"{name}: error: {error.sentence}\n", exit_code=1)
