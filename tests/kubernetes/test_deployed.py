"""The bridge inside the cluster, installed by `deploy/kubernetes` as it stands, from the image of `deploy/image`.

On the real node. What a site would put into its overlay is the image's name, the site file and a volume.
"""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.ground import NODE, Cluster
from tests.e2e import harness, person

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

DEPLOY = Path(__file__).parents[2] / "deploy" / "kubernetes"
DATA = "/var/lib/bridge/data"
OURS = 65532


class Deployed:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.overlay = cluster, folder / "overlay"
        self.certificate, self._token = folder / "tls.pem", folder / "token"
        self._image = cluster.image("bridge-image")
        self._volume = folder / "volume"
        self.url = ""

    def install(self) -> None:
        self.overlay.mkdir()
        self._volume.mkdir()
        os.chown(self._volume, OURS, OURS)
        name, _, tag = self._image.rpartition(":")
        site = (DEPLOY / "bridge" / "site.toml").read_text()
        site = site.replace("registry.example.org/hpc/bridge:0.1.0", self._image)
        site = site.replace("docker.io/library/debian:bookworm-slim", self.cluster.image("debian"))
        site = site.replace("\n[partitions.kubernetes]\n", "\n[partitions.kubernetes]\ncpu_request_percent = 1\n")
        (self.overlay / "site.toml").write_text(site)
        (self.overlay / "kustomization.yaml").write_text(f"""
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{os.path.relpath(DEPLOY, self.overlay)}, volume.yaml]
images: [{{name: registry.example.org/hpc/bridge, newName: {name}, newTag: "{tag}"}}]
configMapGenerator: [{{name: bridge-site, namespace: bridge, behavior: replace, files: [site.toml]}}]
""")
        (self.overlay / "volume.yaml").write_text(f"""
apiVersion: v1
kind: PersistentVolume
metadata: {{name: bridge-test-data}}
spec:
  capacity: {{storage: 10Gi}}
  accessModes: [ReadWriteOnce]
  claimRef: {{namespace: bridge, name: bridge-data}}
  hostPath: {{path: {self._volume}, type: Directory}}
""")
        self.cluster.kubectl("apply", "-k", self.overlay)
        self.cluster.kubectl("-n", "bridge", "rollout", "status", "deployment/bridge", "--timeout=120s")
        self.certificate.write_text(self.inside("cat", f"{DATA}/keys/tls.pem"))
        self.cluster.kubectl("-n", "bridge-jobs", "create", "serviceaccount", "alice")
        words = ("create", "token", "alice", "--audience", "bridge", "--duration", "1h")
        self._token.write_text(self.cluster.kubectl("-n", "bridge-jobs", *words))

    def inside(self, *words: str) -> str:
        return self.cluster.kubectl("-n", "bridge", "exec", "deployment/bridge", "--", *words)

    @contextlib.contextmanager
    def forwarded(self) -> Iterator[None]:
        words = [*self.cluster.kubectl_words(), "-n", "bridge", "port-forward", "service/bridge", ":7443"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert found is not None
            self.url = f"https://127.0.0.1:{found[1]}"
            try:
                yield
            finally:
                process.kill()

    def run(self, name: str, *argv: str, script: str = "") -> str:
        """A command of a person outside of the cluster, with a token of Kubernetes."""
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "BRIDGE_URL": self.url}
        environment |= {"BRIDGE_CA_FILE": str(self.certificate), "BRIDGE_TOKEN_FILE": str(self._token)}
        words = [person.python(), "-I", "-S", str(harness.CLIENT), name, *argv]
        options = {"env": environment, "cwd": "/", "input": script}
        done = subprocess.run(words, check=False, capture_output=True, text=True, **options)
        assert done.returncode == 0, f"{name}: {done.stderr}{done.stdout}\n{self.log()}"
        return done.stdout.strip()

    def sbatch(self, script: str, *argv: str) -> int:
        return int(self.run("sbatch", "--parsable", "-D", "/tmp", "-o", "/tmp/out", *argv, script=script))

    def state(self, job: int) -> str:
        return self.run("sacct", "-X", "-n", "-j", str(job), "-o", "State,ExitCode")

    def ends_as(self, job: int) -> list[str]:
        deadline = time.monotonic() + 90
        while (words := self.state(job).split())[:1] in (["PENDING"], ["RUNNING"], ["CONFIGURING"], []):
            assert time.monotonic() < deadline, f"{self.run('scontrol', 'show', 'job', str(job))}\n{self.log()}"
            time.sleep(0.3)
        return words

    def log(self) -> str:
        return self.cluster.kubectl("-n", "bridge", "logs", "deployment/bridge", "--tail=30")

    def remove(self) -> None:
        words = " ".join(self.cluster.kubectl_words())
        done = subprocess.run(
            [DEPLOY / "remove", self.overlay],
            check=False,
            env={**os.environ, "KUBECTL": words},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr + done.stdout


@pytest.fixture(scope="module")
def deployed(cluster: Cluster) -> Iterator[Deployed]:
    folder = Path(tempfile.mkdtemp(prefix="bridge-deployed-", dir="/var/tmp"))
    with open(Path(tempfile.gettempdir()) / "bridge-test-deployed.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # its namespaces have fixed names
        try:
            folder.chmod(0o755)
            made = Deployed(cluster, folder)
            try:
                made.install()
                with made.forwarded():
                    yield made
            finally:
                made.remove()
        finally:
            shutil.rmtree(folder)


def left(cluster: Cluster) -> list[str]:
    """Whatever of the installation is still in the cluster."""
    kinds = "namespaces,clusterroles,clusterrolebindings,persistentvolumes"
    found = cluster.kubectl("get", kinds, "-o", "name").split()
    return [name for name in found if name.partition("/")[2] in ("bridge", "bridge-jobs", "bridge-test-data")]


def test_a_job_is_submitted_from_outside_and_runs(deployed: Deployed) -> None:
    job = deployed.sbatch('#!/bin/sh\n[ "$(id -u)" = 20001 ] && [ "$(id -un)" = alice ] && exit 7\n')
    assert deployed.ends_as(job) == ["FAILED", "7:0"]


def test_several_nodes_find_each_other(deployed: Deployed) -> None:
    """One real node: that pods of one job lie on different hosts is what keeps this one waiting."""
    job = deployed.sbatch("#!/bin/sh\nsrun hostname\n", "-N2")
    assert deployed.state(job).split()[0] == "PENDING"
    deployed.run("scancel", str(job))


def test_a_job_submits_another_through_the_service(deployed: Deployed) -> None:
    job = deployed.sbatch("#!/bin/sh\nsbatch -D /tmp -o /tmp/out -J second --wait --wrap 'exit 0'\n")
    assert deployed.ends_as(job) == ["COMPLETED", "0:0"]
    names = deployed.run("sacct", "-X", "-n", "-P", "-S", "now-1hour", "-o", "JobName,User,State")
    assert "second|alice|COMPLETED" in names.splitlines()


def test_a_pod_submits_through_the_service_as_whom_kubernetes_names(deployed: Deployed) -> None:
    token = {"serviceAccountToken": {"audience": "bridge", "path": "token"}}
    certificate = {"configMap": {"name": "bridge-certificate"}}
    create = deployed.cluster.kubectl
    create("-n", "bridge-jobs", "create", "configmap", "bridge-certificate", f"--from-file={deployed.certificate}")
    environment = {"BRIDGE_URL": "https://bridge.bridge.svc:7443"}
    environment |= {"BRIDGE_CA_FILE": "/who/tls.pem", "BRIDGE_TOKEN_FILE": "/who/token"}
    container = {
        "name": "client",
        "image": deployed.cluster.image("bridge-image"),
        "imagePullPolicy": "Never",
        "args": ["sbatch", "-D", "/tmp", "-o", "/tmp/out", "-J", "from-a-pod", "--wrap", "exit 0"],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "volumeMounts": [{"name": "who", "mountPath": "/who"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod: dict[str, Any] = {
        "metadata": {"name": "client"},
        "spec": {
            "serviceAccountName": "alice",
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "who", "projected": {"sources": [token, certificate], "defaultMode": 0o444}}],
        },
    }
    pods = "/api/v1/namespaces/bridge-jobs/pods"
    deployed.cluster.call("POST", pods, pod)
    done = deployed.cluster.until(lambda: _ended(deployed.cluster, f"{pods}/client"), 90)
    told = deployed.cluster.kubectl("-n", "bridge-jobs", "logs", "client")
    assert done == "Succeeded", told
    found = re.search(r"Submitted batch job (\d+)", told)
    assert found is not None
    assert deployed.ends_as(int(found[1])) == ["COMPLETED", "0:0"]


def _ended(cluster: Cluster, path: str) -> str | None:
    phase = (cluster.get(path) or {})["status"]["phase"]
    return phase if phase in ("Succeeded", "Failed") else None


def test_check_tells_of_the_cluster_from_inside(deployed: Deployed) -> None:
    told = deployed.inside("/opt/bridge/bin/bridge", "check", "--site", "/etc/bridge/site.toml")
    assert f"The cluster has 1 node: {NODE}." in told
    assert "They pass Pod Security restricted." in told


def test_what_goes_on_survives_a_new_bridge(deployed: Deployed) -> None:
    job = deployed.sbatch("#!/bin/sh\nsleep 25; exit 5\n")
    deployed.cluster.until(lambda: "RUNNING" in deployed.state(job), 90)
    deployed.cluster.kubectl("-n", "bridge", "rollout", "restart", "deployment/bridge")
    deployed.cluster.kubectl("-n", "bridge", "rollout", "status", "deployment/bridge", "--timeout=120s")
    with deployed.forwarded():
        assert deployed.ends_as(job) == ["FAILED", "5:0"]


def test_removal_leaves_nothing_although_a_job_runs(deployed: Deployed) -> None:
    with deployed.forwarded():
        job = deployed.sbatch("#!/bin/sh\nsleep 1000\n")
        deployed.cluster.until(lambda: "RUNNING" in deployed.state(job), 90)
    assert left(deployed.cluster)
    deployed.remove()
    assert left(deployed.cluster) == []
