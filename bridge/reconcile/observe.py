"""What a backend saw, as events of the state machine. Pure."""

from bridge.backends.port import Sighting
from bridge.core import state
from bridge.core.job import ON_NODES, Job, JobState
from bridge.core.reasons import Reason


def events_of(job: Job, sighting: Sighting, now: float) -> list[state.Event]:
    """In order. A sighting may tell of several steps at once, when the bridge was away meanwhile."""
    if sighting.attempt != job.attempt or job.state not in ON_NODES:
        return _news_of_the_past(job, sighting)
    events: list[state.Event] = []
    began_at = (
        sighting.began_at if sighting.began_at is not None else sighting.at if sighting.phase == "running" else None
    )
    if began_at is not None and job.started_at is None and sighting.phase in ("running", "ended", "lost"):
        events.append(state.Began(began_at, job.attempt))
    match sighting.phase:
        case "ended":
            assert sighting.end is not None
            at = _not_before(sighting.at, began_at)
            events.append(state.Ended(at, job.attempt, sighting.end, sighting.derived_exit_status))
        case "lost":
            events.append(state.Lost(_not_before(sighting.at, began_at or job.started_at), job.attempt, sighting.why))
        case "not_started" if job.state in (JobState.CONFIGURING, JobState.COMPLETING):
            retry_at = now + retry_delay_seconds(job)
            events.append(state.NotStarted(sighting.at, job.attempt, sighting.why, Reason.LAUNCH_FAILURE, retry_at))
        case _:
            pass
    return events


def _news_of_the_past(job: Job, sighting: Sighting) -> list[state.Event]:
    """An attempt that is over in our rows: its end makes the state machine say that it may be forgotten."""
    if sighting.phase in ("ended", "lost", "not_started"):
        return [state.Lost(sighting.at, sighting.attempt, sighting.why)]
    return []


def _not_before(at: float, began_at: float | None) -> float:
    """Clocks may be set back; an end is never before its start."""
    return at if began_at is None else max(at, began_at)


def retry_delay_seconds(job: Job) -> float:
    """Before a placement that came to nothing is tried again: 2 s, doubled each time, at most 5 minutes."""
    return float(min(300, 2 << max(0, min(8, job.attempt - job.restarts))))
