"""squeue -s: what runs inside the jobs, the steps of srun and the batch script as `12.batch`, in columns of its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from adapters.slurm import durations, hostlist, jobfacts, steprows
from adapters.slurm.answer import Answer
from adapters.slurm.columns import ABSENT, Column, Printer, compile_letters, compile_names
from adapters.slurm.squeue_columns import View
from adapters.slurm.steprows import Step
from bridge.core.job import Job

DEFAULT_FORMAT = "%.15i %.8j %.9P %.8u %.9M %N"


@dataclass(frozen=True, slots=True)
class Row:
    job: Job
    step_id: str
    name: str
    started_at: float
    nodes: tuple[str, ...]
    tasks: int
    cpus: int

    @property
    def shown_id(self) -> str:
        return f"{jobfacts.display_id(self.job)}.{self.step_id}"


def rows_of(jobs: Iterable[Job], steps: Sequence[Step]) -> Iterator[Row]:
    for job, began_at, mine in steprows.running(jobs, steps):
        for step in mine:
            where = (step.started_at, step.node_list)
            yield Row(job, str(step.step_id), step.name, *where, step.tasks, step.cpus)
        first = job.nodes[0]
        yield Row(job, "batch", "batch", began_at, (first.node,), 1, first.cpus)


def render(
    jobs: Iterable[Job],
    steps: Sequence[Step],
    view: View,
    *,
    only: tuple[str, ...] | None,
    letters: str | None,
    names: str,
    header: bool,
    banner: str,
    warnings: str,
) -> Answer:
    """`only`: ids such as `12.0`; `letters` or, where it is None, `names` is the format."""
    rows = [row for row in rows_of(jobs, steps) if only is None or row.shown_id in only]
    by_letter, by_name = _columns(view)
    printer: Printer[Row]
    if letters is not None:
        printer, bad = compile_letters(letters, by_letter, [by_letter[letter] for letter in _ALL_ORDER])
    else:
        printer, bad = compile_names(names, by_name)
    errors = warnings + "".join(f"squeue: error: Invalid job step format specification: {word}\n" for word in bad)
    lines = [banner] if banner and header else []
    if header:
        lines.append(printer.header())
    lines += printer.lines(rows)
    return Answer("".join(f"{line}\n" for line in lines), errors)


_ALL_ORDER = "bijluAMNPSU"
"""What %all prints."""


def _column(title: str, value: Callable[[Row], str]) -> Column[Row]:
    """Says the type: `Column[Row](...)` cannot be called, as its instances have no place for the alias."""
    return Column(title, value)


def _columns(view: View) -> tuple[dict[str, Column[Row]], dict[str, Column[Row]]]:
    """By letter, and by lower-case name. Titles are 25.11's, also where two of them stand at each other's column."""

    def absent(title: str) -> Column[Row]:
        return Column(title, lambda row: ABSENT)

    array_id = _column("ARRAY_JOB_ID", lambda row: str(row.job.array_id or 0))
    task = _column("ARRAY_TASK_ID", lambda row: "N/A" if row.job.task_index is None else str(row.job.task_index))
    job_id = _column("JOB_ID", lambda row: str(jobfacts.raw_id(row.job)))
    shown = _column("STEPID", lambda row: row.shown_id)
    name = _column("NAME", lambda row: row.name)
    limit = _column("TIME_LIMIT", lambda row: "UNLIMITED")
    user = _column("USER", lambda row: row.job.request.user)
    uid = _column("UID", lambda row: str(row.job.request.uid))
    tasks = _column("TASKS", lambda row: str(row.tasks))
    used = _column("TIME", lambda row: durations.short(max(0, int(view.now) - int(row.started_at))))
    nodes = _column("NODELIST", lambda row: hostlist.compress(list(row.nodes)))
    partition = _column("PARTITION", lambda row: row.job.partition)
    started = _column("START_TIME", lambda row: view.clock.stamp(row.started_at))
    by_letter = {
        "b": absent("TRES_PER_JOB"),
        "i": shown,
        "j": name,
        "l": limit,
        "u": user,
        "A": tasks,
        "M": used,
        "N": nodes,
        "P": partition,
        "S": started,
        "U": uid,
    }
    by_name = {
        "arrayjobid": array_id,
        "arraytaskid": task,
        "cluster": _column("CLUSTER", lambda row: view.site.cluster_name),
        "container": absent("CONTAINER"),
        "containerid": absent("CONTAINERID"),
        "cpufreq": _column("CPU_FREQ", lambda row: "Unknown-Unknown:Unknown"),
        "cpus-per-tres": absent("CPUS_PER_TRES"),
        "jobid": job_id,
        "mem-per-tres": absent("MEM_PER_TRES"),
        "network": absent("NETWORK"),
        "nodes": nodes,
        "numcpus": _column("NUM_CPUS", lambda row: str(row.cpus)),
        "numtasks": tasks,
        "partition": partition,
        "resvports": absent("RESERVED_PORTS"),
        "starttime": started,
        "stderr": _column("STDERR", lambda row: ""),
        "stdin": _column("STDIN", lambda row: ""),
        "stdout": _column("STDOUT", lambda row: ""),
        "stepid": shown,
        "stepname": name,
        "stepstate": _column("STATE", lambda row: "RUNNING"),
        "timelimit": limit,
        "timeused": used,
        "tres-bind": absent("TRES_BIND"),
        "tres-freq": absent("TRES_FREQ"),
        "tres-per-job": absent("TRES_PER_STEP"),
        "tres-per-node": absent("TRES_PER_JOB"),
        "tres-per-socket": absent("TRES_PER_SOCKET"),
        "tres-per-step": absent("TRES_PER_STEP"),
        "tres-per-task": absent("TRES_PER_TASK"),
        "userid": uid,
        "username": user,
    }
    return by_letter, by_name
