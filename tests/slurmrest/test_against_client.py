"""A client that openapi-python-client makes from the real schema works against a bridge unchanged."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.slurm.rest.shapes import VERSIONS
from tests.e2e import harness

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]

TOOLS = Path("/var/tmp/bridge-openapi-tools")
"""An environment of its own: the generator brings its own releases of what the project's checks use."""
NEEDS = ("openapi-python-client==0.29.1", "httpx", "attrs", "python-dateutil")
USE = Path(__file__).with_name("use_client.py")

EXPECTED = {
    "ping": "UP",
    "submit": [],
    "get": ["made", 7, ["PENDING"], 2, ["END"]],
    "array": 2,
    "dependency": True,
    "update": [],
    "updated": ["by the client", 5],
    "list": True,
    "cancel": [],
    "cancelled": ["CANCELLED"],
    "cancel many": [[], ["CANCELLED"], ["CANCELLED"]],
    "errors": {
        "no such job": [2017],
        "cancelling none": [],  # told in `status`
        "changing none": [2017],
        "no such partition": [2000],
        "no script": [9000],
        "allocate": 1,
    },
    "nodes": [[f"n{number}", ["IDLE"], 4] for number in (1, 2, 3, 4)],
    "node": "n1",
    "partitions": [["main", "n[1-4]"], ["short", "n[1-2]"], ["gpu", "n4"], ["closed", "n3"]],
    "partition": "main",
    "accounting": {
        "jobs": True,
        "job": [["CANCELLED"]],
        "users": ["root"],
        "user": ["root"],
        "accounts": ["root"],
        "associations": [["root", ""], ["root", "root"]],
        "qos": ["normal"],
        "clusters": ["bridge"],
        "tres": ["cpu", "mem", "energy", "node", "billing", "fs", "vmem", "pages", "gres"],
    },
    "others": {
        "slurm get_reservations": [],
        "slurm get_licenses": [],
        "slurm get_shares": [],
        "slurm get_diag": [],
        "slurmdb get_config": [],
        "slurmdb get_association": [9211],  # one is asked for, and there are two
    },
}


def tools() -> Path:
    """Its folder of programs; made once."""
    programs = TOOLS / "bin"
    if not (programs / "openapi-python-client").exists():
        subprocess.run([sys.executable, "-m", "venv", TOOLS], check=True)
        subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", *NEEDS], check=True)
    return programs


def generated(document: dict[str, Any], folder: Path) -> None:
    schema, settings = folder / "openapi.json", folder / "settings.yml"
    schema.write_text(json.dumps(document))
    settings.write_text("post_hooks: []\n")
    command = [tools() / "openapi-python-client", "generate", "--path", schema, "--config", settings]
    command += ["--meta", "none", "--output-path", folder / "client"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def client(real_openapi: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its package."""
    folder = tmp_path_factory.mktemp("generated")
    generated(real_openapi, folder)
    return folder


@pytest.fixture(scope="module")
def bridge() -> Iterator[harness.Bridge]:
    with harness.a_bridge() as found:
        yield found


@pytest.mark.parametrize("version", [f"v00{number}" for number in VERSIONS])
def test_a_generated_client_works_unchanged(client: Path, bridge: harness.Bridge, version: str) -> None:
    token = bridge.ok("scontrol", "token", "lifespan=3600").strip().partition("=")[2]
    command = [tools() / "python", USE, client, version, bridge.socket, token]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == EXPECTED
