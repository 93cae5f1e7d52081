"""What `deploy/try --kubernetes` does in a cluster besides submitting: a namespace with a small volume, and its end.

python cluster.py ask                          says which cluster it is; leaves with 0 when there is one
python cluster.py open SITE DATA IMAGE PYTHON  makes namespace, volume and a pod that keeps it; writes SITE
python cluster.py show COMMAND...              runs a command where the jobs' files are
python cluster.py close                        removes the namespace, with everything in it
"""

import asyncio
import contextlib
import os
import pwd
import sys
from pathlib import Path
from typing import Any

from adapters.kubernetes import names
from bridge.backends.kubernetes.transport import STRATEGIC_PATCH, Access, Exists, Transport
from bridge.core.errors import BridgeError, Gone

NAMESPACE, CLAIM, KEEPER = "bridge-try", "bridge-try-files", "bridge-try-files"
ROOM = f"/api/v1/namespaces/{NAMESPACE}"
OURS = {"app.kubernetes.io/part-of": "bridge-try"}
WAIT_SECONDS = 120

SITE = """
[server]
data_directory = "{data}"
[cluster]
name = "try"
[[backends]]
name = "cluster"
kind = "kubernetes"
[[nodes]]
name = "n[1-4]"
cpus = 1
memory_mib = 256
[[partitions]]
name = "main"
default = true
default_memory_per_cpu_mib = 128
[partitions.kubernetes]
namespace = "{namespace}"
image = "{image}"
python = "{python}"
node_is = "pod"                     # four nodes to count with; where pods lie is the scheduler's choice
nodes_are = "room"
cpu_request_percent = 10
node_selector = {{ "kubernetes.io/hostname" = "{host}" }}   # where the volume is: it may be one that has one node only
allow_root = {allow_root}
[[partitions.kubernetes.volumes]]
path = "/work"
claim = "{claim}"
"""


async def ask(cluster: Transport) -> None:
    version = await cluster.get("/version")
    try:
        found = await cluster.get(f"/api/v1/namespaces/{NAMESPACE}")
    except Gone:
        there = f"makes the namespace {NAMESPACE} there, and removes it at the end"
    else:
        if OURS.items() - (found["metadata"].get("labels") or {}).items():
            raise SystemExit(f"the namespace {NAMESPACE} is there and is not this script's")
        there = f"finds the namespace {NAMESPACE} of an earlier try there, and removes it at the end"
    print(f"Kubernetes {version['gitVersion']} at {cluster.host}; this {there}.")


async def open_(cluster: Transport, site: str, data: str, image: str, python: str) -> None:
    await _make(cluster, "/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": OURS}})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
    await _make(cluster, f"{ROOM}/persistentvolumeclaims", {"metadata": {"name": CLAIM, "labels": OURS}, "spec": claim})
    await _until(cluster, f"{ROOM}/serviceaccounts/default", lambda _: True, "the namespace has no default account")
    await _make(cluster, f"{ROOM}/pods", _keeper(image))
    told = f"no pod could mount the claim {CLAIM}: the cluster needs a default storage class"
    pod = await _until(cluster, f"{ROOM}/pods/{KEEPER}", lambda one: one["status"]["phase"] == "Running", told)
    node = await cluster.get(f"/api/v1/nodes/{pod['spec']['nodeName']}")
    text = SITE.format(
        data=data,
        namespace=NAMESPACE,
        image=image,
        python=python,
        host=node["metadata"]["labels"]["kubernetes.io/hostname"],
        allow_root=str(os.geteuid() == 0).lower(),
        claim=CLAIM,
    )
    await asyncio.to_thread(Path(site).write_text, text)
    me = pwd.getpwuid(os.geteuid()).pw_name
    print(f"Made the namespace {NAMESPACE}; {me}'s jobs run on {pod['spec']['nodeName']} as uid {os.geteuid()}.")


def _keeper(image: str) -> dict[str, Any]:
    """Opens the volume to whoever the jobs are of, and lets look into it afterwards."""
    small = {"cpu": "10m", "memory": "32Mi"}
    container = {
        "name": "files",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", "chmod 1777 /work && exec sleep 3600"],
        "securityContext": {"runAsUser": 0, "allowPrivilegeEscalation": False},
        "resources": {"requests": small, "limits": small},
        "volumeMounts": [{"name": "work", "mountPath": "/work"}],
    }
    volume = {"name": "work", "persistentVolumeClaim": {"claimName": CLAIM}}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False}
    return {
        "metadata": {"name": KEEPER, "labels": OURS},
        "spec": {**spec, "containers": [container], "volumes": [volume]},
    }


async def show(cluster: Transport, *command: str) -> None:
    sys.stdout.buffer.write(await cluster.execute(NAMESPACE, KEEPER, "files", list(command)))


async def close(cluster: Transport) -> None:
    """The bridge is away: what it would have released is released here, or the namespace would never end."""
    path = f"/api/v1/namespaces/{NAMESPACE}"
    with contextlib.suppress(Gone):
        found = await cluster.get(path)
        if OURS.items() - (found["metadata"].get("labels") or {}).items():
            raise SystemExit(f"the namespace {NAMESPACE} is not this script's; it stays")
    await cluster.delete(path)
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": [names.FINALIZER]}}
    async with asyncio.timeout(WAIT_SECONDS):
        with contextlib.suppress(Gone):
            while True:
                for pod in (await cluster.get(f"{ROOM}/pods"))["items"]:
                    with contextlib.suppress(Gone):
                        await cluster.patch(f"{ROOM}/pods/{pod['metadata']['name']}", change, STRATEGIC_PATCH)
                await cluster.get(path)
                await asyncio.sleep(0.5)
    print(f"Removed the namespace {NAMESPACE}.")


async def _make(cluster: Transport, path: str, manifest: dict[str, Any]) -> None:
    with contextlib.suppress(Exists):
        await cluster.create(path, manifest)


async def _until(cluster: Transport, path: str, is_so: Any, told: str) -> dict[str, Any]:
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                with contextlib.suppress(Gone):
                    if is_so(found := await cluster.get(path)):
                        return dict(found)
                await asyncio.sleep(0.3)
    except TimeoutError:
        raise SystemExit(told) from None


async def main(words: list[str]) -> None:
    cluster = Transport(Access())
    try:
        await cluster.open()
        await {"ask": ask, "open": open_, "show": show, "close": close}[words[0]](cluster, *words[1:])
    except BridgeError as error:
        raise SystemExit(error.sentence) from None
    finally:
        await cluster.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
