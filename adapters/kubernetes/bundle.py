"""What becomes one Job: a group with all its nodes, or tasks of an array of one node each, which start together."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.kubernetes import names
from bridge.core.group import Group
from bridge.core.job import Share

MOST_PODS_A_WAVE = 1000


@dataclass(frozen=True, slots=True)
class Bundle:
    name: str
    groups: tuple[Group, ...]
    """In the order of the pods' indices where it is a wave; else one."""

    @property
    def is_wave(self) -> bool:
        return self.groups[0].array_id is not None and len(self.groups[0].nodes) == 1

    @property
    def first(self) -> Group:
        return self.groups[0]

    @property
    def pods(self) -> int:
        return len(self.groups) if self.is_wave else len(self.first.nodes)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Of the pods, by index."""
        return tuple(names.pod_host(self.name, index) for index in range(self.pods))

    @property
    def shares(self) -> tuple[Share, ...]:
        """What each pod gets, by index."""
        return tuple(group.nodes[0] for group in self.groups) if self.is_wave else self.first.nodes

    @property
    def members(self) -> str:
        return members_text(self.groups)


def members_text(groups: Sequence[Group]) -> str:
    """`12.1`; of a wave `21-120.1,130.2`: every pod carries it, so runs of raw ids with one attempt are folded."""
    runs: list[list[int]] = []
    for group in groups:
        if runs and runs[-1][1] + 1 == group.job_id and runs[-1][2] == group.attempt:
            runs[-1][1] = group.job_id
        else:
            runs.append([group.job_id, group.job_id, group.attempt])
    return ",".join(
        f"{first}.{attempt}" if first == last else f"{first}-{last}.{attempt}" for first, last, attempt in runs
    )


def parse_members(text: str) -> tuple[tuple[int, int], ...]:
    """(job id, attempt) of each index. Raises ValueError."""
    found: list[tuple[int, int]] = []
    for run in text.split(","):
        ids, _, attempt = run.partition(".")
        first, _, last = ids.partition("-")
        found += [(job_id, int(attempt)) for job_id in range(int(first), int(last or first) + 1)]
    return tuple(found)


def of_group(group: Group) -> Bundle:
    return Bundle(names.group_name(group.instance, group.job_id, group.attempt), (group,))


def gather(groups: Sequence[Group]) -> list[Bundle]:
    """Groups that start now as bundles: array tasks that look alike to the cluster share a wave."""
    waves: dict[object, list[Group]] = {}
    found: list[Bundle] = []
    for group in groups:
        if group.array_id is None or len(group.nodes) != 1:
            found.append(of_group(group))
        else:
            waves.setdefault(_shape(group), []).append(group)
    for alike in waves.values():
        for start in range(0, len(alike), MOST_PODS_A_WAVE):
            part = tuple(alike[start : start + MOST_PODS_A_WAVE])
            array_id = part[0].array_id
            assert array_id is not None
            found.append(Bundle(names.wave_name(part[0].instance, array_id, members_text(part)), part))
    return found


def _shape(group: Group) -> tuple[object, ...]:
    """What all pods of one Job have in common: one template makes them all."""
    share = group.nodes[0]
    gres = tuple((name, kind, len(devices)) for name, kind, devices in share.gres)
    return (group.array_id, group.partition, group.uid, share.cpus, share.memory_mib, gres, group.batch.script)
