"""One question to a monitor and its answer, over its control socket, without holding up the event loop."""

import asyncio
import contextlib
import json
import os
import socket
from typing import Any

from bridge.agent import lines
from bridge.agent import spool as agent_spool
from bridge.core.errors import Conflict, Gone, Unavailable

_PATIENCE_SECONDS = 10.0


async def ask(path: str, index: int, message: dict[str, Any]) -> dict[str, Any]:
    """Raises Gone when no monitor listens, Unavailable when it does not answer, Conflict when it refuses."""
    connection = _connect(path, index)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            answer = await _exchange(connection, message)
    except TimeoutError:
        raise Unavailable(f"the monitor of {path}, node {index}, does not answer") from None
    if answer is None:
        raise Gone(f"the monitor of {path}, node {index}, has ended")
    if "error" in answer:
        raise Conflict(f"{message['do']} is not possible: {answer['error']}", code="cannot_alter")
    return answer


def _connect(path: str, index: int) -> socket.socket:
    try:
        folder = agent_spool.open_folder(path)
        try:
            node = agent_spool.open_folder(f"node{index}", folder)
        finally:
            os.close(folder)
        try:
            return lines.connect("control", node)
        finally:
            os.close(node)
    except BlockingIOError as error:  # its queue is full
        raise Unavailable(f"the monitor of {path}, node {index}, is busy") from error
    except OSError as error:
        raise Gone(f"no monitor for {path}, node {index}") from error


async def _exchange(connection: socket.socket, message: dict[str, Any]) -> dict[str, Any] | None:
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=lines.LINE_LIMIT_BYTES)
    try:
        writer.write(json.dumps(message).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
    except OSError:
        return None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    answer = json.loads(line) if line.endswith(b"\n") else None
    return answer if isinstance(answer, dict) else None
