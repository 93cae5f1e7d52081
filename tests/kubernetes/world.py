"""A bridge whose partitions lie on the real cluster, driven by the same harness as the local one.

One machine, one real node: the site's four nodes are room to count with, and CPUs are oversubscribed, so that what
is asked for in tests of four nodes fits.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cluster import ground
from tests.e2e import harness, person

GPU = "test.example/gpu"


def site_on(cluster: ground.Cluster, namespace: str, root: Path, site: str = harness.SITE, **more: str) -> str:
    """The site with every partition on Kubernetes; `more`: lines of TOML for each partition's part there."""
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
    )
    backend = f'[[backends]]\nname = "cluster"\nkind = "kubernetes"\nkubeconfig = "{cluster.kubeconfig}"\n\n'
    return head + backend + "".join(f"[[partitions]]\n{part.rstrip()}\n{there}" for part in partitions)


@contextlib.contextmanager
def a_bridge(cluster: ground.Cluster, site: str = harness.SITE, **more: str) -> Iterator[harness.Bridge]:
    """Owned by root, for a plain user; started, and cleared at the end."""
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
            text = site_on(cluster, namespace, root, site, **more)
            bridge = harness.Bridge(root, person.myself(), user, text)
            bridge.start()
            try:
                yield bridge
            finally:
                bridge.clear()
    finally:
        shutil.rmtree(root, ignore_errors=True)
