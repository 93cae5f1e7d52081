"""A proxy before the real API server that does what a test wants done: refuses, loses answers, cuts watches, waits."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.cluster import ground


@dataclass
class Call:
    method: str
    path: str
    number: int
    is_watch: bool
    name: str = ""
    """Of the object that is to be made."""
    at: float = field(default_factory=time.monotonic)
    status: int = 0

    @property
    def kind(self) -> str:
        """POST secrets, GET pods ..."""
        words = self.path.split("/")
        return f"{self.method} {words[6] if 'namespaces' in words and len(words) > 6 else words[-1]}"


Meddle = Callable[[Call, Callable[[], Awaitable[web.StreamResponse]]], Awaitable[web.StreamResponse]]
"""Gets a call and how to hand it on; answers."""


class Proxy:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.meddle: Meddle = _hand_on
        self.cut_seconds: float | None = None
        """Watches are cut so long after their start."""
        self.port = 0
        self._session: aiohttp.ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        is_watch = "watch=true" in request.query_string or "follow=true" in request.query_string
        body = await request.read()
        name = json.loads(body)["metadata"].get("name", "") if request.method == "POST" and body else ""
        call = Call(request.method, request.path, len(self.calls), is_watch, name)
        self.calls.append(call)

        async def go_on() -> web.StreamResponse:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._websocket(request)
            return await self._forward(request, body, call)

        answer = await self.meddle(call, go_on)
        call.status = answer.status
        return answer

    async def _forward(self, request: web.Request, body: bytes, call: Call) -> web.StreamResponse:
        assert self._session is not None
        headers = {
            name: request.headers[name]
            for name in ("Authorization", "Accept", "Content-Type")
            if name in request.headers
        }
        url = f"{ground.API}{request.path_qs}"
        async with self._session.request(request.method, url, data=body or None, headers=headers, ssl=False) as answer:
            kind = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
            if not call.is_watch:
                return web.Response(body=await answer.read(), status=answer.status, headers=kind)
            stream = web.StreamResponse(status=answer.status, headers=kind)
            await stream.prepare(request)
            with contextlib.suppress(TimeoutError, aiohttp.ClientError, ConnectionError):
                async with asyncio.timeout(self.cut_seconds if "watch=true" in request.query_string else None):
                    async for part in answer.content.iter_any():
                        await stream.write(part)
            return stream

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        protocols = request.headers["Sec-WebSocket-Protocol"].split(",")
        headers = {"Authorization": request.headers["Authorization"]}
        url = f"{ground.API}{request.path_qs}"
        async with self._session.ws_connect(
            url, headers=headers, protocols=[p.strip() for p in protocols], ssl=False, max_msg_size=0
        ) as there:
            here = web.WebSocketResponse(protocols=[there.protocol or ""], max_msg_size=0)
            await here.prepare(request)
            async for message in there:
                if message.type is aiohttp.WSMsgType.BINARY:
                    await here.send_bytes(message.data)
            await here.close()
            return here

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as self._session:
            runner = web.ServerRunner(web.Server(self.handle), shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            ready.set()
            await stop.wait()
            await runner.cleanup()


async def _hand_on(call: Call, go_on: Any) -> web.StreamResponse:
    answer: web.StreamResponse = await go_on()
    return answer


def refusal(status: int, **headers: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": "not now"}
    return web.json_response(body, status=status, headers=headers)


@contextlib.contextmanager
def proxy(folder: Path) -> Iterator[tuple[Proxy, Path]]:
    """Running, and the kubeconfig that leads to it."""
    made, ready, loop = Proxy(), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def whole() -> None:
        try:
            await made.serve(ready, stop)
        finally:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(whole()))
    thread.start()
    try:
        assert ready.wait(10)
        path = folder / "kubeconfig-of-proxy"
        path.write_text(
            "apiVersion: v1\nkind: Config\n"
            f'clusters: [{{name: t, cluster: {{server: "http://127.0.0.1:{made.port}"}}}}]\n'
            "users: [{name: t, user: {token: admin-token}}]\n"
            "contexts: [{name: t, context: {cluster: t, user: t}}]\ncurrent-context: t\n"
        )
        yield made, path
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
