"""Accounts, limits, reservations and mail with a whole bridge, by the commands that people type."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import harness, person
from tests.e2e.harness import Bridge

MAIL_PROGRAM = """#!/bin/sh
{{ echo "to $2"; cat; echo --; }} >>{box}
"""


@contextlib.contextmanager
def a_bridge(tmp_path: Path) -> Iterator[Bridge]:
    """Of whoever runs the tests, for himself: its owner is the operator."""
    me = person.myself()
    program = tmp_path / "mailprog"
    program.write_text(MAIL_PROGRAM.format(box=tmp_path / "box"))
    program.chmod(0o755)
    more = f"""
[accounting]
start = ["add account physics", "add qos high", "add user {me.name} account=physics qos=normal,high"]
[mail]
command = ["{program}", "{{subject}}", "{{to}}"]
"""
    (tmp_path / "work").mkdir()
    bridge = Bridge(tmp_path, me, me, harness.SITE + more)
    bridge.start()
    try:
        yield bridge
    finally:
        bridge.clear()
        bridge.stop()


@pytest.mark.slow
def test_limits_of_sacctmgr_hold_jobs_back_and_refuse_them(tmp_path: Path) -> None:
    with a_bridge(tmp_path) as bridge:
        user = bridge.user.name
        bridge.ok("sacctmgr", "-i", "modify", "user", user, "where", "account=physics", "set", "maxjobs=1")
        gate = bridge.gate()
        first = bridge.sbatch("-A", "physics", script=f"#!/bin/bash\n{gate.wait}\n")
        bridge.runs(first)
        second = bridge.sbatch("-A", "physics", script="#!/bin/bash\ntrue\n")
        bridge.waits_because(second, "AssocMaxJobsLimit")
        gate.open()
        assert bridge.ends_as(second) == "COMPLETED 0:0"
        bridge.ok("sacctmgr", "-i", "modify", "qos", "high", "set", "maxwall=1", "flags=DenyOnLimit")
        refused = bridge.run("sbatch", "-A", "physics", "-q", "high", "-t", "5", "--wrap", "true")
        assert (refused.code, refused.err.splitlines()[0]) == (1, "sbatch: error: QOSMaxWallDurationPerJobLimit")
        bridge.kill9()
        bridge.start()
        words = ("-n", "-P", "list", "assoc", "account=physics", f"user={user}", "format=maxjobs")
        assert bridge.ok("sacctmgr", *words) == "1\n"


@pytest.mark.slow
def test_jobs_keep_off_a_reservation_and_mail_tells_of_their_ends(tmp_path: Path) -> None:
    with a_bridge(tmp_path) as bridge:
        me = bridge.user.name
        bridge.ok("scontrol", "create", "reservation=r", "starttime=now", "duration=30", f"users={me}", "nodes=n1")
        other = bridge.sbatch("-A", "physics", "-w", "n1", "--wrap", "true")
        mine = bridge.sbatch(
            "-A", "physics", "-J", "told", "--reservation=r", "--mail-type=END", "--mail-user=a@x", "--wrap", "exit 3"
        )
        assert bridge.ends_as(mine) == "FAILED 3:0"
        assert bridge.state(other) == "PENDING"
        bridge.ok("scontrol", "delete", "reservation=r")
        assert bridge.ends_as(other) == "COMPLETED 0:0"
        box = tmp_path / "box"
        text = bridge.until(lambda: box.exists() and box.read_text())
        assert text.startswith("to a@x\nTo: a@x\n")
        assert f"Subject: Slurm Job_id={mine} Name=told Ended, Run time 00:00:0" in text
