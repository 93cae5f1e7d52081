"""Slurm's names of job states, long and compact, and what they match. Used by squeue, sacct and scancel."""

from bridge.core.job import JobState

COMPACT: dict[JobState, str] = {
    JobState.PENDING: "PD",
    JobState.CONFIGURING: "CF",
    JobState.RUNNING: "R",
    JobState.SUSPENDED: "S",
    JobState.COMPLETING: "CG",
    JobState.COMPLETED: "CD",
    JobState.CANCELLED: "CA",
    JobState.FAILED: "F",
    JobState.TIMEOUT: "TO",
    JobState.NODE_FAIL: "NF",
    JobState.PREEMPTED: "PR",
    JobState.BOOT_FAIL: "BF",
    JobState.DEADLINE: "DL",
    JobState.OUT_OF_MEMORY: "OOM",
    JobState.SPECIAL_EXIT: "SE",
}

ORDER: dict[JobState, int] = {
    state: number
    for number, state in enumerate(
        (
            JobState.PENDING,
            JobState.SPECIAL_EXIT,
            JobState.RUNNING,
            JobState.SUSPENDED,
            JobState.COMPLETED,
            JobState.CANCELLED,
            JobState.FAILED,
            JobState.TIMEOUT,
            JobState.NODE_FAIL,
            JobState.PREEMPTED,
            JobState.BOOT_FAIL,
            JobState.DEADLINE,
            JobState.OUT_OF_MEMORY,
            JobState.CONFIGURING,
            JobState.COMPLETING,
        )
    )
}
"""By Slurm's numbers, for sorting."""

SHOWN_BY_DEFAULT = frozenset(
    {
        JobState.PENDING,
        JobState.SPECIAL_EXIT,
        JobState.CONFIGURING,
        JobState.RUNNING,
        JobState.SUSPENDED,
        JobState.COMPLETING,
    }
)

_QUEUE_NAMES_TEXT = (
    "pending running suspended completed cancelled failed timeout node_fail preempted boot_fail deadline "
    "out_of_memory completing configuring expediting resizing resv_del_hold requeued requeue_fed requeue_hold "
    "revoked signaling special_exit stage_out stopped"
)
QUEUE_NAMES = tuple(_QUEUE_NAMES_TEXT.split())
"""Every name that squeue -t takes, in the order in which it lists them."""

_OTHER_COMPACT = {
    "EX": "expediting",
    "RS": "resizing",
    "RD": "resv_del_hold",
    "RQ": "requeued",
    "RF": "requeue_fed",
    "RH": "requeue_hold",
    "RV": "revoked",
    "SI": "signaling",
    "SO": "stage_out",
    "ST": "stopped",
}

_MATCHES: dict[str, frozenset[JobState]] = {
    **{name: frozenset() for name in QUEUE_NAMES},
    **{state.value.lower(): frozenset({state}) for state in COMPACT},
    "pending": frozenset({JobState.PENDING, JobState.SPECIAL_EXIT}),
    "running": frozenset({JobState.RUNNING, JobState.CONFIGURING}),
    "requeue_hold": frozenset({JobState.SPECIAL_EXIT}),
}
_NAMES = {
    **{name: name for name in QUEUE_NAMES},
    **{short.lower(): state.value.lower() for state, short in COMPACT.items()},
    **{short.lower(): name for short, name in _OTHER_COMPACT.items()},
}


def matching(name: str) -> frozenset[JobState] | None:
    """The states that a name of squeue -t or sacct -s stands for; None: no such name."""
    full = _NAMES.get(name.lower())
    return None if full is None else _MATCHES[full]
