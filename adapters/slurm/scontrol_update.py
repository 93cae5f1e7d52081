"""`scontrol update`: words of `Key=Value` to the jobs or nodes that are meant, and what is to change of them.

What each setting makes of a job is in `scontrol_settings`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.slurm import hostlist, scontrol_settings, selectors, values
from adapters.slurm.answer import Answer
from adapters.slurm.selectors import Selected
from bridge.core.job import WAITING, Job
from bridge.core.nodes import Order
from bridge.core.users import Caller


@dataclass(frozen=True, slots=True)
class NodeUpdate:
    names: tuple[str, ...]
    """Empty: ALL."""
    order: Order
    reason: str


@dataclass(frozen=True, slots=True)
class Update:
    targets: tuple[tuple[str, Selected | None], ...] = ()
    """(as written, the id)"""
    job_name: str | None = None
    """JobName=X without JobId: all jobs of that name."""
    settings: tuple[tuple[str, str], ...] = ()
    """(name as in `scontrol_settings`, value)"""
    nodes: NodeUpdate | None = None


_UNSUPPORTED = "Update of this parameter is not supported: {}\nRequest aborted\n"
_NO_ENTITY = (
    "No valid entity in update command\n"
    'Input line must include "NodeName", "PartitionName", "Reservation", "JobId", or "SlurmctldDebug"\n'
)


def read(words: Sequence[str]) -> Update | Answer:
    if not words:
        return Answer(stderr="too few arguments for update keyword\n", exit_code=1)
    # Ages count for nothing here, so that there is nothing to set back.
    resets = any(word.lower() == "resetaccruetime" for word in words)
    words = _with_id([word for word in words if word.lower() != "resetaccruetime"])
    pairs = [(name.rstrip("+-"), _signed(name, value)) for name, _, value in (word.partition("=") for word in words)]
    names = {name.lower() for name, _ in pairs}
    if names & {"nodename", "node", "nodes", "nodenames"}:
        return _read_node(pairs)
    if names & {"partitionname", "partition"} and not names & _JOB_WORDS and "partitionname" in names:
        return _refused("slurm_update error: partitions are set in the site file of the bridge\n")
    ids = next((value for name, value in pairs if name.lower() in _JOB_WORDS), None)
    job_name: str | None = None
    rest = [(name, value) for name, value in pairs if name.lower() not in _JOB_WORDS]
    if ids is None:
        job_name = next((value for name, value in pairs if name.lower() == "jobname"), None)
        if job_name is None:
            return _refused(_NO_ENTITY)
        rest = [(name, value) for name, value in rest if name.lower() != "jobname"]
    settings: list[tuple[str, str]] = []
    for name, value in rest:
        if name.lower() in _NOTHING_CHANGES:
            continue
        if name.lower() in _REFUSED:
            first = selectors.split(ids or "") or [""]
            return _refused(f"{_REFUSED[name.lower()]} for job {first[0]}\n")
        setting = scontrol_settings.find(name)
        if setting is None:
            return _refused(_UNSUPPORTED.format(f"{name}={value}"))
        if setting == "NumNodes" and (wrong := _wrong_with_node_count(value)):
            return Answer(stderr=f"scontrol: error: {wrong}\n")  # an exit code of 0, as there
        settings.append((setting, value))
    if not settings:
        return Answer() if resets else _refused("No changes specified\n")
    targets = tuple((one, selectors.parse(one)) for one in selectors.split(ids or ""))
    if any(selected is None for _, selected in targets):  # refused as a whole
        targets = ((ids or "", None),)
    return Update(targets, job_name, tuple(settings))


_REFUSED = {"burstbuffer": "Requested operation not supported on this system"}
"""Settings that scontrol knows, and that have no meaning on one cluster without burst buffers."""


def _wrong_with_node_count(text: str) -> str | None:
    try:
        values.node_count(text)
    except values.BadValue as bad:
        return bad.lines("nodes")[0]
    return None


def _signed(name: str, value: str) -> str:
    """`TimeLimit+=5` is `TimeLimit=+5`."""
    return name[-1] + value if name[-1:] in ("+", "-") else value


def _refused(text: str) -> Answer:
    return Answer(stderr=text, exit_code=1)


_NOTHING_CHANGES = frozenset({"userid"})
"""Narrows down the jobs of a name in Slurm; of a job that is named by its id it says nothing."""

_JOB_WORDS = frozenset({"job", "jobid", "jobs"})


def _with_id(words: Sequence[str]) -> list[str]:
    """`job 12` is JobId=12."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1].lower() in _JOB_WORDS:
            joined[-1] = f"JobId={word}"
        else:
            joined.append(word)
    return joined


_ORDERS: dict[str, Order] = {
    "drain": "DRAIN",
    "fail": "FAIL",
    "down": "DOWN",
    "resume": "RESUME",
    "undrain": "UNDRAIN",
    "idle": "IDLE",
}
_NO_ORDERS_HERE = frozenset(
    {"noresp", "future", "power_down", "power_up", "alloc", "allocated", "mix", "mixed", "cancel_reboot", "planned"}
)
"""States that Slurm knows; nodes here cannot be brought into them."""


def _read_node(pairs: Sequence[tuple[str, str]]) -> Update | Answer:
    given = {name.lower(): value for name, value in pairs}
    names = next(given[key] for key in ("nodename", "node", "nodes", "nodenames") if key in given)
    unknown = next((name for name, _ in pairs if name.lower() not in _NODE_WORDS), None)
    if unknown is not None:
        return _refused(_UNSUPPORTED.format(f"{unknown}={given[unknown.lower()]}"))
    reason = given.get("reason", "")
    order: Order = "REASON"
    if "state" in given:
        word = given["state"].lower()
        if word in _NO_ORDERS_HERE:
            return _refused("slurm_update error: Invalid node state transition\n")
        if word not in _ORDERS:
            name = next(name for name, _ in pairs if name.lower() == "state")
            return _refused(
                f"Invalid input: {name}={given['state']}\nRequest aborted\n"
                "Valid states are: NoResp DRAIN FAIL FUTURE RESUME POWER_DOWN POWER_UP UNDRAIN\n"
                "Not all states are valid given a node's prior state\n"
            )
        order = _ORDERS[word]
    elif "reason" not in given:
        return _refused("No changes specified\n")
    if order in ("DRAIN", "FAIL", "DOWN") and not reason:
        return _refused("You must specify a reason when DOWNING or DRAINING a node. Request denied\n")
    try:
        wanted = () if names.upper() == "ALL" else tuple(hostlist.expand(names))
    except ValueError:
        return _refused(f"Invalid hostlist: {names}\n")
    return Update(nodes=NodeUpdate(wanted, order, reason))


_NODE_WORDS = frozenset({"nodename", "node", "nodes", "nodenames", "state", "reason"})


def is_denied(update: Update, job: Job, caller: Caller) -> bool:
    """Whether the caller sets of a job of his own what only operators may, or anybody what no site of ours allows.

    What the job's state does not allow any more is told instead of that, by what makes the change.
    """
    if job.is_final:
        return False
    names = {name for name, _ in update.settings}
    own = caller.user.uid == job.request.uid and not caller.is_operator
    if job.state not in WAITING:
        return own and bool(names & scontrol_settings.FOR_OPERATORS_LATER)
    return bool(names & scontrol_settings.FOR_NOBODY) or (own and bool(names & scontrol_settings.FOR_OPERATORS))
