"""sacct: its command line to a query, records to rows. Pure; `bridge.slurmcli.sacct` joins it.

Accounting here is the state database itself, so nothing lags behind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from adapters.slurm import (
    columns,
    durations,
    hostlist,
    jobfacts,
    sacct_fields,
    sacct_filters,
    sacct_help,
    selectors,
    states,
    timespec,
    values,
)
from adapters.slurm.answer import ANNOUNCEMENT, Answer, getopt_refusal
from adapters.slurm.command_line import BadCommandLine, Grammar, Option, Read
from adapters.slurm.data import Wish, wish
from adapters.slurm.sacct_fields import Row
from adapters.slurm.sacct_filters import Filters
from adapters.slurm.selectors import Selected
from adapters.slurm.squeue_columns import View
from adapters.slurm.steprows import Step
from bridge.core.accounting import Book
from bridge.core.indexset import IndexSet
from bridge.core.job import WAITING, Job, JobState

DEFAULT_FIELDS = "jobid,jobname,partition,account,alloccpus,state,exitcode"
BRIEF_FIELDS = "jobid,state,exitcode"
_NO_BOOK = Book()

_GRAMMAR = Grammar(
    [
        Option("accounts", "A", "required", ("account",)),
        Option("allclusters", "L"),
        Option("allusers", "a"),
        Option("allocations", "X"),
        Option("array"),
        Option("associations", "x", "required"),
        Option("batch-script", "B"),
        Option("brief", "b"),
        Option("clusters", "M", "required", ("cluster",)),
        Option("completion", "c"),
        Option("delimiter", "", "required"),
        Option("duplicates", "D"),
        Option("endtime", "E", "required"),
        Option("env-vars"),
        Option("expand-patterns"),
        Option("federation"),
        Option("file", "f", "required"),
        Option("flags", "F", "required"),
        Option("format", "o", "required"),
        Option("gid", "g", "required", ("group",)),
        Option("help", "h"),
        Option("helpformat", "e"),
        Option("helpreason"),
        Option("helpstate"),
        Option("jobs", "j", "required", ("job",)),
        Option("json", "", "optional"),
        Option("local"),
        Option("long", "l"),
        Option("name", "", "required"),
        Option("ncpus", "I", "required"),
        Option("nnodes", "i", "required"),
        Option("noconvert"),
        Option("nodelist", "N", "required"),
        Option("noheader", "n"),
        Option("parsable", "p"),
        Option("parsable2", "P"),
        Option("partition", "r", "required"),
        Option("qos", "q", "required"),
        Option("reason", "R", "required"),
        Option("starttime", "S", "required"),
        Option("state", "s", "required"),
        Option("timelimit-max", "K", "required"),
        Option("timelimit-min", "k", "required"),
        Option("truncate", "T"),
        Option("uid", "u", "required", ("user",)),
        Option("units", "", "required"),
        Option("usage"),
        Option("use-local-uid"),
        Option("verbose", "v"),
        Option("version", "V"),
        Option("wckeys", "W", "required"),
        Option("whole-hetjob", "", "optional"),
        Option("yaml", "", "optional"),
    ]
)


@dataclass(frozen=True, slots=True)
class Query:
    fields: tuple[sacct_fields.Chosen, ...]
    jobs: tuple[Selected, ...] | None = None
    uids: tuple[int, ...] | None = None
    """None: everybody's."""
    accounts: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    partitions: tuple[str, ...] | None = None
    qos: tuple[str, ...] | None = None
    wckeys: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    nodes: tuple[str, ...] | None = None
    filters: Filters = field(default_factory=Filters)
    states: frozenset[JobState] | None = None
    since: float = 0.0
    until: float | None = None
    truncates: bool = False
    """-T: times are cut to the window."""
    now: float = 0.0
    allocations_only: bool = False
    expand_arrays: bool = False
    header: bool = True
    delimiter: str | None = None
    """None: columns; else the text between fields."""
    ends_with_delimiter: bool = False
    unit: str = ""
    wants_scripts: bool = False
    clusters: tuple[str, ...] | None = None
    data: Wish | None = None
    """--json or --yaml."""


def read(
    argv: Sequence[str],
    environ: Mapping[str, str],
    clock: durations.Clock,
    uid: int,
    uid_of: Callable[[str], int | None],
) -> Query | Answer:
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine as bad:
        return getopt_refusal("sacct", str(bad), hint=False)
    if line.operands:
        words = "".join(f"sacct: error:  {word}\n" for word in line.operands)
        return Answer(stderr=f"sacct: error: Unknown arguments:\n{words}", exit_code=1)
    if line.has("version"):
        return Answer(ANNOUNCEMENT)
    for name, text in sacct_help.TEXTS.items():
        if line.has(name):
            return Answer(text)
    if line.has("completion") or line.has("file"):
        return Answer(stderr="Slurm job completion is disabled\n", exit_code=1)
    data = wish("sacct", line.given)
    if isinstance(data, Answer):
        return data
    chosen = _fields(line, environ)
    if isinstance(chosen, Answer):
        return chosen
    filters = sacct_filters.read(line)
    if isinstance(filters, Answer):
        return filters
    query: Query | Answer = Query(chosen, filters=filters, data=data)
    for step in (_read_jobs, _read_people, _read_window, _read_form):
        if isinstance(query, Answer):
            return query
        query = step(query, line, environ, clock, uid, uid_of)
    return query


_UidOf = Callable[[str], int | None]


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word for word in text.split(",") if word)


def _node_names(text: str | None) -> tuple[str, ...] | Answer | None:
    try:
        return None if text is None else tuple(hostlist.expand(text))
    except ValueError:
        return _error(f"Invalid node list: {text}")


def _error(text: str) -> Answer:
    return Answer(stderr=f"sacct: error: {text}\n", exit_code=1)


def _fatal(text: str) -> Answer:
    return Answer(stderr=f"sacct: fatal: {text}\n", exit_code=1)


def _fields(line: Read, environ: Mapping[str, str]) -> tuple[sacct_fields.Chosen, ...] | Answer:
    if line.has("long") and line.has("format"):
        return _fatal("Options -o(--format) and -l(--long) are mutually exclusive. Please remove one and retry.")
    texts = [value or "" for name, value in line.given if name == "format"]
    if line.has("brief"):  # its fields come last, wherever it stood
        texts.append(BRIEF_FIELDS)
    if line.has("long"):
        texts.append(sacct_fields.LONG)
    if not texts:
        texts = [environ.get("SACCT_FORMAT") or DEFAULT_FIELDS]
    chosen: list[sacct_fields.Chosen] = []
    for word in ",".join(texts).split(","):
        if not word.strip():
            continue
        found = sacct_fields.choose(word.strip())
        if found is None:
            return _error(f'Invalid field requested: "{word.strip().partition("%")[0]}"')
        chosen += found
    last = {one.name: one for one in chosen}  # a field named twice has one width, the last that was given
    return tuple(last[one.name] for one in chosen)


def _read_jobs(
    query: Query, line: Read, environ: Mapping[str, str], clock: durations.Clock, uid: int, uid_of: _UidOf
) -> Query | Answer:
    texts = [value or "" for name, value in line.given if name == "jobs"]
    if not texts:
        return query
    jobs: list[Selected] = []
    for word in selectors.split(",".join(texts)):
        number, underscore, _ = word.partition("_")
        chosen = selectors.parse(word.partition("+")[0])
        if chosen is None:
            if underscore and selectors.parse(number) is not None:
                return _fatal(f"Bad job array element specified: {number}")
            return _fatal(f"Bad job/step specified: {word}")
        jobs.append(chosen)
    return replace(query, jobs=tuple(jobs))


def _read_people(
    query: Query, line: Read, environ: Mapping[str, str], clock: durations.Clock, uid: int, uid_of: _UidOf
) -> Query | Answer:
    uids: tuple[int, ...] | None = (uid,)
    given = line.last("uid")
    if given is not None:
        found = []
        for word in _words(given) or ():
            number = int(word) if word.isascii() and word.isdigit() else uid_of(word)
            if number is None:
                return _error(f"Invalid user id: {word}")
            found.append(number)
        uids = tuple(found)
    elif line.has("allusers") or uid == 0 or query.jobs is not None:
        uids = None
    nodes = _node_names(line.last("nodelist"))
    if isinstance(nodes, Answer):
        return nodes
    return replace(
        query,
        uids=uids,
        accounts=_words(line.last("accounts")),
        names=_words(line.last("name")),
        partitions=_words(line.last("partition")),
        qos=_words(line.last("qos")),
        wckeys=_words(line.last("wckeys")),
        groups=_words(line.last("gid")),
        nodes=nodes,
    )


def _read_window(
    query: Query, line: Read, environ: Mapping[str, str], clock: durations.Clock, uid: int, uid_of: _UidOf
) -> Query | Answer:
    wanted: set[JobState] | None = None
    if (text := line.last("state")) is not None and text.lower() != "all":
        wanted = set()
        for word in filter(None, text.split(",")):
            found = states.matching(word)
            if found is None:
                return _fatal(f"unrecognized job state value '{word}'")
            wanted |= found
    times: dict[str, float] = {}
    for name in ("starttime", "endtime"):
        if (text := line.last(name)) is None:
            continue
        try:
            times[name] = timespec.parse_past(text, clock.now, clock.zone)
        except values.BadValue as bad:
            said = bad.plain or f"Invalid time specification (pos=0): {text}"
            return Answer(stderr=f"{said}\n", exit_code=1)
    if "starttime" in times:
        since = times["starttime"]
    elif query.jobs is not None:
        since = 0.0
    elif wanted is not None:
        since = clock.now
    else:
        moment = datetime.fromtimestamp(clock.now, clock.zone)
        since = moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    until = times.get("endtime")
    if until is None and wanted is not None and "starttime" in times:
        # A state without an end of the window means: in that state at its start.
        until = since
    end = clock.now if until is None else until
    if int(since) > int(end):
        window = f"Start time ({clock.stamp(since)}) requested is after end time ({clock.stamp(end)})."
        return _error(window)
    chosen = None if wanted is None else frozenset(wanted)
    return replace(query, states=chosen, since=since, until=until, truncates=line.has("truncate"), now=clock.now)


def _read_form(
    query: Query, line: Read, environ: Mapping[str, str], clock: durations.Clock, uid: int, uid_of: _UidOf
) -> Query | Answer:
    for name, what in (("batch-script", "scripts"), ("env-vars", "environment")):
        if line.has(name) and query.jobs is None:
            text = f"When requesting job {what} you must also request specific jobs with the '-j' option."
            return _fatal(text)
    if line.has("env-vars"):
        return _error("the environments of jobs are not kept for accounting here")
    unit = (line.last("units") or "").upper()
    if line.has("units") and (len(unit) != 1 or unit not in "KMGTP"):
        return Answer(
            stderr=f"sacct: error: Invalid unit type '{line.last('units')}'. Possible options are 'KMGTP'\n"
            "sacct: fatal: Invalid unit type\n",
            exit_code=1,
        )
    parsable = next((name for name, _ in reversed(line.given) if name in ("parsable", "parsable2")), None)
    delimiter = line.last("delimiter")
    return replace(
        query,
        allocations_only=line.has("allocations"),
        expand_arrays=line.has("array"),
        header=not line.has("noheader"),
        delimiter=None if parsable is None else "|" if delimiter is None else delimiter,
        ends_with_delimiter=parsable == "parsable",
        unit=unit or ("M" if line.has("noconvert") else ""),
        wants_scripts=line.has("batch-script"),
        clusters=None if line.last("clusters") is None else tuple((line.last("clusters") or "").split(",")),
    )


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────


def narrowed(query: Query, job: Job, group_of: Callable[[int], str], book: Book = _NO_BOOK) -> Job | None:
    """The job, or what the query leaves of an array's record; None: filtered out."""
    request = job.request
    if query.partitions is not None and not {job.partition, *request.component.partitions} & set(query.partitions):
        return None
    if query.wckeys is not None and (request.wckey or "") not in query.wckeys:
        return None
    if query.groups is not None and not {str(request.gid), group_of(request.gid)} & set(query.groups):
        return None
    if not query.filters.match(job, sacct_fields.association_id(job, book)):
        return None
    if not _in_window(query, job):
        return None
    if query.jobs is None:
        return job
    chosen = [one for one in query.jobs if one.id in (job.id, job.array_id)]
    left = selectors.narrow(job.waiting or IndexSet(), job.task_index, chosen)
    if isinstance(left, bool):
        return job if left else None
    return (job if left == job.waiting else replace(job, waiting=left)) if left else None


def _in_window(query: Query, job: Job) -> bool:
    since, until = query.since, query.until if query.until is not None else float("inf")
    if query.jobs is None and (query.states is None or job.state in WAITING):
        # Accounting looks for what could start in the window: not for what is held, or waits for others or its hour.
        eligible = job.started_at if job.state not in WAITING and job.started_at else jobfacts.eligible_at(job)
        if eligible is None or eligible > (query.now if query.until is None else until):
            return False
    if query.states is None:
        return job.submitted_at <= until and (job.ended_at is None or job.ended_at >= since)
    if job.ended_at is not None and since <= job.ended_at <= until and job.state in query.states:
        return True
    if JobState.RUNNING in query.states and job.started_at is not None and job.started_at <= until:
        return job.state not in WAITING and (job.ended_at is None or job.ended_at > since)
    if JobState.PENDING in query.states and job.submitted_at <= until:
        waited_until = job.started_at if job.started_at is not None else job.ended_at
        return waited_until is None or waited_until > since
    return job.state in query.states and job.ended_at is None


def rows_of(query: Query, jobs: Sequence[Job], steps: Sequence[Step]) -> list[Row]:
    by_key: dict[object, list[Step]] = {}
    for step in steps:
        by_key.setdefault(step.key, []).append(step)
    rows: list[Row] = []
    for job in jobs:
        if query.expand_arrays and job.waiting:
            tasks = job.waiting
            rows += [Row(replace(job, array_id=job.id, task_index=k, waiting=None, revision=0)) for k in tasks]
            continue
        here = [Row(job)]
        if not query.allocations_only and job.started_at is not None and job.nodes:
            of_attempt = tuple(step for step in by_key.get(job.key, []) if step.attempt == job.attempt)
            here.append(Row(job, is_batch=True, beside=of_attempt))
            here += [Row(job, step) for step in of_attempt]
        rows += [row for row in here if _step_chosen(query, row)]
    return rows


def _step_chosen(query: Query, row: Row) -> bool:
    """`-j 12.batch` leaves only that step of the job."""
    mine = [one for one in query.jobs or () if one.id in (row.job.id, row.job.array_id)]
    if not mine or any(one.step is None for one in mine):
        return True
    name = "batch" if row.is_batch else None if row.step is None else str(row.step.step_id)
    return any(one.step == name for one in mine)


def render(query: Query, rows: Sequence[Row], view: View, book: Book = _NO_BOOK) -> Answer:
    if query.truncates:
        rows = [_truncated(query, row) for row in rows]
    by_name = sacct_fields.values(view, query.unit, book)
    readers = [by_name[chosen.name.lower()] for chosen in query.fields]
    if query.delimiter is not None:
        end = query.delimiter if query.ends_with_delimiter else ""
        table = [[reader(row) for reader in readers] for row in rows]
        if query.header:
            table.insert(0, [chosen.name for chosen in query.fields])
        return Answer("".join(query.delimiter.join(row) + end + "\n" for row in table))
    lines: list[str] = []
    if query.header:
        lines.append("".join(_title(chosen) for chosen in query.fields))
        lines.append("".join("-" * chosen.width + " " for chosen in query.fields))
    for row in rows:
        lines.append("".join(_cell(chosen, reader(row)) for chosen, reader in zip(query.fields, readers, strict=True)))
    return Answer("".join(f"{line}\n" for line in lines))


def _truncated(query: Query, row: Row) -> Row:
    """A job's own times, within the window."""
    job, until = row.job, query.now if query.until is None else query.until
    if job.started_at is None:
        return row
    ended = until if job.ended_at is None else min(job.ended_at, until)
    return replace(row, job=replace(job, started_at=max(job.started_at, query.since), ended_at=ended))


def _title(chosen: sacct_fields.Chosen) -> str:
    text = chosen.name[: chosen.width]
    return (text.ljust(chosen.width) if chosen.left else text.rjust(chosen.width)) + " "


def _cell(chosen: sacct_fields.Chosen, text: str) -> str:
    """A field of fixed width and a blank; what is too long ends in `+`."""
    if not text.isascii():  # widths count bytes
        return columns.as_bytes(text, lambda shown: _fitted(chosen, shown))
    return _fitted(chosen, text)


def _fitted(chosen: sacct_fields.Chosen, text: str) -> str:
    width = chosen.width
    if len(text) > width and chosen.name not in sacct_fields.NEVER_CUT:
        if chosen.name in sacct_fields.PLAINLY_CUT:
            text = text[:width]
        else:
            text = text[: width - 1] + "+" if width > 0 else ""
    return (text.ljust(width) if chosen.left else text.rjust(width)) + " "
