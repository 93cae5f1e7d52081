"""That starting is quick. The bounds leave room for a busy machine; what is measured is printed."""

import asyncio
import time

import pytest

from tests.local.ground import Bench, Ground


@pytest.mark.slow
def test_many_small_jobs_at_a_good_rate(ground: Ground) -> None:
    async def scenario(bench: Bench) -> str:
        await bench.run("exit 0", 1)
        rates = []
        for at_a_time in (1, 4):
            ids = iter(range(at_a_time * 1000, at_a_time * 1000 + 60))

            async def worker(ids=ids) -> None:  # type: ignore[no-untyped-def]
                for job_id in ids:
                    await bench.run("exit 0", job_id, stdout="/dev/null")
                    await bench.backend.forget(job_id, 1)

            began = time.monotonic()
            await asyncio.gather(*[worker() for _ in range(at_a_time)])
            rates.append(60 / (time.monotonic() - began))
        assert min(rates) > 2
        return f"{rates[0]:.0f} jobs/s one after the other, {rates[1]:.0f} jobs/s four at a time"

    print(ground.who, ground.run(scenario))


def test_the_first_line_comes_soon(ground: Ground) -> None:
    async def scenario(bench: Bench) -> float:
        delays = []
        for job_id in range(1, 6):
            at = time.time()
            await bench.run("date +%s.%N", job_id)
            delays.append(float(bench.text(f"{job_id}.out")) - at)
        return min(delays)

    delay = ground.run(scenario)
    print(f"{ground.who}: {delay * 1000:.0f} ms from start() to the script's first line")
    assert delay < 2  # some ten milliseconds on an idle machine; a poll in between would show
