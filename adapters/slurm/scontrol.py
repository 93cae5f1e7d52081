"""scontrol: its command line to one of a few orders. Pure; `bridge.slurmcli.scontrol` carries them out."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapters.slurm import errors, hostlist, scontrol_help, scontrol_update, selectors
from adapters.slurm.answer import ANNOUNCEMENT, Answer, getopt_refusal
from adapters.slurm.command_line import BadCommandLine, Grammar, Option
from adapters.slurm.data import Wish, wish
from adapters.slurm.scontrol_update import Update
from adapters.slurm.selectors import Selected

_GRAMMAR = Grammar(
    [
        Option("all", "a"),
        Option("clusters", "M", "required", ("cluster",)),
        Option("details", "d"),
        Option("federation"),
        Option("future", "F"),
        Option("help", "h"),
        Option("hide"),
        Option("json", "", "optional"),
        Option("local"),
        Option("oneliner", "o"),
        Option("quiet", "Q"),
        Option("sibling"),
        Option("uid", "u", "required"),
        Option("usage"),
        Option("verbose", "v"),
        Option("version", "V"),
        Option("yaml", "", "optional"),
    ]
)


@dataclass(frozen=True, slots=True)
class Show:
    entity: str
    """job, step, node, partition, config, licenses, reservation"""
    name: str | None
    details: bool = False
    one_line: bool = False
    data: Wish | None = None
    """--json or --yaml."""
    words: tuple[str, ...] = ()
    """The operands but the last: what --json tells of the command."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something done to jobs: hold, uhold, release, requeue, requeuehold, suspend, resume, top."""

    verb: str
    targets: tuple[tuple[str, Selected | None], ...]
    """(as written, the id; None: no id)"""
    special_exit: bool = False
    job_names: tuple[str, ...] = ()
    """Of hold, uhold and release: all jobs of these names are meant."""


@dataclass(frozen=True, slots=True)
class WriteScript:
    text: str
    job: Selected | None
    path: str | None
    """`-`: standard output; None: slurm-ID.sh."""


@dataclass(frozen=True, slots=True)
class Token:
    username: str | None
    lifespan_seconds: int | None


def words_of_line(line: str) -> list[str]:
    """A line typed to scontrol; quotes as in a shell, and none where they do not match."""
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


@dataclass(frozen=True, slots=True)
class Ping:
    by_cluster: bool = False
    """-M: the cluster's name stands for the host's."""
    data: Wish | None = None


@dataclass(frozen=True, slots=True)
class WaitJob:
    text: str
    job: Selected | None


@dataclass(frozen=True, slots=True)
class Completing:
    pass


@dataclass(frozen=True, slots=True)
class Notify:
    """A message into a job's output."""

    job: Selected | None


@dataclass(frozen=True, slots=True)
class Reconfigure:
    pass


@dataclass(frozen=True, slots=True)
class FoldNames:
    """`show hostlist FILE`: the names in a file, or in standard input (`-`)."""

    path: str
    in_order: bool


@dataclass(frozen=True, slots=True)
class Converse:
    """No command: they are read from standard input, one a line."""


Order = (
    Converse
    | Show
    | Act
    | Update
    | WriteScript
    | Token
    | Ping
    | WaitJob
    | Completing
    | Notify
    | Reconfigure
    | FoldNames
)

_VERBS = {
    "hold": "hold",
    "holdu": "uhold",
    "uhold": "uhold",
    "release": "release",
    "requeue": "requeue",
    "requeuehold": "requeuehold",
    "suspend": "suspend",
    "resume": "resume",
    "top": "top",
}

_BY_NAME = frozenset({"hold", "uhold", "release"})

_ENTITIES = {
    "aliases": "aliases",
    "assoc_mgr": "assoc_mgr",
    "bbstat": "nothing",
    "burstbuffer": "nothing",
    "config": "config",
    "daemons": "daemons",
    "dwstat": "nothing",
    "federation": "nothing",
    "hostlist": "hostlist",
    "hostlistsorted": "hostlistsorted",
    "hostname": "hostnames",
    "hostnames": "hostnames",
    "job": "job",
    "jobid": "job",
    "jobs": "job",
    "license": "licenses",
    "licenses": "licenses",
    "node": "node",
    "nodename": "node",
    "nodes": "node",
    "partition": "partition",
    "partitionname": "partition",
    "partitions": "partition",
    "reservation": "reservation",
    "reservations": "reservation",
    "step": "step",
    "stepid": "step",
    "steps": "step",
    "topology": "nothing",
}

_DO_NOTHING_HERE = frozenset({"all", "cluster", "details", "exit", "hide", "oneliner", "quiet", "quit", "verbose"})
"""Words that set something in scontrol's interactive mode only."""

_NOT_OURS = frozenset(
    {
        "cancel_reboot",
        "create",
        "delete",
        "fsdampeningfactor",
        "power",
        "reboot",
        "schedloglevel",
        "setdebug",
        "setdebugflags",
        "shutdown",
        "takeover",
    }
)
"""Orders to Slurm's own daemons: refused in the words that Slurm has for what is switched off."""


def clusters_named(argv: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """-M or SLURM_CLUSTERS, as written; None: neither, or a line that `read` refuses."""
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine:
        return None
    return line.last("clusters") if line.has("clusters") else environ.get("SLURM_CLUSTERS")


def operands(argv: Sequence[str]) -> tuple[str, ...]:
    """Empty for a line that `read` refuses."""
    try:
        return _GRAMMAR.read(argv).operands
    except BadCommandLine:
        return ()


def read(argv: Sequence[str], environ: Mapping[str, str]) -> Order | Answer:
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine as bad:
        return getopt_refusal("scontrol", str(bad))
    if line.has("version"):
        return Answer(ANNOUNCEMENT)
    if line.has("help"):
        return Answer(scontrol_help.HELP)
    words = list(line.operands)
    if not words:
        return Converse()
    keyword, rest = words[0].lower(), words[1:]
    match keyword:
        case "show":
            data = wish("scontrol", line.given)
            if isinstance(data, Answer):
                return data
            shown = _show(rest, environ, details=line.has("details"), one_line=line.has("oneliner"))
            if data is None or not isinstance(shown, Show):
                return shown
            return replace(shown, data=data, words=tuple(words[:-1]))
        case "update":
            return scontrol_update.read(rest)
        case "write":
            return _write(rest)
        case "token":
            return _token(rest)
        case "ping":
            data = wish("scontrol", line.given)
            if rest:
                return _too_many(keyword)
            return data if isinstance(data, Answer) else Ping(line.has("clusters"), data)
        case "version":
            return Answer(ANNOUNCEMENT, "too many arguments for version keyword\n" if rest else "", 1 if rest else 0)
        case "help":
            return Answer(scontrol_help.HELP)
        case "reconfigure" | "reconfig":
            return Reconfigure()
        case "errnumstr":
            return _error_number(rest)
        case "completing":
            return _too_many(keyword) if rest else Completing()
        case "notify":
            return Notify(selectors.parse(rest[0])) if len(rest) > 1 else _too_few(keyword)
        case "reboot" if not rest:
            return Answer(stderr="Missing node list. Specify ALL|<NodeList>", exit_code=1)
        case "shutdown" if rest:
            return Answer(stderr=f"invalid shutdown argument:{rest[0]}\n", exit_code=1)
        case "wait_job":
            return WaitJob(rest[0], selectors.parse(rest[0])) if rest else _too_few(keyword)
    if keyword in _VERBS:
        return _act(keyword, rest)
    if keyword in _DO_NOTHING_HERE:
        return Answer()
    if keyword in _NOT_OURS:
        return Answer(stderr=f"{errors.text_of('disabled', '')}: {words[0]}\n", exit_code=1)
    return Answer(stderr=f"invalid keyword: {words[0]}\n", exit_code=1)


def is_quiet(argv: Sequence[str]) -> bool:
    """-Q: what comes of an order is told by the exit code alone."""
    try:
        return _GRAMMAR.read(argv).has("quiet")
    except BadCommandLine:
        return False


def _too_many(keyword: str) -> Answer:
    return Answer(stderr=f"too many arguments for keyword:{keyword}\n", exit_code=1)


def _too_few(keyword: str) -> Answer:
    return Answer(stderr=f"too few arguments for keyword:{keyword}\n", exit_code=1)


# ── show ──────────────────────────────────────────────────────────────────────────────────────────


def _show(words: list[str], environ: Mapping[str, str], *, details: bool, one_line: bool) -> Order | Answer:
    if not words:
        return _too_few("show")
    if len(words) > 2:
        return Answer(stderr="too many arguments for keyword:show\n", exit_code=1)
    word, equals, value = words[0].partition("=")
    name: str | None = value if equals else words[1] if len(words) > 1 else None
    matches = {_ENTITIES[key] for key in _ENTITIES if key == word.lower()} or {
        _ENTITIES[key] for key in _ENTITIES if len(word) >= 3 and key.startswith(word.lower())
    }
    if len(matches) != 1:
        return Answer(stderr=f"invalid entity:{words[0]} for keyword:show\n", exit_code=1)
    entity = matches.pop()
    if entity == "hostnames":
        return show_hostnames(name, environ)
    if entity in ("hostlist", "hostlistsorted"):
        return _show_hostlist(name, in_order=entity == "hostlist")
    if entity == "assoc_mgr":
        return Answer(
            stderr="scontrol: error: the bridge has no association manager whose memory could be shown; "
            "sacctmgr show assoc, user and qos tell what is on record\n",
            exit_code=1,
        )
    if entity == "daemons":
        return Answer("slurmctld slurmd\n")
    if entity == "nothing":
        return Answer()
    return Show(entity, name or None, details, one_line)


def show_hostnames(text: str | None, environ: Mapping[str, str]) -> Answer:
    if text is None:
        # Only SLURM_NODELIST, not SLURM_JOB_NODELIST.
        text = environ.get("SLURM_NODELIST")
        if text is None:
            return Answer(stderr="scontrol: error: host list is empty\n")
    try:
        names = hostlist.expand(text)
    except ValueError:
        return Answer(stderr=f"Invalid hostlist: {text}\n")
    return Answer("".join(f"{name}\n" for name in names))


def _show_hostlist(text: str | None, *, in_order: bool) -> FoldNames | Answer:
    if text is None:
        return Answer(scontrol_help.HELP, "invalid encode argument\n", 1)
    if text == "-" or text.startswith("/"):
        return FoldNames(text, in_order)
    return fold_names(text, in_order=in_order)


def fold_names(text: str, *, in_order: bool) -> Answer:
    try:
        names = hostlist.expand(text)
    except ValueError:
        return Answer(stderr=f"Invalid hostlist: {text}\n", exit_code=1)
    return Answer((hostlist.fold(names) if in_order else hostlist.compress(sorted(names))) + "\n")


# ── the rest ──────────────────────────────────────────────────────────────────────────────────────


def _act(keyword: str, words: list[str]) -> Act | Answer:
    verb, special_exit = _VERBS[keyword], False
    targets: list[tuple[str, Selected | None]] = []
    job_names: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name.lower() == "state":
            if value.lower().replace("_", "") not in ("specialexit", "se"):
                return Answer(stderr=f"Invalid state: {value}\n", exit_code=1)
            special_exit = True
            continue
        if equals and name.lower() in ("name", "jobname") and verb in _BY_NAME:
            job_names.append(value)
            continue
        if equals and name.lower() in ("job", "jobid", "jobs"):
            word = value
        parts = [(one, selectors.parse(one)) for one in selectors.split(word)]
        # A list with a word that is no id in it is refused as a whole.
        targets += parts if all(selected for _, selected in parts) else [(word, None)]
    if not (targets or job_names):
        return _too_few(keyword)
    return Act(verb, tuple(targets), special_exit, tuple(job_names))


def _write(words: list[str]) -> WriteScript | Answer:
    if not words:
        return _too_few("write")
    if words[0].lower() != "batch_script":
        return Answer(stderr=f"invalid write argument:{words[0]}\n", exit_code=1)
    if len(words) == 1:
        return _too_few("write batch_script")
    if len(words) > 3:
        return Answer(stderr="too many arguments for keyword:write\n", exit_code=1)
    return WriteScript(words[1], selectors.parse(words[1]), words[2] if len(words) > 2 else None)


def _token(words: list[str]) -> Token | Answer:
    username: str | None = None
    lifespan: int | None = None
    for word in words:
        name, equals, value = word.partition("=")
        match name.lower() if equals else "":
            case "username":
                username = value
            case "lifespan":
                if value.lower() in ("infinite", "unlimited"):
                    lifespan = None
                elif value.isascii() and value.isdigit() and len(value) < 12:
                    lifespan = int(value)
                else:
                    return Answer(
                        stderr=f'scontrol: error: Invalid numeric value "{value}" for lifespan.\n', exit_code=1
                    )
            case _:
                return Answer(stderr=f"Invalid option: `{word}`\n", exit_code=1)
    return Token(username, lifespan)


def _error_number(words: list[str]) -> Answer:
    if not words:
        return _too_few("errnumstr")
    texts = {str(number): text for number, text in errors.ERRORS.values()}
    text = texts.get(words[0])
    if text is None:
        return Answer(stderr=f"{words[0]} is no error number of Slurm that is known here\n", exit_code=1)
    return Answer(f"{text}\n")
