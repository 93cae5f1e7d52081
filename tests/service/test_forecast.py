"""When waiting jobs would start: worked out once for all who ask."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.core import forecast
from tests.slurmcli.bridge import a_bridge


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_those_who_ask_at_once_get_the_same_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    foresee = forecast.starts

    def counted(*words: Any) -> dict[Any, forecast.Start]:
        made.append(words)
        return foresee(*words)

    monkeypatch.setattr(forecast, "starts", counted)
    async with a_bridge(tmp_path) as bridge:
        await bridge.submit()
        first, *others = await asyncio.gather(*(bridge.service.forecast.starts() for _ in range(5)))
    assert len(made) == 1
    assert all(other is first for other in others)
