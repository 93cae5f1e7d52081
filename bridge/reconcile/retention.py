"""Forgets what is old: environments that no requeue can need, jobs, history and scripts past their age, and output
that backends keep of jobs that are gone."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from bridge.backends.port import Backend
from bridge.core.errors import Unavailable
from bridge.store.records import Ages
from bridge.store.store import Store

log = logging.getLogger(__name__)

ROUND_SECONDS = 600.0


async def keep_forgetting(
    store: Store, ages: Ages, backends: Iterable[Backend] = (), now: Callable[[], float] = time.time
) -> None:
    """Until cancelled. In small batches, so that nobody waits for it."""
    while True:
        await asyncio.sleep(ROUND_SECONDS)
        try:
            dropped = await store.drop_environments(now())
            purged = await store.purge(ages, now(), dry_run=False)
            for backend in backends:
                await backend.retain(store.find_by_raw_ids)
        except Unavailable as error:
            log.warning("retention put off", extra={"why": error.sentence})
            continue
        log.info("retention", extra={"environments": dropped, **{f"purged_{k}": v for k, v in purged.items()}})
