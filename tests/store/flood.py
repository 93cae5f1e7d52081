"""A process that submits and starts jobs until it is killed, and says on stdout what it was answered."""

import asyncio
import os
import sys

from bridge.core import events
from bridge.store.store import Store
from tests.builders import NOON
from tests.store.support import N1, a_new

CALLERS = 8


async def main(url: str) -> None:
    store = await Store.open(url)

    async def call(caller: int) -> None:
        number = 0
        while True:
            number += 1
            name = f"{caller}.{number}"
            # Calls of two, so that half of one could be told.
            jobs = await store.submit([a_new(name=name, script=name.encode()), a_new(name=name, array="0-1")])
            os.write(1, f"submitted {jobs[0].id} {jobs[1].id} {name}\n".encode())
            [outcome] = await store.change([jobs[0].key], lambda job: events.Placed(NOON, N1))
            assert outcome.error is None
            os.write(1, f"placed {jobs[0].id}\n".encode())

    await asyncio.gather(*(call(caller) for caller in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
