"""What of two true answers must differ, and everything else that does."""

import re
from collections.abc import Iterator
from typing import Any

MUST_DIFFER = {
    r"\.meta\.client\..*": "who asked, by what way",
    r"\.meta\.slurm\.(release|version\.micro|cluster)": "whose release answers",
    r"\.meta\.command": "25.11.8 leaves it out, 25.11.7 has an empty list there",
    r".*(_time|last_sched_evaluation|last_backfill|last_update|last_busy|reason_changed_at)\.number": (
        "the plays were played one after the other"
    ),
    r".*\.time\.(eligible|end|start|submission|elapsed|planned\.number|(end|start)\.number)": "the same",
    r".*\.time\.(total|user|system)\.\w+": "measured",
    r".*\.(latency|cpu_load|cpus\.load\..*|free_mem\.number|memory\.free\..*)": "measured",
    r".*\.(user|group|user_id|user_name|group_id|group_name|mail_user)": "another person on either side",
    r".*\.(lineage|users\[1\]\.name)": "the same",
    r".*\.(cluster|clusters\[0\]\.name)": "another site on either side",
    r".*\.(boot_time|slurmd_start_time|port|version|host|operating_system|address|hostname).*": "another host",
    r".*\.allocating_node": "the same",
    r"\.qos\[0\]\.id|.*\bassociations\[\d\]\.id": "slurmdbd gives no number twice, whatever was deleted before",
    r".*\.sluid": "made from the id and the time by each in its own way",
    r".*\.job_resources(\.nodes)?\.select_type.*": "CPUs are counted here, not pinned to cores",
    r".*\.allocation\[\d\]\.sockets": "so no core is named",
    r".*\.(job_resources|results|instances)": (
        "null or left out there, which its schema does not allow: clients made from it would break"
    ),
    r"\.jobs\[0\]\.(nodes|batch_host|.*nodes\.(range|list(\[0\])?|allocation\[\d\]\.name))": (
        "which of the equal nodes took the job"
    ),
    r".*\.tres\.(requested|consumed)\.\w+": "measured; energy, which neither measures, is 0 there and left out here",
    r"\.clusters\[0\]\.flags": "several slurmd on one host",
    r"\.clusters\[0\]\.tres|\.TRES": "gpumem, gpuutil and where dynamic numbers begin are the installation's",
    r"\.nodes\[0\]\.state": "",
    r"\.jobs\[0\]\.comment\.job": "kept there only where the site's AccountingStoreFlags say so",
    r".*\.flags": "",
}
"""Places in an answer (whole, as a pattern), and why two true answers differ there."""

BY_CHANCE = {"BACKFILL_ATTEMPTED", "SCHEDULING_ATTEMPTED", "NOT_RESPONDING"} | {
    "STARTED_ON_SCHEDULE",
    "STARTED_ON_BACKFILL",
}
"""Flags of a job that tell which of its schedulers slurmctld tried first; of a node, that slurmd was not asked yet."""

MAY_DIFFER = {
    r"root acts for nobody": "a name that nobody has is refused here; slurmctld takes root's token for it",
    r"no known signal": "slurmrestd sends on what it did not understand; here nothing is sent",
    r"jobs by .*,.*": "slurmrestd 25.11 takes no comma in an address, nor a colon; here they part a list",
    r"jobs by .*(reservation|qos|show_batch_script|show_job_environment)=.*": (
        "these filters are done here as described; slurmrestd's database forgets the first, and finds nothing by others"
    ),
    r"jobs by .*state=.*": "slurmdbd finds nothing by some states; here jobs in that state are found",
    r"qos/\?name=.*": "done here as described; slurmrestd forgets the name",
    r"assoc.* in v0\.0\.41": "v0.0.41 has no numbers of associations; here they are told",
    r"(a comment|no comment|n2 with a comment)": "what a node is stands in the site file, its comment too",
}
"""Requests (by label, whole, as a pattern) that are answered otherwise, and why."""


def may_differ(label: str) -> bool:
    return any(re.fullmatch(pattern, label) for pattern in MAY_DIFFER)


def unexplained(label: str, theirs: Any, ours: Any) -> list[tuple[str, Any, Any]]:
    """Differences that have no reason in the tables above."""
    if may_differ(label):
        return []
    found = []
    for place, one, other in differences(theirs, ours):
        reason = next((why for pattern, why in MUST_DIFFER.items() if re.fullmatch(pattern, place)), None)
        if reason is None or (not reason and set(one) - BY_CHANCE != set(other) - BY_CHANCE):
            found.append((place, one, other))
    return found


def differences(theirs: Any, ours: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(place, theirs, ours) of all leaves that are not the same; what one lacks is `...`."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in {**theirs, **ours}:
            yield from differences(theirs.get(name, ...), ours.get(name, ...), f"{place}.{name}")
    elif place.endswith((".flags", ".state")) and isinstance(theirs, list):
        if theirs != ours:
            yield place, theirs, ours
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif theirs != ours:
        yield place, theirs, ours
