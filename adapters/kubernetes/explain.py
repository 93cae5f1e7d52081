"""What a cluster's abilities and a partition's choices come to, in sentences for whoever set them up. Pure."""

from collections.abc import Iterator
from typing import Literal

from adapters.kubernetes import pod
from adapters.kubernetes.capabilities import Answer, Capabilities
from adapters.kubernetes.profile import Profile

Level = Literal["restricted", "baseline", "privileged"]
_LEVELS: tuple[Level, ...] = ("restricted", "baseline", "privileged")

_CONSEQUENCES: dict[str, tuple[str, str, str]] = {
    "pod_group": (
        "pod groups",
        "the scheduler places all pods of a job or none",
        "gates of ours let one job's pods be placed at a time; without hosts in time it gives its place back",
    ),
    "kueue": (
        "Kueue",
        "partitions that name a queue leave admission to it",
        "a partition that names a queue is not admitted by anybody, its jobs start at once",
    ),
    "image_volume": (
        "image volumes",
        "the agent comes out of the bridge's image without being copied",
        "an init container copies the agent into each pod",
    ),
    "resize": (
        "resize of pods",
        "a running pod could be given more or less",
        "a running pod keeps what it was given",
    ),
    "strict_groups": (
        "strict groups",
        "processes have the submitter's groups and no others",
        "groups that the image's /etc/group gives to the user's number are added to the submitter's",
    ),
}
"""Of each ability: its name, what follows from yes, what from no or unknown."""


def capabilities(found: Capabilities) -> Iterator[str]:
    """Lines of a table."""
    yield f"Kubernetes {found.version}"
    for field, (name, then, otherwise) in _CONSEQUENCES.items():
        answer: Answer = getattr(found, field)
        yield f"  {name:<15} {answer:<8} {then if answer == 'yes' else otherwise}"


def security_level(profile: Profile) -> tuple[Level, list[str]]:
    """The strictest level of Pod Security that the partition's pods pass, and what keeps them from a stricter one."""
    lowered: list[tuple[Level, str]] = []
    for volume in profile.volumes:
        if volume.host_path is not None:
            lowered.append(("privileged", f"{volume.path} is a folder of the node"))
        elif volume.nfs is not None:
            lowered.append(("baseline", f"{volume.path} is mounted by NFS (a claim would pass)"))
    if profile.host_network:
        lowered.append(("privileged", "pods use the host's network"))
    if profile.allow_root:
        lowered.append(("baseline", "jobs of root may run"))
    levels: list[Level] = ["restricted", *(level for level, _ in lowered)]
    return max(levels, key=_LEVELS.index), [why for _, why in lowered]


def partition(profile: Profile, found: Capabilities) -> str:
    level, why = security_level(profile)
    because = f" ({'; '.join(why)})" if why else ""
    variant = {
        "archive": f"as an archive that {profile.python} of the image runs",
        "image-volume": "as a volume from the bridge's image",
        "init-container": "copied out of the bridge's image",
    }[pod.agent_variant(profile, found)]
    queue = f", admitted by the queue {profile.queue}" if profile.queue else ""
    return (
        f"Partition {profile.name} runs pods of {profile.image} in namespace {profile.namespace}{queue}; "
        f"the agent comes {variant}. They pass Pod Security {level}{because}."
    )
