"""Bridges shared by the tests of a module: one that root runs for a plain user, one of a plain user alone."""

import os
from collections.abc import Iterator

import pytest

from tests.e2e import harness

KINDS = ["root's bridge", "own bridge"] if os.geteuid() == 0 else ["own bridge"]
"""As a plain user there is only one's own."""


@pytest.fixture(scope="module")
def bridge() -> Iterator[harness.Bridge]:
    """Of the strongest kind there is here."""
    with harness.a_bridge(owned_by_root=os.geteuid() == 0) as started:
        yield started


@pytest.fixture(scope="module", params=KINDS)
def each_bridge(request: pytest.FixtureRequest) -> Iterator[harness.Bridge]:
    with harness.a_bridge(owned_by_root=request.param == "root's bridge") as started:
        yield started
