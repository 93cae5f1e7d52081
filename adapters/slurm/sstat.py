"""sstat: what the tasks of running steps use, measured now. Pure; `bridge.slurmcli.sstat` joins it.

What is measured nowhere here (pages, energy, frequencies) is empty, not 0.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from adapters.slurm import durations, hostlist, scontrol_show, selectors, squeue_help
from adapters.slurm.answer import ANNOUNCEMENT, Answer, getopt_refusal
from adapters.slurm.command_line import BadCommandLine, Grammar, Option
from adapters.slurm.selectors import Selected
from adapters.slurm.steps_data import Running

_GRAMMAR = Grammar(
    [
        Option("allsteps", "a"),
        Option("format", "o", "required", ("fields",)),
        Option("help", "h"),
        Option("helpformat", "e"),
        Option("jobs", "j", "required"),
        Option("noconvert"),
        Option("noheader", "n"),
        Option("parsable", "p"),
        Option("parsable2", "P"),
        Option("pidformat", "i"),
        Option("usage"),
        Option("verbose", "v"),
        Option("version", "V"),
    ]
)

USAGE = "Usage: sstat [options] -j <job(.stepid)>\n\tUse --help for help\n"

HELP = """\
sstat [OPTIONS] -j JOB[.STEP][,...]
  -a, --allsteps          every step of a job, the batch script's too; else the first step of srun
  -o, --format=FIELDS     name, name%20 or name%-20;  -e, --helpformat: what there is;  -i, --pidformat: processes
  -n, --noheader;  -p, --parsable: fields and |, one more at the end;  -P, --parsable2: without that
  --noconvert             bytes;  -h, --help, --usage, -V, --version
"""

_WIDTHS_TEXT = (
    "AllocTRES:10 AveCPU:10 AveCPUFreq:10 AveDiskRead:12 AveDiskWrite:12 AvePages:10 AveRSS:10 AveVMSize:10 "
    "ConsumedEnergy:14 ConsumedEnergyRaw:17 JobID:12 MaxDiskRead:12 MaxDiskReadNode:15 MaxDiskReadTask:15 "
    "MaxDiskWrite:12 MaxDiskWriteNode:16 MaxDiskWriteTask:16 MaxPages:8 MaxPagesNode:12 MaxPagesTask:14 MaxRSS:10 "
    "MaxRSSNode:10 MaxRSSTask:10 MaxVMSize:10 MaxVMSizeNode:14 MaxVMSizeTask:14 MinCPU:10 MinCPUNode:10 MinCPUTask:10 "
    "Nodelist:20 NTasks:8 Pids:20 ReqCPUFreq:13 ReqCPUFreqMin:13 ReqCPUFreqMax:13 ReqCPUFreqGov:13 "
    "TRESUsageInAve:14 TRESUsageInMax:14 TRESUsageInMaxNode:18 TRESUsageInMaxTask:18 TRESUsageInMin:14 "
    "TRESUsageInMinNode:18 TRESUsageInMinTask:18 TRESUsageInTot:14 TRESUsageOutAve:15 TRESUsageOutMax:15 "
    "TRESUsageOutMaxNode:19 TRESUsageOutMaxTask:19 TRESUsageOutMin:15 TRESUsageOutMinNode:19 TRESUsageOutMinTask:19 "
    "TRESUsageOutTot:15"
)
WIDTHS = {name: int(width) for name, _, width in (word.partition(":") for word in _WIDTHS_TEXT.split())}
"""Every field, by its name in 25.11."""
_CANONICAL = {name.lower(): name for name in WIDTHS}

LONG = (
    "jobid,alloctres,maxvmsize,maxvmsizenode,maxvmsizetask,avevmsize,maxrss,maxrssnode,maxrsstask,averss,maxpages,"
    "maxpagesnode,maxpagestask,avepages,mincpu,mincpunode,mincputask,avecpu,ntasks,avecpufreq,reqcpufreqmin,"
    "reqcpufreqmax,reqcpufreqgov,consumedenergy,maxdiskread,maxdiskreadnode,maxdiskreadtask,avediskread,maxdiskwrite,"
    "maxdiskwritenode,maxdiskwritetask,avediskwrite,tresusageinave,tresusageinmax,tresusageinmaxnode,"
    "tresusageinmaxtask,tresusageinmin,tresusageinminnode,tresusageinmintask,tresusageintot,tresusageoutave,"
    "tresusageoutmax,tresusageoutmaxnode,tresusageoutmaxtask,tresusageoutmin,tresusageoutminnode,"
    "tresusageoutmintask,tresusageouttot"
)
_PIDS = "jobid,nodelist,pids"


class Usage(Protocol):
    """Of one task, as `backends.port.TaskUsage` has it; the node by name."""

    @property
    def task(self) -> int: ...
    @property
    def pids(self) -> tuple[int, ...]: ...
    @property
    def user_seconds(self) -> float: ...
    @property
    def system_seconds(self) -> float: ...
    @property
    def rss_kib(self) -> int: ...
    @property
    def vm_kib(self) -> int: ...
    @property
    def read_bytes(self) -> int: ...
    @property
    def written_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Row:
    shown_id: str
    """`12.0`, `12.batch`"""
    step: Running
    tasks: tuple[tuple[str, Usage], ...]
    """(node, what its task there uses)"""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    width: int
    left: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    jobs: tuple[tuple[str, Selected], ...]
    """(as written, the id)"""
    fields: tuple[Field, ...]
    every_step: bool = False
    header: bool = True
    delimiter_at_end: bool = False
    parsable: bool = False
    convert: bool = True


def read(argv: Sequence[str]) -> Query | Answer:
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine as bad:
        return getopt_refusal("sstat", str(bad), hint=False)
    for name, text in _TEXTS.items():
        if line.has(name):
            return Answer(text)
    fields = _fields(_PIDS if line.has("pidformat") else line.last("format") or LONG)
    if isinstance(fields, Answer):
        return fields
    jobs: list[tuple[str, Selected]] = []
    for word in [*selectors.split(line.last("jobs") or ""), *line.operands]:
        chosen = selectors.parse(word)
        if chosen is None:
            return Answer(stderr=f"sstat: fatal: Bad job/step specified: {word}\n", exit_code=1)
        jobs.append((word, chosen))
    if not jobs:
        return _error("You didn't give me any jobs to stat.")
    form = next((name for name, _ in reversed(line.given) if name in ("parsable", "parsable2")), None)
    return Query(
        jobs=tuple(jobs),
        fields=fields,
        every_step=line.has("allsteps"),
        header=not line.has("noheader"),
        delimiter_at_end=form == "parsable",
        parsable=form is not None,
        convert=not line.has("noconvert"),
    )


def _error(text: str) -> Answer:
    return Answer(stderr=f"sstat: error: {text}\n", exit_code=1)


def _fields(text: str) -> tuple[Field, ...] | Answer:
    found = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        name, percent, width = word.partition("%")
        known = _CANONICAL.get(name.lower())
        if known is None:
            return _error(f'Invalid field requested: "{name}"')
        digits = width.lstrip("-")
        given = int(digits[:4]) if percent and digits.isascii() and digits.isdigit() else None
        left = width.startswith("-") or (known == "JobID" and given is None)
        found.append(Field(known, WIDTHS[known] if given is None else given, left))
    return tuple(found)


def chosen(query: Query, selected: Selected, steps: Sequence[Running]) -> list[Running]:
    """Of a job's running steps; the batch script only where it is named, or with all."""
    if selected.step is not None:
        return [step for step in steps if step.name == selected.step]
    if query.every_step:
        return list(steps)
    of_srun = [step for step in steps if step.row is not None]
    return sorted(of_srun, key=lambda step: int(step.name))[:1]


def render(query: Query, rows: Sequence[Row], errors: str = "") -> Answer:
    values = _values(query)
    lines: list[str] = []
    if query.parsable:
        end = "|" if query.delimiter_at_end else ""
        table = [[values[field.name](row) for field in query.fields] for row in rows]
        if query.header:
            table.insert(0, [field.name for field in query.fields])
        lines = ["|".join(cells) + end for cells in table]
    else:
        if query.header:
            lines.append("".join(_cell(field, field.name[: field.width]) for field in query.fields))
            lines.append("".join("-" * field.width + " " for field in query.fields))
        lines += ["".join(_cell(field, values[field.name](row)) for field in query.fields) for row in rows]
    return Answer("".join(f"{line}\n" for line in lines), errors)


def _cell(field: Field, text: str) -> str:
    if len(text) > field.width:
        text = text[: field.width - 1] + "+" if field.width else ""
    return (text.ljust(field.width) if field.left else text.rjust(field.width)) + " "


# ── figures ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Measure:
    """One quantity of tasks: how it is read and how it is written. Texts are empty where no task was measured."""

    amount: Callable[[Usage], float]
    text: Callable[[float], str]

    def total(self, row: Row) -> str:
        return self.text(sum(self.amount(usage) for _, usage in row.tasks)) if row.tasks else ""

    def mean(self, row: Row) -> str:
        return self.text(sum(self.amount(usage) for _, usage in row.tasks) / len(row.tasks)) if row.tasks else ""

    def most(self, row: Row) -> str:
        return self.text(max(self.amount(usage) for _, usage in row.tasks)) if row.tasks else ""

    def least(self, row: Row) -> str:
        return self.text(min(self.amount(usage) for _, usage in row.tasks)) if row.tasks else ""

    def most_node(self, row: Row) -> str:
        return self._most(row)[0] if row.tasks else ""

    def most_task(self, row: Row) -> str:
        return str(self._most(row)[1].task) if row.tasks else ""

    def least_node(self, row: Row) -> str:
        return self._least(row)[0] if row.tasks else ""

    def least_task(self, row: Row) -> str:
        return str(self._least(row)[1].task) if row.tasks else ""

    def _most(self, row: Row) -> tuple[str, Usage]:
        return max(row.tasks, key=lambda pair: self.amount(pair[1]))

    def _least(self, row: Row) -> tuple[str, Usage]:
        return min(row.tasks, key=lambda pair: self.amount(pair[1]))


_OF_TRES: tuple[tuple[str, Callable[[Measure, Row], str]], ...] = (
    ("Ave", Measure.mean),
    ("Max", Measure.most),
    ("MaxNode", Measure.most_node),
    ("MaxTask", Measure.most_task),
    ("Min", Measure.least),
    ("MinNode", Measure.least_node),
    ("MinTask", Measure.least_task),
    ("Tot", Measure.total),
)


def _values(query: Query) -> Mapping[str, Callable[[Row], str]]:
    def kib(amount: float) -> str:
        return f"{int(amount)}K" if query.convert else str(int(amount) * 1024)

    def moved(amount: float) -> str:
        return f"{amount / 2**20:.2f}M" if query.convert and amount >= 2**20 else str(int(amount))

    def whole(amount: float) -> str:
        return str(int(amount))

    cpu = Measure(lambda usage: usage.user_seconds + usage.system_seconds, durations.long)
    resident = Measure(lambda usage: usage.rss_kib, kib)
    virtual = Measure(lambda usage: usage.vm_kib, kib)
    values: dict[str, Callable[[Row], str]] = dict.fromkeys(WIDTHS, _unmeasured)
    values |= {
        "JobID": lambda row: row.shown_id,
        "AllocTRES": lambda row: "" if row.step.row is None else scontrol_show.step_tres(row.step.job, row.step.row),
        "NTasks": lambda row: str(1 if row.step.row is None else row.step.row.tasks),
        "Nodelist": lambda row: hostlist.compress(list(dict.fromkeys(node for node, _ in row.tasks))),
        "Pids": lambda row: ",".join(str(pid) for _, usage in row.tasks for pid in usage.pids),
        "AveCPU": cpu.mean,
        "MinCPU": cpu.least,
        "MinCPUNode": cpu.least_node,
        "MinCPUTask": cpu.least_task,
    }
    for name, measure in (
        ("RSS", resident),
        ("VMSize", virtual),
        ("DiskRead", Measure(lambda usage: usage.read_bytes, moved)),
        ("DiskWrite", Measure(lambda usage: usage.written_bytes, moved)),
    ):
        values |= {
            f"Ave{name}": measure.mean,
            f"Max{name}": measure.most,
            f"Max{name}Node": measure.most_node,
            f"Max{name}Task": measure.most_task,
        }
    read = Measure(lambda usage: usage.read_bytes, whole)
    written = Measure(lambda usage: usage.written_bytes, whole)
    for side, measures in (
        ("In", {"cpu": cpu, "fs/disk": read, "mem": resident, "vmem": virtual}),
        ("Out", {"fs/disk": written}),
    ):
        values |= {f"TRESUsage{side}{word}": partial(_joined, measures, of) for word, of in _OF_TRES}
    return values


def _unmeasured(row: Row) -> str:
    return ""


def _joined(measures: Mapping[str, Measure], of: Callable[[Measure, Row], str], row: Row) -> str:
    """`cpu=00:00:01,mem=1660K`"""
    return ",".join(f"{name}={of(measure, row)}" for name, measure in measures.items()) if row.tasks else ""


_TEXTS = {
    "version": ANNOUNCEMENT,
    "help": HELP,
    "usage": USAGE,
    "helpformat": squeue_help.columns_of_four(list(WIDTHS), end=""),
}
