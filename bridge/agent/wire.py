"""The wire between srun and the step services: who is there, and frames. Described in README.md beside this file.

Each side proves that it knows the attempt's key without showing it: HMAC-SHA256 over both nonces, the role of
who proves, and the purpose. A proof is of no use for another connection, another direction or another purpose.
Frames that follow belong to the connection that was proved.
"""

from __future__ import annotations

import hmac
import json
import os
import socket
import struct
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

VERSION = 1
HELLO_SECONDS = 5.0
"""A connection that has not proved itself by then is closed."""

HELLO_LIMIT_BYTES = 4096
FRAME_LIMIT_BYTES = 8 * 1024 * 1024
"""An environment of 2 MB for a launch fits; output travels in much smaller pieces."""

CHUNK_BYTES = 64 * 1024
_HEAD = struct.Struct("!BII")
_LENGTH = struct.Struct("!I")

CONTROL, STDOUT, STDERR, STDIN, STDIN_END = range(5)
"""Kinds of frames. CONTROL holds a JSON object; the others bytes of the rank that the head names."""

ALL_RANKS = 0xFFFFFFFF


class WireError(Exception):
    """The other side is not who it should be, or does not speak this language; the text says what was wrong."""


def proof(key: bytes, role: str, purpose: str, server_nonce: str, client_nonce: str) -> str:
    """What `role` ("server" or "client") shows."""
    words = "\0".join(("bridge-step", str(VERSION), role, purpose, server_nonce, client_nonce))
    return hmac.new(key, words.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def is_proof(key: bytes, shown: object, role: str, purpose: str, server_nonce: str, client_nonce: str) -> bool:
    wanted = proof(key, role, purpose, server_nonce, client_nonce)
    return isinstance(shown, str) and hmac.compare_digest(shown.encode("utf-8", "surrogatepass"), wanted.encode())


def nonce() -> str:
    return os.urandom(32).hex()


def hello_line(message: Dict[str, Any]) -> bytes:
    data = json.dumps(message).encode()
    return _LENGTH.pack(len(data)) + data


def take_hello(data: bytes) -> Tuple[Optional[Dict[str, Any]], bytes]:
    """(the first message or None when it is not whole yet, what follows). Raises WireError."""
    if len(data) < _LENGTH.size:
        return None, data
    (length,) = _LENGTH.unpack_from(data)
    if length > HELLO_LIMIT_BYTES:
        raise WireError(f"a greeting of {length} bytes")
    end = _LENGTH.size + length
    if len(data) < end:
        return None, data
    return _object(data[_LENGTH.size : end]), data[end:]


def _object(data: bytes) -> Dict[str, Any]:
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        raise WireError("no JSON") from None
    if not isinstance(message, dict):
        raise WireError("no JSON object")
    return message


def frame(kind: int, rank: int, data: bytes) -> bytes:
    return _HEAD.pack(kind, rank, len(data)) + data


def control(message: Dict[str, Any]) -> bytes:
    return frame(CONTROL, 0, json.dumps(message).encode("utf-8", "surrogatepass"))


def read_control(data: bytes) -> Dict[str, Any]:
    return _object(data)


class Frames:
    """Bytes in, whole frames out."""

    def __init__(self, rest: bytes = b"") -> None:
        self._data = bytearray(rest)

    def feed(self, data: bytes) -> None:
        self._data += data

    def __iter__(self) -> Iterator[Tuple[int, int, bytes]]:
        """(kind, rank, bytes). Raises WireError."""
        position = 0
        data = self._data
        try:
            while len(data) - position >= _HEAD.size:
                kind, rank, length = _HEAD.unpack_from(data, position)
                if length > FRAME_LIMIT_BYTES or kind > STDIN_END:
                    raise WireError(f"a frame of kind {kind} and {length} bytes")
                end = position + _HEAD.size + length
                if len(data) < end:
                    break
                body = bytes(data[position + _HEAD.size : end])
                position = end
                yield kind, rank, body
        finally:
            del data[:position]


class Server:
    """The listening side's part of the greeting, fed with bytes as they come; never waits."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._got = b""
        self._nonce = nonce()
        self._client_nonce = ""
        self.purpose = ""
        self._wanted = "hello"

    def feed(self, data: bytes) -> Tuple[bytes, Optional[bytes]]:
        """(what to send, None until proved and then what came after the greeting). Raises WireError."""
        self._got += data
        answer = b""
        while True:
            message, self._got = take_hello(self._got)
            if message is None:
                return answer, None
            if self._wanted == "hello":
                answer += self._answer(message)
                self._wanted = "proof"
                continue
            if not is_proof(self._key, message.get("proof"), "client", self.purpose, self._nonce, self._client_nonce):
                raise WireError("a wrong proof")
            return answer, self._got

    def _answer(self, message: Dict[str, Any]) -> bytes:
        purpose, client_nonce = message.get("purpose"), message.get("nonce")
        if message.get("version") != VERSION:
            raise WireError(f"version {message.get('version')!r}, not {VERSION}")
        if not isinstance(purpose, str) or not isinstance(client_nonce, str) or len(client_nonce) < 32:
            raise WireError("a greeting without purpose or nonce")
        self.purpose, self._client_nonce = purpose, client_nonce
        shown = proof(self._key, "server", purpose, self._nonce, client_nonce)
        return hello_line({"version": VERSION, "nonce": self._nonce, "proof": shown})


class Client:
    """The calling side's part of the greeting, fed with bytes as they come; never waits."""

    def __init__(self, key: bytes, purpose: str) -> None:
        self._key, self._purpose = key, purpose
        self._nonce = nonce()
        self._got = b""

    def hello(self) -> bytes:
        """What is sent first."""
        return hello_line({"version": VERSION, "purpose": self._purpose, "nonce": self._nonce})

    def feed(self, data: bytes) -> Optional[bytes]:
        """None until the other side has proved itself, then our proof: when that is sent we are through.
        Raises WireError.
        """
        if not data:
            raise WireError("the other side closed the connection")
        message, self._got = take_hello(self._got + data)
        if message is None:
            return None
        server_nonce = message.get("nonce")
        if not isinstance(server_nonce, str) or self._got:
            raise WireError("a greeting that is none")
        if not is_proof(self._key, message.get("proof"), "server", self._purpose, server_nonce, self._nonce):
            raise WireError("the other side does not know the key")
        return hello_line({"proof": proof(self._key, "client", self._purpose, server_nonce, self._nonce)})


def a_socket(address: Tuple[str, int]) -> socket.socket:
    # Not socket.create_connection: it loads a codec, and the step service may no longer read Python's own files.
    return socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)


def connect(address: Tuple[str, int], key: bytes, purpose: str, seconds: float = HELLO_SECONDS) -> socket.socket:
    """The calling side's part: a proved, blocking connection. Raises WireError or OSError."""
    deadline = time.monotonic() + seconds
    connection = a_socket(address)
    try:
        connection.settimeout(seconds)
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(key, purpose)
        connection.sendall(client.hello())
        answer = None
        while answer is None:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            answer = client.feed(connection.recv(HELLO_LIMIT_BYTES))
        connection.sendall(answer)
        connection.settimeout(None)
        return connection
    except BaseException:
        connection.close()
        raise


class Link:
    """A proved connection in a selector's loop: frames in, a bounded buffer out; never waits."""

    UNSENT_LIMIT_BYTES = 1024 * 1024
    """Above it whoever produces is to pause."""

    def __init__(self, connection: socket.socket, rest: bytes = b"") -> None:
        connection.setblocking(False)
        self.socket = connection
        self.frames = Frames(rest)
        self._unsent: List[bytes] = []
        self._unsent_bytes = 0

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def is_full(self) -> bool:
        return self._unsent_bytes >= self.UNSENT_LIMIT_BYTES

    @property
    def wants_to_write(self) -> bool:
        return bool(self._unsent)

    def receive(self) -> bool:
        """Take in what has come. False at the end of the stream. Raises OSError."""
        try:
            data = self.socket.recv(4 * CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return True
        self.frames.feed(data)
        return bool(data)

    def send(self, data: bytes) -> None:
        """Raises OSError when the other side is gone."""
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        self.flush()

    def flush(self) -> None:
        while self._unsent:
            try:
                sent = self.socket.send(self._unsent[0])
            except (BlockingIOError, InterruptedError):
                return
            self._unsent_bytes -= sent
            if sent == len(self._unsent[0]):
                self._unsent.pop(0)
            else:
                self._unsent[0] = self._unsent[0][sent:]

    def close(self) -> None:
        self.socket.close()
