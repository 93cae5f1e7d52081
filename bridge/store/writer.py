"""The one thread that writes: whatever has arrived goes into one transaction (group commit).

A piece of work is a function of the batch; it stages its changes or raises, in which case it has staged
nothing. Callers get their answers after the commit. Should the database refuse the batch because of one
piece's values, each piece is done again alone, so that nobody pays for another's input.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, exc

from bridge.core.errors import BridgeError, Unavailable
from bridge.store import engine, rows
from bridge.store.batch import Batch

log = logging.getLogger(__name__)

MAX_PIECES = 256
"""In one transaction; bounds what one caller waits for the others."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Piece:
    work: Callable[[Batch], Any]
    keys: Collection[rows.RowKey]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True)
class _Answer:
    piece: _Piece
    value: Any = None
    error: Exception | None = None


class Writer:
    def __init__(self, made: Engine, cache: rows.Cache, on_commit: Callable[[int], None]) -> None:
        """`on_commit` is called in the event loop with the newest history number."""
        self._engine = made
        self._cache = cache
        self._on_commit = on_commit
        self._queue: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self.is_closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def do(self, work: Callable[[Batch], T], keys: Collection[rows.RowKey] = ()) -> T:
        """`keys`: rows that the work will ask for; read for all pieces together."""
        if self.is_closed:
            raise Unavailable("the store is closed", code="closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Piece(work, keys, future, loop))
        return await future

    async def close(self) -> None:
        """What was handed over is still written."""
        if not self.is_closed:
            self.is_closed = True
            self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    # ── the thread ────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        is_last = False
        while not is_last:
            first = self._queue.get()
            pieces = [] if first is None else [first]
            is_last = first is None
            with contextlib.suppress(queue.Empty):
                while len(pieces) < MAX_PIECES:
                    piece = self._queue.get_nowait()
                    if piece is None:
                        is_last = True
                    else:
                        pieces.append(piece)
            if pieces:
                self._write(pieces)
        self._disconnect()

    def _write(self, pieces: list[_Piece]) -> None:
        try:
            answers, seq = self._transact(pieces)
        except Exception as error:
            self._disconnect()  # also rolls back
            found = engine.translate(error) if isinstance(error, exc.SQLAlchemyError | OverflowError) else error
            if len(pieces) > 1 and not isinstance(found, Unavailable):
                for piece in pieces:
                    self._write([piece])
                return
            if not isinstance(found, BridgeError):
                log.error("a write failed", exc_info=error)
            found.__cause__ = None if found is error else error
            answers, seq = [_Answer(piece, error=found) for piece in pieces], None
        self._answer(answers, seq)

    def _transact(self, pieces: list[_Piece]) -> tuple[list[_Answer], int | None]:
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin():
            batch = Batch(self._connection, self._cache)
            batch.load({key for piece in pieces for key in piece.keys})
            answers = [self._do(piece, batch) for piece in pieces]
            batch.flush()
        batch.committed()
        return answers, batch.last_seq

    def _do(self, piece: _Piece, batch: Batch) -> _Answer:
        try:
            return _Answer(piece, value=piece.work(batch))
        except exc.SQLAlchemyError:
            raise  # the transaction is spoilt
        except Exception as error:
            return _Answer(piece, error=error)

    def _disconnect(self) -> None:
        """After a failure the connection is not trusted again."""
        if self._connection is not None:
            with contextlib.suppress(exc.SQLAlchemyError):
                self._connection.invalidate()
            with contextlib.suppress(exc.SQLAlchemyError):
                self._connection.close()
            self._connection = None

    def _answer(self, answers: list[_Answer], seq: int | None) -> None:
        """One wake-up of each event loop for the whole batch."""
        by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
        for answer in answers:
            by_loop.setdefault(answer.piece.loop, []).append(answer)
        for loop, mine in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._resolve, mine, seq)

    def _resolve(self, answers: list[_Answer], seq: int | None) -> None:
        for answer in answers:
            future = answer.piece.future
            if future.done():  # the caller was cancelled; what it asked for is written all the same
                continue
            if answer.error is not None:
                future.set_exception(answer.error)
            else:
                future.set_result(answer.value)
        if seq is not None:
            self._on_commit(seq)
