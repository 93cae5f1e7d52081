"""The bridge that tests of the commands ask, empty for each of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.slurmcli.bridge import Bridge, a_bridge


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def bridge(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Bridge]:
    async with a_bridge(tmp_path) as bridge:
        yield bridge
