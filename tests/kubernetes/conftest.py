"""The real cluster, started once for all tests that ask for it."""

from collections.abc import Iterator

import pytest

from tests.cluster import ground
from tests.kubernetes import world


@pytest.fixture(scope="session")
def cluster() -> Iterator[ground.Cluster]:
    with ground.started() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def on_cluster(cluster: ground.Cluster) -> Iterator[world.Bridge]:
    """A bridge of root's for a plain user, with all partitions on the real node."""
    with world.a_bridge(cluster) as bridge:
        yield bridge
