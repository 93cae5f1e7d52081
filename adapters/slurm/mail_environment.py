"""What a mail program finds in its environment, as a real slurmctld gives it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from adapters.slurm import durations, filenames, hostlist, jobfacts
from adapters.slurm import environment as environment_of_job
from bridge.core.job import Job, JobState
from bridge.core.request import UNLIMITED_SECONDS

YEAR_SECONDS = 365 * 86400
"""25.11 reckons with a year where there is no time limit."""


@dataclass(frozen=True, slots=True)
class Context:
    cluster: str
    group_of: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Moment:
    """The job as it was when the occasion came up; its row may be further on by now."""

    mail_type: str
    """`Began`, `Reached 50% of time limit` …"""
    state: JobState
    nodes: tuple[tuple[str, int], ...] = ()
    """(node, CPUs) of the attempt."""
    started_at: float | None = None
    ended_at: float | None = None
    queued_seconds: float | None = None
    run_seconds: float | None = None
    has_end: bool = False
    """The exit code is known."""
    exit_codes: tuple[int, int] | None = None
    """Lowest and highest of an array's tasks."""
    term_signal: int | None = None
    """Highest of an array's tasks."""
    is_array_begin: bool = False


def environment(job: Job, moment: Moment, context: Context) -> tuple[tuple[str, str], ...]:
    request = job.request
    found = {
        "SLURM_CLUSTER_NAME": context.cluster,
        "SLURM_JOBID": str(job.id),
        "SLURM_JOB_ID": str(job.id),
        "SLURM_JOB_ACCOUNT": request.account,
        "SLURM_JOB_GID": str(request.gid),
        "SLURM_JOB_GROUP": context.group_of(request.gid),
        "SLURM_JOB_MAIL_TYPE": moment.mail_type,
        "SLURM_JOB_NAME": request.name,
        "SLURM_JOB_NODELIST": hostlist.compress([name for name, _ in moment.nodes]) or "(null)",
        "SLURM_JOB_OVERSUBSCRIBE": jobfacts.oversubscribe(job),
        "SLURM_JOB_PARTITION": job.partition,
        "SLURM_JOB_QOS": request.qos,
        "SLURM_JOB_RESTART_COUNT": str(job.restarts),
        "SLURM_JOB_SLUID": f"s{job.id:014X}",
        "SLURM_JOB_STATE": moment.state.value,
        "SLURM_JOB_STDIN": filenames.stdin_path(job),
        "SLURM_JOB_STDOUT": filenames.stdout_path(job),
        "SLURM_JOB_STDERR": filenames.stderr_path(job),
        "SLURM_JOB_UID": str(request.uid),
        "SLURM_JOB_USER": request.user,
        "SLURM_JOB_WORK_DIR": request.working_directory,
        **_times(job, moment),
        **_array(job, moment),
        **_end(job, moment),
    }
    if moment.nodes:
        found["SLURM_JOB_NUM_NODES"] = str(len(moment.nodes))
        found["SLURM_JOB_CPUS_PER_NODE"] = environment_of_job.folded(cpus for _, cpus in moment.nodes)
    return tuple(sorted((name, value) for name, value in found.items() if value is not None))


def _times(job: Job, moment: Moment) -> dict[str, str]:
    start = 0 if moment.is_array_begin else int(moment.started_at or moment.ended_at or 0)
    end = int(moment.ended_at or 0)
    if moment.ended_at is None and moment.started_at is not None:
        limit = job.time_limit_seconds
        end = int(moment.started_at) + (YEAR_SECONDS if limit >= UNLIMITED_SECONDS else limit)
    found = {"SLURM_JOB_START_TIME": str(start), "SLURM_JOB_END_TIME": str(end)}
    if moment.queued_seconds is not None:
        found["SLURM_JOB_QUEUED_TIME"] = durations.long(moment.queued_seconds)
    if moment.run_seconds is not None:
        found["SLURM_JOB_RUN_TIME"] = durations.long(moment.run_seconds)
    return found


def _array(job: Job, moment: Moment) -> dict[str, str]:
    if job.request.array is None or job.task_index is None or moment.is_array_begin:
        return {}
    return environment_of_job.array_variables(job)


def _end(job: Job, moment: Moment) -> dict[str, str]:
    if not moment.has_end:
        return {}
    code, signal = exit_of(job)
    found = {
        "SLURM_JOB_DERIVED_EC": str(job.derived_exit_status),
        "SLURM_JOB_EXIT_CODE": str(code << 8 | signal),
        "SLURM_JOB_EXIT_CODE2": f"{code}:{signal}",
    }
    if moment.term_signal is not None:
        return {**found, "SLURM_JOB_TERM_SIGNAL_MAX": str(moment.term_signal)}
    low, high = moment.exit_codes or (None, code)
    found["SLURM_JOB_EXIT_CODE_MAX"] = str(high)
    return found if low is None else {**found, "SLURM_JOB_EXIT_CODE_MIN": str(low)}


def exit_of(job: Job) -> tuple[int, int]:
    """(exit status, signal) at the time of the mail: what ended by the clock or on request counts as 0."""
    over = (JobState.CANCELLED, JobState.TIMEOUT, JobState.DEADLINE, JobState.NODE_FAIL)
    if job.end is None or job.state in over:
        return 0, 0
    return (0, job.end.signal) if job.end.signal else (job.end.exit_status, 0)
