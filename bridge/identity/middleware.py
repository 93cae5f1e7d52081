"""Puts the caller into `request.state.caller`, or answers 401 or 403. Plain ASGI: it lies on every request's way."""

import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from bridge.core.errors import BridgeError, NotPermitted, Unavailable
from bridge.identity.gate import Gate
from bridge.identity.tokens import NotAuthenticated

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Identity:
    def __init__(self, app: App, gate: Gate, *, open_paths: Collection[str] = ()) -> None:
        """`open_paths` are answered to anybody."""
        self._app = app
        self._gate = gate
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        if scope["type"] == "http" and scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        try:
            state["caller"] = await self._gate.admit(state.get("peer"), scope["headers"])
        except (NotAuthenticated, NotPermitted, Unavailable) as error:
            await _refuse(scope, send, error)
            return
        await self._app(scope, receive, send)


async def _refuse(scope: Scope, send: Send, error: BridgeError) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    status = 401 if isinstance(error, NotAuthenticated) else 403 if isinstance(error, NotPermitted) else 503
    body = json.dumps({"code": error.code, "sentence": error.sentence, "field": error.field}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
