"""The part of the site file that says how a backend reaches a Kubernetes cluster and what its partitions are there."""

import os
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from adapters.kubernetes.profile import Profile, Volume
from bridge.core.nodes import Partition
from bridge.settings_reader import Said, Table

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_RESOURCE = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_QUANTITY = re.compile(r"\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i)?")
_TOLERATION = ("key", "operator", "value", "effect")


@dataclass(frozen=True, slots=True)
class Reach:
    kubeconfig: str | None = None
    """None: the service account of the pod that the bridge runs in, else the user's usual file."""
    context: str | None = None
    url: str | None = None
    """Where jobs there reach the bridge; None: commands inside of jobs have no bridge to talk to."""


def read_reach(table: Table) -> Reach:
    expected = "https://HOST:PORT, where jobs in the cluster reach the bridge"
    return Reach(
        url=table.text("url", expected=expected, fits=lambda value: value.startswith("https://")),
        kubeconfig=table.text("kubeconfig", expected="an absolute path", fits=os.path.isabs),
        context=table.text("context", expected="a context of the kubeconfig"),
    )


def read_profile(partition_table: Table, partition: Partition) -> Profile:
    table = partition_table.table("kubernetes")
    expected = 'the image in which jobs run, such as "registry.example.org/hpc/base:12"'
    profile = Profile(
        name=partition.name,
        namespace=table.text("namespace", "default", expected="a name of a namespace", fits=_is_name) or "default",
        image=table.required_text("image", expected=expected),
        python=table.text("python", "/usr/bin/python3", expected="an absolute path", fits=os.path.isabs) or "",
        bridge_image=table.text("bridge_image", expected="the image that carries the agent"),
        agent=cast(
            Literal["auto", "image-volume", "init-container"],
            table.choice("agent", "auto", ("auto", "image-volume", "init-container")),
        ),
        pull_policy=cast(
            Literal["Always", "IfNotPresent", "Never"],
            table.choice("pull_policy", "IfNotPresent", ("Always", "IfNotPresent", "Never")),
        ),
        pull_secrets=table.texts("pull_secrets") or (),
        node_selector=_texts(table, "node_selector"),
        tolerations=tuple(map(_toleration, table.tables("tolerations"))),
        priority_class=table.text("priority_class"),
        runtime_class=table.text("runtime_class"),
        service_account=table.text("service_account"),
        volumes=tuple(map(_volume, table.tables("volumes"))),
        cluster_domain=table.text("cluster_domain", "cluster.local", expected="a domain") or "cluster.local",
        host_network=table.boolean("host_network", False),
        node_is=cast(Literal["host", "pod"], table.choice("node_is", "host", ("host", "pod"))),
        nodes_are=cast(Literal["hosts", "room"], table.choice("nodes_are", "hosts", ("hosts", "room"))),
        cpu_request_percent=table.count("cpu_request_percent", 100, 1, 100),
        queue=table.text("queue", expected="the name of a LocalQueue", fits=_is_name),
        gang=cast(Literal["auto", "gates"], table.choice("gang", "auto", ("auto", "gates"))),
        resources=_texts(table, "resources"),
        images=table.texts("images") or (),
        extra_resources=_texts(table, "extra_resources"),
        max_time_seconds=partition.max_time_seconds,
        patience_seconds=partition.patience_seconds,
        node_timeout_seconds=table.count("node_timeout_seconds", 60, 1),
        bind_seconds=table.count("bind_seconds", 30, 1),
        output_spool_mib=table.count("output_spool_mib", 256, 1),
        output_wait_seconds=table.count("output_wait_seconds", 600, 0),
        allow_root=table.boolean("allow_root", False),
    )
    for gres, resource in profile.resources.items():
        if _RESOURCE.fullmatch(resource) is None:
            table.wrong("resources", f"{gres} = {resource}", 'an extended resource, such as gpu = "nvidia.com/gpu"')
    for resource, quantity in profile.extra_resources.items():
        if _RESOURCE.fullmatch(resource) is None or _QUANTITY.fullmatch(quantity) is None:
            table.wrong(
                "extra_resources", f"{resource} = {quantity}", 'a resource and how much, such as "rdma/hca" = "1"'
            )
    table.close()
    return profile


def _volume(table: Table) -> Volume:
    volume = Volume(
        path=table.required_text("path", expected="where pods see it, an absolute path", fits=os.path.isabs),
        claim=table.text("claim", expected="the name of a PersistentVolumeClaim", fits=_is_name),
        host_path=table.text("host_path", expected="an absolute path", fits=os.path.isabs),
        nfs=_nfs(table),
        sub_path=table.text("sub_path") or "",
        read_only=table.boolean("read_only", False),
    )
    given = [kind for kind in ("claim", "host_path", "nfs") if getattr(volume, kind) is not None]
    if len(given) != 1:
        table.wrong("claim", Said(" and ".join(given) or "nothing"), "one of claim, host_path and nfs")
    table.close()
    return volume


def _nfs(table: Table) -> tuple[str, str] | None:
    text = table.text("nfs", expected='"server:/path"', fits=lambda value: ":/" in value)
    if text is None:
        return None
    server, _, path = text.partition(":/")
    return server, f"/{path}"


def _toleration(table: Table) -> dict[str, Any]:
    found: dict[str, Any] = {name: value for name in _TOLERATION if (value := table.text(name)) is not None}
    table.close()
    return found


def _texts(table: Table, name: str) -> dict[str, str]:
    found = table.table(name)
    return {key: found.text(key) or "" for key in found.names()}


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None
