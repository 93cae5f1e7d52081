"""squeue: its command line and environment to a query, its rows to text. Pure; `bridge.slurmcli.squeue` joins it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.slurm import (
    hostlist,
    jobfacts,
    selectors,
    squeue_columns,
    squeue_help,
    squeue_merging,
    squeue_steps,
    states,
)
from adapters.slurm.answer import ANNOUNCEMENT, Answer, getopt_refusal
from adapters.slurm.columns import Printer, compile_letters, compile_names
from adapters.slurm.command_line import BadCommandLine, Grammar, Option, Read
from adapters.slurm.data import Asked, Wish, document, wish
from adapters.slurm.rest import job_record
from adapters.slurm.rest import jobs as jobs_data
from adapters.slurm.selectors import Selected
from bridge.core.indexset import IndexSet
from bridge.core.job import WAITING, Job, JobKey, JobState

DEFAULT_FORMAT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
LONG_FORMAT = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
START_FORMAT = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R"
DEFAULT_SORT = "P,t,-p"

_GRAMMAR = Grammar(
    [
        Option("account", "A", "required", ("accounts",)),
        Option("all", "a"),
        Option("array", "r"),
        Option("array-unique"),
        Option("clusters", "M", "required", ("cluster",)),
        Option("expand-patterns"),
        Option("federation"),
        Option("format", "o", "required"),
        Option("Format", "O", "required"),
        Option("help"),
        Option("helpformat"),
        Option("helpFormat"),
        Option("helpstate"),
        Option("hide"),
        Option("iterate", "i", "required"),
        Option("jobs", "j", "optional"),
        Option("json", "", "optional"),
        Option("licenses", "L", "required"),
        Option("local"),
        Option("long", "l"),
        Option("me"),
        Option("name", "n", "required", ("names",)),
        Option("noconvert"),
        Option("nodelist", "w", "required", ("node", "nodes")),
        Option("noheader", "h"),
        Option("notme"),
        Option("only-job-state"),
        Option("partition", "p", "required", ("partitions",)),
        Option("priority", "P"),
        Option("qos", "q", "required"),
        Option("reservation", "R", "required"),
        Option("running-over", "", "required"),
        Option("running-under", "", "required"),
        Option("sib", "", "no", ("sibling",)),
        Option("sort", "S", "required"),
        Option("start"),
        Option("steps", "s", "optional"),
        Option("states", "t", "required"),
        Option("usage"),
        Option("user", "u", "required", ("users",)),
        Option("verbose", "v"),
        Option("version", "V"),
        Option("yaml", "", "optional"),
    ]
)


@dataclass(frozen=True, slots=True)
class Query:
    jobs: tuple[Selected, ...] | None = None
    """One id that is unknown is an error only when it is alone."""
    states: frozenset[JobState] | None = states.SHOWN_BY_DEFAULT
    """None: all."""
    uids: tuple[int, ...] | None = None
    names: tuple[str, ...] | None = None
    partitions: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    qos: tuple[str, ...] | None = None
    nodes: tuple[str, ...] | None = None
    licenses: tuple[str, ...] | None = None
    reservations: tuple[str, ...] | None = None
    steps: bool = False
    step_ids: tuple[str, ...] | None = None
    """`12.0`, `12_3.batch`."""
    one_task_a_row: bool = False
    one_partition_a_row: bool = False
    """-P: a waiting job in each partition that it may run in."""
    header: bool = True
    dated: bool = False
    """-l: the date above."""
    start: bool = False
    letters: str | None = DEFAULT_FORMAT
    """None: `long_names` holds the format."""
    long_names: str = ""
    sort: str = DEFAULT_SORT
    iterate_seconds: int | None = None
    convert_units: bool = True
    bracket_length: int | None = None
    data: Wish | None = None
    """--json or --yaml."""
    clusters: str | None = None
    """-M, as written."""
    warnings: str = ""
    """For standard error."""


@dataclass(frozen=True, slots=True)
class Asker:
    """The user who asks, and how names become numbers at the server."""

    uid: int
    uid_of: Callable[[str], int | None]
    node_exists: Callable[[str], bool]


def read(argv: Sequence[str], environ: Mapping[str, str], asker: Asker) -> Query | Answer:
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine as bad:
        return getopt_refusal("squeue", str(bad))
    if (told := _told(line)) is not None:
        return told
    operands = list(line.operands)
    values = dict(line.given)
    for name in ("jobs", "steps"):
        # `-j 12`: the value is optional for getopt, so that it comes as an operand.
        if name in values and values[name] is None and operands:
            values[name] = operands.pop(0)
    if operands:
        return Answer(squeue_help.USAGE, f"squeue: error: Unrecognized option: {operands[0]}\n", 1)
    data = wish("squeue", line.given)
    if isinstance(data, Answer):
        return data
    query = Query(data=data, bracket_length=jobfacts.bracket_length(environ.get("SLURM_BITSTR_LEN")))
    for step in (_read_filters, _read_output):
        read_further = step(query, values, environ, asker)
        if isinstance(read_further, Answer):
            return read_further
        query = read_further
    return query


def _told(line: Read) -> Answer | None:
    """Options that only ask for a text."""
    if line.has("version"):
        return Answer(ANNOUNCEMENT)
    for name in ("help", "usage", "helpformat", "helpFormat", "helpstate"):
        if line.has(name):
            return Answer(squeue_help.TEXTS[name])
    return None


def _either(values: Mapping[str, str | None], name: str, environ: Mapping[str, str], *variables: str) -> str | None:
    """The option, else the first variable that is set."""
    if name in values:
        return values[name]
    return next((environ[variable] for variable in variables if variable in environ), None)


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word for word in text.split(",") if word)


def _read_filters(
    query: Query, values: Mapping[str, str | None], environ: Mapping[str, str], asker: Asker
) -> Query | Answer:
    if values.get("jobs") is not None:
        chosen_jobs: list[Selected] = []
        for word in selectors.split(values["jobs"] or ""):
            parsed = selectors.parse(word)
            if parsed is None:
                return _error(f"Invalid job id: {word}")
            chosen_jobs.append(parsed)
        query = replace(query, jobs=tuple(chosen_jobs))
    state_text = _either(values, "states", environ, "SQUEUE_STATES")
    if state_text is not None:
        chosen = _states(state_text)
        if isinstance(chosen, Answer):
            return chosen
        query = replace(query, states=chosen)
    users = _either(values, "user", environ, "SQUEUE_USERS")
    if "me" in values:
        query = replace(query, uids=(asker.uid,))
    elif users is not None:
        uids = []
        for word in _words(users) or ():
            uid = int(word) if word.isascii() and word.isdigit() else asker.uid_of(word)
            if uid is None:
                query = replace(query, warnings=query.warnings + f"squeue: error: Invalid user: {word}\n\n")
            else:
                uids.append(uid)
        query = replace(query, uids=tuple(uids))
    try:
        nodes = _words_of_nodes(values.get("nodelist"))
    except ValueError:
        return _error(f"Invalid node name {values['nodelist']}")
    for node in nodes or ():
        if not asker.node_exists(node):
            return _error(f"Invalid node name {node}")
    step_ids = _words(values.get("steps"))
    for step in step_ids or ():
        if "." not in step and step.lower() != "all":
            return _error(f"Invalid job_step id: {step}.??")
    return replace(
        query,
        names=_words(_either(values, "name", environ, "SQUEUE_NAMES")),
        partitions=_words(_either(values, "partition", environ, "SQUEUE_PARTITION")),
        accounts=_words(_either(values, "account", environ, "SQUEUE_ACCOUNT")),
        qos=_words(_either(values, "qos", environ, "SQUEUE_QOS")),
        licenses=_words(_either(values, "licenses", environ, "SQUEUE_LICENSES")),
        reservations=_words(values.get("reservation")),
        nodes=nodes,
        steps="steps" in values,
        step_ids=None if step_ids is None or "all" in step_ids else step_ids,
    )


def _words_of_nodes(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(hostlist.expand(text))


def _states(text: str) -> frozenset[JobState] | Answer | None:
    if text.lower() == "all":
        return None
    chosen: set[JobState] = set()
    for word in filter(None, text.split(",")):
        found = states.matching(word)
        if found is None:
            valid = ",".join(states.QUEUE_NAMES)
            return Answer(
                stderr=f"squeue: error: Invalid job state specified: {word}\n"
                f"squeue: error: Valid job states include: {valid}\n\n",
                exit_code=1,
            )
        chosen |= found
    return frozenset(chosen)


def _read_output(
    query: Query, values: Mapping[str, str | None], environ: Mapping[str, str], asker: Asker
) -> Query | Answer:
    iterate: int | None = None
    if (text := values.get("iterate")) is not None:
        if not (text.isascii() and text.isdigit()) or int(text[:9]) < 1:
            return _error(f"--iterate={text}\n")
        iterate = int(text[:9])
    sort = _either(values, "sort", environ, "SQUEUE_SORT") or DEFAULT_SORT
    if "format" in values and "Format" in values:
        return _error("-O (--Format) is incompatible with -o (--format)")
    if "format" in values and "long" in values:
        text = "Options -o(--format) and -l(--long) are mutually exclusive. Please remove one and retry."
        return Answer(stderr=f"squeue: fatal: {text}\n", exit_code=1)
    letters, names = _format(values, environ, steps="steps" in values)
    return replace(
        query,
        one_task_a_row="array" in values or "SQUEUE_ARRAY" in environ,
        one_partition_a_row="priority" in values or "SQUEUE_PRIORITY" in environ,
        header="noheader" not in values,
        dated="long" in values,
        start="start" in values,
        states=frozenset({JobState.PENDING}) if "start" in values and "states" not in values else query.states,
        letters=letters,
        long_names=names,
        sort="S" if "start" in values and "sort" not in values else sort,
        iterate_seconds=iterate,
        convert_units="noconvert" not in values,
        clusters=_either(values, "clusters", environ, "SLURM_CLUSTERS"),
    )


def _format(values: Mapping[str, str | None], environ: Mapping[str, str], *, steps: bool) -> tuple[str | None, str]:
    """(letters, names): one of the two. Options win over variables."""
    if "format" in values:
        return values["format"] or "", ""
    if "Format" in values:
        return None, values["Format"] or ""
    if steps:
        return squeue_steps.DEFAULT_FORMAT, ""
    if "start" in values:
        return START_FORMAT, ""
    if "long" in values:
        return LONG_FORMAT, ""
    if "SQUEUE_FORMAT" in environ:
        return environ["SQUEUE_FORMAT"], ""
    if "SQUEUE_FORMAT2" in environ:
        return None, environ["SQUEUE_FORMAT2"]
    return DEFAULT_FORMAT, ""


def _error(text: str) -> Answer:
    return Answer(stderr=f"squeue: error: {text}\n", exit_code=1)


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────


def narrowed(query: Query, job: Job) -> Job | None:
    """The job, or what the query leaves of an array's record; None: filtered out.

    Only for what the store does not know: it has already used ids, states, uids, names, nodes and the like.
    """
    if not _matches(query, job):
        return None
    if query.jobs is None:
        return job
    chosen = [one for one in query.jobs if one.id in (job.id, job.array_id)]
    left = selectors.narrow(job.waiting or IndexSet(), job.task_index, chosen)
    if isinstance(left, bool):
        return job if left else None
    if not left:
        return None
    if len(left) == 1 and left != job.waiting:
        return replace(job, array_id=job.id, task_index=next(iter(left)), waiting=None, revision=0)
    return job if left == job.waiting else replace(job, waiting=left)


def _matches(query: Query, job: Job) -> bool:
    component = job.request.component
    if query.partitions is not None and not {job.partition, *component.partitions} & set(query.partitions):
        return False
    if query.licenses is not None:
        held = {part.partition(":")[0].partition("@")[0] for part in (component.licenses or "").split(",")}
        if not held & {wanted.partition(":")[0] for wanted in query.licenses}:
            return False
    return query.reservations is None or job.request.reservation in query.reservations


def render_data(
    wanted: Wish, jobs: Sequence[Job], view: squeue_columns.View, asked: Asked, *, warns: bool = True
) -> Answer:
    """--json and --yaml: the jobs as slurmrestd shows them."""
    texts = [jobs_data.text(job, view, wanted.version) for job in jobs]
    now = int(view.now)
    moments = {"last_backfill": now, "last_update": now}
    warnings = ["Zero jobs to dump"] if warns and not texts else []
    return Answer(document(wanted, job_record.JOBS_ANSWER, moments, asked, written={"jobs": texts}, warnings=warnings))


_OF_STARTS = frozenset({"S", "e", "Y"})
_NAMES_OF_STARTS = frozenset({"starttime", "endtime", "schednodes", "pendingtime"})


def shows_starts(query: Query) -> bool:
    """Whether the answer depends on when waiting jobs are expected to start."""
    if query.data is not None:
        return True
    if any(key.lstrip("+-")[:1] in _OF_STARTS for key in query.sort.split(",")):
        return True
    if query.letters is None:
        names = query.long_names.lower().split(",")
        return any(name.partition(":")[0].strip() in _NAMES_OF_STARTS for name in names)
    pieces = query.letters.split("%")[1:]
    return "all" in pieces or any(piece.lstrip(".0123456789")[:1] in _OF_STARTS for piece in pieces)


def render(query: Query, jobs: Sequence[Job], view: squeue_columns.View) -> Answer:
    """The rows of all jobs given; filtered already."""
    reasons: Mapping[JobKey, str] = {}
    if query.one_task_a_row:
        rows = [row for job in jobs for row in _tasks(job)]
    else:
        rows, reasons = squeue_merging.merged(jobs)
    if query.one_partition_a_row:
        rows = [row for job in rows for row in _partitions(query, job)]
    columns = squeue_columns.make(view, reasons)
    printer: Printer[Job]
    if query.letters is not None:
        printer, bad = compile_letters(query.letters, columns.by_letter, columns.every)
    else:
        printer, bad = compile_names(query.long_names, columns.by_name)
    errors = query.warnings + "".join(f"squeue: error: Invalid job format specification: {word}\n" for word in bad)
    lines = [view.clock.banner()] if query.dated and query.header else []
    if query.header:
        lines.append(printer.header())
    letters = (key.lstrip("+-")[:1] for key in query.sort.split(","))
    unknown = next((letter for letter in letters if letter and letter not in SORT_LETTERS), None)
    if unknown is not None:
        errors += f"squeue: error: Invalid sort specification: {unknown}\n"
        return Answer("".join(f"{line}\n" for line in lines), errors, 1)
    _sort(rows, query.sort, columns, view)
    lines += printer.lines(rows)
    return Answer("".join(f"{line}\n" for line in lines), errors)


def _tasks(job: Job) -> list[Job]:
    """An array's waiting tasks, one record each, shown under the array's id until they have done something."""
    if not job.waiting:
        return [job]
    return [replace(job, array_id=job.id, task_index=index, waiting=None, revision=0) for index in job.waiting]


def _partitions(query: Query, job: Job) -> list[Job]:
    """A waiting job once for each partition, of those that were asked for."""
    asked = job.request.component.partitions
    if len(asked) < 2 or job.state not in WAITING:
        return [job]
    named = [name for name in asked if query.partitions is None or name in query.partitions]
    alone = [replace(job.request.component, partitions=(name,)) for name in named]
    return [
        replace(job, partition=name, request=replace(job.request, components=(component,)))
        for name, component in zip(named, alone, strict=True)
    ]


SORT_LETTERS = frozenset("bcdefghijlmnptuvzBCDGHIJLMNOPQSTUV")
"""What -S knows: not every letter of -o."""


def _sort(rows: list[Job], keys: str, columns: squeue_columns.Columns, view: squeue_columns.View) -> None:
    """By each key, the first the strongest. Where all are equal, the newest job first, as Slurm lists them."""
    rows.sort(key=lambda job: (-jobfacts.base_id(job), job.task_index if job.task_index is not None else 1 << 30))
    for key in reversed([key for key in keys.split(",") if key]):
        letter = key.lstrip("+-")[:1]
        by = _sort_by_start(view) if letter == "S" else _SORT_KEYS.get(letter)
        if by is None and letter in columns.by_letter:
            by = columns.by_letter[letter].value
        if by is not None:
            rows.sort(key=by, reverse=key.startswith("-"))


def _sort_by_start(view: squeue_columns.View) -> Callable[[Job], float]:
    return lambda job: view.start_at(job) or job.begin_at or float("inf")


_SORT_KEYS: dict[str, Callable[[Job], Any]] = {
    "i": lambda job: (jobfacts.base_id(job), job.task_index if job.task_index is not None else 1 << 30),
    "A": jobfacts.raw_id,
    "F": jobfacts.base_id,
    "K": lambda job: job.task_index if job.task_index is not None else 1 << 30,
    "P": lambda job: job.partition,
    "t": lambda job: states.ORDER[job.state],
    "T": lambda job: states.ORDER[job.state],
    "p": lambda job: job.priority,
    "Q": lambda job: job.priority,
    "e": lambda job: job.ended_at or float("inf"),
    "V": lambda job: job.submitted_at,
    "l": lambda job: job.time_limit_seconds,
    "L": lambda job: job.time_limit_seconds,
    "M": lambda job: job.started_at or float("inf"),
    "U": lambda job: job.request.uid,
    "G": lambda job: job.request.gid,
    "y": lambda job: job.request.nice,
    "D": lambda job: len(job.nodes) or job.request.component.nodes_min or 1,
    "C": lambda job: sum(share.cpus for share in job.nodes) or job.request.component.tasks or 1,
}
"""Keys whose order is not that of their text."""
