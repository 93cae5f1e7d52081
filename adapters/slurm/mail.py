"""Mail about jobs: on which occasions it is sent, with Slurm's subjects, and the message for sendmail. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapters.slurm import durations, mail_environment
from adapters.slurm.mail_environment import Context, Moment
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
    environment: tuple[tuple[str, str], ...] = ()
    """For the mail program."""


@dataclass(frozen=True, slots=True)
class Attempt:
    began_at: float
    nodes: tuple[tuple[str, int], ...] = ()
    """(node, CPUs)"""


def on_event(
    kind: str,
    state: JobState,
    seq: int,
    at: float,
    job: Job,
    context: Context,
    before: Attempt | None = None,
) -> list[Mail]:
    """What one row of history calls for, of a plain job, or of an array's task whose owner asked for each.

    `state`: after the event; `at`: of the event. `before`: the attempt that a requeue ended; None: there was none.
    """
    wanted = set(job.request.mail_types)
    told: list[tuple[str, str, Moment]] = []
    held = _held(job)
    if kind == _BEGAN and "BEGIN" in wanted:
        waited = max(0.0, (job.started_at or job.submitted_at) - (job.eligible_at or job.submitted_at))
        began = Moment("Began", JobState.RUNNING, held, job.started_at or at, queued_seconds=waited)
        told.append(("BEGIN", f"Began, Queued time {durations.long(waited)}", began))
    elif kind == _REQUEUED and "REQUEUE" in wanted and before is not None:
        ran = max(0.0, at - before.began_at)
        again = Moment("Requeued", JobState.PENDING, before.nodes, before.began_at, at, run_seconds=ran)
        told.append(("REQUEUE", f"Requeued, Run time {durations.long(ran)}", again))
    elif kind == _INVALID and "INVALID_DEPEND" in wanted:
        told.append(("INVALID_DEPEND", "Invalid dependency", Moment("Invalid dependency", JobState.PENDING)))
    if is_end(state) and job.state is state:
        told += _ends(wanted, job, held)
    return [_mail(f"{seq}-{what}", job, f"{name_of(job)} {text}", moment, context) for what, text, moment in told]


def _ends(wanted: set[str], job: Job, held: tuple[tuple[str, int], ...]) -> list[tuple[str, str, Moment]]:
    ran = run_seconds(job)
    text = durations.long(ran)
    moment = Moment("Ended", job.state, held, job.started_at, job.ended_at, run_seconds=ran, has_end=True)
    told: list[tuple[str, str, Moment]] = []
    if job.state is JobState.TIMEOUT and "TIME_LIMIT" in wanted:
        reached = Moment("Reached time limit", JobState.RUNNING, held, job.started_at, run_seconds=ran)
        told.append(("TIME_LIMIT", f"Reached time limit, Run time {text}", reached))
    verb = _verb(wanted, has_failed=job.state in FAILED)
    if verb is not None:
        said = f"{verb}, Run time {text}, {job.state}{_exit_code(job)}"
        told.append(("END", said, replace(moment, mail_type=verb)))
    return told


def _held(job: Job) -> tuple[tuple[str, int], ...]:
    return tuple((share.node, share.cpus) for share in job.nodes)


def is_end(state: JobState) -> bool:
    return state in FAILED or state in (JobState.COMPLETED, JobState.CANCELLED, JobState.PREEMPTED)


def on_clock(job: Job, now: float, context: Context) -> list[Mail]:
    """Shares of its time limit that a running job has reached."""
    if job.started_at is None or job.state not in ON_NODES:
        return []
    ran = now - job.started_at - job.suspended_seconds
    found: list[Mail] = []
    for kind, share in SHARES_OF_LIMIT.items():
        if kind in job.request.mail_types and ran >= share * job.time_limit_seconds:
            text = f"Reached {share:.0%} of time limit"
            moment = Moment(text, JobState.RUNNING, _held(job), job.started_at, run_seconds=ran)
            subject = f"{name_of(job)} {text}, Run time {durations.long(ran)}"
            found.append(_mail(f"{job.id}.{job.attempt}-{kind}", job, subject, moment, context))
    return found


def wants_clock(job: Job) -> bool:
    return not SHARES_OF_LIMIT.keys().isdisjoint(job.request.mail_types)


def is_summary(job: Job) -> bool:
    """Whether all of an array is told of together."""
    return (job.array_id is not None or job.is_array) and "ARRAY_TASKS" not in job.request.mail_types


def array_began(job: Job, context: Context) -> list[Mail]:
    """By the first of its tasks."""
    if "BEGIN" not in job.request.mail_types:
        return []
    moment = Moment("Began", JobState.PENDING, (), job.started_at, is_array_begin=True)
    array = replace(job, id=job.key.id, nodes=(), restarts=0)
    return [_mail(f"{job.key.id}-BEGIN", array, f"{_array_name(job)} Began", moment, context)]


def array_ended(job: Job, tasks: Sequence[Job], context: Context) -> list[Mail]:
    """Once all tasks have ended. A task that was cancelled counts as killed, as in Slurm."""
    signals = [9 if one.state is JobState.CANCELLED else one.end.signal if one.end else 0 for one in tasks]
    codes = [one.end.exit_status if one.end else 0 for one in tasks]
    low, high = min(codes, default=0), max(codes, default=0)
    killed = max(signals, default=0)
    if killed:
        text = f"Mixed, MaxSignal [{killed}]"
    else:
        word = "COMPLETED" if high == 0 else "FAILED" if low > 0 else "Mixed"
        text = f"{word}, ExitCode [{low}-{high}]"
    verb = _verb(set(job.request.mail_types), has_failed=not killed and high > 0)
    if verb is None:
        return []
    # The task with the array's own id speaks for it.
    last = next((one for one in tasks if one.id == job.key.id), job)
    moment = Moment(
        verb,
        last.state,
        _held(last),
        last.started_at,
        last.ended_at,
        run_seconds=run_seconds(last),
        has_end=True,
        exit_codes=None if killed else (low, high),
        term_signal=killed or None,
    )
    return [_mail(f"{job.key.id}-END", last, f"{_array_name(job)} {verb}, {text}", moment, context)]


def _verb(wanted: set[str], *, has_failed: bool) -> str | None:
    if has_failed and "FAIL" in wanted:
        return "Failed"
    return "Ended" if "END" in wanted else None


def _exit_code(job: Job) -> str:
    """A script that a signal killed has none."""
    code, signal = mail_environment.exit_of(job)
    return "" if signal else f", ExitCode {code}"


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


def _mail(name: str, job: Job, subject: str, moment: Moment, context: Context) -> Mail:
    to = job.request.mail_user or job.request.user
    return Mail(name, job.key.id, to, subject, mail_environment.environment(job, moment, context))


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
