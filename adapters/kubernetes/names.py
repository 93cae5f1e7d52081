"""Well-known names: labels, annotations, finalizers, paths and ports in the pod; and names made from ours.

Kubernetes takes 63 letters, digits and `-` for a name that becomes a host name, and letters, digits, `-_.` for a
label's value. What we are given (job names, users) may be anything: it is cut and hashed there, and kept whole in
an annotation.
"""

import hashlib
import re
import string

DOMAIN = "bridge.hpc"

INSTANCE = f"{DOMAIN}/instance"
"""Of the database: only objects of our own are ever touched."""
JOB = f"{DOMAIN}/job"
"""The raw id; of an array's wave the array's."""
ATTEMPT = f"{DOMAIN}/attempt"
PARTITION = f"{DOMAIN}/partition"
USER = f"{DOMAIN}/user"
JOB_NAME = f"{DOMAIN}/job-name"
GROUP = f"{DOMAIN}/group"
"""The object's name; what selects the pods of one Job."""

VARIANT = f"{DOMAIN}/variant"
"""Annotation: how the mapping made this object, so that another release knows what it looks at."""
CONTENT = f"{DOMAIN}/content"
"""Annotation: a hash of what was asked for, without secrets; the same for the same attempt."""
MEMBERS = f"{DOMAIN}/members"
"""Annotation: `JOB.ATTEMPT` of each pod's index, or of all pods where there is one."""
REQUEUE = f"{DOMAIN}/requeue"
"""Annotation: `no` where a lost job is not to run again, so that nothing hinders telling it lost."""
OUTPUT = f"{DOMAIN}/output"
"""Annotation of pods whose script writes where no volume is: `new`, or `append` to what an earlier attempt wrote."""

FINALIZER = f"{DOMAIN}/end-is-committed"
"""On pods: taken off when their end is in the database."""

GATE = f"{DOMAIN}/all-or-none"
"""Scheduling gate: pods of a job wait at it until all of them are there and it is their turn to be placed."""
PODS = f"{DOMAIN}/pods"
"""Annotation of pods that wait at the gate: how many there must be."""

FIELD_MANAGER = "bridge"

LAUNCH_PATH = "/bridge/launch"
AGENT_PATH = "/bridge/agent"
RUN_PATH = "/bridge/run"
AGENT_FILE = "agent.pyz"
PART_KEY = "launch"
"""Parts of the launch file are `launch.0`, `launch.1` ... in order."""

STEP_PORT = 6818
"""Of the step service on every pod; slurmd's, as nothing else of the pod's will want it."""
MEMBER_PORT = 6819
"""Where the first node's monitor hears those of the others."""

_HASH_DIGITS = 10
_LABEL_CHARACTERS = 63
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_FIT = frozenset(string.ascii_letters + string.digits + "-_.")


def group_name(instance: str, job_id: int, attempt: int) -> str:
    """Of every object of an attempt. Made of ids alone: a job may be renamed between two tries to start it."""
    return f"job-{job_id}-{attempt}-{_word(instance)}"


def wave_name(instance: str, array_id: int, members: str) -> str:
    """Of an array's tasks that start together; `members` is what MEMBERS holds."""
    return f"array-{array_id}-{_digest(members)}-{_word(instance)}"


def pod_host(group: str, index: int) -> str:
    """The host name that an Indexed Job gives its pods."""
    return f"{group}-{index}"


def launch_name(group: str, ticket: str) -> str:
    """Of the launch Secret. Each try to start has a ticket of its own: the pods of a Job that an earlier try made too
    late look for a Secret that is gone, and never start."""
    return f"{group}-{ticket}"


def part_name(launch: str, part: int) -> str:
    """Of the Secret with a part of the launch file."""
    return launch if part == 0 else f"{launch}-part{part}"


def label_value(text: str) -> str:
    """`text` itself where it is a legal value; else what is legal of it, and a hash of the whole."""
    if not text or _LABEL.fullmatch(text):
        return text
    fit = "".join(character if character in _FIT else "_" for character in text)
    room = _LABEL_CHARACTERS - _HASH_DIGITS - 1
    start = fit[:room].strip("-_.")
    return f"{start}-{_digest(text)}" if start else _digest(text)


def annotation_value(text: str) -> str:
    """UTF-8 that JSON can carry: bytes of the user's that are none are shown as escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _word(instance: str) -> str:
    """An instance id is eight letters and digits; another's is made fit."""
    return instance if re.fullmatch(r"[a-z0-9]{1,12}", instance) else _digest(instance)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_HASH_DIGITS]
