"""`bridge logs`, `bridge history`: asks a running bridge over HTTP, found as the commands find it."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import urllib.parse
from collections.abc import Iterator
from typing import Any

from bridge.cli import client
from bridge.core.errors import BridgeError, Refused, Unavailable

TIMEOUT_SECONDS = 120.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("bridge", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection() -> tuple[http.client.HTTPConnection, str]:
    """(not yet connected, where it leads to)"""
    url = os.environ.get("BRIDGE_URL")
    if not url or os.environ.get("BRIDGE_SOCKET"):
        path = client.socket_path()
        return _UnixConnection(path), path
    place = urllib.parse.urlsplit(url)
    if place.scheme != "https" or not place.hostname:
        raise Refused(f"BRIDGE_URL is {url!r}; expected https://HOST:PORT", code="invalid_value")
    context = ssl.create_default_context(cafile=os.environ.get("BRIDGE_CA_FILE") or None)
    return http.client.HTTPSConnection(place.hostname, place.port, timeout=TIMEOUT_SECONDS, context=context), url


def _headers() -> dict[str, str]:
    token = os.environ.get("BRIDGE_TOKEN", "")
    path = os.environ.get("BRIDGE_TOKEN_FILE")
    if not token and path:
        try:
            with open(path, encoding="ascii") as file:
                token = file.read()
        except (OSError, ValueError) as error:
            raise Refused(f"the token file cannot be read: {error}", code="invalid_value") from error
    return {"authorization": f"Bearer {token.strip()}"} if token.strip() else {}


@contextlib.contextmanager
def _answer(path: str) -> Iterator[http.client.HTTPResponse]:
    """A good answer, to be read; a refusal is raised."""
    connection, where = _connection()
    try:
        with contextlib.closing(connection):
            connection.request("GET", path, headers=_headers())
            response = connection.getresponse()
            if response.status >= 400:
                raise _refusal(response)
            yield response
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"no bridge answers at {where}: {error}") from error


def _refusal(response: http.client.HTTPResponse) -> BridgeError:
    try:
        told = json.loads(response.read(1 << 16))
        return Refused(str(told["sentence"]), code=str(told["code"]))
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"what answers is no bridge: status {response.status}")


def get(path: str) -> Any:
    with _answer(path) as response:
        return json.loads(response.read())


def pieces(path: str) -> Iterator[bytes]:
    """The answer's bytes as they come."""
    with _answer(path) as response:
        while piece := response.read1(1 << 16):
            yield piece


def quoted(word: str) -> str:
    return urllib.parse.quote(word, safe="")
