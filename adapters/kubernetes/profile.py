"""What a partition means on Kubernetes: the site's choices, as values."""

import posixpath
from dataclasses import dataclass, field
from typing import Any, Literal

NodeIs = Literal["host", "pod"]


@dataclass(frozen=True, slots=True)
class Volume:
    """A part of the cluster's storage that every pod of the partition sees at `path`."""

    path: str
    claim: str | None = None
    """The name of a PersistentVolumeClaim in the partition's namespace."""
    host_path: str | None = None
    """A folder of the node. Pod Security "baseline" forbids it."""
    nfs: tuple[str, str] | None = None
    """(server, exported path)"""
    sub_path: str = ""
    read_only: bool = False

    def holds(self, path: str) -> bool:
        return not self.read_only and (path == self.path or path.startswith(self.path.rstrip("/") + "/"))


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    """The partition's."""
    namespace: str
    image: str
    python: str = "/usr/bin/python3"
    """Runs the agent where there is no bridge image; of the partition's image."""
    bridge_image: str | None = None
    """Carries agent and interpreter; None: the agent travels as a zip archive and `python` runs it."""
    agent: Literal["auto", "image-volume", "init-container"] = "auto"
    """How it comes out of the bridge image; auto: as a volume where a probe pod showed that it runs, else copied."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    """As in a pod."""
    priority_class: str | None = None
    runtime_class: str | None = None
    service_account: str | None = None
    volumes: tuple[Volume, ...] = ()
    cluster_domain: str = "cluster.local"
    """In which Services have their names."""
    host_network: bool = False
    node_is: NodeIs = "host"
    """host: pods of one job lie on different hosts, required; pod: preferred."""
    nodes_are: Literal["hosts", "room"] = "hosts"
    """hosts: the site's nodes are the cluster's, and pods go where the bridge placed them. room: they only say how
    much there is; the scheduler chooses."""
    cpu_request_percent: int = 100
    """How much of its CPUs a pod asks the scheduler for. Below 100 hosts are oversubscribed, and no CPU is a job's
    own."""
    queue: str | None = None
    """The LocalQueue of Kueue that admits the jobs."""
    gang: Literal["auto", "gates"] = "auto"
    """What places all pods of a job or none: the scheduler where it can, else our own gates; or always those."""
    resources: dict[str, str] = field(default_factory=dict)
    """Generic resource, `gpu` or `gpu:a100`, → the cluster's extended resource."""
    images: tuple[str, ...] = ()
    """Patterns of images that jobs may name instead."""
    extra_resources: dict[str, str] = field(default_factory=dict)
    """What every pod gets beside what its job asks for, such as `rdma/hca`: quantities by the cluster's names."""
    max_time_seconds: int | None = None
    """The partition's largest limit; None: unlimited."""
    patience_seconds: int = 300
    node_timeout_seconds: int = 60
    """How long a node may be NotReady before what runs there counts as lost."""
    bind_seconds: int = 30
    """How long the pods of a job may wait for their hosts before the job gives its place back and waits again."""
    output_spool_mib: int = 256
    """How much of a job's output that no volume takes is kept in its pod until the bridge has it."""
    output_wait_seconds: int = 600
    """How long a pod whose script has ended waits for the bridge to fetch the rest of that."""
    bridge_url: str | None = None
    """Where commands inside of jobs reach the bridge, `https://HOST:PORT`; None: they do not."""
    bridge_ca: str = ""
    """PEM of what its certificate is trusted by; empty: by what the image trusts."""
    allow_root: bool = False
    """Whether jobs of uid 0 run, as root of their container."""

    def takes(self, path: str) -> bool:
        """Whether a file written there in a pod outlives it, or is a device."""
        plain = posixpath.normpath(path)
        return plain.startswith("/dev/") or any(volume.holds(plain) for volume in self.volumes)
