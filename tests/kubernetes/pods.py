"""Pods of jobs on the real cluster, as tests look at them."""

from typing import Any

from tests.cluster.ground import Cluster
from tests.kubernetes.world import Bridge


def first_pod(cluster: Cluster, bridge: Bridge, job: int) -> dict[str, Any]:
    """Of the job's latest attempt, once there is one."""

    def look() -> dict[str, Any] | None:
        found = cluster.items(f"/api/v1/namespaces/{bridge.namespace}/pods?labelSelector=bridge.hpc/job={job}")
        zero = [p for p in found if p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == "0"]
        return zero[-1] if zero else None

    found: dict[str, Any] = cluster.until(look)
    return found


def path_of(pod: dict[str, Any]) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def nothing_is_left(cluster: Cluster, bridge: Bridge, job: int) -> bool:
    selector = f"labelSelector=bridge.hpc/job={job}"
    return not any(
        cluster.items(f"{root}/namespaces/{bridge.namespace}/{kind}?{selector}")
        for root, kind in (
            ("/api/v1", "secrets"),
            ("/api/v1", "pods"),
            ("/api/v1", "services"),
            ("/apis/batch/v1", "jobs"),
        )
    )
