"""A stand-in for kubelets: plain Node objects, whose pods run and end at once without any process.

Nothing tested with it is called tested on Kubernetes: what a test of many pods shows is API server, Job controller and
scheduler, which are real, and us. A pod's last word is what our agent would have written.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from bridge.backends.kubernetes.transport import MERGE_PATCH, STRATEGIC_PATCH, Access, Transport
from bridge.core.errors import BridgeError
from tests.cluster.ground import Cluster

Json = dict[str, Any]

LABEL = "test.example/stand-in"
_HEARTBEAT_SECONDS = 10.0
_CPUS, _PODS = 1000, 1000
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@contextlib.contextmanager
def nodes(cluster: Cluster, count: int) -> Iterator[None]:
    """So many, with the label LABEL=yes and a taint of that name, for as long as this lasts."""
    names = [f"stand-in-{index}" for index in range(count)]
    for name in names:
        taint = {"key": LABEL, "value": "yes", "effect": "NoSchedule"}
        node = {"metadata": {"name": name, "labels": {LABEL: "yes"}}, "spec": {"taints": [taint]}}
        cluster.call("POST", "/api/v1/nodes", node)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_run(cluster, names, stop)))
    thread.start()
    try:
        cluster.until(lambda: all(_is_ready(cluster, name) for name in names))
        yield
    finally:
        stop.set()
        thread.join()
        for name in names:
            cluster.call("DELETE", f"/api/v1/nodes/{name}")


def _is_ready(cluster: Cluster, name: str) -> bool:
    node = cluster.call("GET", f"/api/v1/nodes/{name}")
    return any(one["type"] == "Ready" for one in node["status"].get("conditions") or ()) and not any(
        taint["key"].startswith("node.kubernetes.io/") for taint in node["spec"].get("taints") or ()
    )


async def _run(cluster: Cluster, names: list[str], stop: threading.Event) -> None:
    transport = Transport(Access(str(cluster.kubeconfig)))
    await transport.open()
    tasks = [asyncio.create_task(_beat(transport, name)) for name in names]
    tasks += [asyncio.create_task(_play(transport, name)) for name in names]
    await asyncio.to_thread(stop.wait)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await transport.close()


async def _beat(transport: Transport, name: str) -> None:
    room = {"cpu": str(_CPUS), "memory": "1000Gi", "pods": str(_PODS), "ephemeral-storage": "1000Gi"}
    while True:
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "StandIn",
            "lastHeartbeatTime": time.strftime(_TIME, time.gmtime()),
        }
        status = {"capacity": room, "allocatable": room, "conditions": [ready]}
        with contextlib.suppress(BridgeError):
            await transport.patch(f"/api/v1/nodes/{name}/status", {"status": status}, MERGE_PATCH)
        await asyncio.sleep(_HEARTBEAT_SECONDS)


async def _play(transport: Transport, node: str) -> None:
    """Each pod of the node, once."""
    begun: set[str] = set()
    query = {"fieldSelector": f"spec.nodeName={node}"}
    running: set[asyncio.Task[None]] = set()
    while True:
        with contextlib.suppress(BridgeError):
            pods, version = await transport.list_all("/api/v1/pods", query)
            for pod in pods:
                _begin(transport, pod, begun, running)
            async for kind, pod in transport.watch("/api/v1/pods", query, version):
                if kind in ("ADDED", "MODIFIED"):
                    _begin(transport, pod, begun, running)
        await asyncio.sleep(0.2)


def _begin(transport: Transport, pod: Json, begun: set[str], running: "set[asyncio.Task[None]]") -> None:
    if pod["metadata"]["uid"] not in begun and pod["status"].get("phase") == "Pending":
        begun.add(pod["metadata"]["uid"])
        task = asyncio.create_task(_live(transport, pod))
        running.add(task)
        task.add_done_callback(running.discard)


async def _live(transport: Transport, pod: Json) -> None:
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
    now = time.time()
    last = {"event": "ended", "at": now, "cause": "exit", "exit_status": 0, "signal": 0}
    word = json.dumps({"version": 1, "last": last, "began_at": now, "steps": []})
    at = time.strftime(_TIME, time.gmtime(now))
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at, "message": word}
    container = {"name": pod["spec"]["containers"][0]["name"], "image": "none", "imageID": "none", "ready": False}
    container |= {"restartCount": 0, "state": {"terminated": ended}, "containerID": "standin://1"}
    status = {"phase": "Succeeded", "startTime": at, "containerStatuses": [container]}
    with contextlib.suppress(BridgeError):
        await transport.patch(path, {"status": status}, STRATEGIC_PATCH)
