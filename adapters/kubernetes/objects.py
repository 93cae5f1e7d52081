"""A bundle as objects of Kubernetes, in the order in which they are made. Pure.

The launch Secret comes first and owns everything else, so that nothing of it outlives the Secret, and a Job whose
Secret is gone cannot start a pod. Kubernetes restarts nothing: another attempt is other objects.
"""

import base64
from dataclasses import dataclass
from typing import Any

from adapters.kubernetes import inside, names, payload, pod
from adapters.kubernetes.bundle import Bundle
from adapters.kubernetes.capabilities import Capabilities
from adapters.kubernetes.profile import Profile
from bridge.core import group as core_group
from bridge.core.group import Group

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Objects:
    """What is made: the Secret that owns the rest, then the rest without owner, in order. The Job is the last."""

    owner: Manifest
    owned: tuple[Manifest, ...]
    content: str
    """The hash that says whether one that exists already is the same."""


def make_objects(bundle: Bundle, profile: Profile, capabilities: Capabilities, agent: str, ticket: str) -> Objects:
    """Raises Refused. `agent`: the ConfigMap with the agent's archive; `ticket`: names this try to start."""
    files = launch_files(bundle, profile)
    script = bundle.first.batch.script
    packed = payload.parts(payload.pack(files, script), bundle.first)
    content = payload.content_hash(files, script)
    gang = gang_kind(bundle, profile, capabilities)
    labels = labels_of(bundle)
    meta = _Meta(bundle, profile, labels, _annotations(bundle, profile, capabilities, gang, content))
    first = {
        "passwd": pod.passwd_lines(bundle.first).encode("utf-8", "surrogateescape"),
        "group": pod.group_lines(bundle.first).encode("utf-8", "surrogateescape"),
        f"{names.PART_KEY}.0": packed[0],
    }
    launch = names.launch_name(bundle.name, ticket)
    secrets = [names.part_name(launch, part) for part in range(len(packed))]
    owner = _secret(meta.of(launch), first)
    owned = [
        _secret(meta.of(name), {f"{names.PART_KEY}.{part}": packed[part]})
        for part, name in enumerate(secrets)
        if part > 0
    ]
    template = pod.make_pod(bundle, profile, capabilities, agent, secrets, labels)
    if bundle.pods > 1 and not bundle.is_wave:
        owned.append(_service(meta.of(bundle.name)))
    if gang == "pod-group":
        owned += [_workload(meta.of(bundle.name), bundle), _pod_group(meta.of(bundle.name), bundle)]
        template["spec"]["schedulingGroup"] = {"podGroupName": bundle.name}
    if gang == "gates":
        template["spec"]["schedulingGates"] = [{"name": names.GATE}]
        template["metadata"]["annotations"][names.PODS] = str(bundle.pods)
    owned.append(_job(meta.of(bundle.name), bundle, template, profile, gang))
    return Objects(owner, tuple(owned), content)


def with_owner(manifest: Manifest, owner: Manifest) -> Manifest:
    """As it is created: it goes when the Secret, as the cluster answered it, goes."""
    meta = owner["metadata"]
    reference = {"apiVersion": "v1", "kind": "Secret", "name": meta["name"], "uid": meta["uid"]}
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [reference]}}


def launch_files(bundle: Bundle, profile: Profile) -> list[dict[str, Any]]:
    """One a member, as its agents read it."""
    if bundle.is_wave:
        return [
            _launch_file(group, (host,), ("127.0.0.1",), profile)
            for group, host in zip(bundle.groups, bundle.hosts, strict=True)
        ]
    if bundle.pods == 1:
        return [_launch_file(bundle.first, bundle.hosts, ("127.0.0.1",), profile)]
    # With the Service's name: the first domain that a pod searches makes it whole, so one question to DNS is enough.
    addresses = tuple(f"{host}.{bundle.name}" for host in bundle.hosts)
    return [_launch_file(bundle.first, bundle.hosts, addresses, profile)]


def _launch_file(group: Group, hosts: tuple[str, ...], addresses: tuple[str, ...], profile: Profile) -> dict[str, Any]:
    seen = inside.seen_from_pods(group, hosts)
    kept = spooled(group, profile)
    spool = {"spool_bytes": profile.output_spool_mib << 20, "output_wait_seconds": profile.output_wait_seconds}
    return {
        **core_group.launch_file(seen, [(address, names.STEP_PORT) for address in addresses]),
        "member_port": names.MEMBER_PORT,
        "url": profile.bridge_url,
        "ca": profile.bridge_ca,
        **({"spooled": kept, **spool} if kept else {}),
    }


def spooled(group: Group, profile: Profile) -> list[str]:
    """The streams of the script that no volume takes: they are kept in the pod, for the bridge."""
    files = {"stdout": group.batch.stdout, "stderr": group.batch.stderr}
    if files["stderr"] == files["stdout"]:
        files["stderr"] = None
    return [name for name, path in files.items() if path is not None and not profile.takes(path)]


def gang_kind(bundle: Bundle, profile: Profile, capabilities: Capabilities) -> str:
    """What makes all pods start or none: Kueue where the partition names a queue, else the scheduler if it can, else
    we ourselves, by gates."""
    if profile.queue is not None and capabilities.kueue != "no":
        return "kueue"
    if bundle.pods == 1 or bundle.is_wave:
        return "none"
    return "pod-group" if capabilities.pod_group == "yes" and profile.gang == "auto" else "gates"


# ── what all of them carry ────────────────────────────────────────────────────────────────────────


def labels_of(bundle: Bundle) -> dict[str, str]:
    group = bundle.first
    labels = {
        names.INSTANCE: group.instance,
        names.GROUP: bundle.name,
        names.JOB: str(group.array_id if bundle.is_wave else group.job_id),
        names.PARTITION: names.label_value(group.partition),
        names.USER: names.label_value(group.user),
        names.JOB_NAME: names.label_value(group.job_name),
        "app.kubernetes.io/managed-by": "bridge",
    }
    if not bundle.is_wave:
        labels[names.ATTEMPT] = str(group.attempt)
    return labels


def _annotations(
    bundle: Bundle, profile: Profile, capabilities: Capabilities, gang: str, content: str
) -> dict[str, str]:
    group = bundle.first
    agent = pod.agent_variant(profile, capabilities)
    return {
        names.JOB_NAME: names.annotation_value(group.job_name),
        names.USER: names.annotation_value(group.user),
        names.PARTITION: names.annotation_value(group.partition),
        names.MEMBERS: bundle.members,
        names.VARIANT: f"agent={agent} gang={gang}",
        names.CONTENT: content,
        names.REQUEUE: "yes" if group.requeue else "no",
    }


@dataclass(frozen=True, slots=True)
class _Meta:
    bundle: Bundle
    profile: Profile
    labels: dict[str, str]
    annotations: dict[str, str]

    def of(self, name: str) -> Manifest:
        return {
            "name": name,
            "namespace": self.profile.namespace,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
        }


# ── kinds ─────────────────────────────────────────────────────────────────────────────────────────


def _secret(metadata: Manifest, data: dict[str, bytes]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": f"{names.DOMAIN}/launch",
        "immutable": True,
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }


def _service(metadata: Manifest) -> Manifest:
    """Headless: a pod's name resolves before it is ready, because what makes it ready needs the names."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {names.GROUP: metadata["name"]},
        },
    }


def _workload(metadata: Manifest, bundle: Bundle) -> Manifest:
    return {
        "apiVersion": "scheduling.k8s.io/v1beta1",
        "kind": "Workload",
        "metadata": metadata,
        "spec": {
            "controllerRef": {"apiGroup": "batch", "kind": "Job", "name": bundle.name},
            "podGroupTemplates": [{"name": "nodes", "schedulingPolicy": {"gang": {"minCount": bundle.pods}}}],
        },
    }


def _pod_group(metadata: Manifest, bundle: Bundle) -> Manifest:
    return {
        "apiVersion": "scheduling.k8s.io/v1beta1",
        "kind": "PodGroup",
        "metadata": metadata,
        "spec": {
            "workloadRef": {"workloadName": bundle.name, "templateName": "nodes"},
            "schedulingPolicy": {"gang": {"minCount": bundle.pods}},
        },
    }


def _job(metadata: Manifest, bundle: Bundle, template: Manifest, profile: Profile, gang: str) -> Manifest:
    """Kubernetes is told to start each pod once and never again, whatever ended it."""
    action = "FailIndex" if bundle.is_wave else "FailJob"
    spec: Manifest = {
        "completionMode": "Indexed",
        "completions": bundle.pods,
        "parallelism": bundle.pods,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [{"action": action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        },
        "template": template,
    }
    if bundle.is_wave:
        spec["backoffLimitPerIndex"] = 0
    else:
        spec["backoffLimit"] = 0
        # The script runs on the first node: its end is the job's.
        spec["successPolicy"] = {"rules": [{"succeededIndexes": "0"}]}
    if gang == "kueue":
        assert profile.queue is not None
        metadata["labels"]["kueue.x-k8s.io/queue-name"] = profile.queue
        spec["suspend"] = True
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
