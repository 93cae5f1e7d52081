"""sinfo: its command line to a query, partitions and nodes to rows. Pure; `bridge.slurmcli.sinfo` joins it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adapters.slurm import durations, hostlist, node_states, sinfo_columns, squeue_help
from adapters.slurm.answer import ANNOUNCEMENT, Answer, getopt_refusal
from adapters.slurm.columns import Column, Printer, compile_letters, compile_names
from adapters.slurm.command_line import BadCommandLine, Grammar, Option
from adapters.slurm.data import Wish, wish
from adapters.slurm.scontrol_show import NodeUse
from adapters.slurm.sinfo_columns import Row
from bridge.core.nodes import Site

_GRAMMAR = Grammar(
    [
        Option("all", "a"),
        Option("clusters", "M", "required", ("cluster",)),
        Option("dead", "d"),
        Option("exact", "e"),
        Option("federation"),
        Option("format", "o", "required"),
        Option("Format", "O", "required"),
        Option("future", "F"),
        Option("help"),
        Option("helpformat"),
        Option("helpFormat"),
        Option("helpstate"),
        Option("hide"),
        Option("iterate", "i", "required"),
        Option("json", "", "optional"),
        Option("list-reasons", "R"),
        Option("local"),
        Option("long", "l"),
        Option("nodes", "n", "required"),
        Option("noconvert"),
        Option("Node", "N"),
        Option("noheader", "h"),
        Option("partition", "p", "required"),
        Option("reservation", "T"),
        Option("responding", "r"),
        Option("sort", "S", "required"),
        Option("states", "t", "required"),
        Option("summarize", "s"),
        Option("usage"),
        Option("verbose", "v"),
        Option("version", "V"),
        Option("yaml", "", "optional"),
    ]
)

USAGE = """\
Usage: sinfo [-abdelNRrsTv] [-i seconds] [-t states] [-p partition] [-n nodes]
             [-S fields] [-o format] [-O Format] [--federation] [--local]
"""

HELP = """\
Usage: sinfo [OPTIONS]
  -p, --partition=NAMES  these partitions;  -n, --nodes=NODES;  -t, --states=STATES
  -N, --Node             a row for each node;  -s, --summarize: a row for each partition
  -l, --long             more columns;  -R, --list-reasons: why nodes are drained or down
  -o, --format=FORMAT    %[[.]width]letter ...;  -O, --Format=NAMES;  -S, --sort=LETTERS
  -h, --noheader         no titles;  -i, --iterate=SECONDS: again and again
  -d, --dead             only nodes that are down;  -r, --responding: only those that are not
  --help, --usage, --helpformat, --helpFormat, --helpstate, -V, --version
"""


@dataclass(frozen=True, slots=True)
class Query:
    letters: str | None
    long_names: str
    partitions: tuple[str, ...] | None = None
    nodes: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None
    dead: bool = False
    responding: bool = False
    by_node: bool = False
    reasons: bool = False
    exact: bool = False
    header: bool = True
    dated: bool = False
    sort: str | None = None
    iterate_seconds: int | None = None
    clusters: str | None = None
    """-M, as written."""
    data: Wish | None = None
    """--json or --yaml."""
    reservations: bool = False


def read(argv: Sequence[str], environ: Mapping[str, str]) -> Query | Answer:
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine as bad:
        return getopt_refusal("sinfo", str(bad))
    if line.has("version"):
        return Answer(ANNOUNCEMENT)
    for name, text in _TEXTS.items():
        if line.has(name):
            return Answer(text)
    data = wish("sinfo", line.given)
    if isinstance(data, Answer):
        return data
    iterate: int | None = None
    if (text := line.last("iterate") or "") or line.has("iterate"):
        if not (text.isascii() and text.isdigit()) or int(text[:9]) < 1:
            return _error(f"Error: invalid entry for --iterate={text}")
        iterate = int(text[:9])
    states = _words(line.last("states"))
    for word in states or ():
        if word.lower() != "all" and word.lower() not in node_states.NAMES and word.lower() not in node_states.SHORT:
            return Answer(
                stderr=f'sinfo: error: Bad state string: "{word}"\n'
                f"sinfo: error: valid states: {','.join(node_states.NAMES)}\n",
                exit_code=1,
            )
    node_text = line.last("nodes")
    try:
        nodes = None if node_text is None else tuple(hostlist.expand(node_text))
    except ValueError:
        return _error(f"Invalid node list: {node_text}")
    letters, names = _format(line.given, environ)
    return Query(
        letters=letters,
        long_names=names,
        partitions=_words(line.last("partition") or environ.get("SINFO_PARTITION")),
        nodes=nodes,
        states=None if states is None or "all" in states else states,
        dead=line.has("dead"),
        responding=line.has("responding"),
        by_node=line.has("Node"),
        reasons=line.has("list-reasons"),
        exact=line.has("exact"),
        header=not line.has("noheader"),
        dated=line.has("long"),
        sort=line.last("sort") or environ.get("SINFO_SORT"),
        iterate_seconds=iterate,
        data=data,
        reservations=line.has("reservation"),
        clusters=line.last("clusters") if line.has("clusters") else environ.get("SLURM_CLUSTERS"),
    )


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word for word in text.split(",") if word)


def _error(text: str) -> Answer:
    return Answer(stderr=f"sinfo: error: {text}\n", exit_code=1)


def _format(given: Sequence[tuple[str, str | None]], environ: Mapping[str, str]) -> tuple[str | None, str]:
    """`#` stands for a width that is found from the rows."""
    names = {name for name, _ in given}
    for name, value in reversed(given):
        if name == "format":
            return value or "", ""
        if name == "Format":
            return None, value or ""
    long = "long" in names
    if "summarize" in names:
        return "%#P %.5a %.10l %.16F %N", ""
    if "list-reasons" in names:
        return ("%20E %12U %19H %6t %N" if long else "%20E %9u %19H %N"), ""
    if "Node" in names:
        if long:
            return "%#N %.6D %.#P %.11T %4c %.8z %.6m %.8d %.6w %.8f %20E", ""
        return "%#N %.6D %.#P %6t", ""
    if long:
        return "%#P %.5a %.10l %.10s %.4r %.8h %.10g %.6D %.11T %.11i %N", ""
    if "SINFO_FORMAT" in environ:
        return environ["SINFO_FORMAT"], ""
    return "%#P %.5a %.10l %.6D %.6t %N", ""


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────


def rows_of(query: Query, site: Site, uses: Sequence[NodeUse]) -> list[Row]:
    """One row for each partition and kind of node; which nodes are of a kind follows from the columns shown."""
    chosen = [use for use in uses if _chosen(query, use)]
    partitions = [p for p in site.partitions if query.partitions is None or p.name in query.partitions]
    if query.reasons:
        chosen = [use for use in chosen if use.node.reason]
    if query.by_node:
        return [
            Row(partition, (use,))
            for use in sorted(chosen, key=lambda use: _natural(use.node.name))
            for partition in partitions
            if use.node.name in partition.nodes
        ]
    keys = [_KINDS[letter] for letter in _letters(query) if letter in _KINDS]
    rows: list[Row] = []
    for partition in partitions:
        kinds: dict[tuple[object, ...], list[NodeUse]] = {}
        inside = [use for use in chosen if use.node.name in partition.nodes]
        for use in sorted(inside, key=lambda use: -_state_number(use)):
            kinds.setdefault(tuple(key(use) for key in keys), []).append(use)
        if not inside and not query.reasons:
            rows.append(Row(partition, ()))
        rows += [Row(partition, tuple(group)) for group in kinds.values()]
    return _merge_partitions(query, rows)


def _chosen(query: Query, use: NodeUse) -> bool:
    if query.nodes is not None and use.node.name not in query.nodes:
        return False
    if query.states is not None and not any(node_states.matches(word, use) for word in query.states):
        return False
    if query.dead and not use.node.state.is_down:
        return False
    return not (query.responding and use.node.state.is_down)


def _natural(name: str) -> tuple[str, int, str]:
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    return stem, int(digits or 0), name


def _state_number(use: NodeUse) -> int:
    """Slurm's numbers: flags weigh more than base states; sinfo lists by them, falling."""
    base = {"mixed": 5, "allocated": 3, "idle": 2, "down": 1}
    node = use.node
    plain = "allocated" if use.cpus >= node.cpus else "mixed" if use.cpus else "idle"
    number = base["down" if node.state.is_down else plain]
    number += {"maint": 0x180, "reserved": 0x80}.get(use.kept_for, 0)
    return number + {"DRAIN": 0x200, "FAIL": 0x2000000}.get(node.state.flag, 0) + (0x2000 if use.completing else 0)


_KINDS: dict[str, Callable[[NodeUse], object]] = {
    "t": node_states.compact,
    "T": node_states.compact,
    "b": lambda use: use.node.features,
    "f": lambda use: use.node.features,
    "E": lambda use: use.node.reason,
    "H": lambda use: use.node.reason_at,
    "u": lambda use: use.node.reason_by,
    "U": lambda use: use.node.reason_by,
    "G": lambda use: use.node.gres,
    "n": sinfo_columns.host_name,
    "o": sinfo_columns.address,
}
"""Columns whose value tells nodes apart; the others give sums and ranges over the nodes of a row."""

_OF_PARTITIONS = frozenset("PRalLrsphgIMB")


def _letters(query: Query) -> list[str]:
    if query.letters is None:
        names = {name.lower(): letter for name, letter in sinfo_columns.NAMES.items()}
        return [names.get(word.partition(":")[0].strip().lower(), "") for word in query.long_names.split(",")]
    pieces = query.letters.split("%")[1:]
    letters = [piece.lstrip(".#0123456789")[:1] for piece in pieces]
    exact = list("cmdwz") if query.exact else []
    return letters + exact


def _merge_partitions(query: Query, rows: list[Row]) -> list[Row]:
    """Rows of different partitions are one where no column tells the partitions apart."""
    letters = _letters(query)
    if "P" in letters or "R" in letters:
        return rows
    tables = sinfo_columns.make(durations.Clock())
    shown = [tables[letter].value for letter in letters if letter in _OF_PARTITIONS]
    keys = [_KINDS[letter] for letter in letters if letter in _KINDS]
    merged: dict[tuple[object, ...], Row] = {}
    for row in rows:
        if not row.nodes:
            continue
        key = (*(value(row) for value in shown), *(of(row.nodes[0]) for of in keys))
        old = merged.get(key)
        nodes = dict.fromkeys((*(old.nodes if old else ()), *row.nodes))
        merged[key] = Row(old.partition if old else row.partition, tuple(nodes))
    return list(merged.values())


def render(query: Query, site: Site, uses: Sequence[NodeUse], clock: durations.Clock) -> Answer:
    rows = rows_of(query, site, uses)
    width = {
        "P": max([9, *(len(sinfo_columns.partition_mark(row.partition)) for row in rows)]),
        "N": max([9, *(len(use.node.name) for row in rows for use in row.nodes)]),
    }
    columns = sinfo_columns.make(clock)
    printer: Printer[Row]
    if query.letters is not None:
        letters = query.letters.replace("#P", f"{width['P']}P").replace("#N", f"{width['N']}N")
        printer, bad = compile_letters(letters.replace("%all", sinfo_columns.ALL), columns)
        errors = "".join(f"Invalid node format specification: {letter}\n" for letter in bad)
    else:
        by_name = {name.lower(): columns[letter] for name, letter in sinfo_columns.NAMES.items()}
        printer, bad = compile_names(query.long_names, by_name)
        errors = "".join(f"sinfo: error: Invalid job format specification: {word}\n" for word in bad)
    if query.sort:
        _sort(rows, query.sort, columns, site)
    lines = [clock.banner()] if query.dated and query.header else []
    if query.header:
        lines.append(printer.header())
    lines += printer.lines(rows)
    return Answer("".join(f"{line}\n" for line in lines), errors)


def _sort(rows: list[Row], keys: str, columns: Mapping[str, Column[Row]], site: Site) -> None:
    order = {partition.name: number for number, partition in enumerate(site.partitions)}
    for key in reversed([key for key in keys.split(",") if key]):
        letter = key.lstrip("+-#")[:1]
        backwards = key.startswith("-")
        if letter in "PR" and "#" in key:
            rows.sort(key=lambda row: order[row.partition.name], reverse=backwards)
        elif letter in "tT":
            rows.sort(key=lambda row: _state_number(row.nodes[0]) if row.nodes else -1, reverse=backwards)
        elif letter in "Dcmdw" and letter in columns:
            rows.sort(key=lambda row, of=columns[letter].value: _number(of(row)), reverse=backwards)  # type: ignore[misc]
        elif letter in columns:
            rows.sort(key=columns[letter].value, reverse=backwards)


def _number(text: str) -> int:
    digits = text.partition("-")[0].rstrip("+")
    return int(digits) if digits.isdigit() else 0


_TEXTS = {
    "usage": USAGE,
    "help": HELP,
    "helpformat": squeue_help.letters_of_eight("SaVYcOCLdfbeGGgBmoAFnNDhPRMIpEirsXztTZlHuUvw"),
    "helpFormat": squeue_help.columns_of_four(list(sinfo_columns.NAMES)),
    "helpstate": "".join(f"{name}\n" for name in node_states.NAMES),
}
