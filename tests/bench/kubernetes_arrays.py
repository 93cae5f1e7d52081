"""Arrays on a real cluster.

kube-array-run   500 tasks of `true` on the real node, beside one bare Indexed Job of as many
kube-array       10,000 tasks, accepted and worked off against a stand-in for kubelets; the most Job objects at a time

BENCH_TASKS makes them smaller. The Job controller itself makes 20 requests a second, unless the cluster is started with
CONTROLLER_FLAGS="--kube-api-qps=500 --kube-api-burst=1000".
"""

import os
import statistics
import threading
import time
from pathlib import Path

from tests.bench import kubernetes
from tests.bench.figure import Figure, note
from tests.cluster import ground, standin
from tests.kubernetes import world
from tests.kubernetes.world import Bridge

_SITE = """
[cluster]
kill_wait_seconds = 2
min_job_age_seconds = 3600
max_array_size = 100001

[[nodes]]
name = "n[1-{nodes}]"
cpus = {cpus}
memory_mib = 1000000

[[partitions]]
name = "main"
nodes = "n[1-{nodes}]"
default = true
default_memory_per_cpu_mib = 64
"""
_REAL_PODS = 100
"""The real node's kubelet runs 110 pods at a time."""


def kube_array_run() -> Figure:
    tasks = int(os.environ.get("BENCH_TASKS", "500"))
    ours, bare = [], []
    site = _SITE.format(nodes=4, cpus=_REAL_PODS // 4)
    with ground.started() as cluster, world.a_bridge(cluster, site, bind_seconds="600") as bridge:
        bridge.ends_as(bridge.wrap("true"), 60)
        for _ in range(kubernetes.PAIRS):
            bare.append(_bare(cluster, bridge, tasks))
            began = time.perf_counter()
            job = bridge.wrap("true", f"--array=1-{tasks}", "-o", "/dev/null")
            ends = bridge.wait(job, 1200)
            ours.append(time.perf_counter() - began)
            assert [record["JobState"] for record in ends] == ["COMPLETED"] * tasks
            note(benchmark="kube-array-run", tasks=tasks, ours_s=round(ours[-1], 1), bare_s=round(bare[-1], 1))
    value = statistics.median(ours)
    return Figure("kube-array-run", value, f"s for {tasks} tasks", statistics.median(bare), more_is_better=False)


def _bare(cluster: ground.Cluster, bridge: Bridge, tasks: int) -> float:
    path = f"/apis/batch/v1/namespaces/{bridge.namespace}/jobs"
    began = time.perf_counter()
    cluster.call("POST", path, kubernetes.bare_job(cluster, "bare", "true", bridge, tasks))
    cluster.until(lambda: cluster.call("GET", f"{path}/bare")["status"].get("completionTime"), 1200)
    took = time.perf_counter() - began
    cluster.call("DELETE", f"{path}/bare?propagationPolicy=Foreground")
    cluster.until(lambda: cluster.get(f"{path}/bare") is None, 300)
    return took


def kube_array() -> Figure:
    """Seconds until all have ended, with a stand-in for kubelets."""
    tasks = int(os.environ.get("BENCH_TASKS", "10000"))
    site = _SITE.format(nodes=4, cpus=1000)
    chosen = {"node_selector": f'{{ "{standin.LABEL}" = "yes" }}', "bind_seconds": "600"}
    chosen["tolerations"] = f'[{{ key = "{standin.LABEL}", operator = "Exists" }}]'
    with ground.started() as cluster, standin.nodes(cluster, 5), world.a_bridge(cluster, site, **chosen) as bridge:
        most, done = [0], threading.Event()
        path = f"/apis/batch/v1/namespaces/{bridge.namespace}/jobs"

        def count() -> None:
            while not done.wait(0.5):
                most[0] = max(most[0], kubernetes.count(cluster, path))

        counter = threading.Thread(target=count)
        counter.start()
        began = time.perf_counter()
        job = bridge.wrap("true", f"--array=1-{tasks}", "-o", "/dev/null")
        accepted = time.perf_counter() - began
        cluster.until(lambda: _is_done(bridge, job), 3600)
        took = time.perf_counter() - began
        done.set()
        counter.join()
        ended = bridge.ok("sacct", "-X", "-n", "-j", str(job), "-o", "State").split()
        assert ended == ["COMPLETED"] * tasks
        peak = int(Path(f"/proc/{bridge.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    note(benchmark="kube-array", tasks=tasks, accepted_s=round(accepted, 2), most_jobs=most[0], bridge_mib=round(peak))
    return Figure("kube-array", took, f"s for {tasks} tasks (kubelet stand-in)", more_is_better=False)


def _is_done(bridge: Bridge, job: int) -> bool:
    time.sleep(1.0)  # each look lists the array
    return not bridge.ok("squeue", "-h", "-j", str(job)).strip()
