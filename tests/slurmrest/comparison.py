"""What of two true answers must differ, and everything else that does."""

import re
from collections.abc import Iterator
from typing import Any

MUST_DIFFER = {
    r"\.meta\..*": "who asked, by what way, and whose release answers",
    r".*(_time|last_sched_evaluation|last_backfill|last_update)\.number": "the plays were played one after the other",
    r".*\.latency": "measured",
    r".*\.(user_id|user_name|group_id|group_name|mail_user)": "another person on either side",
    r".*\.(cluster|account|association_id)": "another site on either side",
    r".*\.sluid": "made from the id and the time by each in its own way",
    r".*\.job_resources(\.nodes)?\.select_type.*": "CPUs are counted here, not pinned to cores",
    r".*\.allocation\[\d\]\.sockets": "so no core is named",
    r".*\.(job_resources|results)": "null there, which its schema does not allow: clients made from it would break",
    r".*\.flags": "",
}
"""Places in an answer (whole, as a pattern), and why two true answers differ there."""

BY_CHANCE = {"BACKFILL_ATTEMPTED", "SCHEDULING_ATTEMPTED"}
"""Flags of a job that tell which of its schedulers slurmctld tried first."""


def unexplained(theirs: Any, ours: Any) -> list[tuple[str, Any, Any]]:
    """Differences that MUST_DIFFER has no reason for."""
    found = []
    for place, one, other in differences(theirs, ours):
        reason = next((why for pattern, why in MUST_DIFFER.items() if re.fullmatch(pattern, place)), None)
        if reason is None or (not reason and set(one) - BY_CHANCE != set(other)):
            found.append((place, one, other))
    return found


def differences(theirs: Any, ours: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(place, theirs, ours) of all leaves that are not the same; what one lacks is `...`."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in {**theirs, **ours}:
            yield from differences(theirs.get(name, ...), ours.get(name, ...), f"{place}.{name}")
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif theirs != ours:
        yield place, theirs, ours
