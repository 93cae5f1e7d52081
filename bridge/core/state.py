"""The state machine: events in, new job and instructions out. Nothing outside is read or changed.

    PENDING ──Placed──▶ CONFIGURING ──Began──▶ RUNNING ──Ended──▶ COMPLETED, FAILED, TIMEOUT,
       ▲                    │  │                │   │              OUT_OF_MEMORY, NODE_FAIL
       └─────NotStarted─────┘  └──StopAsked─────┘   │
       ▲                             ▼              │
       └──(requeue)────────── COMPLETING ──Ended──▶ CANCELLED, or PENDING again

A waiting job ends by StopAsked (CANCELLED), NeverSatisfied (CANCELLED, where the site says so) and
DeadlineMissed. A final job becomes PENDING again by Requeued only.
Source of the states, codes and reasons: Slurm 25.11 as recorded in tests/slurm-oracle.jsonl.
"""

from collections.abc import Callable
from dataclasses import replace

from bridge.core.errors import IllegalStep
from bridge.core.events import (
    Began,
    DeadlineMissed,
    Delayed,
    Ended,
    EndGroup,
    Event,
    Forget,
    Held,
    Instruction,
    Lost,
    NeverSatisfied,
    NewLimit,
    NodeFailed,
    NotStarted,
    Pause,
    Placed,
    Released,
    Requeued,
    Resumed,
    Start,
    StopAsked,
    Suspended,
    Updated,
    Waits,
    WakeDependants,
)
from bridge.core.job import FINAL, ON_NODES, WAITING, End, Job, JobState, Stop
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS

REQUEUE_DELAY_SECONDS = 120
"""Slurm lets a requeued job wait about two minutes, so that a node in trouble does not take it at once."""


Step = tuple[Job, list[Instruction]]


def advance(job: Job, event: Event) -> Step:
    """Apply one event. Raises IllegalStep where the table has none for the job's state."""
    step = _STEPS.get((job.state, type(event)))
    if step is None:
        raise IllegalStep(f"job {job.key}, attempt {job.attempt}, is {job.state}: no step for {event!r}")
    after, todo = step(job, event)
    if job.state in WAITING and job.reason not in _NOT_REMEMBERED and after.reason is not job.reason:
        after = replace(after, waited_for=job.reason)
    return after, todo


_NOT_REMEMBERED = frozenset({Reason.NONE, Reason.PRIORITY, Reason.RESOURCES, Reason.NODES_NOT_AVAILABLE})


def is_legal(job: Job, event_type: type) -> bool:
    return (job.state, event_type) in _STEPS


# ── steps of a waiting job ────────────────────────────────────────────────────────────────────────


def _place(job: Job, event: Placed) -> Step:
    attempt = job.attempt + 1
    placed = job.changed(
        state=JobState.CONFIGURING,
        reason=Reason.NONE,
        reason_detail="",
        attempt=attempt,
        nodes=event.nodes,
        partition=event.partition or job.partition,
        time_limit_seconds=_limit_before_deadline(job, event.at),
        end=None,
        stop=None,
        cancelled_by_uid=None,
        started_at=None,
        ended_at=None,
        suspended_seconds=0.0,
        derived_exit_status=0,
        dependency_text="",
    )
    return placed, [Start(attempt)]


def _limit_before_deadline(job: Job, now: float) -> int:
    """With --time-min Slurm shortens the limit so far that the job ends before its deadline, in whole minutes."""
    deadline, least = job.request.deadline_at, job.request.time_min_seconds
    if deadline is None or least is None or now + job.time_limit_seconds <= deadline:
        return job.time_limit_seconds
    return max(least, int(deadline - now) // 60 * 60)


def _cancel_waiting(job: Job, event: StopAsked) -> Step:
    ended = job.changed(
        state=JobState.CANCELLED,
        started_at=event.at,
        ended_at=event.at,
        cancelled_by_uid=event.by_uid,
        end=End(cause="stopped"),
        nodes=(),
    )
    return ended, [WakeDependants(job.id)]


def _hold(job: Job, event: Held) -> Step:
    reason = Reason.HELD_ADMIN if event.by_admin else Reason.HELD_USER
    return job.changed(
        priority=0,
        reason=reason,
        reason_detail="",
        held_by_admin=event.by_admin,
        eligible_at=None,
    ), []


def _hold_on_nodes(job: Job, event: Held) -> Step:
    """It goes on, and is held once it is queued again."""
    reason = Reason.HELD_ADMIN if event.by_admin else Reason.HELD_USER
    return job.changed(priority=0, reason=reason, held_by_admin=event.by_admin), []


def _release_on_nodes(job: Job, event: Released) -> Step:
    return job.changed(priority=event.priority, reason=Reason.NONE, held_by_admin=False), []


def _release(job: Job, event: Released) -> Step:
    return job.changed(
        state=JobState.PENDING,
        priority=event.priority,
        held_by_admin=False,
        reason=Reason.NONE,
        reason_detail="",
    ), []


def _wait(job: Job, event: Waits) -> Step:
    return job.changed(
        reason=event.reason,
        reason_detail=event.detail,
        eligible_at=(job.eligible_at or event.at) if event.eligible else None,
        dependency_text=job.dependency_text if event.dependency_text is None else event.dependency_text,
    ), []


def _never(job: Job, event: NeverSatisfied) -> Step:
    if not event.kill:
        return job.changed(
            reason=Reason.DEPENDENCY_NEVER_SATISFIED,
            reason_detail="",
            eligible_at=None,
            dependency_text=event.dependency_text,
        ), []
    ended = job.changed(
        state=JobState.CANCELLED,
        reason=Reason.DEPENDENCY_NEVER_SATISFIED,
        dependency_text=event.dependency_text,
        started_at=event.at,
        ended_at=event.at,
        end=End(cause="stopped"),
    )
    return ended, [WakeDependants(job.id)]


def _miss_deadline(job: Job, event: DeadlineMissed) -> Step:
    ended = job.changed(
        state=JobState.DEADLINE,
        reason=Reason.DEADLINE,
        started_at=event.at,
        ended_at=event.at,
        end=End(signal=1, cause="deadline"),
    )
    return ended, [WakeDependants(job.id)]


def _update_waiting(job: Job, event: Updated) -> Step:
    return job.changed(
        request=event.request,
        time_limit_seconds=event.time_limit_seconds,
        partition=event.partition,
        begin_at=event.begin_at,
        priority=event.priority,
        held_by_admin=job.held_by_admin and event.priority == 0,
        dependency_text=event.dependency_text,
        # What it waits for may have changed: looked at afresh.
        reason=job.reason if event.priority == 0 else Reason.NONE,
        eligible_at=None if event.priority == 0 else job.eligible_at,
    ), []


# ── steps of a job on nodes ───────────────────────────────────────────────────────────────────────


def _begin(job: Job, event: Began) -> Step:
    if event.attempt != job.attempt:
        return job, []
    reason = job.reason if job.priority == 0 else Reason.NONE
    began = job.changed(state=JobState.RUNNING, started_at=event.at, reason=reason, reason_detail="")
    return began, [WakeDependants(job.id)]


def _delay(job: Job, event: Delayed) -> Step:
    if event.attempt != job.attempt or event.why == job.reason_detail:
        return job, []
    return job.changed(reason_detail=event.why), []


def _begin_completing(job: Job, event: Began) -> Step:
    """A cancel overtook the start; the time of the start still counts."""
    if event.attempt != job.attempt or job.started_at is not None:
        return job, []
    return job.changed(started_at=event.at), [WakeDependants(job.id)]


def _awake(job: Job, at: float) -> Job:
    """What ends a suspended job ends its standing still."""
    if job.suspended_at is None:
        return job
    stood_still = max(0.0, at - job.suspended_at)
    return replace(job, suspended_at=None, suspended_seconds=job.suspended_seconds + stood_still)


def _stop(job: Job, event: StopAsked) -> Step:
    stop = Stop("cancel", event.by_uid, event.at)
    return _awake(job, event.at).changed(state=JobState.COMPLETING, stop=stop, cancelled_by_uid=event.by_uid), [
        EndGroup(job.attempt, "cancel")
    ]


def _stop_again(job: Job, event: StopAsked) -> Step:
    """A cancel wins over a requeue under way; a second cancel changes nothing."""
    if job.stop is not None and job.stop.kind == "cancel":
        return job, [EndGroup(job.attempt, "cancel")]
    return _stop(job, event)


def _requeue_on_nodes(job: Job, event: Requeued) -> Step:
    kind = "special_exit" if event.special_exit else "requeue_hold" if event.hold else "requeue"
    return _awake(job, event.at).changed(state=JobState.COMPLETING, stop=Stop(kind, event.by_uid, event.at)), [
        EndGroup(job.attempt, "requeue")
    ]


def _fail_on_nodes(job: Job, event: NodeFailed) -> Step:
    if event.attempt != job.attempt:
        return job, []
    stop = Stop("node_fail", None, event.at)
    return _awake(job, event.at).changed(state=JobState.COMPLETING, stop=stop, reason_detail=event.why), [
        EndGroup(job.attempt, "node_fail")
    ]


def _not_started(job: Job, event: NotStarted) -> Step:
    if event.attempt != job.attempt:
        return job, []
    if job.stop is not None and job.stop.kind == "cancel":
        ended = job.changed(
            state=JobState.CANCELLED,
            started_at=job.started_at or event.at,
            ended_at=event.at,
            end=End(cause="stopped"),
            stop=None,
        )
        return ended, [Forget(event.attempt), WakeDependants(job.id)]
    if job.stop is not None:
        again, rest = _queue_again(job, event.at, job.stop.kind)
        return again, [Forget(event.attempt), *rest]
    again = job.changed(
        state=JobState.PENDING,
        reason=event.reason if job.priority > 0 else job.reason,
        reason_detail=event.why if job.priority > 0 else "",
        nodes=(),
        begin_at=event.retry_at if event.retry_at is not None else job.begin_at,
    )
    return again, [Forget(event.attempt)]


def _end(job: Job, event: Ended) -> Step:
    if event.attempt != job.attempt:
        return job, [Forget(event.attempt)]
    job = _awake(job, event.at)
    if job.stop is not None and job.stop.kind == "node_fail":
        return _fail_node(job, event.at, event.attempt, job.reason_detail, event.end)
    if job.stop is not None and job.stop.kind != "cancel":
        again, rest = _queue_again(job, event.at, job.stop.kind)
        return again, [Forget(event.attempt), *rest]
    state, reason, detail, end = judge_end(event.end, cancelled=job.stop is not None)
    if state is JobState.PREEMPTED and job.request.requeue is not False:
        again, rest = _queue_again(job, event.at, "requeue")
        return replace(again, reason_detail=detail), [Forget(event.attempt), *rest]
    if state is JobState.NODE_FAIL:
        return _fail_node(job, event.at, event.attempt, event.end.detail, event.end)
    ended = job.changed(
        state=state,
        reason=reason,
        reason_detail=detail,
        end=end,
        derived_exit_status=event.derived_exit_status,
        # A job whose launch failed never began; Slurm gives it start = end.
        started_at=job.started_at if job.started_at is not None else event.at,
        ended_at=event.at,
        stop=None,
    )
    return ended, [Forget(event.attempt), WakeDependants(job.id)]


def judge_end(end: End, *, cancelled: bool) -> tuple[JobState, Reason, str, End]:
    """State, reason, its detail and the exit code on record, from what the agent saw.

    Codes as 25.11 shows them: TIMEOUT 0:15, OUT_OF_MEMORY 0:125, launch failure 0:53.
    """
    if end.cause == "node_fail":
        return JobState.NODE_FAIL, Reason.NODE_DOWN, end.detail, end
    if cancelled:
        return JobState.CANCELLED, Reason.NONE, "", end
    if end.cause == "preempted":
        return JobState.PREEMPTED, Reason.NONE, end.detail, end
    if end.cause == "stopped":
        # Nobody here asked for it: its node was drained, or taken from it.
        return JobState.NODE_FAIL, Reason.NODE_DOWN, end.detail, end
    if end.cause == "time_limit":
        return JobState.TIMEOUT, Reason.TIME_LIMIT, "", end
    if end.cause == "out_of_memory":
        return JobState.OUT_OF_MEMORY, Reason.OUT_OF_MEMORY, end.detail, _with_code(end, 0, 125)
    if end.cause == "launch_failed":
        return JobState.FAILED, Reason.LAUNCH_FAILURE, end.detail, end
    if end.signal:
        return JobState.FAILED, Reason.RAISED_SIGNAL, f"{end.signal}", end
    if end.exit_status:
        return JobState.FAILED, Reason.NON_ZERO_EXIT, "", end
    return JobState.COMPLETED, Reason.NONE, "", end


def _with_code(end: End, exit_status: int, signal: int) -> End:
    return End(exit_status, signal, end.cause, end.detail, end.max_rss_kib, end.user_seconds, end.system_seconds)


def _lose(job: Job, event: Lost) -> Step:
    if event.attempt != job.attempt:
        return job, [Forget(event.attempt)]
    job = _awake(job, event.at)
    if job.stop is not None and job.stop.kind == "cancel":
        ended = job.changed(
            state=JobState.CANCELLED,
            end=End(signal=9, cause="stopped", detail=event.why),
            started_at=job.started_at or event.at,
            ended_at=event.at,
            stop=None,
        )
        return ended, [Forget(event.attempt), WakeDependants(job.id)]
    if job.stop is not None and job.stop.kind != "node_fail":
        again, rest = _queue_again(job, event.at, job.stop.kind)
        return again, [Forget(event.attempt), *rest]
    return _fail_node(job, event.at, event.attempt, event.why, End(signal=1, cause="node_fail", detail=event.why))


def _fail_node(job: Job, at: float, attempt: int, why: str, end: End) -> Step:
    """A lost node requeues the job where it may be, and ends it as NODE_FAIL otherwise."""
    if job.request.requeue is not False:
        again, rest = _queue_again(job, at, "requeue")
        return replace(again, reason_detail=why), [Forget(attempt), *rest]
    ended = job.changed(
        state=JobState.NODE_FAIL,
        reason=Reason.NODE_DOWN,
        reason_detail=why,
        end=_with_code(end, 0, 1),
        started_at=job.started_at or at,
        ended_at=at,
        stop=None,
    )
    return ended, [Forget(attempt), WakeDependants(job.id)]


def _queue_again(job: Job, at: float, kind: str) -> Step:
    """PENDING once more, same id. `kind` as in `Stop.kind`. As in Slurm every requeue counts as a restart, also of
    a job that never began; a hold that was not released, and a later time to begin, still hold."""
    hold = kind in ("requeue_hold", "special_exit")
    if hold:
        reason = Reason.REQUEUED_HELD
    elif job.priority == 0:
        reason = Reason.HELD_ADMIN if job.held_by_admin else Reason.HELD_USER
    else:
        reason = Reason.BEGIN_TIME
    return job.changed(
        state=JobState.SPECIAL_EXIT if kind == "special_exit" else JobState.PENDING,
        reason=reason,
        reason_detail="",
        priority=0 if hold else job.priority,
        restarts=job.restarts + 1,
        begin_at=max(job.begin_at or 0.0, at + REQUEUE_DELAY_SECONDS),
        eligible_at=None,
        started_at=None,
        ended_at=None,
        nodes=(),
        end=None,
        stop=None,
        cancelled_by_uid=None,
        suspended_seconds=0.0,
    ), []


def _requeue_final(job: Job, event: Requeued) -> Step:
    kind = "special_exit" if event.special_exit else "requeue_hold" if event.hold else "requeue"
    return _queue_again(job, event.at, kind)


def _hold_waiting_again(job: Job, event: Requeued) -> Step:
    """requeuehold of a job that waits is a hold; a plain requeue has nothing to do."""
    if not (event.hold or event.special_exit):
        return job, []
    return job.changed(
        state=JobState.SPECIAL_EXIT if event.special_exit else job.state,
        priority=0,
        reason=Reason.REQUEUED_HELD,
        reason_detail="",
        eligible_at=None,
    ), []


def _suspend(job: Job, event: Suspended) -> Step:
    return job.changed(state=JobState.SUSPENDED, suspended_at=event.at), [Pause(job.attempt, resume=False)]


def _resume(job: Job, event: Resumed) -> Step:
    return _awake(job, event.at).changed(state=JobState.RUNNING), [Pause(job.attempt, resume=True)]


def _update_running(job: Job, event: Updated) -> Step:
    todo: list[Instruction] = []
    if event.time_limit_seconds != job.time_limit_seconds:
        todo.append(NewLimit(job.attempt, event.time_limit_seconds))
    is_freed = job.priority == 0 and event.priority > 0
    changed = job.changed(
        request=event.request,
        time_limit_seconds=event.time_limit_seconds,
        priority=event.priority,
        reason=Reason.NONE if is_freed else job.reason,
        held_by_admin=job.held_by_admin and not is_freed,
    )
    return changed, todo


def _ignore_old(job: Job, event: Began | Ended | Lost | NotStarted) -> Step:
    """News of an attempt that is over: the backend may forget it, nothing else happens."""
    return job, [] if isinstance(event, Began) else [Forget(event.attempt)]


_STEPS: dict[tuple[JobState, type], Callable[[Job, object], Step]] = {}


def _table(states: frozenset[JobState] | set[JobState], event: type, step: Callable[..., Step]) -> None:
    for state in states:
        _STEPS[state, event] = step


_WAITING = {JobState.PENDING, JobState.SPECIAL_EXIT}
_LIVE = {JobState.CONFIGURING, JobState.RUNNING, JobState.SUSPENDED}

_table({JobState.PENDING}, Placed, _place)
_table(_WAITING, StopAsked, _cancel_waiting)
_table(_WAITING, Held, _hold)
_table(_WAITING, Released, _release)
_table({JobState.PENDING}, Waits, _wait)
_table({JobState.PENDING}, NeverSatisfied, _never)
_table(_WAITING, DeadlineMissed, _miss_deadline)
_table(_WAITING, Updated, _update_waiting)
_table(_WAITING, Requeued, _hold_waiting_again)

_table({JobState.CONFIGURING}, Began, _begin)
_table({JobState.CONFIGURING}, Delayed, _delay)
_table({JobState.RUNNING, JobState.SUSPENDED}, Began, lambda job, event: (job, []))
_table({JobState.COMPLETING}, Began, _begin_completing)
_table(_LIVE, StopAsked, _stop)
_table({JobState.COMPLETING}, StopAsked, _stop_again)
_table(_LIVE, Requeued, _requeue_on_nodes)
_table(_LIVE, NodeFailed, _fail_on_nodes)
_table({JobState.COMPLETING}, NodeFailed, lambda job, event: (job, []))
_table({JobState.CONFIGURING, JobState.COMPLETING}, NotStarted, _not_started)
_table(set(ON_NODES), Ended, _end)
_table(set(ON_NODES), Lost, _lose)
_table(set(ON_NODES), Held, _hold_on_nodes)
_table(set(ON_NODES), Released, _release_on_nodes)
_table({JobState.RUNNING}, Suspended, _suspend)
_table({JobState.SUSPENDED}, Resumed, _resume)
_table(_LIVE, Updated, _update_running)

_table(set(FINAL), Requeued, _requeue_final)
for _news in (Began, Ended, Lost, NotStarted):
    _table(_WAITING | set(FINAL), _news, _ignore_old)


def broken_invariants(job: Job) -> list[str]:
    """What must hold of every job, whatever happened to it. Empty when all is well; run in tests after each step."""
    wrong = []
    if job.is_final and job.ended_at is None:
        wrong.append("final without an end time")
    if job.is_final and job.end is None:
        wrong.append("final without an end")
    if not job.is_final and job.ended_at is not None:
        wrong.append("has an end time but is not final")
    if (job.state in ON_NODES) != bool(job.nodes) and not job.is_final:
        wrong.append("nodes are held exactly while it is on nodes")
    if job.state in (JobState.RUNNING, JobState.SUSPENDED) and job.started_at is None:
        wrong.append("runs without a start time")
    if (job.state is JobState.COMPLETING) != (job.stop is not None):
        wrong.append("a stop is on record exactly while completing")
    if job.state in ON_NODES and job.attempt == 0:
        wrong.append("on nodes without an attempt")
    if (job.state is JobState.SUSPENDED) != (job.suspended_at is not None):
        wrong.append("the time of a suspension is on record exactly while suspended")
    if job.held_by_admin and job.priority > 0:
        wrong.append("held by an operator, yet not held")
    if job.started_at is not None and job.ended_at is not None and job.ended_at < job.started_at:
        wrong.append("ended before it started")
    if job.task_index is not None and job.waiting is not None:
        wrong.append("a task cannot hold waiting tasks")
    if job.time_limit_seconds <= 0 or job.time_limit_seconds > UNLIMITED_SECONDS:
        wrong.append("time limit out of range")
    return wrong
