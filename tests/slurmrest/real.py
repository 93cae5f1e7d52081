"""A real slurmrestd 25.11 of the bundle that SLURM_BUNDLE names, with its controller and database. Needs root."""

import contextlib
import http.client
import json
import re
import socket
from collections.abc import Iterator
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

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = self.connect()
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        given = {**self.headers(), **({} if text is None else {"content-type": "application/json"}), **headers}
        try:
            connection.request(method, path, text, given)
            answer = connection.getresponse()
            found = answer.read().decode()
        finally:
            connection.close()
        return answer.status, json.loads(found) if found[:1] == "{" else found


class Real(Served):
    def __init__(self, slurm: reference.Slurm) -> None:
        self.slurm = slurm
        self.host, self.port = re.fullmatch(r"https?://([^:/]+):(\d+).*", slurm.exported["SLURM_REST_URL"]).groups()  # type: ignore[union-attr]
        self._token = ""
        self.act_as(slurm.user.name)

    def act_as(self, user: str) -> None:
        told = self.slurm.run("scontrol", "token", f"username={user}", "lifespan=3600", as_root=True).out
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
