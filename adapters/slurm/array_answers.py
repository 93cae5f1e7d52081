"""What scontrol prints of an order to tasks of an array: one line for all tasks of the same fate."""

from collections.abc import Sequence

from bridge.core import indexset
from bridge.core.indexset import IndexSet

Fate = tuple[IndexSet, str | None]
"""Tasks, and Slurm's text of what kept them from it; None: it was done."""


def lines(array_id: int, fates: Sequence[Fate], *, tells_success: bool) -> list[str]:
    """In order of each fate's lowest task; none when all went well.

    `tells_success`: those that it was done to are named too, where others failed.
    """
    tasks: dict[str | None, list[IndexSet]] = {}
    for some, text in fates:
        if some:
            tasks.setdefault(text, []).append(some)
    if set(tasks) <= {None}:
        return []
    groups = sorted(((indexset.union(sets), text) for text, sets in tasks.items()), key=lambda group: group[0].minimum)
    return [
        f"{array_id}_{indexset.of(some)}: {text or 'No error'}\n"
        for some, text in groups
        if text is not None or tells_success
    ]
