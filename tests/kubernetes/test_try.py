"""`deploy/try --kubernetes`: the first thing that somebody with a cluster does. On the real node."""

import os
import pty
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.ground import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(300)]

TRY = Path(__file__).parents[2] / "deploy" / "try"
VOLUME = "/api/v1/persistentvolumes"


@pytest.fixture
def volume(cluster: Cluster) -> Iterator[Path]:
    """What a storage class of a usual cluster would make."""
    folder = Path(tempfile.mkdtemp(prefix="bridge-try-volume-", dir="/var/tmp"))
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "claimRef": {"namespace": "bridge-try", "name": "bridge-try-files"},
        "hostPath": {"path": str(folder), "type": "Directory"},
    }
    cluster.call("POST", VOLUME, {"metadata": {"name": "bridge-try"}, "spec": spec})
    yield folder
    cluster.call("DELETE", f"{VOLUME}/bridge-try")
    shutil.rmtree(folder)


@pytest.fixture
def home() -> Iterator[Path]:
    """With a short path: sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="try-", dir="/var/tmp") as folder:
        yield Path(folder)


def environment(cluster: Cluster, home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(cluster.kubeconfig), "LANG": "C.UTF-8"}


def namespaces(cluster: Cluster) -> list[str]:
    return [one["metadata"]["name"] for one in cluster.items("/api/v1/namespaces")]


def test_runs_the_workflow_shows_it_and_leaves_nothing(cluster: Cluster, volume: Path, home: Path) -> None:
    words = [TRY, "--kubernetes", "--yes", "--image", cluster.image("debian-python")]
    done = subprocess.run(words, env=environment(cluster, home), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout
    assert "sum of all: 8002000" in told
    assert sorted(line.split(":")[0] for line in told.splitlines() if "here is job-" in line) == ["0", "1"]
    assert [line.split()[2:4] for line in told.splitlines() if line.split()[2:3] == ["COMPLETED"]] == [
        ["COMPLETED", "0:0"]
    ] * 6
    assert "bridge-try" not in namespaces(cluster)
    assert sorted(path.suffix for path in volume.iterdir()) == [".out"] * 6 + [".txt"] * 8


def test_asks_first(cluster: Cluster, home: Path) -> None:
    ours, theirs = pty.openpty()
    words = [TRY, "--kubernetes"]
    env = environment(cluster, home)
    with subprocess.Popen(words, env=env, stdin=theirs, stdout=subprocess.PIPE, text=True) as process:
        os.write(ours, b"n\n")
        told, _ = process.communicate()
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 1
    assert "makes the namespace bridge-try there, and removes it at the end" in told
    assert told.endswith("Nothing was done.\n")
    assert "bridge-try" not in namespaces(cluster)
