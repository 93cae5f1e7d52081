"""What the bridge costs on a real cluster, beside the same done by hand: five runs of both by turns, medians.

kube-submit     jobs that find no room: accepted, and their objects made, beside raw POSTs of the same objects
kube-latency    sbatch to the script's first line on the real node, beside a bare Job's
kube-seen       a pod's end, as the API server tells it, to the final state in the bridge
kube-requests   requests to the API server for a job of one node, from its audit log

One machine, one real node; BRIDGE_CLUSTER names a cluster that runs already.
"""

import asyncio
import contextlib
import json
import os
import secrets
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from adapters.kubernetes import bundle, objects
from adapters.kubernetes.capabilities import Capabilities
from bridge.backends.kubernetes.transport import Access, Transport
from tests.bench.figure import Figure, note
from tests.cluster import ground
from tests.kubernetes import makers, world
from tests.kubernetes.world import Bridge

PAIRS = int(os.environ.get("BENCH_PAIRS", "5"))
JOBS = 1000
AT_ONCE = 32
"""Requests at a time: as many as the backend's transport allows itself."""

WIDE_SITE = """
[cluster]
kill_wait_seconds = 2
min_job_age_seconds = 3600

[[nodes]]
name = "n[1-8]"
cpus = 1000
memory_mib = 1000000

[[partitions]]
name = "main"
nodes = "n[1-8]"
default = true
default_memory_per_cpu_mib = 64
"""
NOWHERE = '{ "test.example/nowhere" = "yes" }'


# ── kube-submit ───────────────────────────────────────────────────────────────────────────────────


def kube_submit() -> Figure:
    ours, raw, cpu = [], [], []
    with ground.started() as cluster:
        for _ in range(PAIRS):
            raw.append(asyncio.run(_raw_posts(cluster)))
            rate, cpu_ms = _submissions(cluster)
            ours.append(rate)
            cpu.append(cpu_ms)
            note(
                benchmark="kube-submit", ours=round(ours[-1], 1), raw=round(raw[-1], 1), cpu_ms_a_job=round(cpu[-1], 2)
            )
    note(benchmark="kube-submit", cpu_ms_a_job=round(statistics.median(cpu), 2))
    return Figure("kube-submit", statistics.median(ours), "jobs/s", statistics.median(raw))


def _submissions(cluster: ground.Cluster) -> tuple[float, float]:
    """(jobs a second until the last Job is there, milliseconds of the bridge's CPU time a job)."""
    # No node has the label: the pods wait, and neither kubelet nor agent takes part.
    with world.a_bridge(
        cluster, WIDE_SITE, node_selector=NOWHERE, bind_seconds="3600", patience_seconds="3600"
    ) as bridge:
        jobs = f"/apis/batch/v1/namespaces/{bridge.namespace}/jobs"
        spent, began = _cpu_seconds(bridge.pid), time.perf_counter()
        _sbatch_many(bridge, JOBS)
        accepted = time.perf_counter() - began
        cluster.until(lambda: count(cluster, jobs) >= JOBS, 300)
        took = time.perf_counter() - began
        cpu_ms = (_cpu_seconds(bridge.pid) - spent) * 1000 / JOBS
        facts = {"accepted_per_second": round(JOBS / accepted, 1), "objects_per_second": round(JOBS / took, 1)}
        note(benchmark="kube-submit", **facts, cpu_ms_a_job=round(cpu_ms, 2))
        bridge.stop()  # for good: it would make anew what is cleared away
        _clear(cluster, bridge.namespace)
        return JOBS / took, cpu_ms


def _sbatch_many(bridge: Bridge, count: int) -> None:
    """By HTTP over eight connections, as a program would."""
    body = {"script": "#!/bin/sh\ntrue\n", "options": ["-J", "bench"], "environment": {"PATH": "/usr/bin:/bin"}}
    data = json.dumps({**body, "working_directory": str(bridge.work)}).encode()
    left = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            with bridge.asked("POST", "/v1/jobs", data) as answer:
                assert answer.status < 300, answer.read()
                answer.read()

    threads = [threading.Thread(target=work) for _ in range(8)]
    with bridge.user.effective():
        for one in threads:
            one.start()
        for one in threads:
            one.join()


async def _raw_posts(cluster: ground.Cluster) -> float:
    """The same objects, by the same client, as many at a time."""
    with cluster.namespace() as namespace:
        profile = makers.a_profile(namespace=namespace, node_selector={"test.example/nowhere": "yes"})
        made = [_objects(number, profile) for number in range(JOBS)]
        transport = Transport(Access(str(cluster.kubeconfig)))
        await transport.open()
        gate = asyncio.Semaphore(AT_ONCE)

        async def post(found: objects.Objects) -> None:
            async with gate:
                owner = await transport.create(f"/api/v1/namespaces/{namespace}/secrets", found.owner)
                for manifest in found.owned:
                    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
                    await transport.create(path, objects.with_owner(manifest, owner))

        began = time.perf_counter()
        await asyncio.gather(*map(post, made))
        took = time.perf_counter() - began
        note(benchmark="kube-submit", raw_per_second=round(JOBS / took, 1))
        await transport.close()
        await asyncio.to_thread(_clear, cluster, namespace)
        return JOBS / took


def _objects(number: int, profile: Any) -> objects.Objects:
    group = makers.a_group(job_id=number + 1, display_id=str(number + 1), instance="raw00000", uid=61234, gid=61234)
    return objects.make_objects(bundle.of_group(group), profile, Capabilities(), makers.AGENT, secrets.token_hex(3))


def count(cluster: ground.Cluster, path: str) -> int:
    """Without their content: the API server counts."""
    answer = cluster.call("GET", f"{path}?limit=1")
    return len(answer["items"]) + int(answer["metadata"].get("remainingItemCount", 0))


def _clear(cluster: ground.Cluster, namespace: str) -> None:
    """By collections; one by one it takes minutes. The API server gives up after one, and goes on when told again."""
    batch, core = f"/apis/batch/v1/namespaces/{namespace}", f"/api/v1/namespaces/{namespace}"
    paths = (f"{batch}/jobs?propagationPolicy=Background", f"{core}/secrets?", f"{core}/pods?gracePeriodSeconds=0")

    def is_empty() -> bool:
        with contextlib.suppress(OSError):
            for path in paths:
                cluster.call("DELETE", path, seconds=90)
            cluster.release_pods(namespace)
            return all(count(cluster, path.partition("?")[0]) == 0 for path in paths)
        return False

    cluster.until(is_empty, 600)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ── kube-latency ──────────────────────────────────────────────────────────────────────────────────


def kube_latency() -> Figure:
    """Of the image volume; the init container's is noted."""
    medians = {}
    with ground.started() as cluster:
        for agent in ("image-volume", "init-container"):
            values = {"bridge_image": f'"{cluster.image("bridge")}"', "agent": f'"{agent}"'}
            with world.a_bridge(cluster, **values) as bridge:
                bridge.ends_as(bridge.wrap("true"), 60)  # images are there, and everything has been loaded once
                ours, bare = [], []
                for _ in range(PAIRS):
                    bare.append(_bare_latency(cluster, bridge))
                    ours.append(_latency(bridge))
                medians[agent] = statistics.median(ours), statistics.median(bare)
                note(benchmark="kube-latency", agent=agent, ours_ms=_ms(ours), bare_ms=_ms(bare))
    ours_ms, bare_ms = medians["image-volume"]
    return Figure("kube-latency", ours_ms, "ms (median)", bare_ms, more_is_better=False)


def _ms(values: list[float]) -> list[int]:
    return [round(one) for one in sorted(values)]


def _latency(bridge: Bridge) -> float:
    bell = bridge.bell()
    began = time.perf_counter()
    job = bridge.wrap(bell.ring, "-o", "/dev/null")
    bell.wait()
    took = (time.perf_counter() - began) * 1000
    bridge.wait(job, 60)
    return took


def _bare_latency(cluster: ground.Cluster, bridge: Bridge) -> float:
    """A Job by hand, with the same image, folder and user."""
    bell = bridge.bell()
    path = f"/apis/batch/v1/namespaces/{bridge.namespace}/jobs"
    began = time.perf_counter()
    cluster.call("POST", path, bare_job(cluster, "bare", bell.ring, bridge))
    bell.wait()
    took = (time.perf_counter() - began) * 1000
    cluster.call("DELETE", f"{path}/bare?propagationPolicy=Background")
    cluster.until(lambda: cluster.get(f"{path}/bare") is None)
    return took


def bare_job(cluster: ground.Cluster, name: str, command: str, bridge: Bridge, count: int = 1) -> dict[str, Any]:
    small = {"cpu": "10m", "memory": "64Mi"}
    container = {
        "name": "c",
        "image": cluster.image("debian-python"),
        "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", command],
        "resources": {"requests": small, "limits": {"memory": "64Mi"}},
        "volumeMounts": [{"name": "v", "mountPath": str(bridge.root)}],
    }
    pod = {
        "restartPolicy": "Never",
        "securityContext": {"runAsUser": bridge.user.uid},
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "v", "hostPath": {"path": str(bridge.root)}}],
    }
    spec = {"completions": count, "parallelism": count, "completionMode": "Indexed", "backoffLimit": 0}
    return {"metadata": {"name": name}, "spec": {**spec, "template": {"spec": pod}}}


# ── kube-seen ─────────────────────────────────────────────────────────────────────────────────────


def kube_seen() -> Figure:
    took = []
    with ground.started() as cluster, world.a_bridge(cluster) as bridge:
        bridge.ends_as(bridge.wrap("true"), 60)
        for _ in range(3 * PAIRS):
            gate = bridge.gate()
            job = bridge.wrap(gate.wait, "-o", "/dev/null")
            bridge.runs(job, 60)
            with _watched(cluster, bridge.namespace, _has_ended) as seen:
                gate.open()
                while bridge.state_now(job) == "RUNNING":
                    time.sleep(0.003)
                at = time.perf_counter()
                took.append((at - seen()) * 1000)
            bridge.wait(job)
    note(benchmark="kube-seen", ms=_ms(took))
    return Figure("kube-seen", statistics.median(took), "ms (median)", more_is_better=False)


def _has_ended(pod: dict[str, Any]) -> bool:
    return any("terminated" in one.get("state", {}) for one in pod["status"].get("containerStatuses") or ())


@contextlib.contextmanager
def _watched(cluster: ground.Cluster, namespace: str, is_it: Callable[[Any], bool]) -> Iterator[Callable[[], float]]:
    """Yields what waits for the moment at which the API server told of it."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    found: list[float] = []
    told = threading.Event()
    stream = cluster.stream(
        f"{path}?watch=true&resourceVersion={cluster.call('GET', path)['metadata']['resourceVersion']}"
    )

    def read() -> None:
        for line in stream:
            if is_it(json.loads(line)["object"]):
                found.append(time.perf_counter())
                told.set()
                return

    thread = threading.Thread(target=read)
    thread.start()

    def wait() -> float:
        assert told.wait(30)
        return found[0]

    yield wait
    thread.join()
    stream.close()


# ── kube-requests ─────────────────────────────────────────────────────────────────────────────────


def kube_requests() -> Figure:
    """A job of one node, one after the other, with everything else at rest."""
    counts = []
    with ground.started() as cluster, world.a_bridge(cluster, audited=True) as bridge:
        bridge.ends_as(bridge.wrap("true"), 60)
        for _ in range(PAIRS):
            with cluster.audited("bridge") as asked:
                job = bridge.wrap("true", "-o", "/dev/null")
                bridge.ends_as(job, 60)
                secrets_path = f"/api/v1/namespaces/{bridge.namespace}/secrets?labelSelector=bridge.hpc/job={job}"
                cluster.until(lambda path=secrets_path: not cluster.items(path))
            counts.append(len(asked))
            told = [f"{one['verb']} {one['objectRef']['resource']}" for one in asked]
            note(benchmark="kube-requests", requests=len(asked), what=told)
    return Figure("kube-requests", statistics.median(counts), "requests a job", more_is_better=False)
