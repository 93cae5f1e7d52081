"""What goes wrong has Slurm's own outcome or a clear error; nothing is lost, and the bridge serves on."""

import re
import sqlite3
import time
from collections.abc import Iterator

import pytest

from tests.e2e import harness
from tests.e2e.harness import Bridge

_FAILED = "sbatch: error: Batch job submission failed: "


def _serves(bridge: Bridge) -> None:
    job = bridge.sbatch(script="#!/bin/sh\necho here\n")
    assert (bridge.ends_as(job), bridge.output(job)) == ("COMPLETED 0:0", "here\n")


@pytest.mark.parametrize("place", ["/proc/none/x.out", "/", "/dev/null/x.out"], ids=["no folder", "a folder", "no way"])
def test_output_that_cannot_be_written_fails_the_launch(each_bridge: Bridge, place: str) -> None:
    job = each_bridge.sbatch("-o", place, script="#!/bin/sh\ntrue\n")
    assert each_bridge.ends_as(job) == "FAILED 0:53"
    _serves(each_bridge)


def test_a_full_disk_under_the_output_is_the_scripts_own_trouble(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("-o", "/dev/full", script="#!/bin/sh\necho lost || exit 7\n")
    assert each_bridge.ends_as(job) == "FAILED 7:0"
    _serves(each_bridge)


def test_a_missing_interpreter_fails_with_its_name_in_the_output(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch(script="#!/no/such/interp\ntrue\n")
    assert each_bridge.ends_as(job) == "FAILED 2:0"
    said = each_bridge.output(job)
    assert re.fullmatch(r".*execve\(\): bad interpreter\(/no/such/interp\): No such file or directory\n", said, re.S)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            b"#!/bin/sh\n#" + b"x" * 5_000_000 + b"\n",
            _FAILED + "Pathname of a file, directory or other parameter too long\n",
        ),
        (
            b"#!/bin/sh\necho a\0b\n",
            "sbatch: error: The Slurm controller does not allow scripts that\n"
            "sbatch: error: contain a NULL character '\\0'.\n",
        ),
    ],
    ids=["5 MB", "NUL"],
)
def test_a_script_that_cannot_be_taken_is_refused(each_bridge: Bridge, script: bytes, said: str) -> None:
    ran = each_bridge.run("sbatch", stdin=script)
    assert (ran.out, ran.err, ran.code) == ("", said, 1)
    _serves(each_bridge)


def test_an_environment_of_2_mb_arrives_whole(each_bridge: Bridge) -> None:
    """Single values are at most 128 KiB, which is Linux's own bound."""
    much = {f"BIG{k}": str(k % 10) * 100_000 for k in range(20)}
    job = each_bridge.sbatch(script="#!/bin/sh\nenv | grep ^BIG | wc -c\n", env=much)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    assert int(each_bridge.output(job)) == sum(len(f"{name}={text}\n") for name, text in much.items())


def test_a_circle_of_jobs_is_refused_and_changes_nothing(each_bridge: Bridge) -> None:
    first = each_bridge.sbatch("-H", script="#!/bin/sh\ntrue\n")
    second = each_bridge.sbatch("-d", f"afterany:{first}", script="#!/bin/sh\ntrue\n")
    ran = each_bridge.run("scontrol", "update", f"JobId={first}", f"Dependency=afterany:{second}")
    assert (ran.out, ran.err, ran.code) == ("", f"Circular job dependency for job {first}\n", 1)
    each_bridge.ok("scontrol", "release", str(first))
    assert [each_bridge.ends_as(job) for job in (first, second)] == ["COMPLETED 0:0", "COMPLETED 0:0"]


@pytest.fixture
def wide_bridge() -> Iterator[Bridge]:
    site = harness.SITE.replace("[cluster]\n", "[cluster]\nmax_array_size = 100001\n", 1)
    assert "max_array_size" in site
    with harness.a_bridge(owned_by_root=False, site=site) as bridge:
        yield bridge


def test_100_000_tasks_are_one_row_and_cost_what_one_job_costs(wide_bridge: Bridge) -> None:
    def seconds(*words: str) -> float:
        began = time.monotonic()
        wide_bridge.ok("sbatch", "-H", "--parsable", *words, "--wrap", "true")
        return time.monotonic() - began

    plain = min(seconds() for _ in range(3))
    wide = min(seconds("-a", "0-99999") for _ in range(3))
    print(f"one job {plain:.3f} s, 100,000 tasks {wide:.3f} s")
    assert wide < plain + 1
    assert wide_bridge.ok("squeue", "-h", "-S", "i", "-o", "%K").split()[-1] == "0-99999"
    with sqlite3.connect(f"file:{wide_bridge.data / 'bridge.db'}?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (6,)
    wide_bridge.ok("scancel", "-n", "wrap")
    _serves(wide_bridge)
