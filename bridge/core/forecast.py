"""When and where waiting jobs will start if nobody else comes and everybody takes all of their time. Pure.

The scheduler's own plan is made again at each moment at which something ends, so the answer is what it would do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.core.fitting import Candidate
from bridge.core.job import JobKey
from bridge.core.nodes import Node, Partition
from bridge.core.placement import FOREVER, Running, plan
from bridge.core.reservations import Reservation

MOST_TURNS = 100
"""Ends that are looked past; what would start later has no forecast."""


@dataclass(frozen=True, slots=True)
class Start:
    at: float
    """Epoch seconds."""
    nodes: tuple[str, ...]


def starts(
    candidates: Iterable[Candidate],
    running: Iterable[Running],
    nodes: Sequence[Node],
    partitions: Sequence[Partition],
    licenses_free: Mapping[str, int],
    now: float,
    kept: Sequence[Reservation] = (),
) -> dict[JobKey, Start]:
    found: dict[JobKey, Start] = {}
    waiting, busy, free, at = list(candidates), list(running), dict(licenses_free), now
    for _ in range(MOST_TURNS):
        by_key = {key: candidate for candidate in waiting for key in candidate.keys}
        for placement in plan(waiting, busy, nodes, partitions, free, at, kept=kept).placements:
            candidate = by_key[placement.key]
            found[placement.key] = Start(at, tuple(share.node for share in placement.shares))
            ends_at = at + max(1, candidate.time_limit_seconds)
            whole = candidate.size.whole_nodes
            busy.append(Running(placement.key, placement.shares, ends_at, candidate.licenses, whole))
            for name, count in candidate.licenses:
                free[name] = free.get(name, 0) - count
        left = (replace(one, keys=tuple(key for key in one.keys if key not in found)) for one in waiting)
        waiting = [one for one in left if one.keys]
        at = min((job.ends_at for job in busy), default=FOREVER)
        if not waiting or at == FOREVER:
            break
        for job in busy:
            if job.ends_at <= at:
                for name, count in job.licenses:
                    free[name] = free.get(name, 0) + count
        busy = [job for job in busy if job.ends_at > at]
    return found
