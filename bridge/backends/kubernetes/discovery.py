"""What the cluster can do: asked of discovery first, then of a dry run; never concluded from its version.

A field whose feature is off is dropped in silence, so what counts is whether a dry run gives it back. A question that
our rights or an admission rule do not let through is answered `unknown`.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from adapters.kubernetes import names, pod
from adapters.kubernetes.capabilities import Answer, Capabilities
from adapters.kubernetes.profile import Profile
from bridge.backends.kubernetes.transport import Exists, Transport
from bridge.core.errors import Gone, Refused

Json = dict[str, Any]

_PROBE_SECONDS = 120.0
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


async def discover(transport: Transport, namespace: str) -> Capabilities:
    """Raises Unavailable when the cluster does not answer at all."""
    version, served, probe = await asyncio.gather(
        transport.get("/version"), _served(transport), _probe(transport, namespace)
    )
    spec = None if probe is None else probe.get("spec") or {}
    gang_api = _resource(served, "scheduling.k8s.io", "v1beta1", "podgroups")
    return Capabilities(
        version=str(version.get("gitVersion", "unknown")),
        pod_group=_both(gang_api, _echoed(spec, "schedulingGroup")),
        kueue=_resource(served, "kueue.x-k8s.io", None, "localqueues"),
        resize=_resource(served, "", "v1", "pods/resize"),
        strict_groups=_both(
            _echoed(None if spec is None else spec.get("securityContext") or {}, "supplementalGroupsPolicy"),
            await _all_nodes_keep_groups(transport),
        ),
    )


async def image_volumes_work(transport: Transport, profile: Profile) -> Answer:
    """By a pod that uses one. `unknown` when it was not let through or did not end in time."""
    manifest = pod.make_probe(profile)
    pods = f"/api/v1/namespaces/{profile.namespace}/pods"
    try:
        made = await transport.create(pods, manifest)
    except Refused:
        return "unknown"
    path = f"{pods}/{made['metadata']['name']}"
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            while True:
                phase = ((await transport.get(path)).get("status") or {}).get("phase")
                if phase in ("Succeeded", "Failed"):
                    return "yes" if phase == "Succeeded" else "no"
                await asyncio.sleep(0.5)
    except (TimeoutError, Gone):
        return "unknown"
    finally:
        await transport.delete(path, grace_seconds=0)


async def _served(transport: Transport) -> dict[tuple[str, str], set[str]] | None:
    """(group, version) → resources and `resource/subresource`. None: not to be had."""
    try:
        core, others = await asyncio.gather(
            transport.get("/api", accept=_AGGREGATED), transport.get("/apis", accept=_AGGREGATED)
        )
    except (Refused, Gone):
        return None
    found: dict[tuple[str, str], set[str]] = {}
    for group in (*(core.get("items") or ()), *(others.get("items") or ())):
        for version in group.get("versions") or ():
            if version.get("freshness") == "Stale":
                continue
            resources = found.setdefault((group["metadata"].get("name", ""), version["version"]), set())
            for resource in version.get("resources") or ():
                resources.add(resource["resource"])
                for sub in resource.get("subresources") or ():
                    resources.add(f"{resource['resource']}/{sub['subresource']}")
    return found


def _resource(
    served: Mapping[tuple[str, str], set[str]] | None, group: str, version: str | None, resource: str
) -> Answer:
    if served is None:
        return "unknown"
    versions = [one for one in served if one[0] == group and version in (None, one[1])]
    return "yes" if any(resource in served[one] for one in versions) else "no"


async def _probe(transport: Transport, namespace: str) -> Json | None:
    """A pod that is never made, as the API server would keep it. None: it was not let through."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    tiny = {"cpu": "1m", "memory": "1Mi"}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "bridge-probe-", "labels": {"app.kubernetes.io/managed-by": names.FIELD_MANAGER}},
        "spec": {
            "restartPolicy": "Never",
            "schedulingGroup": {"podGroupName": "bridge-probe"},
            "securityContext": {
                "runAsUser": 65534,
                "runAsNonRoot": True,
                "supplementalGroupsPolicy": "Strict",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": "bridge-probe",
                    "resources": {"requests": tiny, "limits": tiny},
                    "securityContext": security,
                }
            ],
        },
    }
    try:
        return await transport.create(f"/api/v1/namespaces/{namespace}/pods", manifest, dry_run=True)
    except (Refused, Gone, Exists):
        return None


def _echoed(part: Json | None, field: str) -> Answer:
    return "unknown" if part is None else "yes" if field in part else "no"


async def _all_nodes_keep_groups(transport: Transport) -> Answer:
    try:
        nodes, _ = await transport.list_all("/api/v1/nodes", {})
    except (Refused, Gone):
        return "unknown"
    features = [(node.get("status") or {}).get("features") or {} for node in nodes]
    return "yes" if nodes and all(one.get("supplementalGroupsPolicy") for one in features) else "no"


def _both(first: Answer, second: Answer) -> Answer:
    if "no" in (first, second):
        return "no"
    return "yes" if first == second == "yes" else "unknown"
