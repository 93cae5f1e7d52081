"""Becoming the job's user, as root of a machine and as root of a container that may change nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
_BECOME = """
import json, os, sys, types
from bridge.agent import user
uid, gid, *groups = json.loads(sys.argv[1])
try:
    user.become(types.SimpleNamespace(uid=uid, gid=gid, groups=groups))
except OSError as error:
    sys.exit(error.strerror)
print(os.getuid(), os.getgid(), *sorted(os.getgroups()))
"""

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


def become(*ids: int, groups: str, caps: bool) -> str:
    words = ["setpriv", f"--groups={groups}", *([] if caps else ["--inh-caps=-all", "--bounding-set=-all"])]
    words += [sys.executable, "-c", _BECOME, json.dumps(ids)]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
class TestBecome:
    def test_root_becomes_anybody(self) -> None:
        assert become(1001, 1001, 1001, 2000, groups="0,7", caps=True) == "1001 1001 1001 2000"

    def test_without_rights_root_stays_what_the_container_made_it(self) -> None:
        assert become(0, 0, 0, 2000, groups="2000", caps=False) == "0 0 2000"
        assert become(0, 0, 0, groups="0", caps=False) == "0 0 0"

    def test_without_rights_groups_that_are_others_are_an_error(self) -> None:
        assert become(0, 0, 0, 2000, groups="7,2000", caps=False) == "Operation not permitted"
        assert become(1001, 1001, 1001, groups="1001", caps=False) == "Operation not permitted"
