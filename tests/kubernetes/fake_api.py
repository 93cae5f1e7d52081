"""A small API server for tests of the transport and the backend's watching: says what it is told to, on this machine.

Nothing tested with it is called tested on Kubernetes.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from bridge.backends.kubernetes.transport import Access, Transport

Json = dict[str, Any]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeApi:
    """`on` gives a path its answers, one a call, the last for ever; what came is kept in `calls`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self._answers: dict[tuple[str, str], list[Any]] = {}

    def on(self, method: str, path: str, *answers: Any) -> None:
        """An answer: (status, JSON or text) or (status, ..., headers), or a list of watch events, or a coroutine."""
        self._answers[method, path] = list(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.calls.append((request.method, request.path, dict(request.query), json.loads(body) if body else None))
        answers = self._answers.get((request.method, request.path))
        if not answers:
            return web.json_response(status_of(404, "the server could not find the requested resource"), status=404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, list):
            return await _stream(request, answer)
        if callable(answer):
            made: web.StreamResponse = await answer(request)
            return made
        status, content, *headers = answer
        more = headers[0] if headers else {}
        if isinstance(content, str):
            return web.Response(text=content, status=status, headers=more)
        return web.json_response(content, status=status, headers=more)


async def _stream(request: web.Request, events: list[Json]) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for event in events:
        await response.write(json.dumps(event).encode() + b"\n")
    await response.write_eof()
    return response


def status_of(code: int, message: str, **fields: Any) -> Json:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, **fields}


def a_list(*items: Json, version: str = "1", more: str = "") -> tuple[int, Json]:
    return 200, {"metadata": {"resourceVersion": version, "continue": more}, "items": list(items)}


def an_object(name: str, version: str = "1", **fields: Any) -> Json:
    return {"metadata": {"namespace": "hpc", "name": name, "resourceVersion": version}, **fields}


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[FakeApi, Transport]]:
    api = FakeApi()
    runner = web.ServerRunner(web.Server(api.handle), shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        f"""
apiVersion: v1
kind: Config
clusters: [{{name: t, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: t, user: {{token: secret}}}}]
contexts: [{{name: t, context: {{cluster: t, user: t}}}}]
current-context: t
"""
    )
    transport = Transport(Access(str(kubeconfig)))
    await transport.open()
    try:
        yield api, transport
    finally:
        await transport.close()
        await runner.cleanup()


async def for_ever(request: Any) -> Any:
    """An answer that does not come."""
    await asyncio.Event().wait()


async def until(is_so: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The tests' one wait for what nobody tells: looked at again until there is something."""
    try:
        async with asyncio.timeout(seconds):
            while not (value := is_so()):  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"nothing to see after {seconds} s") from None
    return value
