"""What travels to the agents in Secrets: the launch files of all members, packed, and in parts where it is large.

A Secret holds 1 MiB. The packed file is a line of JSON and the script's bytes behind it; the JSON is one launch file
in full and of every other member what differs, because the tasks of an array share nearly everything.
"""

import gzip
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from bridge.core.errors import Refused
from bridge.core.group import Group

PART_BYTES = 1_000_000
"""Below the 1,048,576 bytes that a Secret's values may have together: passwd and group lines go beside."""
MOST_PARTS = 16
_SECRET_FIELDS = ("key", "job_token")


def pack(files: Sequence[dict[str, Any]], script: bytes) -> bytes:
    """`files`: launch files, one a member, in the order of the pods' indices."""
    head = {"version": 1, "common": files[0], "members": [_difference(files[0], file) for file in files[1:]]}
    # No time of day in it: the same group gives the same bytes.
    return gzip.compress(json.dumps(head, sort_keys=True).encode() + b"\n" + script, compresslevel=6, mtime=0)


def parts(packed: bytes, group: Group) -> list[bytes]:
    """Raises Refused, naming what takes most, when it is more than Secrets should carry."""
    if len(packed) > PART_BYTES * MOST_PARTS:
        sizes = {
            "script": len(group.batch.script),
            "environment": sum(len(name) + len(value) for name, value in group.batch.environment.items()),
            "arguments": sum(map(len, group.batch.arguments)),
        }
        biggest = max(sizes, key=lambda name: sizes[name])
        raise Refused(
            f"the job takes {len(packed)} bytes when packed, Kubernetes carries {PART_BYTES * MOST_PARTS} at most; "
            f"its {biggest} is the biggest part with {sizes[biggest]} bytes",
            field=biggest,
        )
    return [packed[start : start + PART_BYTES] for start in range(0, len(packed), PART_BYTES)]


def content_hash(files: Sequence[dict[str, Any]], script: bytes) -> str:
    """Of what was asked for. Keys and tokens are made anew at each try to start, so they are left out."""
    digest = hashlib.sha256()
    for file in files:
        plain = {name: value for name, value in file.items() if name not in _SECRET_FIELDS}
        digest.update(json.dumps(plain, sort_keys=True).encode() + b"\n")
    digest.update(script)
    return digest.hexdigest()[:32]


def _difference(common: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """The member's own fields; of the batch part and its environment only what is different there."""
    found = {name: value for name, value in file.items() if name != "batch" and common.get(name, ...) != value}
    batch = {
        name: value
        for name, value in file["batch"].items()
        if name != "environment" and common["batch"].get(name, ...) != value
    }
    ours, theirs = file["batch"]["environment"], common["batch"]["environment"]
    changed = {name: value for name, value in ours.items() if theirs.get(name) != value}
    gone = sorted(name for name in theirs if name not in ours)
    return {"fields": found, "batch": batch, "environment": changed, "unset": gone}
