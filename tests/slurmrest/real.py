"""A real slurmrestd 25.11 of the bundle that SLURM_BUNDLE names, with its controller and database. Needs root."""

import contextlib
import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.e2e import reference

SECONDS = 60.0


class Served:
    """Somewhere that slurmrestd's language is spoken: asks, and gives answers with status and JSON, or text."""

    def connect(self) -> http.client.HTTPConnection:
        raise NotImplementedError

    def headers(self) -> dict[str, str]:
        raise NotImplementedError

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """`token`: in place of the user's own; empty: none at all."""
        connection = self.connect()
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        known = self.headers() if token is None else {**self.headers(), "X-SLURM-USER-TOKEN": token}
        known = {name: value for name, value in known.items() if value}
        given = {**known, **({} if text is None else {"content-type": "application/json"}), **(headers or {})}
        try:
            connection.request(method, path, text, given)
            answer = connection.getresponse()
            found = answer.read().decode()
        finally:
            connection.close()
        if found[:1] == "{":
            return answer.status, json.loads(found)
        return answer.status, _outline(found) if found.startswith("%YAML") else found


def _outline(yaml: str) -> dict[str, Any]:
    """Slurm's YAML line by line, without `meta`: who asked, and who answers."""
    lines = re.sub(r"(?m)^!!str meta:.*\n(?: .*\n)*", "", yaml).splitlines()
    return {"lines": lines}


class Real(Served):
    def __init__(self, slurm: reference.Slurm, user: str = "") -> None:
        self.slurm = slurm
        self.host, self.port = re.fullmatch(r"https?://([^:/]+):(\d+).*", slurm.exported["SLURM_REST_URL"]).groups()  # type: ignore[union-attr]
        told = slurm.run("scontrol", "token", f"username={user or slurm.user.name}", "lifespan=3600", as_root=True).out
        self._token = told.strip().partition("=")[2]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, int(self.port), timeout=SECONDS)

    def headers(self) -> dict[str, str]:
        return {"X-SLURM-USER-TOKEN": self._token}


class Ours(Served):
    """A bridge, asked over its Unix socket; the kernel says who asks."""

    def __init__(self, path: Path, token: str) -> None:
        self._path, self._token = path, token

    def connect(self) -> http.client.HTTPConnection:
        return OverUnix(self._path)

    def headers(self) -> dict[str, str]:
        return {"X-SLURM-USER-TOKEN": self._token}


class OursOverTcp(Served):
    """A bridge over TCP, where a token alone says who asks."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token

    def connect(self) -> http.client.HTTPConnection:
        unchecked = ssl._create_unverified_context()  # the certificate has a test of its own
        return http.client.HTTPSConnection("127.0.0.1", self._port, timeout=SECONDS, context=unchecked)

    def headers(self) -> dict[str, str]:
        return {"X-SLURM-USER-TOKEN": self._token}


class OverUnix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))


@contextlib.contextmanager
def started() -> Iterator[Real]:
    bundle = reference.bundle()
    assert bundle is not None
    slurm = reference.Slurm(bundle)
    try:
        yield Real(slurm)
    finally:
        slurm.cancel_all()
        slurm.stop()
