"""A client for measuring: prepared HTTP requests over a few kept connections, and as little else as possible."""

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""


@dataclass
class _Connection:
    socket: socket.socket
    seen: bytearray = field(default_factory=bytearray)


def rate(address: Address, request: Callable[[int], bytes], *, connections: int, seconds: float) -> tuple[int, float]:
    """(answers, seconds): requests one after the other on each connection, for about so long.

    `request(k)` gives the k-th. An answer that is no 200 or 201 is a failure.
    """
    made = 0
    answers = 0
    with selectors.DefaultSelector() as selector:
        pool = [_Connection(_connect(address)) for _ in range(connections)]
        began = time.perf_counter()
        for one in pool:
            selector.register(one.socket, selectors.EVENT_READ, one)
            one.socket.sendall(request(made))
            made += 1
        open_ones = len(pool)
        while open_ones:
            ready = selector.select(30)
            assert ready, "no answer for 30 s"
            for key, _ in ready:
                one = key.data
                data = one.socket.recv(65536)
                assert data, "the server closed the connection"
                one.seen += data
                if not _take_answer(one):
                    continue
                answers += 1
                if time.perf_counter() - began < seconds:
                    one.socket.sendall(request(made))
                    made += 1
                else:
                    selector.unregister(one.socket)
                    one.socket.close()
                    open_ones -= 1
        return answers, time.perf_counter() - began


def _connect(address: Address) -> socket.socket:
    if isinstance(address, str):
        one = socket.socket(socket.AF_UNIX)
        one.connect(address)
        return one
    one = socket.create_connection(address)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def _take_answer(one: _Connection) -> bool:
    """Remove one whole answer from what was seen; False: not all of it is here yet."""
    end = one.seen.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = bytes(one.seen[:end]).lower()
    body_starts = end + 4
    if b"content-length:" in head:
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(one.seen) < body_starts + length:
            return False
        body_ends = body_starts + length
    else:
        closing = one.seen.find(b"0\r\n\r\n", body_starts)  # chunked; our requests' answers hold no such text
        if closing < 0:
            return False
        body_ends = closing + 5
    assert head.split(b" ", 2)[1] in (b"200", b"201"), bytes(one.seen[:2000])
    del one.seen[:body_ends]
    return True


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: bridge", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
