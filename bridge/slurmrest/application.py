"""slurmrestd's place on our listeners: `/slurm/…`, `/slurmdb/…`, `/openapi/v3`; everything else goes on inwards.

Plain ASGI, because it is asked thousands of times a second. What a path is called and what it answers with stands
in `adapters.slurm.rest`; what is done stands in the modules beside this one.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from adapters.slurm import data
from adapters.slurm.rest import envelope, openapi, parsing, tables
from adapters.slurm.rest.envelope import Client
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.paths import Path
from adapters.slurm.rest.shapes import VERSIONS, dump
from bridge.core.errors import BridgeError, NotPermitted, Unavailable
from bridge.core.users import Caller, User
from bridge.identity.gate import Gate
from bridge.identity.middleware import App, Receive, Scope, Send
from bridge.identity.peer import Peer
from bridge.identity.people import People, group_name
from bridge.identity.tokens import NotAuthenticated
from bridge.service.service import Service
from bridge.slurmrest import accounting, book, cluster, jobs, queries, reservations
from bridge.slurmrest.asking import Ask, Handler, NotModified, Reply, World
from bridge.slurmrest.counters import Counters

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 64 * 1024

_NO_SUCH_PATH = (
    "Unable to find requested URL endpoint. Please query the '/openapi/v3' endpoint or visit "
    "'https://slurm.schedmd.com/rest_api.html' for the OpenAPI specification which includes a list of all possible "
    "slurmrestd endpoints."
)
_OPENAPI_PATHS = frozenset({"/openapi/v3", "/openapi", "/openapi.json", "/openapi.yaml"})
_VERSIONED = re.compile(r"/(slurm|slurmdb|util)/v0\.0\.(\d{2})/(.*)\Z", re.DOTALL)
_GOOD_PATH = re.compile(r"[A-Za-z0-9._~%/-]*\Z")
_PLAIN = "text/plain"
_JSON = "application/json"
_YAML = "application/yaml"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = _JSON
    pieces: AsyncIterator[bytes] | None = None


def plain(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), _PLAIN)


class Routes:
    """From method and path to a handler. Literal parts win over parameters."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        """`handlers`: by the operation's name with its half, such as `slurm_get_job`."""
        self._literal: dict[tuple[str, str, str], tuple[Path, Handler]] = {}
        self._open: list[tuple[re.Pattern[str], Path, Handler]] = []
        for path in tables.PATHS:
            handler = handlers[f"{path.half}_{path.operation}"]
            if path.parameters:
                pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path.path))
                self._open.append((re.compile(pattern + r"\Z"), path, handler))
            else:
                self._literal[path.half, path.method, path.path] = (path, handler)

    def find(self, half: str, version: int, method: str, rest: str) -> tuple[Path, Handler, dict[str, str]] | None:
        found = self._literal.get((half, method, rest))
        if found is not None and version >= found[0].since:
            return *found, {}
        for pattern, path, handler in self._open:
            if path.half == half and path.method == method and version >= path.since:
                match = pattern.match(rest)
                if match is not None:
                    return path, handler, match.groupdict()
        return None


OTHERS = ("/v1/", "/cli/")
"""Where the other front ends are; what lies at no front end's path is answered as slurmrestd answers it."""


def make(inner: App, service: Service, gate: Gate, people: People, *, host: str | None = None) -> App:
    """The application around that of the other front ends."""
    world = World(service, people, host=host)
    counters = Counters()
    handlers = {
        **jobs.handlers(world),
        **cluster.handlers(world, counters),
        **accounting.handlers(world),
        **book.handlers(world),
        **reservations.handlers(world),
    }
    return SlurmRest(inner, gate, world, handlers, counters, inner_prefixes=OTHERS)


class SlurmRest:
    def __init__(
        self,
        inner: App,
        gate: Gate,
        world: World,
        handlers: Mapping[str, Handler],
        counters: Counters,
        *,
        inner_prefixes: Sequence[str],
    ) -> None:
        """`inner_prefixes`: paths that are the other front ends'; all others are answered here."""
        self._inner = inner
        self._gate = gate
        self._world = world
        self._routes = Routes(handlers)
        self._counters = counters
        self._inner_prefixes = tuple(inner_prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._inner_prefixes):
            await self._inner(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except Gone:
            return
        except Exception:
            log.exception("a request failed", extra={"method": scope["method"], "path": scope["path"]})
            answer = plain(500, "Unspecified error")
        await _write(answer, scope["method"], send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        peer = scope.get("state", {}).get("peer")
        headers = dict(scope["headers"])
        caller, problem = await self._who(peer, scope["headers"], headers)
        if caller is None and problem is None:
            return plain(401, "Authentication failure")
        kind = _accepted(headers.get(b"accept", b"*/*").decode("latin-1"))
        if kind is None:
            return plain(415, "HTTP Accept header content type is unknown or unsupported")
        path: str = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
        if not _GOOD_PATH.match(path):
            return plain(404, "Invalid or unknown URL path")
        if path in _OPENAPI_PATHS and scope["method"] == "GET":
            document = Answer(200, openapi.document_bytes())
            return await _as_yaml(document) if kind == _YAML else document
        found = self._find(scope["method"], path)
        if found is None:
            return plain(404, _NO_SUCH_PATH)
        version, (one, handler, parameters) = found
        body = await _body(receive, headers)
        if body is None:
            return plain(413, "Payload Too Large")
        given_kind = headers.get(b"content-type", b"").decode("latin-1").strip().lower()
        if body and given_kind not in _TAKEN:
            # A form is what curl calls a body whose kind nobody named.
            if given_kind == "application/x-www-form-urlencoded":
                return plain(500, "Unspecified error")
            return plain(415, "MIME type is unknown to any loaded plugins")
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        client = self._client(scope, peer)
        who = caller if caller is not None else _NOBODY
        given = {name: unquote(value) for name, value in parameters.items()}
        ask = Ask(one, version, who, client, given, query, body, is_known=caller is not None)
        started = self._world.now()
        try:
            reply = await self._handled(ask, handler, problem)
        except parsing.NotJson:
            return plain(400, "Failure during parsing")
        except NotModified:
            return Answer(304, b"", kind)
        finally:
            self._counters.count(one, who.user, self._world.now() - started)
        answer = self._written(ask, reply, kind)
        return await _as_yaml(answer) if kind == _YAML else answer

    async def _who(
        self, peer: Peer | None, pairs: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes]
    ) -> tuple[Caller | None, BridgeError | None]:
        """(caller, why a token was not taken). slurmrestd tells of a bad token only where it asks the controller."""
        scheme, _, bearer = headers.get(b"authorization", b"").strip().partition(b" ")
        has_token = b"x-slurm-user-token" in headers or (scheme.lower() == b"bearer" and bool(bearer.strip()))
        try:
            return await self._gate.admit(peer, pairs), None
        except (NotAuthenticated, NotPermitted) as error:
            return None, error if has_token else None
        except Unavailable as error:
            return None, error

    def _find(self, method: str, path: str) -> tuple[int, tuple[Path, Handler, dict[str, str]]] | None:
        match = _VERSIONED.match(path)
        if match is None or int(match[2]) not in VERSIONS:
            return None
        version = int(match[2])
        found = self._routes.find(match[1], version, method, match[3].strip("/"))
        return None if found is None else (version, found)

    def _client(self, scope: Scope, peer: Peer | None) -> Client:
        """Without a peer that the kernel names, slurmrestd shows uid 0."""
        uid = peer.uid if peer is not None else 0
        user = self._world.people.find(uid)
        group = "" if user is None else group_name(user.gid)
        name = str(uid) if user is None else user.name
        if peer is not None:
            return Client(f"unix:{peer.pid}", name, group)
        address = scope.get("client") or ("localhost", 0)
        return Client(f"[{address[0]}]:{address[1]}", name, group)

    async def _handled(self, ask: Ask, handler: Handler, problem: BridgeError | None) -> Reply:
        if problem is not None and not ask.path.asks_nobody:
            return _unasked(ask, _denied(problem))
        try:
            return await handler(ask)
        except Failed as failed:
            if isinstance(failed, queries.NotRead):
                ask.said.errors.append(failed.first)
            if failed.error is not None:
                ask.said.errors.append(failed.error)
            return Reply()
        except Unavailable as error:
            log.warning("the controller's part cannot be asked", extra={"why": error.sentence})
            return _unasked(ask, envelope.NO_CONTROLLER)

    def _written(self, ask: Ask, reply: Reply, kind: str) -> Answer:
        half = "slurmctld" if ask.path.half == "slurm" else "slurmdbd" if ask.path.half == "slurmdb" else "util"
        meta = envelope.meta_text(half, ask.version, ask.client, self._world.service.site.cluster_name)
        rest = f'"meta":{meta},{envelope.said_text(ask.said)}}}'
        if reply.fields:
            subject = dump(ask.path.answer.plain(reply.fields, ask.version))[1:-1]
            rest = f"{subject},{rest}" if subject else rest
        status = reply.status if reply.status is not None else ask.said.status
        if reply.many is not None:
            name, items = reply.many
            return Answer(status, b"", kind, _pieces(name, items, rest))
        if reply.few is not None:
            rest = f'"{reply.few[0]}":[{",".join(reply.few[1])}],{rest}'
        return Answer(status, f"{{{rest}".encode("ascii"), kind)


class Gone(Exception):
    """The client left before it had said all."""


_NOBODY = Caller(User("nobody", 65534, 65534))


def _unasked(ask: Ask, number: int) -> Reply:
    """As slurmrestd tells that slurmctld or slurmdbd did not take its word."""
    path = ask.path
    if path.half == "slurmdb":
        why = ", authentication error" if number == envelope.AUTHENTICATION_FAILED else ""
        description = f"Failed to open slurmdbd connection{why}"
        ask.said.error(description, envelope.NO_DATABASE, "openapi_get_db_conn")
    elif path.failure:
        ask.said.error(path.failure.format_map(ask.parameters), number, path.source)
    return Reply(path.empty, envelope.status_of(envelope.NO_DATABASE if path.half == "slurmdb" else number))


def _denied(problem: BridgeError) -> int:
    return envelope.NO_CONTROLLER if isinstance(problem, Unavailable) else envelope.AUTHENTICATION_FAILED


def _accepted(accept: str) -> str | None:
    """The content type to answer with."""
    for part in accept.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in ("", "*/*", "application/*", _JSON, "application/jsonrequest", "application/openapi+json"):
            return _JSON
        if kind in ("application/yaml", "application/openapi+yaml", "application/openapi", "text/yaml"):
            return _YAML
    return None


_TAKEN = frozenset({"", _JSON, "application/jsonrequest"})
"""Kinds of body, none at all among them. As with slurmrestd, nothing may stand behind them."""


async def _body(receive: Receive, headers: Mapping[bytes, bytes]) -> bytes | None:
    """None: more than we take."""
    if b"content-length" not in headers and b"transfer-encoding" not in headers:
        return b""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _as_yaml(answer: Answer) -> Answer:
    """In Slurm's layout; made whole, as few ask for it."""
    parts = [answer.body] if answer.pieces is None else [piece async for piece in answer.pieces]
    text = await asyncio.to_thread(lambda: data.to_yaml(json.loads(b"".join(parts))))
    return Answer(answer.status, text.removesuffix("\n").encode(), _YAML)


async def _pieces(name: str, items: AsyncIterator[str], rest: str) -> AsyncIterator[bytes]:
    """`{"jobs":[` items `],` and the rest of the answer, in pieces of a fair size."""
    waiting = [f'{{"{name}":[']
    size, is_first = 0, True
    async for item in items:
        waiting.append(item if is_first else "," + item)
        is_first = False
        size += len(item)
        if size > PIECE_BYTES:
            yield "".join(waiting).encode("ascii")
            waiting, size = [], 0
    waiting.append(f"],{rest}")
    yield "".join(waiting).encode("ascii")


async def _write(answer: Answer, method: str, send: Send) -> None:
    headers = [(b"content-type", answer.content_type.encode("latin-1"))]
    if answer.pieces is None:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.pieces is None:
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
        return
    async for piece in answer.pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
