"""Who is at the other end of a Unix socket, as the kernel says (SO_PEERCRED).

uvicorn tells an application nothing of its connection's socket. Its protocols copy `app_state` into each request's
`scope["state"]`; a protocol made here gives every connection an `app_state` of its own with the peer in it. That
way is the same for h11 and httptools, asyncio and uvloop, and nothing that a request holds can get there.
"""

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Any

_UCRED = struct.Struct("iII")


@dataclass(frozen=True, slots=True)
class Peer:
    pid: int
    uid: int
    gid: int


def of_transport(transport: asyncio.BaseTransport) -> Peer | None:
    """None: it is no Unix socket."""
    found = transport.get_extra_info("socket")
    if found is None or found.family != socket.AF_UNIX:
        return None
    return Peer(*_UCRED.unpack(found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))


def telling_peer(protocol: type[Any]) -> type[Any]:
    """A uvicorn protocol whose requests have `scope["state"]["peer"]`."""

    class Telling(protocol):  # type: ignore[misc]  # its base is known at run time only
        app_state: dict[str, Any]

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.app_state = {**self.app_state, "peer": of_transport(transport)}

    return Telling
