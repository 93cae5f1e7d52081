"""What the tests of each MPI share: nodes for their steps, and a program made by the module's own compiler."""

from collections.abc import Iterator

import pytest

from tests.agent.step_ground import Allocation, an_allocation
from tests.mpi.programs import compile_world


@pytest.fixture(scope="module")
def four_nodes() -> Iterator[Allocation]:
    with an_allocation(2, 2, 2, 2) as made:
        yield made


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Made by the COMPILER that the module names."""
    return compile_world(request.module.COMPILER, tmp_path_factory.mktemp("world"))
