from collections.abc import Iterator

import pytest

from tests.local import ground as grounds


@pytest.fixture(params=grounds.WHO)
def ground(request: pytest.FixtureRequest) -> Iterator[grounds.Ground]:
    ground = grounds.Ground(request.param)
    try:
        yield ground
    finally:
        ground.leave()


@pytest.fixture(scope="session", autouse=True)
def _package() -> Iterator[None]:
    yield
    grounds.remove_packages()
