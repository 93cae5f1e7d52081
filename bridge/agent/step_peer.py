"""A connection at a step service: first a stranger, who has to prove himself; then a peer of one purpose. And the
other way round: a service that reports to the first node's.

Everything happens in the service's loop; nothing here waits.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import sys
from typing import TYPE_CHECKING, Optional

from bridge.agent import wire

if TYPE_CHECKING:
    from bridge.agent.stepd import Service

_REPORT_RETRY_SECONDS = 0.05


class Greeting:
    """A connection that has not proved itself yet."""

    def __init__(self, service: Service, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._service = service
        self._server = wire.Server(service.key)
        self._timer = service.later(wire.HELLO_SECONDS, self._drop)
        service.selector.register(connection, selectors.EVENT_READ, self._hear)

    def _hear(self, _: int) -> None:
        try:
            data = self._connection.recv(wire.HELLO_LIMIT_BYTES)
            if not data:
                raise wire.WireError("closed")
            answer, rest = self._server.feed(data)
            if answer and self._connection.send(answer) != len(answer):
                raise wire.WireError("does not read")
        except BlockingIOError:
            return
        except (OSError, wire.WireError, ValueError):  # ValueError: text that is none
            self._drop()
            return
        if rest is not None:
            self._leave()
            self._service.welcome(self._connection, self._server.purpose, rest)

    def _leave(self) -> None:
        self._timer.is_off = True
        self._service.selector.unregister(self._connection)
        self._service.forget_stranger(self)

    def _drop(self) -> None:
        self._leave()
        self._connection.close()


class Peer:
    """A proved connection. Subclasses say what a frame means and what its end does."""

    def __init__(self, service: Service, link: wire.Link) -> None:
        self.service, self.link = service, link
        self.is_open = False

    def open(self) -> None:
        with contextlib.suppress(OSError):
            self.link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_open = True
        self._watching = selectors.EVENT_READ
        self.service.selector.register(self.link, self._watching, self._on_events)
        self._take_frames()

    def _on_events(self, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                if not self.link.receive():
                    self._take_frames()
                    self.close()
                    return
                self._take_frames()
            if self.is_open and events & selectors.EVENT_WRITE:
                self.link.flush()
        except OSError:
            self.close()
            return
        self.on_flushed()
        self._watch()

    def _take_frames(self) -> None:
        try:
            for kind, rank, data in self.link.frames:
                self.on_frame(kind, rank, data)
                if not self.is_open:
                    return
        except (wire.WireError, KeyError, TypeError, ValueError, IndexError) as error:
            print(f"step service: a peer is cut off: {error!r}", file=sys.stderr)
            self.close()

    def _watch(self) -> None:
        """Writing is waited for only while something is unsent."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.link.wants_to_write else 0)
        if self.is_open and wanted != self._watching:
            self._watching = wanted
            self.service.selector.modify(self.link, wanted, self._on_events)

    def send(self, data: bytes) -> None:
        if not self.is_open:
            return
        try:
            self.link.send(data)
        except OSError:
            self.close()
            return
        self._watch()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.service.selector.unregister(self.link)
            self.link.close()
            self.on_close()

    def on_frame(self, kind: int, rank: int, data: bytes) -> None: ...

    def on_flushed(self) -> None: ...

    def on_close(self) -> None: ...


class NodeReport(Peer):
    def on_frame(self, kind: int, rank: int, data: bytes) -> None:
        self.service.node_reported(wire.read_control(data).get("node"))


class Reporter:
    """Tells the first node's service that we are there; it may be later than we are, so we try until it is.
    The monitor's patience ends it.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        first = service.nodes[0]
        self._address = (str(first["address"]), int(first["port"]))
        self._connection: Optional[socket.socket] = None

    def report(self) -> None:
        connection = wire.a_socket(self._address)
        connection.setblocking(False)
        try:
            number = connection.connect_ex(self._address)
        except OSError:  # its name cannot be resolved
            number = errno.EHOSTUNREACH
        if number not in (0, errno.EINPROGRESS):
            connection.close()
            self._service.later(_REPORT_RETRY_SECONDS, self.report)
            return
        self._connection = connection
        self._client = wire.Client(self._service.key, "node")
        self._timer = self._service.later(wire.HELLO_SECONDS, self._try_again)
        self._service.selector.register(connection, selectors.EVENT_WRITE, lambda _: self._greet(connection))

    def _greet(self, connection: socket.socket) -> None:
        try:
            number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, "connect")
            self._send(connection, self._client.hello())
        except (OSError, wire.WireError):
            self._try_again()
            return
        self._service.selector.modify(connection, selectors.EVENT_READ, lambda _: self._hear(connection))

    def _hear(self, connection: socket.socket) -> None:
        try:
            answer = self._client.feed(connection.recv(wire.HELLO_LIMIT_BYTES))
            if answer is not None:
                self._send(connection, answer + wire.control({"node": self._service.index}))
        except BlockingIOError:
            return
        except (OSError, wire.WireError, ValueError):
            self._try_again()
            return
        if answer is not None:
            self._hang_up()

    @staticmethod
    def _send(connection: socket.socket, data: bytes) -> None:
        """A few hundred bytes on a fresh connection: they fit into the kernel's buffer."""
        if connection.send(data) != len(data):
            raise wire.WireError("does not read")

    def _hang_up(self) -> None:
        self._timer.is_off = True
        if self._connection is not None:
            self._service.selector.unregister(self._connection)
            self._connection.close()
            self._connection = None

    def _try_again(self) -> None:
        self._hang_up()
        self._service.later(_REPORT_RETRY_SECONDS, self.report)
