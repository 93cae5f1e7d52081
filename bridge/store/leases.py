"""Which process owns a backend, and for how long. Run by the writer; one owner at a time.

The number goes up with every new owner: a write that carries an older one is refused (`Batch.check_fence`).
PostgreSQL compares with its own clock, as its users may have several; a SQLite file has one user and its `now`.
"""

from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from bridge.store import tables
from bridge.store.batch import Batch
from bridge.store.records import Fence

_LEASE = tables.leases.c


def acquire(batch: Batch, backend: str, owner: str, ttl_seconds: float, now: float) -> Fence | None:
    now = _clock(batch, now)
    row = _row(batch, backend)
    if row is not None and row.owner and row.expires_at > now:
        if row.owner != owner:
            return None
        number = row.number
    else:
        number = 1 if row is None else row.number + 1
    values = {"owner": owner, "number": number, "expires_at": now + ttl_seconds}
    if row is None:
        batch.connection.execute(insert(tables.leases), {"backend": backend, **values})
    else:
        batch.connection.execute(update(tables.leases).where(_LEASE.backend == backend), values)
    batch.fence_changed(backend)
    return Fence(backend, owner, number)


def renew(batch: Batch, fence: Fence, ttl_seconds: float, now: float) -> bool:
    """True also when it had expired, as long as nobody else took it."""
    until = _clock(batch, now) + ttl_seconds
    done = batch.connection.execute(update(tables.leases).where(*_held(fence)).values(expires_at=until))
    return done.rowcount == 1


def release(batch: Batch, fence: Fence) -> None:
    batch.connection.execute(update(tables.leases).where(*_held(fence)).values(owner="", expires_at=0.0))
    batch.fence_changed(fence.backend)


def expire_all(connection: Connection) -> None:
    """When it is certain that no owner lives. The numbers stay, so that what an old owner sent is still refused."""
    connection.execute(update(tables.leases).values(expires_at=0.0))


def _held(fence: Fence) -> tuple[Any, ...]:
    return _LEASE.backend == fence.backend, _LEASE.owner == fence.owner, _LEASE.number == fence.number


def _row(batch: Batch, backend: str) -> Any:
    return batch.connection.execute(select(tables.leases).where(_LEASE.backend == backend)).one_or_none()


def _clock(batch: Batch, now: float) -> float:
    if batch.connection.dialect.name != "postgresql":
        return now
    return float(batch.connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())
