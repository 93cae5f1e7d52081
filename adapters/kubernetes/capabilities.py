"""What a cluster can do, as far as it changes what we make: yes, no, or unknown where the question was not allowed."""

from dataclasses import dataclass
from typing import Literal

Answer = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    version: str = "unknown"
    """Of the binary, for people; nothing is decided by it."""
    pod_group: Answer = "unknown"
    """The scheduler places all pods of a group or none (`scheduling.k8s.io/v1beta1`)."""
    kueue: Answer = "unknown"
    image_volume: Answer = "unknown"
    """A probe pod executed a program from an image volume."""
    resize: Answer = "unknown"
    strict_groups: Answer = "unknown"
    """`supplementalGroupsPolicy: Strict`: groups of the image's own /etc/group are not added."""
