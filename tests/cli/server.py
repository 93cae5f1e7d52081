"""A stand-in for the bridge's HTTP door on a Unix socket: answers what the test says, keeps what it was sent."""

import json
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Answer = dict[str, Any] | bytes | Callable[[], None] | None
"""An object; raw bytes; None: close without an answer."""


class Server:
    def __init__(self, path: Path, answers: Sequence[Answer]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self._answers = list(answers)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._listener.settimeout(20)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.join(20)
        self._listener.close()

    def _serve(self) -> None:
        """Until the answers are used up."""
        while self._answers:
            connection, _ = self._listener.accept()
            with connection:
                while self._answers and self._answer_one(connection):
                    pass

    def _answer_one(self, connection: socket.socket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += connection.recv(65536)
        self.heads.append(head.decode())
        self.bodies.append(json.loads(body))
        answer = self._answers.pop(0)
        if answer is None:
            return False
        if isinstance(answer, bytes):
            connection.sendall(answer)
            return False
        text = json.dumps(answer).encode()
        # In two pieces, as a network may deliver it.
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(text) + text)
        return True
