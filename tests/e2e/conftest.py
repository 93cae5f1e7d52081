"""Bridges shared by the tests of a module: one that root runs for a plain user, one of a plain user alone."""

import contextlib
import os
from collections.abc import Iterator

import pytest

from tests.cluster import ground
from tests.e2e import harness, reference
from tests.kubernetes import world

_ON = {"slurm": ["real slurm"], "kubernetes": ["kubernetes"]}
"""By BRIDGE_E2E_ON. On a real Slurm the expectations themselves are tried, see `reference`."""
KINDS = _ON.get(os.environ.get("BRIDGE_E2E_ON", "")) or (
    ["root's bridge", "own bridge"] if os.geteuid() == 0 else ["own bridge"]
)
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
    if kind == "kubernetes":
        return _on_kubernetes()
    return harness.a_bridge(owned_by_root=kind == "root's bridge")


@contextlib.contextmanager
def _on_kubernetes() -> Iterator[harness.Bridge]:
    assert not ground.missing(), ground.missing()
    with ground.started() as cluster, world.a_bridge(cluster) as bridge:
        yield bridge
