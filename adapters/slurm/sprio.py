"""sprio: what makes up the priority of waiting jobs. Pure; `bridge.slurmcli.sprio` joins it.

No factor is weighed here (`scontrol show config` says so): a job has the priority that was set, and its nice value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adapters.slurm import jobfacts, selectors, squeue_help
from adapters.slurm.answer import ANNOUNCEMENT, Answer, getopt_refusal
from adapters.slurm.columns import Column, compile_letters
from adapters.slurm.command_line import BadCommandLine, Grammar, Option
from adapters.slurm.selectors import Selected
from bridge.core.job import Job, JobState

_GRAMMAR = Grammar(
    [
        Option("clusters", "M", "required", ("cluster",)),
        Option("federation"),
        Option("format", "o", "required"),
        Option("help"),
        Option("helpformat"),
        Option("jobs", "j", "optional"),
        Option("local"),
        Option("long", "l"),
        Option("noheader", "h"),
        Option("norm", "n"),
        Option("partition", "p", "required"),
        Option("sibling"),
        Option("sort", "S", "required"),
        Option("usage"),
        Option("user", "u", "optional"),
        Option("verbose", "v"),
        Option("version", "V"),
        Option("weights", "w"),
    ]
)

USAGE = """\
Usage: sprio [-j jid[s]] [-u user_name[s]] [-o format] [-p partitions]
   [--federation] [--local] [--sibling] [--usage] [-hlnvVw]
"""

HELP = """\
Usage: sprio [OPTIONS]
  -j, --jobs=IDS          these jobs;  -u, --user=NAMES;  -p, --partition=NAMES
  -l, --long              all factors;  -n, --norm: as parts of 1;  -w, --weights: what each factor counts
  -o, --format=FORMAT     %[[.]width]letter ...;  -S, --sort=LETTERS;  -h, --noheader
  -M, --cluster=NAME;  --help, --helpformat, --usage, -V, --version
"""


@dataclass(frozen=True, slots=True)
class Query:
    letters: str
    jobs: tuple[Selected, ...] | None = None
    uids: tuple[int, ...] | None = None
    partitions: tuple[str, ...] | None = None
    header: bool = True
    weights: bool = False
    sort: str = ""
    clusters: str | None = None
    """-M, as written."""
    warnings: str = ""


def read(argv: Sequence[str], environ: Mapping[str, str], uid_of: Callable[[str], int | None]) -> Query | Answer:
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine as bad:
        return getopt_refusal("sprio", str(bad))
    if line.has("version"):
        return Answer(ANNOUNCEMENT)
    for name, text in _TEXTS.items():
        if line.has(name):
            return Answer(text)
    operands = list(line.operands)
    values = dict(line.given)
    for name in ("jobs", "user"):
        # The value is optional for getopt, so that it comes as an operand.
        if name in values and values[name] is None and operands:
            values[name] = operands.pop(0)
    if operands:
        return Answer(USAGE, f"\nsprio: error: Unrecognized option: {operands[0]}\n", 1)
    jobs: list[Selected] = []
    for word in selectors.split(values.get("jobs") or ""):
        chosen = selectors.parse(word)
        if chosen is None:
            return Answer(stderr=f"sprio: error: Invalid job id: {word}\n", exit_code=1)
        jobs.append(chosen)
    uids: list[int] = []
    warnings = ""
    for word in _words(values.get("user")):
        uid = int(word) if word.isascii() and word.isdigit() else uid_of(word)
        if uid is None:
            warnings += f"sprio: error: Invalid user: {word}\n\n"
        else:
            uids.append(uid)
    partitions = values.get("partition")
    return Query(
        letters=_format(values),
        jobs=tuple(jobs) if values.get("jobs") else None,
        uids=tuple(uids) if values.get("user") else None,
        partitions=None if partitions is None else tuple(_words(partitions)),
        header="noheader" not in values,
        weights="weights" in values,
        sort=values.get("sort") or "",
        clusters=values["clusters"] if "clusters" in values else environ.get("SLURM_CLUSTERS"),
        warnings=warnings,
    )


def _words(text: str | None) -> list[str]:
    return [word for word in (text or "").split(",") if word]


def _format(values: Mapping[str, str | None]) -> str:
    if "format" in values:
        return values["format"] or ""
    long, norm = "long" in values, "norm" in values
    if long and norm:
        return "%.15i %9r %.8u %.8o %10y %10a %10b %10f %10j %10p %10n %10q %20t"
    if long:
        return "%.15i %9r %.8u %.8o %.10Y %.10S %.10A %.10B %.10F %.10J %.10P %.10n %.10Q %.11N %.20T"
    user = "%.8u " if "user" in values else ""
    return f"%.15i %9r {user}%10y" if norm else f"%.15i %9r {user}%.10Y %.10S"


def matches(query: Query, job: Job) -> bool:
    """Of a job that waits: whether it is shown. Held jobs and those that wait for something else have no factors."""
    if job.state is not JobState.PENDING or job.priority == 0 or job.eligible_at is None:
        return False
    if query.jobs is not None and not any(one.id in (job.id, job.array_id) for one in query.jobs):
        return False
    if query.uids is not None and job.request.uid not in query.uids:
        return False
    return query.partitions is None or job.partition in query.partitions


def render(query: Query, jobs: Sequence[Job]) -> Answer:
    columns = _weights() if query.weights else _columns()
    printer, bad = compile_letters(query.letters, columns)
    errors = query.warnings + "".join(f"sprio: error: Invalid job format specification: {word}\n" for word in bad)
    lines = [printer.header()] if query.header else []
    if query.weights:
        lines += printer.lines([None])  # type: ignore[list-item]  # one row, of no job
    else:
        rows = sorted(jobs, key=lambda job: (jobfacts.base_id(job), job.task_index or 0))
        for key in reversed(_words(query.sort)):
            column = columns.get(key.lstrip("+-")[:1])
            if column is not None:
                rows.sort(key=column.value, reverse=key.startswith("-"))
        lines += printer.lines(rows)
    return Answer("".join(f"{line}\n" for line in lines), errors)


def _no_factor(text: str) -> Callable[[Job], str]:
    return lambda job: text


_FACTORS = {
    "a": "AGE",
    "b": "ASSOC",
    "f": "FAIRSHARE",
    "j": "JOBSIZE",
    "p": "PARTITION",
    "q": "QOS",
}
"""Small letter: as a part of 1; capital: weighed."""


def _columns() -> dict[str, Column[Job]]:
    factors = {letter: Column(title, _no_factor("0.0000000")) for letter, title in _FACTORS.items()}
    weighed = {letter.upper(): Column(title, _no_factor("0")) for letter, title in _FACTORS.items()}
    return {
        **factors,
        **weighed,
        "c": Column("CLUSTER", _no_factor("(null)")),
        "i": Column("JOBID", lambda job: str(jobfacts.base_id(job) if job.waiting else jobfacts.raw_id(job))),
        "n": Column("QOSNAME", lambda job: job.request.qos or "normal"),
        "N": Column("NICE", lambda job: str(job.request.nice)),
        "o": Column("ACCOUNT", lambda job: job.request.account or ""),
        "r": Column("PARTITION", lambda job: job.partition),
        "S": Column("SITE", _no_factor("0")),
        "t": Column("TRES", _no_factor("")),
        "T": Column("TRES", _no_factor("")),
        "u": Column("USER", lambda job: job.request.user),
        "y": Column("PRIORITY", lambda job: f"{job.priority / 2**32:.14f}"),
        "Y": Column("PRIORITY", lambda job: str(job.priority)),
    }


def _weights() -> dict[str, Column[Job]]:
    told = dict.fromkeys((*_FACTORS, *map(str.upper, _FACTORS)), "0") | {"i": "Weights", "S": "1", "T": "(null)"}
    return {letter: Column(column.title, _no_factor(told.get(letter, ""))) for letter, column in _columns().items()}


_TEXTS = {
    "help": HELP,
    "usage": USAGE,
    "helpformat": squeue_help.letters_of_eight("aAbBcfFijJnNopPrSqQuyYtT"),
}
