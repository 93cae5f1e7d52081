"""Mail about jobs: on which occasions it is sent, with Slurm's subjects, and the message for sendmail. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.slurm import durations
from bridge.core.job import ON_NODES, Job, JobState

FAILED = frozenset(
    {
        JobState.FAILED,
        JobState.TIMEOUT,
        JobState.NODE_FAIL,
        JobState.BOOT_FAIL,
        JobState.DEADLINE,
        JobState.OUT_OF_MEMORY,
    }
)
"""Ends that --mail-type=FAIL is about; a cancelled job has not failed."""

SHARES_OF_LIMIT = {"TIME_LIMIT_50": 0.5, "TIME_LIMIT_80": 0.8, "TIME_LIMIT_90": 0.9}

_BEGAN, _ENDED, _REQUEUED, _INVALID = "Began", "Ended", "Requeued", "NeverSatisfied"


@dataclass(frozen=True, slots=True)
class Mail:
    id: str
    """Names the occasion: none is told twice."""
    key_id: int
    to: str
    subject: str


def on_event(kind: str, state: JobState, seq: int, at: float, job: Job, began_at: float | None = None) -> list[Mail]:
    """What one row of history calls for, of a plain job, or of an array's task whose owner asked for each.

    `state`: after the event. `began_at`: when the attempt began that a requeue ended; `at`: of the event.
    """
    wanted = set(job.request.mail_types)
    who = name_of(job)
    texts: list[tuple[str, str]] = []
    if kind == _BEGAN and "BEGIN" in wanted:
        waited = (job.started_at or job.submitted_at) - (job.eligible_at or job.submitted_at)
        texts.append(("BEGIN", f"{who} Began, Queued time {durations.long(max(0.0, waited))}"))
    elif kind == _REQUEUED and "REQUEUE" in wanted and began_at is not None:
        texts.append(("REQUEUE", f"{who} Requeued, Run time {durations.long(max(0.0, at - began_at))}"))
    elif kind == _INVALID and "INVALID_DEPEND" in wanted:
        texts.append(("INVALID_DEPEND", f"{who} Invalid dependency"))
    if is_end(state) and job.state is state:
        ran = durations.long(run_seconds(job))
        if state is JobState.TIMEOUT and "TIME_LIMIT" in wanted:
            texts.append(("TIME_LIMIT", f"{who} Reached time limit, Run time {ran}"))
        verb = _verb(wanted, has_failed=state in FAILED)
        if verb is not None:
            texts.append(("END", f"{who} {verb}, Run time {ran}, {state}{_exit_code(job)}"))
    return [_mail(f"{seq}-{what}", job, text) for what, text in texts]


def is_end(state: JobState) -> bool:
    return state in FAILED or state in (JobState.COMPLETED, JobState.CANCELLED, JobState.PREEMPTED)


def on_clock(job: Job, now: float) -> list[Mail]:
    """Shares of its time limit that a running job has reached."""
    if job.started_at is None or job.state not in ON_NODES:
        return []
    ran = now - job.started_at - job.suspended_seconds
    return [
        _mail(
            f"{job.id}.{job.attempt}-{kind}",
            job,
            f"{name_of(job)} Reached {share:.0%} of time limit, Run time {durations.long(ran)}",
        )
        for kind, share in SHARES_OF_LIMIT.items()
        if kind in job.request.mail_types and ran >= share * job.time_limit_seconds
    ]


def wants_clock(job: Job) -> bool:
    return not SHARES_OF_LIMIT.keys().isdisjoint(job.request.mail_types)


def is_summary(job: Job) -> bool:
    """Whether all of an array is told of together."""
    return (job.array_id is not None or job.is_array) and "ARRAY_TASKS" not in job.request.mail_types


def array_began(job: Job) -> list[Mail]:
    if "BEGIN" not in job.request.mail_types:
        return []
    return [_mail(f"{job.key.id}-BEGIN", job, f"{_array_name(job)} Began")]


def array_ended(job: Job, tasks: Sequence[Job]) -> list[Mail]:
    """Once all tasks have ended. A task that was cancelled counts as killed, as in Slurm."""
    signals = [9 if one.state is JobState.CANCELLED else one.end.signal if one.end else 0 for one in tasks]
    codes = [one.end.exit_status if one.end else 0 for one in tasks]
    if any(signals):
        text, has_failed = f"Mixed, MaxSignal [{max(signals)}]", False
    else:
        low, high = min(codes, default=0), max(codes, default=0)
        word = "COMPLETED" if high == 0 else "FAILED" if low > 0 else "Mixed"
        text, has_failed = f"{word}, ExitCode [{low}-{high}]", high > 0
    verb = _verb(set(job.request.mail_types), has_failed=has_failed)
    return [] if verb is None else [_mail(f"{job.key.id}-END", job, f"{_array_name(job)} {verb}, {text}")]


def _verb(wanted: set[str], *, has_failed: bool) -> str | None:
    if has_failed and "FAIL" in wanted:
        return "Failed"
    return "Ended" if "END" in wanted else None


def _exit_code(job: Job) -> str:
    """A script that a signal killed has none; what ended by the clock or on request counts as 0."""
    if job.end is None or job.state in (JobState.CANCELLED, JobState.TIMEOUT, JobState.DEADLINE, JobState.NODE_FAIL):
        return ", ExitCode 0"
    return "" if job.end.signal else f", ExitCode {job.end.exit_status}"


def run_seconds(job: Job) -> float:
    if job.started_at is None or job.ended_at is None:
        return 0.0
    return max(0.0, job.ended_at - job.started_at - job.suspended_seconds)


def name_of(job: Job) -> str:
    if job.array_id is not None:
        return f"Slurm Array Task Job_id={job.array_id}_{job.task_index} ({job.id}) Name={job.request.name}"
    return f"Slurm Job_id={job.id} Name={job.request.name}"


def _array_name(job: Job) -> str:
    return f"Slurm Array Summary Job_id={job.key.id}_* ({job.key.id}) Name={job.request.name}"


def _mail(name: str, job: Job, subject: str) -> Mail:
    return Mail(name, job.key.id, job.request.mail_user or job.request.user, subject)


# ── the message ───────────────────────────────────────────────────────────────────────────────────


def addresses(to: str, domain: str | None) -> tuple[str, ...]:
    """`bob,alice@x`: a plain name gets the site's domain. What could be taken for an option or a header is left out."""
    found = []
    for word in to.split(","):
        name = word.strip()
        if not name or name.startswith("-") or any(ord(letter) < 33 or ord(letter) == 127 for letter in name):
            continue
        found.append(f"{name}@{domain}" if domain and "@" not in name else name)
    return tuple(found)


def message(mail: Mail, to: Sequence[str], sender: str | None, cluster: str) -> bytes:
    """Headers and text, as sendmail takes it on standard input."""
    subject = one_line(mail.subject)
    headers = {"To": ", ".join(to), "Subject": subject, "Auto-Submitted": "auto-generated"}
    if sender is not None:
        headers = {"From": sender, **headers}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
    return ("\n".join([*lines, "", subject, "", f"Cluster {cluster}"]) + "\n").encode("utf-8", "replace")


def one_line(text: str) -> str:
    """Names come from users: no line of theirs becomes a header."""
    return "".join(letter if ord(letter) >= 32 and ord(letter) != 127 else " " for letter in text)


def filled(command: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The site's argument list with `{to}` and `{subject}` in place."""
    done = []
    for word in command:
        for name, value in values.items():
            word = word.replace(f"{{{name}}}", value)
        done.append(word)
    return done
