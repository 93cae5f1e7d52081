"""A job's history in sentences for people. Pure; the rows come from the store.

Knows every kind of event that `core.state` has (a test proves it), and says something useful of one it does not
know, since rows may come from a newer release.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bridge.core.job import JobState
from bridge.core.reasons import SENTENCES, Reason
from bridge.core.request import UNLIMITED_SECONDS


class Row(Protocol):
    """As `store.records.HistoryRow`."""

    @property
    def kind(self) -> str: ...
    @property
    def state(self) -> JobState: ...
    @property
    def reason(self) -> Reason: ...
    @property
    def attempt(self) -> int: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


NameOf = Callable[[int], str]
"""uid → the user's name"""


def sentence(row: Row, name_of: NameOf = lambda uid: f"uid {uid}") -> str:
    """One sentence that says what happened, without the time, ending in a full stop."""
    tell = _SENTENCES.get(row.kind)
    text = tell(row, name_of) if tell else f"{row.kind}; it is {row.state} now"
    return text[0].upper() + text[1:] + "."


def _submitted(row: Row, name_of: NameOf) -> str:
    return "submitted" if row.reason is Reason.NONE else f"submitted; {SENTENCES[row.reason]}"


def _placed(row: Row, name_of: NameOf) -> str:
    shares = row.data.get("nodes", ())
    names = ", ".join(share["node"] for share in shares)
    cpus = sum(share["cpus"] for share in shares)
    partition = row.data.get("partition")
    where = f"partition {partition}, {names}" if partition else names
    return f"attempt {row.attempt} was given {where} ({cpus} {'CPU' if cpus == 1 else 'CPUs'})"


def _began(row: Row, name_of: NameOf) -> str:
    return f"the script was started (attempt {row.attempt})"


def _ended(row: Row, name_of: NameOf) -> str:
    end = row.data.get("end") or {}
    return f"{_how(end)}; {_consequence(row)}{_used(end)}"


def _how(end: Mapping[str, Any]) -> str:
    detail = f" ({end['detail']})" if end.get("detail") else ""
    match end.get("cause", "exit"):
        case "time_limit":
            return f"the time limit was reached and the job was ended{detail}"
        case "out_of_memory":
            return f"it used more memory than it may and was ended{detail}"
        case "launch_failed":
            return f"the script could not be started{detail}"
        case "node_fail":
            return f"a node was lost{detail}"
        case "stopped":
            return f"it was ended as asked{detail}"
        case _ if end.get("signal"):
            return f"signal {end['signal']} ended the script{detail}"
        case _:
            return f"the script ended with status {end.get('exit_status', 0)}{detail}"


def _consequence(row: Row) -> str:
    if row.state is JobState.PENDING:
        return f"the job waits again: {SENTENCES[row.reason]}"
    if row.state is JobState.SPECIAL_EXIT:
        return "the job is held as a special exit"
    return f"the job is {row.state}"


def _used(end: Mapping[str, Any]) -> str:
    parts = []
    if end.get("max_rss_kib"):
        parts.append(f"{math.ceil(end['max_rss_kib'] / 1024)} MiB at most")
    seconds = end.get("user_seconds", 0.0) + end.get("system_seconds", 0.0)
    if seconds:
        parts.append(f"{seconds:.1f} s of CPU time")
    return f"; it used {' and '.join(parts)}" if parts else ""


def _lost(row: Row, name_of: NameOf) -> str:
    return f"attempt {row.attempt} is over and nobody saw how{_because(row)}; {_consequence(row)}"


def _not_started(row: Row, name_of: NameOf) -> str:
    return f"attempt {row.attempt} was given up before its script was started{_because(row)}; {_consequence(row)}"


def _delayed(row: Row, name_of: NameOf) -> str:
    return f"attempt {row.attempt} cannot start yet{_because(row)}"


def _stop_asked(row: Row, name_of: NameOf) -> str:
    after = "it had not started" if row.state is JobState.CANCELLED else "its processes are being ended"
    return f"cancelled by {_who(row, name_of)}{_because(row)}; {after}"


def _requeued(row: Row, name_of: NameOf) -> str:
    how = "requeued as a special exit" if row.data.get("special_exit") else "requeued"
    held = " and held" if row.data.get("hold") or row.data.get("special_exit") else ""
    ending = "; what runs of it is being ended first" if row.state is JobState.COMPLETING else ""
    return f"{how}{held} by {_who(row, name_of)}{ending}"


def _held(row: Row, name_of: NameOf) -> str:
    operator = ", an operator" if row.data.get("by_admin") else ""
    return f"held by {_who(row, name_of)}{operator}"


def _released(row: Row, name_of: NameOf) -> str:
    return f"released by {_who(row, name_of)}"


def _waits(row: Row, name_of: NameOf) -> str:
    detail = f" ({row.data['detail']})" if row.data.get("detail") else ""
    rest = f": {row.data['dependency_text']}" if row.data.get("dependency_text") else ""
    return f"it waits: {SENTENCES[row.reason]}{detail}{rest}"


def _never_satisfied(row: Row, name_of: NameOf) -> str:
    text = f" ({row.data['dependency_text']})" if row.data.get("dependency_text") else ""
    after = "cancelled, as the site or the job asks" if row.data.get("kill") else "it stays in the queue"
    return f"what it waits for can no longer happen{text}; {after}"


def _deadline_missed(row: Row, name_of: NameOf) -> str:
    return "it could not end before its deadline and was given up"


def _node_failed(row: Row, name_of: NameOf) -> str:
    return f"a node of attempt {row.attempt} was given up{_because(row)}; what is left of it is being ended"


def _suspended(row: Row, name_of: NameOf) -> str:
    return f"suspended by {_who(row, name_of)}"


def _resumed(row: Row, name_of: NameOf) -> str:
    return f"resumed by {_who(row, name_of)}"


def _updated(row: Row, name_of: NameOf) -> str:
    what = row.data.get("what")
    limit = row.data.get("time_limit_seconds")
    in_force = "; no time limit" if limit is not None and limit >= UNLIMITED_SECONDS else ""
    return f"changed by {_who(row, name_of)}{f': {what}' if what else ''}{in_force}"


def _throttled(row: Row, name_of: NameOf) -> str:
    throttle = row.data.get("throttle")
    how = f"at most {throttle} tasks at a time" if throttle else "no limit on tasks at a time"
    return f"changed by {_who(row, name_of)}: {how}"


def _who(row: Row, name_of: NameOf) -> str:
    uid = row.data.get("by_uid")
    return "the bridge" if uid is None else name_of(uid)


def _because(row: Row) -> str:
    return f" ({row.data['why']})" if row.data.get("why") else ""


_SENTENCES: dict[str, Callable[[Row, NameOf], str]] = {
    "Submitted": _submitted,
    "Placed": _placed,
    "Began": _began,
    "Ended": _ended,
    "Lost": _lost,
    "NotStarted": _not_started,
    "Delayed": _delayed,
    "StopAsked": _stop_asked,
    "Requeued": _requeued,
    "Held": _held,
    "Released": _released,
    "Waits": _waits,
    "NeverSatisfied": _never_satisfied,
    "DeadlineMissed": _deadline_missed,
    "NodeFailed": _node_failed,
    "Suspended": _suspended,
    "Resumed": _resumed,
    "Updated": _updated,
    "Throttled": _throttled,
}
KINDS = frozenset(_SENTENCES)
