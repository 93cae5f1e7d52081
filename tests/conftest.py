"""For all tests: those that need root or a real Kubernetes are left out elsewhere, and the seconds of each folder are
told to tests/run."""

import collections
import os
import random
import shutil
from pathlib import Path

import hypothesis
import pytest

from tests.cluster import ground

hypothesis.settings.register_profile("default", deadline=None)  # two busy cores make single examples slow
hypothesis.settings.register_profile("quick", deadline=None, max_examples=25)
hypothesis.settings.register_profile("full", deadline=None, max_examples=500)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# What tests draw when they are collected must be the same in all processes of a run.
random.seed(os.environ.get("TESTS_SEED") or os.environ.get("PYTEST_XDIST_TESTRUNUID"))

_seconds: dict[str, float] = collections.defaultdict(float)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if os.geteuid() != 0 and item.get_closest_marker("root")]
    on_cluster = [item for item in items if item.get_closest_marker("cluster")]
    if on_cluster and ground.missing():
        left_out += on_cluster
    left_out += [item for item in items if any(map(_is_missing, item.iter_markers("program")))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _is_missing(marker: pytest.Mark) -> bool:
    return shutil.which(marker.args[0]) is None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds["/".join(Path(report.nodeid.partition("::")[0]).parts[:2])] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return  # one of several processes: the one that collects their reports tells
    if target := os.environ.get("TESTS_SHARES"):
        rows = sorted(_seconds.items(), key=lambda row: -row[1])
        Path(target).write_text("".join(f"{name} {seconds * 100:.0f} 0\n" for name, seconds in rows))
