"""A bridge whose partitions lie on the real cluster, driven by the same harness as the local one.

One machine, one real node: the site's four nodes are room to count with, and CPUs are oversubscribed, so that what
is asked for in tests of four nodes fits.
"""

import contextlib
import functools
import http.client
import json
import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from adapters.kubernetes import names as kubernetes_names
from tests.cluster import ground
from tests.e2e import harness, person

GPU = "test.example/gpu"


class Bridge(harness.Bridge):
    """Jobs see their pods."""

    devices_are_private = True
    patience = 3.0
    namespace = ""

    def history(self, job: int) -> list[str]:
        """What happened to the job, in the sentences that `bridge history` prints."""
        with self._ask(f"/v1/jobs/{job}/history") as answer:
            return [event["sentence"] for event in json.load(answer)["events"]]

    def logged(self, job: int | str, stream: str = "stdout") -> bytes:
        """Its output, as the bridge gives it."""
        with self._ask(f"/v1/jobs/{job}/log?stream={stream}") as answer:
            assert answer.status == 200, answer.read()
            return answer.read()

    @contextlib.contextmanager
    def follow(self, job: int) -> Iterator[http.client.HTTPResponse]:
        with self._ask(f"/v1/jobs/{job}/log?follow=true") as answer:
            assert answer.status == 200, answer.read()
            yield answer

    @contextlib.contextmanager
    def _ask(self, path: str) -> Iterator[http.client.HTTPResponse]:
        with self.asked("GET", path) as answer:
            yield answer

    def state_now(self, job: int) -> str:
        """Asked by HTTP, which takes a millisecond; a command takes thirty."""
        with self._ask(f"/v1/jobs/{job}") as answer:
            return str(json.load(answer)["jobs"][0]["state"])

    @contextlib.contextmanager
    def asked(self, method: str, path: str, body: bytes | None = None) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("bridge", timeout=harness.WAIT_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.socket))
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            yield connection.getresponse()
        finally:
            connection.close()

    def called(self, job: int, *names: str) -> list[str]:
        group = kubernetes_names.group_name(self.instance, job, 1)
        return [kubernetes_names.pod_host(group, index) for index in range(len(names))]

    @functools.cached_property
    def instance(self) -> str:
        """The database's, as it stands in the names of objects."""
        with sqlite3.connect(self.data / "bridge.db") as database:
            (found,) = database.execute("select instance_id from instance").fetchone()
        return str(found)


def site_on(
    cluster: ground.Cluster, namespace: str, root: Path, port: int, site: str = harness.SITE, **more: str
) -> str:
    """The site with every partition on Kubernetes; `more`: values in TOML for each partition's part there,
    patience_seconds for the partition itself, `volume` for another table of its volumes, `tail` for the file's end,
    `kubeconfig` for another way there."""
    patience, volume, tail = more.pop("patience_seconds", "300"), more.pop("volume", ""), more.pop("tail", "")
    kubeconfig = more.pop("kubeconfig", str(cluster.kubeconfig))
    head, *partitions = site.split("[[partitions]]\n")
    lines = {
        "namespace": f'"{namespace}"',
        "image": f'"{cluster.image("debian-python")}"',
        "pull_policy": '"Never"',
        "node_is": '"pod"',
        "nodes_are": '"room"',
        "cpu_request_percent": "1",
        "resources": f'{{ gpu = "{GPU}" }}',
        **more,
    }
    there = (
        "\n[partitions.kubernetes]\n"
        + "".join(f"{key} = {value}\n" for key, value in lines.items())
        + f'[[partitions.kubernetes.volumes]]\npath = "{root}"\nhost_path = "{root}"\n\n'
        + (f"[[partitions.kubernetes.volumes]]\n{volume}\n" if volume else "")
    )
    backend = (
        f'[[backends]]\nname = "cluster"\nkind = "kubernetes"\nkubeconfig = "{kubeconfig}"\n'
        f'url = "https://{ground.HOST}:{port}"\n\n'
    )
    return (
        head
        + backend
        + "".join(f"[[partitions]]\n{part.rstrip()}\npatience_seconds = {patience}\n{there}" for part in partitions)
        + tail
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ground.HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def a_bridge(
    cluster: ground.Cluster, site: str = harness.SITE, *, audited: bool = False, **more: str
) -> Iterator[Bridge]:
    """Owned by root, for a plain user; started, and cleared at the end. `audited`: it calls as the user `bridge`."""
    root = Path(tempfile.mkdtemp(prefix="bridge-kubernetes-", dir="/var/tmp"))
    cluster.grant(GPU, 64)
    try:
        with cluster.namespace() as namespace:
            root.chmod(0o755)
            for name in ("work", "home"):
                (root / name).mkdir()
            user = person.plain(root / "home")
            for path in (root, root / "work"):
                os.chown(path, user.uid, user.gid)
            port = _free_port()
            text = site_on(cluster, namespace, root, port, site, **more)
            if audited:
                text = text.replace(str(cluster.kubeconfig), str(cluster.kubeconfig_of("bridge-token", root / "kube")))
            tcp = f'tcp_host = "{ground.HOST}"\ntcp_port = {port}\n'
            bridge = Bridge(root, person.myself(), user, text, tcp)
            bridge.namespace = namespace
            bridge.start()
            try:
                yield bridge
            finally:
                bridge.clear()
    finally:
        shutil.rmtree(root, ignore_errors=True)
