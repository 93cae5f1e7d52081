"""sdiag: what the service has done since it began, in the layout of 25.11. Pure; `bridge.slurmcli.sdiag` joins it.

Only what is counted here is told: a bridge has no agents' queues and no separate backfill cycle.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from adapters.slurm.answer import ANNOUNCEMENT, Answer, getopt_refusal
from adapters.slurm.command_line import BadCommandLine, Grammar, Option
from adapters.slurm.data import Wish, wish
from adapters.slurm.durations import Clock
from bridge.core.cycles import Cycles
from bridge.core.job import Job, JobState

_GRAMMAR = Grammar(
    [
        Option("all", "a"),
        Option("cluster", "M", "required", ("clusters",)),
        Option("help", "h"),
        Option("json", "", "optional"),
        Option("no-trunc"),
        Option("reset", "r"),
        Option("sort-by-id", "i"),
        Option("sort-by-time", "t"),
        Option("sort-by-time2", "T"),
        Option("usage"),
        Option("version", "V"),
        Option("yaml", "", "optional"),
    ]
)

USAGE = "Usage: sdiag [-M cluster] [-aritT]\n"

HELP = """\
Usage: sdiag [OPTIONS]
  -r, --reset            begin counting anew (operators)
  -i, --sort-by-id       commands by the number of their message;  -t, --sort-by-time: by time in all
  -T, --sort-by-time2    by mean time;  else by how often they were called
  -M, --cluster=NAME;  --json, --yaml;  --help, --usage, -V, --version
"""


@dataclass(frozen=True, slots=True)
class Query:
    order: str = "count"
    """count | id | time | mean"""
    reset: bool = False
    clusters: str | None = None
    """-M, as written."""
    data: Wish | None = None


def read(argv: Sequence[str], environ: Mapping[str, str]) -> Query | Answer:
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine as bad:
        return getopt_refusal("sdiag", str(bad))
    for name, text in (("version", ANNOUNCEMENT), ("help", HELP), ("usage", USAGE)):
        if line.has(name):
            return Answer(text)
    data = wish("sdiag", line.given)
    if isinstance(data, Answer):
        return data
    orders = {"sort-by-id": "id", "sort-by-time": "time", "sort-by-time2": "mean"}
    order = next((orders[name] for name, _ in reversed(line.given) if name in orders), "count")
    clusters = line.last("cluster") if line.has("cluster") else environ.get("SLURM_CLUSTERS")
    return Query(order, line.has("reset"), clusters, data)


# ── figures ───────────────────────────────────────────────────────────────────────────────────────

MESSAGES = {
    "squeue": (2003, "REQUEST_JOB_INFO"),
    "sinfo": (2009, "REQUEST_PARTITION_INFO"),
    "sprio": (2026, "REQUEST_PRIORITY_FACTORS"),
    "sdiag": (2035, "REQUEST_STATS_INFO"),
    "sstat": (2041, "REQUEST_JOB_STEP_STAT"),
    "sbatch": (4003, "REQUEST_SUBMIT_BATCH_JOB"),
    "scancel": (5032, "REQUEST_KILL_JOB"),
}
"""What slurmctld would be sent by each command: (number, name). Others stand under their own names."""

_UNNUMBERED = 65534


@dataclass(slots=True)
class Count:
    calls: int = 0
    microseconds: int = 0

    @property
    def mean(self) -> int:
        return self.microseconds // max(1, self.calls)


@dataclass(slots=True)
class Calls:
    """How often each command was answered, for whom, and how long it took."""

    since: float
    by_command: dict[str, Count] = field(default_factory=dict)
    by_user: dict[tuple[int, str], Count] = field(default_factory=dict)

    def add(self, command: str, uid: int, user: str, seconds: float) -> None:
        for count in (
            self.by_command.setdefault(command, Count()),
            self.by_user.setdefault((uid, user), Count()),
        ):
            count.calls += 1
            count.microseconds += max(0, int(seconds * 1e6))

    def reset(self, now: float) -> None:
        self.since = now
        self.by_command.clear()
        self.by_user.clear()


def tally(found: Iterable[Job], since: float) -> dict[str, int]:
    """What happened to jobs since. An array's waiting tasks count as one, as their record does in Slurm."""
    counts = dict.fromkeys(("submitted", "started", "completed", "canceled", "failed", "pending", "running"), 0)
    for job in found:
        counts["submitted"] += job.submitted_at >= since and job.task_index is None
        counts["started"] += bool(job.nodes) and job.started_at is not None and job.started_at >= since
        if job.ended_at is None:
            counts["pending"] += job.state in (JobState.PENDING, JobState.SPECIAL_EXIT)
            counts["running"] += job.state in (JobState.RUNNING, JobState.CONFIGURING)
        elif job.ended_at >= since:
            ends = {JobState.COMPLETED: "completed", JobState.CANCELLED: "canceled"}
            counts[ends.get(job.state, "failed")] += 1
    return counts


# ── text ──────────────────────────────────────────────────────────────────────────────────────────

_STARS = "*" * 55


def text(query: Query, jobs: Mapping[str, int], calls: Calls, cycles: Cycles, clock: Clock) -> str:
    since = max(1.0, clock.now - calls.since)
    lines = [
        _STARS,
        f"sdiag output at {_when(clock, clock.now)}",
        f"Data since      {_when(clock, calls.since)}",
        _STARS,
        "",
        *(f"Jobs {name}:{' ' * (10 - len(name))}{jobs[name]}" for name in _DONE),
        "",
        f"Job states ts:  {_when(clock, clock.now)}",
        *(f"Jobs {name}:{' ' * (10 - len(name))}{jobs[name]}" for name in ("pending", "running")),
        "",
        "Main schedule statistics (microseconds):",
        f"\tLast cycle:   {cycles.last}",
        f"\tMax cycle:    {cycles.longest}",
        f"\tTotal cycles: {cycles.count}",
    ]
    if cycles.count:
        lines += [
            f"\tMean cycle:   {cycles.total // cycles.count}",
            f"\tMean depth cycle:  {cycles.depth // cycles.count}",
        ]
    lines += [
        f"\tCycles per minute: {int(cycles.count * 60 / since)}",
        f"\tLast queue length: {cycles.queue_length}",
        "",
        "Remote Procedure Call statistics by message type",
        *(_call_line(name, number, count) for name, number, count in ordered(query, calls)),
        "",
        "Remote Procedure Call statistics by user",
        *(
            f"\t{user:<16}({uid:>8}) count:{count.calls:<6} ave_time:{count.mean:<6} total_time:{count.microseconds}"
            for (uid, user), count in sorted(calls.by_user.items(), key=lambda item: -item[1].calls)
        ),
        "",
        "Pending RPC statistics",
        "\tNo pending RPCs",
    ]
    return "".join(f"{line}\n" for line in lines)


_DONE = ("submitted", "started", "completed", "canceled", "failed")


def _when(clock: Clock, at: float) -> str:
    return f"{datetime.fromtimestamp(at, clock.zone):%a %b %d %H:%M:%S %Y} ({int(at)})"


def _call_line(name: str, number: int, count: Count) -> str:
    figures = f"count:{count.calls:<6} ave_time:{count.mean:<6} total_time:{count.microseconds}"
    return f"\t{name:<40}({number:>5}) {figures}"


def ordered(query: Query, calls: Calls) -> list[tuple[str, int, Count]]:
    """(message, number, count) of what was called."""
    rows = []
    for command, count in calls.by_command.items():
        number, name = MESSAGES.get(command, (_UNNUMBERED, command))
        rows.append((name, number, count))
    match query.order:
        case "id":
            rows.sort(key=lambda row: row[1])
        case "time":
            rows.sort(key=lambda row: -row[2].microseconds)
        case "mean":
            rows.sort(key=lambda row: -row[2].mean)
        case _:
            rows.sort(key=lambda row: -row[2].calls)
    return rows
