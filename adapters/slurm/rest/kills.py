"""`DELETE jobs/`: which jobs are meant, and what is sent to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.slurm import hostlist, selectors, states, values
from adapters.slurm.rest import envelope, job_words, parsing
from adapters.slurm.rest.envelope import Error, Said
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.shapes import STRINGS, TEXT, Flags, Json, Record
from adapters.slurm.selectors import Selected
from bridge.core.job import Job

BODY = Record(
    "kill_jobs_msg",
    {
        "account": TEXT,
        "flags": job_words.KILL_FLAGS,
        "job_name": TEXT,
        "jobs": STRINGS,
        "partition": TEXT,
        "qos": TEXT,
        "reservation": TEXT,
        "signal": TEXT,
        "job_state": Flags(job_words.STATE),
        "user_id": TEXT,
        "user_name": TEXT,
        "wckey": TEXT,
        "nodes": STRINGS,
    },
)
ZERO_ID, ZERO_TEXT = 2137, "JobID can not be zero"
NOTHING_NAMED = 2173
NOTHING_TEXT = "Invalid signal jobs request, at least one job id or filter is required."


@dataclass(frozen=True, slots=True)
class Wanted:
    """None: no such filter."""

    jobs: tuple[tuple[str, Selected | None], ...] | None
    """(as written, the id; None: it is none)"""
    users: tuple[int | str, ...] | None
    names: tuple[str, ...] | None
    partitions: tuple[str, ...] | None
    accounts: tuple[str, ...] | None
    qos: tuple[str, ...] | None
    nodes: tuple[str, ...] | None
    states: tuple[str, ...]
    wckey: str | None
    reservation: str | None
    flags: tuple[str, ...]
    signal: int | None
    """None: they are cancelled."""
    is_bad_signal: bool

    @property
    def has_filter(self) -> bool:
        texts = (self.users, self.names, self.partitions, self.accounts, self.qos, self.nodes)
        return any(one is not None for one in (*texts, self.wckey, self.reservation)) or bool(self.states)


def read(body: Json, version: int, said: Said) -> Wanted:
    given = parsing.an_object(body, "#/")
    if "jobs" in given and given["jobs"] is not None and not isinstance(given["jobs"], list):
        parsing.warn_of_type(given["jobs"], STRINGS, "#/jobs/", said)
        kind = parsing.kind_of(given["jobs"])[1]
        described = f"Unexpected type {kind} when expecting a list"
        raise Failed(Error(described, envelope.NOT_CONVERTED, "_parse_KILL_JOBS_MSG_JOBS_ARRAY"))
    found = parsing.record(given, BODY, "#/", said, "KILL_JOBS_MSG", version)
    signal, is_bad = _signal(found, said)
    listed = found.get("jobs")
    for one in given.get("jobs") or ():
        if not isinstance(one, str):
            parsing.warn_of_type(one, TEXT, "#/jobs/", said)
    users: list[int | str] = [found["user_name"]] if found.get("user_name") else []
    if found.get("user_id"):
        users.append(int(found["user_id"]) if found["user_id"].isdigit() else found["user_id"])
    nodes = ",".join(found.get("nodes") or ())
    return Wanted(
        jobs=tuple((word, selectors.parse(word)) for word in listed) if listed else None,
        users=tuple(users) or None,
        names=_one(found, "job_name"),
        partitions=_one(found, "partition"),
        accounts=_one(found, "account"),
        qos=_one(found, "qos"),
        nodes=tuple(hostlist.expand(nodes)) if nodes else None,
        states=found.get("job_state", ()),
        wckey=found.get("wckey") or None,
        reservation=found.get("reservation") or None,
        flags=found.get("flags", ()),
        signal=signal,
        is_bad_signal=is_bad,
    )


def _signal(found: Mapping[str, Any], said: Said) -> tuple[int | None, bool]:
    """(number, whether it is none); KILL cancels."""
    text = found.get("signal")
    if not text:
        return None, False
    try:
        number = values.signal_number(text)
    except values.BadValue:
        said.error("Unknown signal (null)", envelope.SUCCESS, "#/signal/")
        return None, True
    return (None if number == 9 else number), False


def _one(found: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    return (found[name],) if found.get(name) else None


def matches(wanted: Wanted, job: Job) -> bool:
    """Filters that the store does not know."""
    request = job.request
    if wanted.wckey is not None and request.wckey != wanted.wckey:
        return False
    if wanted.reservation is not None and request.reservation != wanted.reservation:
        return False
    return not wanted.states or any(job.state in (states.matching(word) or ()) for word in wanted.states)
