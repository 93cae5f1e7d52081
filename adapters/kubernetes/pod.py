"""The pod that every node of a job is: one container with the job's image, in which the agent is the first process."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from adapters.kubernetes import names, quantities
from adapters.kubernetes.bundle import Bundle
from adapters.kubernetes.capabilities import Capabilities
from adapters.kubernetes.profile import Profile, Volume
from bridge.core.errors import Refused
from bridge.core.group import Group
from bridge.core.job import Share

Manifest = dict[str, Any]

GRACE_SECONDS = 40
"""On top of KillWait, until the kubelet kills the agent too: time for other nodes to end and the end to be written."""
START_SECONDS = 600
"""On top of the partition's patience in the net beneath the agent's clock: images and volumes take their time."""
_ALL_MAY_READ = 0o444
_HOST_NAME = "kubernetes.io/hostname"
_IMAGE_VOLUME, _INIT_CONTAINER, _ARCHIVE = "image-volume", "init-container", "archive"


def agent_variant(profile: Profile, capabilities: Capabilities) -> str:
    """How the agent gets into the pod."""
    if profile.bridge_image is None:
        return _ARCHIVE
    if profile.agent != "auto":
        return profile.agent
    return _IMAGE_VOLUME if capabilities.image_volume == "yes" else _INIT_CONTAINER


def make_pod(
    bundle: Bundle,
    profile: Profile,
    capabilities: Capabilities,
    agent: str,
    secrets: Sequence[str],
    labels: dict[str, str],
) -> Manifest:
    """The Job's template. `agent`: the ConfigMap that holds the archive; `secrets`: those with the launch file."""
    group = bundle.first
    if group.uid == 0 and not profile.allow_root:
        raise Refused(
            f"partition {profile.name} runs no jobs of root: pods run with the submitter's uid "
            "(allow_root of the partition allows it)"
        )
    variant = agent_variant(profile, capabilities)
    spec: Manifest = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": group.kill_wait_seconds + GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _pod_security(group, capabilities),
        "containers": [_container(bundle, profile, variant)],
        "volumes": _volumes(bundle, profile, variant, agent, secrets),
        **_affinity(bundle, profile),
        **_deadline(group, profile),
        **_placement(profile),
    }
    if bundle.pods > 1 and not bundle.is_wave:
        spec["subdomain"] = bundle.name
        spec["dnsConfig"] = {"searches": [f"{bundle.name}.{profile.namespace}.svc.{profile.cluster_domain}"]}
    if variant == _INIT_CONTAINER:
        spec["initContainers"] = [_copier(bundle, profile)]
    return {
        "metadata": {
            "labels": labels,
            "annotations": {
                # Neither moves a pod that runs; the job would begin anew, or be lost.
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                "karpenter.sh/do-not-disrupt": "true",
                names.MEMBERS: bundle.members,
                names.PARTITION: names.annotation_value(group.partition),
                names.REQUEUE: "yes" if group.requeue else "no",
                **_output(bundle, profile),
            },
            "finalizers": [names.FINALIZER],
        },
        "spec": spec,
    }


def _output(bundle: Bundle, profile: Profile) -> Manifest:
    """Of a wave this says what may be: where each task writes its agent knows."""
    kept = any(not profile.takes(path) for group in bundle.groups for path in _files(group))
    return {names.OUTPUT: "append" if bundle.first.batch.append else "new"} if kept else {}


def _files(group: Group) -> list[str]:
    return [path for path in (group.batch.stdout, group.batch.stderr) if path is not None]


# ── rights ────────────────────────────────────────────────────────────────────────────────────────


def _pod_security(group: Group, capabilities: Capabilities) -> Manifest:
    security: Manifest = {
        "runAsUser": group.uid,
        "runAsGroup": group.gid,
        "supplementalGroups": sorted({*group.groups} - {group.gid}),
        "runAsNonRoot": group.uid != 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if capabilities.strict_groups == "yes":
        security["supplementalGroupsPolicy"] = "Strict"
    return security


def _container_security() -> Manifest:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


# ── the container ─────────────────────────────────────────────────────────────────────────────────


def _container(bundle: Bundle, profile: Profile, variant: str) -> Manifest:
    return {
        "name": "job",
        "image": bundle.first.container_image or profile.image,
        "imagePullPolicy": profile.pull_policy,
        "command": _agent_command(profile, variant),
        "workingDir": "/",
        # One template makes all pods, so each gets what the largest share needs.
        "resources": _resources_of_job(bundle, profile),
        "securityContext": _container_security(),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": _mounts(profile, variant),
    }


def _agent_command(profile: Profile, variant: str) -> list[str]:
    python = profile.python if variant == _ARCHIVE else f"{names.AGENT_PATH}/bin/python3"
    return [python, "-I", "-S", f"{names.AGENT_PATH}/{names.AGENT_FILE}", "run"]


def _copier(bundle: Bundle, profile: Profile) -> Manifest:
    """Copies agent and interpreter out of the bridge's image, where they lie in another place than in pods.

    It may use what the job gets, before the job does: the pod asks for no more on its account.
    """
    loader = ["/agent/lib/ld.so", "--library-path", "/agent/lib"]
    return {
        "name": "agent",
        "image": profile.bridge_image,
        "imagePullPolicy": profile.pull_policy,
        "command": [*loader, "/agent/bin/python3", "-I", "-S", "/agent/agent.pyz", "copy", "/agent", "/copy"],
        "resources": _resources(_without_gres(_largest(bundle.shares)), profile),
        "securityContext": _container_security(),
        # What it says when it fails is the reason that the user sees.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "agent", "mountPath": "/copy"}],
    }


def make_probe(profile: Profile) -> Manifest:
    """A pod that succeeds where programs may be executed from an image volume."""
    small = {"cpu": "50m", "memory": "64Mi"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "bridge-probe-",
            "namespace": profile.namespace,
            "labels": {"app.kubernetes.io/managed-by": names.FIELD_MANAGER},
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": 120,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsUser": 65534,
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": profile.image,
                    "imagePullPolicy": profile.pull_policy,
                    "command": [f"{names.AGENT_PATH}/bin/python3", "-I", "-S", "-c", "import ssl, ctypes"],
                    "resources": {"requests": small, "limits": dict(small)},
                    "securityContext": _container_security(),
                    "volumeMounts": [_agent_mount(_IMAGE_VOLUME)],
                }
            ],
            "volumes": [_agent_volume(profile, _IMAGE_VOLUME, "")],
            **_placement(profile),
        },
    }


def _largest(shares: Sequence[Share]) -> Share:
    return Share(
        node="",
        cpus=max(share.cpus for share in shares),
        memory_mib=max(share.memory_mib for share in shares),
        tasks=max(share.tasks for share in shares),
        gres=max((share.gres for share in shares), key=lambda gres: sum(len(devices) for _, _, devices in gres)),
    )


def _without_gres(share: Share) -> Share:
    return replace(share, gres=())


def _resources_of_job(bundle: Bundle, profile: Profile) -> Manifest:
    found = _resources(_largest(bundle.shares), profile)
    for kind in found.values():
        kind.update(profile.extra_resources)
    if bundle.first.temporary_disk_mib:
        # --tmp asks for a node with so much; it is no limit on what the job writes.
        found["requests"]["ephemeral-storage"] = quantities.memory(bundle.first.temporary_disk_mib)
    return found


def _resources(share: Share, profile: Profile) -> Manifest:
    limits = _limits(share, profile)
    return {
        "requests": {**limits, "cpu": quantities.part_of_cpus(share.cpus, profile.cpu_request_percent)},
        "limits": limits,
    }


def _limits(share: Share, profile: Profile) -> Manifest:
    """Requests are the same: then the pod is Guaranteed, may have CPUs of its own, and is evicted last."""
    found: Manifest = {"cpu": quantities.cpus(share.cpus)}
    if share.memory_mib:
        # The agent's own 20 MB are part of it: a job that fills its memory is ended by the agent before the kernel.
        found["memory"] = quantities.memory(share.memory_mib)
    for name, kind, devices in share.gres:
        resource = profile.resources.get(f"{name}:{kind}") or profile.resources.get(name)
        if resource is None:
            asked = f"{name}:{kind}" if kind else name
            raise Refused(f"partition {profile.name} names no resource of the cluster for {asked}", field="gres")
        found[resource] = str(int(found.get(resource, "0")) + len(devices))
    return found


# ── volumes ───────────────────────────────────────────────────────────────────────────────────────


def _volumes(bundle: Bundle, profile: Profile, variant: str, agent: str, secrets: Sequence[str]) -> list[Manifest]:
    most = _largest(bundle.shares)
    sources = [
        {
            "secret": {
                "name": name,
                "items": [
                    {"key": f"{names.PART_KEY}.{part}", "path": f"{names.PART_KEY}.{part}"},
                    *([{"key": key, "path": key} for key in ("passwd", "group")] if part == 0 else []),
                ],
            }
        }
        for part, name in enumerate(secrets)
    ]
    shared_memory: Manifest = {"medium": "Memory"}
    if most.memory_mib:
        # What lies there counts as the job's memory, so it may be as much as that and no more.
        shared_memory["sizeLimit"] = quantities.memory(most.memory_mib)
    return [
        {"name": "launch", "projected": {"sources": sources, "defaultMode": _ALL_MAY_READ}},
        _agent_volume(profile, variant, agent),
        {"name": "run", "emptyDir": {}},
        {"name": "shm", "emptyDir": shared_memory},
        *(_volume(name, volume) for name, volume in _named(profile.volumes)),
    ]


def _agent_volume(profile: Profile, variant: str, agent: str) -> Manifest:
    if variant == _ARCHIVE:
        return {"name": "agent", "configMap": {"name": agent, "defaultMode": _ALL_MAY_READ}}
    if variant == _IMAGE_VOLUME:
        return {"name": "agent", "image": {"reference": profile.bridge_image, "pullPolicy": profile.pull_policy}}
    return {"name": "agent", "emptyDir": {}}


def _volume(name: str, volume: Volume) -> Manifest:
    if volume.claim is not None:
        return {"name": name, "persistentVolumeClaim": {"claimName": volume.claim, "readOnly": volume.read_only}}
    if volume.nfs is not None:
        server, path = volume.nfs
        return {"name": name, "nfs": {"server": server, "path": path, "readOnly": volume.read_only}}
    return {"name": name, "hostPath": {"path": volume.host_path, "type": "Directory"}}


def _named(volumes: Iterable[Volume]) -> list[tuple[str, Volume]]:
    return [(f"site-{index}", volume) for index, volume in enumerate(volumes)]


def _mounts(profile: Profile, variant: str) -> list[Manifest]:
    mounts: list[Manifest] = [
        {"name": "launch", "mountPath": names.LAUNCH_PATH, "readOnly": True},
        _agent_mount(variant),
        {"name": "run", "mountPath": names.RUN_PATH},
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 — the place itself
        # So that `id`, `cd ~` and getpass know the user in any image.
        {"name": "launch", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True},
        {"name": "launch", "mountPath": "/etc/group", "subPath": "group", "readOnly": True},
    ]
    for name, volume in _named(profile.volumes):
        mount: Manifest = {"name": name, "mountPath": volume.path, "readOnly": volume.read_only}
        if volume.sub_path:
            mount["subPath"] = volume.sub_path
        mounts.append(mount)
    return mounts


def _agent_mount(variant: str) -> Manifest:
    mount: Manifest = {"name": "agent", "mountPath": names.AGENT_PATH, "readOnly": True}
    if variant == _IMAGE_VOLUME:
        mount["subPath"] = "agent"
    return mount


def passwd_lines(group: Group) -> str:
    """root and nobody, because programs look them up; and the user."""
    lines = ["root:x:0:0:root:/root:/bin/sh", "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"]
    if group.uid not in (0, 65534):
        fields = (group.user, "x", str(group.uid), str(group.gid), "", group.home, group.shell)
        lines.append(":".join(map(_field, fields)))
    return "\n".join(lines) + "\n"


def group_lines(group: Group) -> str:
    """Of each of the user's groups; one whose name is not known has its number as name."""
    lines = ["root:x:0:", "nogroup:x:65534:"]
    names_of = dict(zip(group.groups, group.group_names, strict=False))
    for gid in dict.fromkeys((group.gid, *group.groups)):
        if gid not in (0, 65534):
            lines.append(f"{_field(names_of.get(gid) or str(gid))}:x:{gid}:{_field(group.user)}")
    return "\n".join(lines) + "\n"


def _field(text: str) -> str:
    return text.replace(":", "_").replace("\n", "_")


# ── placement ─────────────────────────────────────────────────────────────────────────────────────


def _placement(profile: Profile) -> Manifest:
    found: Manifest = {}
    if profile.node_selector:
        found["nodeSelector"] = dict(profile.node_selector)
    if profile.tolerations:
        found["tolerations"] = [dict(toleration) for toleration in profile.tolerations]
    if profile.priority_class is not None:
        found["priorityClassName"] = profile.priority_class
    if profile.runtime_class is not None:
        found["runtimeClassName"] = profile.runtime_class
    if profile.service_account is not None:
        found["serviceAccountName"] = profile.service_account
    if profile.pull_secrets:
        found["imagePullSecrets"] = [{"name": name} for name in profile.pull_secrets]
    if profile.host_network:
        found["hostNetwork"] = True
        found["dnsPolicy"] = "ClusterFirstWithHostNet"
    return found


def _affinity(bundle: Bundle, profile: Profile) -> Manifest:
    """The bridge has counted what is free and chosen hosts; the scheduler keeps to them."""
    affinity: Manifest = {}
    if profile.nodes_are == "hosts":
        terms = [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [host]}]}
            for host in sorted({share.node for share in bundle.shares})
        ]
        affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    if bundle.pods > 1 and not bundle.is_wave:
        apart = {"labelSelector": {"matchLabels": {names.GROUP: bundle.name}}, "topologyKey": _HOST_NAME}
        if profile.node_is == "host":
            affinity["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}
        else:
            affinity["podAntiAffinity"] = {
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": apart}]
            }
    return {"affinity": affinity} if affinity else {}


def _deadline(group: Group, profile: Profile) -> Manifest:
    """A net beneath the agent's clock. It can be lowered later but not raised, so it is the partition's largest."""
    if profile.max_time_seconds is None:
        return {}
    seconds = profile.max_time_seconds + group.kill_wait_seconds + profile.patience_seconds + START_SECONDS
    return {"activeDeadlineSeconds": seconds}
