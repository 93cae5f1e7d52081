"""The filters of sacct that no index of the store knows: sizes, limits, reasons, flags, associations."""

from dataclasses import dataclass

from adapters.slurm import jobfacts, values
from adapters.slurm.answer import Answer
from adapters.slurm.command_line import Read
from bridge.core.job import WAITING, Job
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS

Range = tuple[int, int]

_FLAGS = {name.lower(): name for name in ("SchedSubmit", "SchedMain", "SchedBackfill", "StartReceived")}


@dataclass(frozen=True, slots=True)
class Filters:
    """None: all."""

    nodes: Range | None = None
    cpus: Range | None = None
    limit_minutes: Range | None = None
    reasons: frozenset[str] | None = None
    flags: frozenset[str] | None = None
    associations: frozenset[int] | None = None

    def match(self, job: Job, association_id: int) -> bool:
        limit = (job.time_limit_seconds + 59) // 60
        return (
            _within(len(job.nodes), self.nodes)
            and _within(sum(share.cpus for share in job.nodes), self.cpus)
            and (self.limit_minutes is None or job.time_limit_seconds < UNLIMITED_SECONDS)
            and _within(limit, self.limit_minutes)
            and (self.reasons is None or jobfacts.reason_text(job).lower() in self.reasons)
            and (self.flags is None or self.flags <= set(flags_of(job)))
            and (self.associations is None or association_id in self.associations)
        )


def _within(value: int, wanted: Range | None) -> bool:
    return wanted is None or wanted[0] <= value <= wanted[1]


def flags_of(job: Job) -> list[str]:
    """Which of the scheduler's passes started it (there is one here), and that accounting heard of it."""
    started = job.started_at is not None and job.state not in WAITING
    return [*(["SchedMain"] if started else []), "StartReceived"]


def read(line: Read) -> Filters | Answer:
    associations = line.last("associations")
    numbers = [int(word) for word in (associations or "").split(",") if word.isascii() and word.isdigit()]
    try:
        return Filters(
            nodes=_range(line.last("nnodes"), "node"),
            cpus=_range(line.last("ncpus"), "cpu"),
            limit_minutes=_limit(line.last("timelimit-min"), line.last("timelimit-max")),
            reasons=_reasons(line.last("reason")),
            flags=_flags(line.last("flags")),
            associations=None if associations is None else frozenset(numbers),
        )
    except _BadFilter as bad:
        return Answer(stderr=f"sacct: {bad}\n", exit_code=1)


class _BadFilter(ValueError):
    """Its text is what sacct says."""


def _range(text: str | None, what: str) -> Range | None:
    """`4`, `2-4`"""
    if text is None:
        return None
    first, dash, last = text.partition("-")
    if not _is_number(first) or (dash and not _is_number(last)):
        raise _BadFilter(f'error: Invalid numeric value "{text}" for requested {what} range.')
    return int(first), int(last if dash else first)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _limit(least: str | None, most: str | None) -> Range | None:
    """-K alone chooses nothing; -k alone this limit exactly."""
    minutes = []
    for text in (least, most):
        try:
            minutes.append(None if text is None else (values.time_limit(text) + 59) // 60)
        except ValueError as bad:
            raise _BadFilter("fatal: Invalid time limit specification") from bad
    if minutes[0] is None:
        return None
    return minutes[0], minutes[0] if minutes[1] is None else minutes[1]


def _reasons(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    words = [word for word in text.split(",") if word]
    known = {reason.value.lower() for reason in Reason}
    for word in words:
        if word.lower() not in known:
            raise _BadFilter(f"fatal: unrecognized job reason value '{word}'")
    return frozenset(word.lower() for word in words)


def _flags(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    words = [word for word in text.split(",") if word]
    for word in words:
        if word.lower() not in _FLAGS:
            raise _BadFilter(f"error: str_2_job_flags: Invalid job flag {word}")
    return frozenset(_FLAGS[word.lower()] for word in words)
