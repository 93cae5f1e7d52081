"""HTTP servers on sockets that are ours: uvicorn, quiet, without its own handling of signals.

One listener serves one socket; a bridge has one for its Unix socket and one for TCP with TLS.
"""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from bridge.core.errors import Unavailable
from bridge.identity import peer
from bridge.identity.tls import Certificate

BACKLOG = 2048
SHUTDOWN_SECONDS = 5
"""How long answers under way (streams too) may take when the bridge stops."""


class Listener(uvicorn.Server):
    def __init__(
        self, app: Any, listening: socket.socket, *, certificate: Certificate | None = None, http: str = "httptools"
    ) -> None:
        config = uvicorn.Config(
            app,
            http=http,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            timeout_keep_alive=75,
            ssl_certfile=None if certificate is None else str(certificate.certificate),
            ssl_keyfile=None if certificate is None else str(certificate.key),
        )
        config.load()
        config.http_protocol_class = peer.telling_peer(config.http_protocol_class)
        super().__init__(config)
        self._socket = listening
        self.ready = asyncio.Event()

    async def run_until_stopped(self) -> None:
        """Serve until `stop`."""
        await self.serve(sockets=[self._socket])

    def stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the bridge has its own


def bind_unix(path: Path, mode: int) -> socket.socket:
    """A socket at `path`, in place of one that nobody listens at any more."""
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    _remove_stale(path)
    made = socket.socket(socket.AF_UNIX)
    earlier = os.umask(0o177)  # nobody else may connect before the mode is set
    try:
        made.bind(str(path))
    except OSError as error:
        made.close()
        raise Unavailable(f"cannot listen at {path}: {error.strerror}") from error
    finally:
        os.umask(earlier)
    path.chmod(mode)
    return made


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise Unavailable(f"{path} is in the way of the bridge's socket, and is none")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise Unavailable(f"{path}: {error.strerror or error}") from error
    raise Unavailable(f"another bridge listens at {path}; stop that one first", code="in_use")


def bind_tcp(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise Unavailable(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
