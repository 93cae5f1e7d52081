"""What a backend saw, as events of the state machine. Pure."""

from bridge.backends.port import Sighting
from bridge.core import events
from bridge.core.job import ON_NODES, End, Job, JobState
from bridge.core.reasons import Reason

PLACEMENTS_OF_A_FAULT = 2
"""Of a job whose attempts cannot start for a reason that time does not mend, before that ends it."""

_LAUNCH_FAILED_SIGNAL = 53
"""What Slurm shows of a script that could not be started: 0:53."""


def events_of(job: Job, sighting: Sighting, now: float) -> list[events.Event]:
    """In order. A sighting may tell of several steps at once, when the bridge was away meanwhile."""
    if sighting.attempt != job.attempt or job.state not in ON_NODES:
        return _news_of_the_past(sighting)
    news: list[events.Event] = []
    began_at = (
        sighting.began_at if sighting.began_at is not None else sighting.at if sighting.phase == "running" else None
    )
    if began_at is not None and job.started_at is None and sighting.phase in ("running", "ended", "lost"):
        news.append(events.Began(began_at, job.attempt))
    match sighting.phase:
        case "ended":
            assert sighting.end is not None
            at = _not_before(sighting.at, began_at)
            news.append(events.Ended(at, job.attempt, sighting.end, sighting.derived_exit_status))
        case "lost":
            news.append(events.Lost(_not_before(sighting.at, began_at or job.started_at), job.attempt, sighting.why))
        case "not_started" if job.state in (JobState.CONFIGURING, JobState.COMPLETING):
            news.append(_not_started(job, sighting, now))
        case "starting" if job.state is JobState.CONFIGURING and _is_another(job.reason_detail, sighting.why):
            news.append(events.Delayed(sighting.at, job.attempt, sighting.why))
        case _:
            pass
    return news


def _not_started(job: Job, sighting: Sighting, now: float) -> events.Event:
    """A fault that time alone does not mend is given another placement, and after that ends the job."""
    if sighting.hindrance == "fault" and job.stop is None and job.attempt - job.restarts >= PLACEMENTS_OF_A_FAULT:
        end = End(signal=_LAUNCH_FAILED_SIGNAL, cause="launch_failed", detail=sighting.why)
        return events.Ended(sighting.at, job.attempt, end)
    reason = Reason.RESOURCES if sighting.hindrance == "room" else Reason.LAUNCH_FAILURE
    return events.NotStarted(sighting.at, job.attempt, sighting.why, reason, now + retry_delay_seconds(job))


def _is_another(known: str, why: str) -> bool:
    """The same hindrance may be told in turn in longer and in shorter words; its first word says which it is."""
    return bool(why) and known.partition(":")[0] != why.partition(":")[0]


def _news_of_the_past(sighting: Sighting) -> list[events.Event]:
    """An attempt that is over in our rows: its end makes the state machine say that it may be forgotten."""
    if sighting.phase in ("ended", "lost", "not_started"):
        return [events.Lost(sighting.at, sighting.attempt, sighting.why)]
    return []


def _not_before(at: float, began_at: float | None) -> float:
    """Clocks may be set back; an end is never before its start."""
    return at if began_at is None else max(at, began_at)


def retry_delay_seconds(job: Job) -> float:
    """Before a placement that came to nothing is tried again: 4 s, doubled each time, at most 5 minutes."""
    return float(min(300, 2 << max(0, min(8, job.attempt - job.restarts))))
