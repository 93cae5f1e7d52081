"""Bridges shared by the tests of a module: one that root runs for a plain user, one of a plain user alone."""

import contextlib
import os
from collections.abc import Iterator

import pytest

from tests.e2e import harness, reference

ON_SLURM = os.environ.get("BRIDGE_E2E_ON") == "slurm"
"""The expectations themselves are tried, see `reference`."""
KINDS = ["real slurm"] if ON_SLURM else ["root's bridge", "own bridge"] if os.geteuid() == 0 else ["own bridge"]
"""As a plain user there is only one's own."""
_ONE_AND_SLOWLY_THE_OTHER = [KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])]


@pytest.fixture(scope="module")
def bridge() -> Iterator[harness.Bridge]:
    """Of the strongest kind there is here."""
    with started(KINDS[0]) as bridge:
        yield bridge


@pytest.fixture(scope="module", params=_ONE_AND_SLOWLY_THE_OTHER)
def each_bridge(request: pytest.FixtureRequest) -> Iterator[harness.Bridge]:
    with started(request.param) as bridge:
        yield bridge


def started(kind: str) -> contextlib.AbstractContextManager[harness.Bridge]:
    """A bridge of one of KINDS."""
    if kind == "real slurm":
        bundle = reference.bundle()
        assert bundle is not None, "SLURM_BUNDLE must name the bundle, and root must run the tests"
        return reference.as_bridge(bundle)
    return harness.a_bridge(owned_by_root=kind == "root's bridge")
