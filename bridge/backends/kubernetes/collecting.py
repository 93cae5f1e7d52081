"""Brings the output that no volume takes from the pods to the bridge: what the pods' logs carry, and the rest by a
command in the pod, acknowledged once it is here. At the end of a pod says what is missing."""

import asyncio
import base64
import contextlib
import json
import logging
from typing import Any

from adapters.kubernetes import standing
from bridge.backends.kubernetes import pictures
from bridge.backends.kubernetes.attempts import Attempt
from bridge.backends.kubernetes.book import Book
from bridge.backends.kubernetes.ending import Ender
from bridge.backends.kubernetes.outputs import STREAMS, Outputs, Stream
from bridge.backends.kubernetes.transport import Transport
from bridge.core.errors import BridgeError, Gone, Unavailable

log = logging.getLogger(__name__)

Json = dict[str, Any]

_SETTLE_SECONDS = 60.0
"""How long the log of a pod that has ended is asked for, before its end is told without."""
_ASK_SECONDS = 1.0
_PIECE_BYTES = 1 << 20


class Collector:
    def __init__(self, transport: Transport, book: Book, ender: Ender, outputs: Outputs) -> None:
        self._transport, self._book, self._ender, self._outputs = transport, book, ender, outputs
        self._fetching: set[tuple[int, int]] = set()
        self._wanted: set[tuple[int, int]] = set()
        self._begun: set[tuple[int, int]] = set()
        self._beyond: set[tuple[int, int]] = set()
        """Those that have more than their logs carry."""
        self._asked_at: dict[tuple[int, int], float] = {}

    def clear(self) -> None:
        self._fetching.clear()
        self._wanted.clear()
        self._begun.clear()
        self._beyond.clear()
        self._asked_at.clear()

    # ── from the log ──────────────────────────────────────────────────────────────────────────────

    async def take(self, attempt: Attempt, line: bytes) -> bool:
        """A line of the log. True: there is more to fetch from the pod itself."""
        if not line.startswith(b'{"event": "'):
            return False
        try:
            event = json.loads(line)
            kind = event["event"]
            if kind == "output":
                await self._write(attempt, event["stream"], int(event["from"]), base64.b64decode(event["data"]))
            if kind == "spooled":
                self._beyond.add(attempt.key)
            return kind == "spooled" or (kind == "ended" and attempt.key in self._beyond)
        except (ValueError, TypeError, KeyError):
            return False

    async def _write(self, attempt: Attempt, stream: Stream, at: int, data: bytes) -> None:
        if stream not in STREAMS:
            raise ValueError(stream)
        try:
            if attempt.key not in self._begun:
                await asyncio.to_thread(self._outputs.begin, *attempt.key, appends=attempt.output_mode == "append")
                self._begun.add(attempt.key)
            await asyncio.to_thread(self._outputs.write, *attempt.key, stream, at, data)
        except OSError as error:  # whoever brings it comes again
            raise Unavailable(f"output of job {attempt.job_id} cannot be written down: {error}") from error

    # ── from the pod ──────────────────────────────────────────────────────────────────────────────

    async def fetch(self, attempt: Attempt) -> None:
        """Everything that is there now. One at a time: who asks meanwhile has it fetched once more afterwards."""
        self._wanted.add(attempt.key)
        if attempt.key in self._fetching:
            return
        self._fetching.add(attempt.key)
        try:
            while attempt.key in self._wanted and attempt.key in self._book.attempts:
                self._wanted.discard(attempt.key)
                if not await self._fetch_all(attempt):
                    self._wanted.add(attempt.key)
                    await asyncio.sleep(_ASK_SECONDS)
        except Gone:
            pass  # it has ended: its log and its last word say the rest
        finally:
            self._fetching.discard(attempt.key)
            self._wanted.discard(attempt.key)

    async def _fetch_all(self, attempt: Attempt) -> bool:
        """False: to be tried again, from where it broke off. Raises Gone."""
        try:
            until = {}
            for stream in STREAMS:
                if (end := await self._fetch(attempt, stream)) is not None:
                    until[stream] = end
            await self._ender.ask(attempt, {"do": "acknowledge", "until": until})
        except Unavailable as error:
            log.info("output cannot be fetched now", extra={"job": attempt.job_id, "why": error.sentence})
            return False
        except Gone:
            raise
        except BridgeError as error:
            log.warning("output cannot be fetched", extra={"job": attempt.job_id, "why": error.sentence})
        return True

    async def fetch_at_times(self, attempt: Attempt) -> None:
        """Somebody reads what it writes: what the log does not carry is fetched, but not all the time."""
        now = asyncio.get_running_loop().time()
        if attempt.key in self._beyond and now >= self._asked_at.get(attempt.key, 0.0) + _ASK_SECONDS:
            self._asked_at[attempt.key] = now
            await self.fetch(attempt)

    async def _fetch(self, attempt: Attempt, stream: Stream) -> int | None:
        """To where the bridge has it now; None: the pod keeps no such stream."""
        at = self._outputs.until(*attempt.key, stream)
        pod = attempt.first_pod
        if pod is None or not standing.is_running(pod):
            raise Gone("its pod does not run")
        asked = json.dumps({"stream": stream, "from": at})
        command = [*pictures.agent_words(pod), "output", asked]
        head, rest = None, b""
        async with contextlib.aclosing(
            self._transport.output_of(attempt.namespace, pod["metadata"]["name"], "job", command)
        ) as parts:
            async for part in parts:
                rest += part
                if head is None:
                    line, found, rest = rest.partition(b"\n") if b"\n" in rest else (b"", b"", rest)
                    if not found:
                        continue
                    head = json.loads(line)
                    if head.get("gone"):
                        return None
                    at = int(head["from"])
                if len(rest) >= _PIECE_BYTES:
                    await self._write(attempt, stream, at, rest)
                    at, rest = at + len(rest), b""
        if rest or at > self._outputs.until(*attempt.key, stream):
            await self._write(attempt, stream, at, rest)
        return at + len(rest)

    # ── the end ───────────────────────────────────────────────────────────────────────────────────

    async def settle(self, attempt: Attempt) -> None:
        """Its pod has ended: take what its log has more, and count what is missing. Then its end may be told."""
        account = attempt.standing().output
        if not self._is_whole(attempt, account):
            await self._read_log(attempt)
        missing, lost = 0, 0
        try:
            missing = await asyncio.to_thread(self._miss, attempt, account)
            lost = self._outputs.lost(*attempt.key)
        except OSError as error:
            attempt.output_note = f"its output could not be written down: {error}"
        if lost:
            attempt.output_note = f"{lost} bytes of its output were lost"
            log.warning("output was lost", extra={"job": attempt.job_id, "bytes": lost, "at_the_end": missing})
        self._begun.discard(attempt.key)
        self._beyond.discard(attempt.key)
        self._asked_at.pop(attempt.key, None)
        self._outputs.let_go(*attempt.key)
        attempt.is_settled = True
        self._book.tell(attempt)

    def _miss(self, attempt: Attempt, account: Json) -> int:
        self._outputs.begin(*attempt.key, appends=attempt.output_mode == "append")
        return sum(
            self._outputs.miss(*attempt.key, stream, account.get(stream, {}).get("size", 0)) for stream in STREAMS
        )

    def _is_whole(self, attempt: Attempt, account: Json) -> bool:
        return bool(account) and all(
            self._outputs.until(*attempt.key, stream) >= account.get(stream, {}).get("size", 0) for stream in STREAMS
        )

    async def _read_log(self, attempt: Attempt) -> None:
        pod = attempt.first_pod
        if pod is None:
            return
        with contextlib.suppress(TimeoutError, Gone):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while True:
                    try:
                        stream = self._transport.log(attempt.namespace, pod["metadata"]["name"], "job")
                        async with contextlib.aclosing(stream) as lines:
                            async for line in lines:
                                await self.take(attempt, line)
                        return
                    except Unavailable:
                        await asyncio.sleep(1.0)
