"""A real Kubernetes for tests: started once for a run, ended by process ids at its end.

BRIDGE_CLUSTER names the folder of one that `tests/cluster/cluster up` has started already; it is left running.
"""

import contextlib
import fcntl
import functools
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent / "cluster"
API = "https://127.0.0.1:6443"
HOST = "10.88.0.1"
"""This machine, as pods reach it."""
NODE = "node-1"
WAIT_SECONDS = 60.0

Json = dict[str, Any]


@functools.cache
def missing() -> str:
    """Why there is no cluster here, in a few words; empty: there is one, or one can be built."""
    return subprocess.run([SCRIPT, "missing"], check=True, capture_output=True, text=True).stdout.strip()


class Cluster:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.kubeconfig = directory / "kubeconfig"
        self._context = ssl._create_unverified_context()  # its certificate is its own

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────

    def pid(self, part: str) -> int:
        return int((self.directory / "pids" / part).read_text())

    def kill(self, part: str, number: int) -> None:
        """etcd, kube-apiserver, kubelet ...; a signal to the process that we started."""
        os.kill(self.pid(part), number)

    def start_again(self, part: str) -> None:
        subprocess.run([SCRIPT, "start", self.directory, part], check=True, stdout=subprocess.DEVNULL)

    def image(self, rootfs: str, name: str = "", environment: tuple[str, ...] = ()) -> str:
        """The image's reference; made from a root folder of `cluster rootfs` when it is asked for first."""
        python = {**os.environ, "PYTHON": sys.executable}
        made = subprocess.run([SCRIPT, "rootfs", rootfs], check=True, stdout=subprocess.PIPE, text=True, env=python)
        # Named after what is in it: another tree's tests on the same cluster may need another one at the same time.
        tag = Path(made.stdout.strip()).name
        reference = f"docker.io/test/{name or rootfs}:{tag}"
        marker = self.directory / f"image-{name or rootfs}-{tag}"
        if not marker.exists():
            words = [SCRIPT, "image", self.directory, reference, made.stdout.strip(), "/bin/sh"]
            env = {**os.environ, "IMAGE_ENVIRONMENT": "\n".join(environment)}
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=env)
            marker.touch()
        return reference

    def kubectl(self, *words: str | Path, stdin: str | None = None) -> str:
        """Standard output of the kubectl of this cluster's version."""
        done = subprocess.run([*self.kubectl_words(), *words], check=False, input=stdin, capture_output=True, text=True)
        assert done.returncode == 0, f"kubectl {' '.join(map(str, words))}: {done.stderr}"
        return done.stdout

    def kubectl_words(self) -> list[str]:
        version = os.environ.get("KUBERNETES_VERSION", "v1.37.2")
        return [str(_cache() / "bin" / f"kubelite-{version}"), "kubectl", "--kubeconfig", str(self.kubeconfig)]

    def kubeconfig_of(self, token: str, path: Path) -> Path:
        """A kubeconfig for another caller."""
        path.touch(0o600)
        path.write_text(self.kubeconfig.read_text().replace("admin-token", token))
        return path

    @contextlib.contextmanager
    def audited(self, user: str) -> Iterator[list[Json]]:
        """What the user asked of the API meanwhile: filled in at the end. Logged are service accounts and `bridge`."""
        found: list[Json] = []
        with (self.directory / "log" / "audit.log").open("a+", encoding="utf-8") as log:
            log.seek(0, os.SEEK_END)
            yield found
            found += [event for event in map(json.loads, log) if event["user"]["username"] == user]

    # ── the API ───────────────────────────────────────────────────────────────────────────────────

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        content_type: str = "application/json",
        seconds: float = 30.0,
    ) -> Json:
        """As administrator. Raises urllib.error.HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer admin-token", "Content-Type": content_type}
        request = urllib.request.Request(API + path, data, headers, method=method)
        with urllib.request.urlopen(request, context=self._context, timeout=seconds) as answer:
            found: Json = json.load(answer)
            return found

    def stream(self, path: str) -> Any:
        """The lines of an answer that goes on; to be closed."""
        request = urllib.request.Request(API + path, headers={"Authorization": "Bearer admin-token"})
        return urllib.request.urlopen(request, context=self._context, timeout=60)

    def get(self, path: str) -> Json | None:
        """None: there is none."""
        try:
            return self.call("GET", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def items(self, path: str) -> list[Json]:
        found: list[Json] = self.call("GET", path)["items"]
        return found

    def until(self, look: Any, seconds: float = WAIT_SECONDS) -> Any:
        """For what only the API shows: asked again until there is something."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, f"nothing to see after {seconds} s"
            time.sleep(0.05)
        return found

    @contextlib.contextmanager
    def namespace(self, **labels: str) -> Iterator[str]:
        """A new one, gone at the end with all that is in it."""
        made = self.call(
            "POST",
            "/api/v1/namespaces",
            {"metadata": {"generateName": "test-", "labels": labels}},
        )
        name = made["metadata"]["name"]
        # Its default account is made by a controller, and pods need it.
        self.until(lambda: self.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"))
        try:
            yield name
        finally:
            self.release_pods(name)
            self.call("DELETE", f"/api/v1/namespaces/{name}")
            self.release_pods(name)

    def release_pods(self, namespace: str) -> None:
        """What a failed test left must not hold up the namespace's end."""
        for pod in self.items(f"/api/v1/namespaces/{namespace}/pods"):
            path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
            with contextlib.suppress(urllib.error.HTTPError):
                change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["bridge.hpc/end-is-committed"]}}
                self.call("PATCH", path, change, "application/strategic-merge-patch+json")

    def kill_container(self, pod_path: str) -> None:
        """SIGKILL to the container of a pod's job, by the runtime: as if the kernel had done it."""
        self._ctr("tasks", "kill", "-s", "SIGKILL", self._container_of(pod_path))

    def pid_in_container(self, pod_path: str) -> int:
        """Of the first process of a pod's job, on this machine."""
        container = self._container_of(pod_path)
        rows = [row.split() for row in self._ctr("tasks", "list").splitlines()]
        return next(int(row[1]) for row in rows if row[0] == container)

    def _container_of(self, pod_path: str) -> str:
        status = self.call("GET", pod_path)["status"]["containerStatuses"][0]
        return str(status["containerID"].removeprefix("containerd://"))

    def _ctr(self, *words: str) -> str:
        start = [str(_cache() / "bin" / "ctr"), "-a", str(self.directory / "containerd.sock"), "-n", "k8s.io"]
        return subprocess.run([*start, *words], check=True, capture_output=True, text=True).stdout

    def grant(self, resource: str, count: int) -> None:
        """Let the node have an extended resource, as a device plugin would."""
        path = f"/api/v1/nodes/{NODE}/status"
        change = {"status": {"capacity": {resource: str(count)}}}
        self.call("PATCH", path, change, "application/strategic-merge-patch+json")


def _cache() -> Path:
    return Path(os.environ.get("CLUSTER_CACHE", Path.home() / ".cache" / "bridge-cluster"))


def is_ready(cluster: Cluster) -> bool:
    node = cluster.get(f"/api/v1/nodes/{NODE}") or {"status": {}}
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions") or ())


@contextlib.contextmanager
def started() -> Iterator[Cluster]:
    """The one that is named, or one of our own for as long as this lasts."""
    named = os.environ.get("BRIDGE_CLUSTER")
    if named:
        yield Cluster(Path(named))
        return
    # One machine holds one: its ports and its bridge are fixed.
    with open(Path(tempfile.gettempdir()) / "bridge-test-cluster.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with tempfile.TemporaryDirectory(prefix="bridge-cluster-", dir="/var/tmp") as folder:
            directory = Path(folder)
            directory.chmod(0o755)
            try:
                subprocess.run([SCRIPT, "up", directory], check=True, stdout=subprocess.DEVNULL)
                yield Cluster(directory)
            finally:
                subprocess.run([SCRIPT, "down", directory], check=False)
