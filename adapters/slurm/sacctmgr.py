"""sacctmgr: its command line to an order. Pure; `bridge.slurmcli.sacctmgr` carries it out.

The language is the command's own: a keyword, an entity, then words `name=value` in any case, whose names may
be cut short. How far differs from list to list, as in Slurm; each list of `Word`s says it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from adapters.slurm import sacctmgr_fields, sacctmgr_help
from adapters.slurm.answer import ANNOUNCEMENT, Answer, getopt_refusal
from adapters.slurm.command_line import BadCommandLine, Grammar, Option
from adapters.slurm.data import Wish, wish
from adapters.slurm.sacctmgr_fields import Chosen, Form

Entity = Literal["account", "association", "cluster", "coordinator", "qos", "tres", "user"]

_GRAMMAR = Grammar(
    [
        Option("help", "h"),
        Option("usage"),
        Option("immediate", "i"),
        Option("noheader", "n"),
        Option("oneliner", "o"),
        Option("parsable", "p"),
        Option("parsable2", "P"),
        Option("quiet", "Q"),
        Option("readonly", "r"),
        Option("associations", "s"),
        Option("verbose", "v"),
        Option("version", "V"),
        Option("json", "", "optional"),
        Option("yaml", "", "optional"),
    ]
)


@dataclass(frozen=True, slots=True)
class List:
    entity: Entity
    conditions: "Conditions"
    fields: tuple[Chosen, ...]
    form: Form
    data: Wish | None = None
    """--json or --yaml."""


@dataclass(frozen=True, slots=True)
class Change:
    """An order to add, modify or delete, with its words as written."""

    verb: Literal["add", "modify", "delete"]
    entity: Entity
    words: tuple[str, ...]
    is_immediate: bool = False
    """Without asking whether it is meant."""


Order = List | Change


@dataclass(frozen=True, slots=True)
class Conditions:
    """None: anything."""

    names: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    users: tuple[str, ...] | None = None
    """An empty name is the associations of accounts themselves."""
    clusters: tuple[str, ...] | None = None
    parents: tuple[str, ...] | None = None
    partitions: tuple[str, ...] | None = None
    qos: tuple[str, ...] | None = None
    default_qos: tuple[str, ...] | None = None
    default_accounts: tuple[str, ...] | None = None
    descriptions: tuple[str, ...] | None = None
    organizations: tuple[str, ...] | None = None
    admin_level: str | None = None
    preempt_mode: str | None = None
    ids: tuple[int, ...] | None = None
    flags: frozenset[str] = frozenset()
    """Words without a value: withassoc, tree …"""

    @property
    def needs_associations(self) -> bool:
        asked = (self.clusters, self.parents, self.partitions, self.qos, self.default_qos, self.ids)
        return any(one is not None for one in asked)


@dataclass(frozen=True, slots=True)
class Word:
    name: str
    shortest: int
    fills: str
    """Field of `Conditions`; `flag` for a word that has no value, `format`, or `nothing`."""


_WITH = (
    Word("withassoc", 5, "flag"),
    Word("withcoordinators", 5, "flag"),
    Word("withdeleted", 5, "flag"),
    Word("withrawqoslevel", 5, "flag"),
    Word("withsubaccounts", 5, "flag"),
    Word("wopinfo", 4, "flag"),
    Word("woplimits", 4, "flag"),
    Word("wolimits", 3, "flag"),
    Word("onlydefaults", 4, "flag"),
)

_COMMON = (
    Word("clusters", 1, "clusters"),
    Word("defaultqos", 8, "default_qos"),
    Word("ids", 1, "ids"),
    Word("parents", 3, "parents"),
    Word("partitions", 3, "partitions"),
    Word("qoslevel", 1, "qos"),
    *_WITH,
)

CONDITIONS: Mapping[Entity, tuple[Word, ...]] = {
    "account": (
        Word("accounts", 1, "names"),
        Word("acct", 4, "names"),
        Word("names", 1, "names"),
        Word("descriptions", 1, "descriptions"),
        Word("flags", 2, "nothing"),
        Word("format", 2, "format"),
        Word("organizations", 1, "organizations"),
        Word("users", 1, "users"),
        *_COMMON,
    ),
    "user": (
        Word("users", 1, "names"),
        Word("names", 1, "names"),
        Word("accounts", 2, "accounts"),
        Word("acct", 2, "accounts"),
        Word("adminlevel", 2, "admin_level"),
        Word("defaultaccounts", 8, "default_accounts"),
        Word("defaultwckeys", 8, "nothing"),
        Word("format", 1, "format"),
        *_COMMON,
    ),
    "association": (
        Word("users", 1, "users"),
        Word("accounts", 2, "accounts"),
        Word("acct", 2, "accounts"),
        Word("format", 1, "format"),
        Word("tree", 1, "flag"),
        *_COMMON,
    ),
    "qos": (
        Word("names", 1, "names"),
        Word("qoslevel", 1, "names"),
        Word("clusters", 1, "nothing"),
        Word("descriptions", 1, "descriptions"),
        Word("format", 1, "format"),
        Word("ids", 1, "ids"),
        Word("preemptmode", 8, "preempt_mode"),
        Word("withdeleted", 5, "flag"),
    ),
    "tres": (
        Word("ids", 1, "ids"),
        Word("names", 1, "names"),
        Word("types", 1, "descriptions"),
        Word("format", 1, "format"),
        Word("withdeleted", 5, "flag"),
    ),
    "cluster": (
        Word("names", 1, "names"),
        Word("clusters", 3, "names"),
        Word("classification", 3, "nothing"),
        Word("federation", 3, "nothing"),
        Word("flags", 2, "nothing"),
        Word("format", 2, "format"),
        Word("rpc", 1, "nothing"),
        *_WITH,
    ),
}

_LIMITS = (
    "Share,Prio,GrpJ,GrpTRES,GrpS,GrpWall,GrpTRESMins,MaxJ,MaxTRES,MaxTRESPerN,MaxS,MaxW,MaxTRESMins,QOS,DefaultQOS"
)

DEFAULT_FIELDS: Mapping[Entity, str] = {
    "account": "Account,Descr,Org",
    "user": "User,DefaultAccount,Admin",
    "association": f"Cluster,Account,User,Part,{_LIMITS},GrpTRESRunMins",
    "qos": "Name,Prio,Grace,Preempt,PreemptExempt,PreemptM,Flags%40,UsageThres,UsageFactor,GrpTRES,GrpTRESMins,"
    "GrpTRESRunMins,GrpJ,GrpS,GrpW,MaxTRES,MaxTRESPerN,MaxTRESMins,MaxW,MaxTRESPerUser,MaxJobsPerUser,"
    "MaxSubmitJobsPerUser,MaxTRESPerAcct,MaxTRESRunMinsPA%22,MaxTRESRunMinsPU%22,MaxJobsPerAccount,"
    "MaxSubmitJobsPerAccount,MinTRES".replace("MaxTRESPerAcct", "MaxTRESPA"),
    "tres": "Type,Name%15,ID",
    "cluster": "Cluster,ControlHost,ControlPort,RPC,Share,GrpJ,GrpTRES,GrpS,MaxJ,MaxTRES,MaxS,MaxW,QOS,DefaultQOS",
}

_ASSOCIATION_FIELDS = {
    "account": "Account,Descr,Org,Cluster,ParentN,User,Share,Prio,GrpJ,GrpN,GrpCPUs,GrpMem,GrpS,GrpWall,GrpCPUMins,"
    "MaxJ,MaxNodes,MaxCPUs,MaxS,MaxW,MaxCPUMins,QOS,DefaultQOS",
    "user": "User,DefaultAccount,Admin,Cluster,Account,Part,Share,Prio,MaxJ,MaxNodes,MaxCPUs,MaxS,MaxW,MaxCPUMins,"
    "QOS,DefaultQOS",
}
"""Of lists with `withassoc`."""

_WITHOUT_LIMITS = "Cluster,Account,User,Part"

_ENTITIES: Mapping[str, tuple[tuple[str, int, str], ...]] = {
    "list": (
        ("accounts", 2, "account"),
        ("associations", 2, "association"),
        ("clusters", 2, "cluster"),
        ("configuration", 2, "configuration"),
        ("events", 1, "events"),
        ("federations", 1, "federations"),
        ("instances", 1, "instances"),
        ("problems", 1, "problems"),
        ("qos", 1, "qos"),
        ("resources", 4, "resources"),
        ("reservations", 4, "reservations"),
        ("runawayjobs", 2, "runaway jobs"),
        ("stats", 1, "statistics"),
        ("transactions", 1, "transactions"),
        ("tres", 4, "tres"),
        ("users", 1, "user"),
        ("wckeys", 1, "wckeys"),
    ),
    "add": (
        ("accounts", 1, "account"),
        ("associations", 1, "account"),
        ("clusters", 2, "cluster"),
        ("coordinators", 2, "coordinator"),
        ("federations", 1, "federations"),
        ("qos", 1, "qos"),
        ("resources", 1, "resources"),
        ("users", 1, "user"),
    ),
    "modify": (
        ("accounts", 1, "account"),
        ("associations", 1, "account"),
        ("clusters", 5, "cluster"),
        ("federations", 1, "federations"),
        ("jobs", 1, "jobs"),
        ("qos", 1, "qos"),
        ("resources", 1, "resources"),
        ("users", 1, "user"),
    ),
}
_ENTITIES_OF = {**_ENTITIES, "delete": tuple((n, 2 if n == "qos" else s, w) for n, s, w in _ENTITIES["add"])}

_NO_ENTITY = {
    "list": 'Input line must include "Account", "Association", "Cluster", "Configuration",\n'
    '"Event", "Federation", "Problem", "QOS", "Resource", "Reservation",\n'
    '"RunAwayJobs", "Stats", "Transaction", "TRES", "User", or "WCKey"\n',
    "add": 'Input line must include "Account", "Cluster", "Coordinator", "Federation", "QOS", "Resource", or "User"\n',
    "modify": 'Input line must include "Account", "Cluster", "Federation", "Job", "QOS", "Resource" or "User"\n',
}
_NO_ENTITY["delete"] = _NO_ENTITY["add"]

_KEYWORDS = (
    ("add", 3, "add"),
    ("create", 3, "add"),
    ("delete", 3, "delete"),
    ("remove", 3, "delete"),
    ("list", 3, "list"),
    ("show", 3, "list"),
    ("modify", 1, "modify"),
    ("update", 1, "modify"),
    ("help", 2, "help"),
    ("version", 4, "version"),
    ("ping", 4, "ping"),
    ("associations", 3, "nothing"),
    ("exit", 4, "nothing"),
    ("oneliner", 1, "nothing"),
    ("quiet", 4, "nothing"),
    ("quit", 4, "nothing"),
    ("readonly", 4, "nothing"),
    ("verbose", 4, "nothing"),
    ("archive", 3, "archive"),
    ("clear", 3, "clear"),
    ("dump", 3, "dump"),
    ("load", 2, "load"),
    ("reconfigure", 4, "reconfigure"),
    ("shutdown", 8, "shutdown"),
)

_NOT_HERE = {
    "archive": "sacctmgr: error: the bridge keeps no archives; [retention] of the site file says what goes when\n",
    "clear": "sacctmgr: error: the bridge keeps no statistics of a database daemon that could be cleared\n",
    "dump": "sacctmgr: error: the bridge dumps no accounts to a file; `sacctmgr -P list …` shows all of them\n",
    "load": "sacctmgr: error: the bridge loads no dumps of Slurm; the site file's [accounting] gives the start\n",
    "reconfigure": "sacctmgr: error: there is no database daemon that could be reconfigured\n",
    "shutdown": "sacctmgr: error: there is no database daemon that could be shut down\n",
}


def read(argv: Sequence[str]) -> Order | Answer:
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine as bad:
        return getopt_refusal("sacctmgr", str(bad))
    if line.has("help") or line.has("usage"):
        return Answer(sacctmgr_help.TEXT)
    if line.has("version"):
        return Answer(ANNOUNCEMENT)
    if not line.operands:
        return _failure("sacctmgr: error: the bridge has no interactive sacctmgr; give the command as arguments\n")
    keyword = _matching(line.operands[0], _KEYWORDS)
    words = line.operands[1:]
    match keyword:
        case None:
            return _failure(f"invalid keyword: {line.operands[0]}\n")
        case "help":
            return Answer(sacctmgr_help.TEXT)
        case "version":
            return Answer(ANNOUNCEMENT)
        case "nothing":
            return Answer()
        case "ping":
            return Answer("slurmdbd(primary) at localhost is UP\n")
        case "list" | "add" | "modify" | "delete":
            pass
        case _:
            return _failure(_NOT_HERE[keyword])
    if keyword != "list" and line.has("readonly"):
        return _failure("Can't run this command in readonly mode.\n")
    entity = _matching(words[0], _ENTITIES_OF[keyword]) if words else None
    if entity is None:
        return _failure(f"No valid entity in {keyword} command\n{_NO_ENTITY[keyword]}")
    parsable = next((name for name, _ in reversed(line.given) if name in ("parsable", "parsable2")), None)
    form = Form(not line.has("noheader"), None if parsable is None else "|", parsable == "parsable")
    if keyword == "list" and entity in sacctmgr_fields.TITLES_OF_NOTHING:
        return Answer(sacctmgr_fields.empty(entity, form))
    if entity not in ("account", "association", "cluster", "coordinator", "qos", "tres", "user"):
        return _failure(f"sacctmgr: error: the bridge keeps no {entity}\n")
    if keyword != "list":
        return Change(keyword, entity, tuple(words[1:]), line.has("immediate"))  # type: ignore[arg-type]  # of the match
    data = wish("sacctmgr", line.given)
    if isinstance(data, Answer):
        return data
    found = _list(entity, words[1:], form, with_associations=line.has("associations"))  # type: ignore[arg-type]
    return found if data is None or isinstance(found, Answer) else replace(found, data=data)


def _list(entity: Entity, words: Sequence[str], form: Form, *, with_associations: bool) -> List | Answer:
    try:
        conditions, formats = read_conditions(entity, words)
    except BadWord as bad:
        return _failure(bad.text)
    if with_associations:
        conditions = replace(conditions, flags=conditions.flags | {"withassoc"})
    try:
        fields = sacctmgr_fields.choose(",".join(formats) if formats else _default_fields(entity, conditions.flags))
        if "tree" in conditions.flags:
            fields = tuple(map(sacctmgr_fields.for_tree, fields))
    except sacctmgr_fields.UnknownField as bad:
        return _failure(f"Unknown field '{bad}'\n")
    return List(entity, conditions, fields, form)


def _default_fields(entity: Entity, flags: frozenset[str]) -> str:
    if entity == "association":
        return _WITHOUT_LIMITS if flags & {"wolimits", "woplimits"} else DEFAULT_FIELDS[entity]
    if "withassoc" in flags and entity in _ASSOCIATION_FIELDS:
        return _ASSOCIATION_FIELDS[entity]
    if "withcoordinators" in flags:
        return DEFAULT_FIELDS[entity] + ",Coord"
    return DEFAULT_FIELDS[entity]


# ── words ─────────────────────────────────────────────────────────────────────────────────────────


class BadWord(ValueError):
    def __init__(self, text: str, *, on_stdout: bool = False) -> None:
        super().__init__(text)
        self.text = text
        """All that is printed."""
        self.on_stdout = on_stdout


def read_conditions(entity: Entity, words: Sequence[str]) -> tuple[Conditions, list[str]]:
    """(conditions, formats). Raises BadWord."""
    texts: dict[str, tuple[str, ...]] = {}
    flags: set[str] = set()
    formats: list[str] = []
    for given in words:
        name, equals, value = given.partition("=")
        if not equals and _matching(name, _PLAIN) is not None:
            continue
        word = find_word(name, CONDITIONS[entity])
        if not equals:
            if word is not None and word.fills == "flag":
                flags.add(word.name)
            elif word is None or word.fills != "format":
                target = "ids" if entity == "association" else "names"
                texts[target] = (*texts.get(target, ()), *split(given))
            continue
        if word is None:
            raise BadWord(f" Unknown condition: {given}\n Use keyword 'set' to modify value\n")
        if word.fills == "format":
            formats.append(value)
        elif word.fills == "flag":
            flags.add(word.name)
        elif word.fills != "nothing":
            texts[word.fills] = (*texts.get(word.fills, ()), *split(value))
    return _conditions(texts, frozenset(flags)), formats


_PLAIN = (("where", 5, "where"), ("set", 3, "set"))


def _conditions(texts: Mapping[str, tuple[str, ...]], flags: frozenset[str]) -> Conditions:
    values: dict[str, object] = {
        name: tuple(word.lower() for word in words)
        for name, words in texts.items()
        if name not in ("ids", "admin_level", "preempt_mode", "partitions")
    }
    if "partitions" in texts:
        values["partitions"] = texts["partitions"]
    for name in ("admin_level", "preempt_mode"):
        if name in texts:
            values[name] = ",".join(texts[name]).lower()
    if "ids" in texts:
        wrong = next((word for word in texts["ids"] if not (word.isascii() and word.isdigit())), None)
        if wrong is not None:
            raise BadWord(f"sacctmgr: error: Invalid value for AssocId ({wrong})\n")
        values["ids"] = tuple(int(word[:18]) for word in texts["ids"])
    return Conditions(flags=flags, **values)  # type: ignore[arg-type]  # names are those of the fields


def split(value: str) -> tuple[str, ...]:
    """`bob,alice`; quotes around a part or the whole are taken off. An empty value is one empty name."""
    parts = [part.strip().strip("\"'") for part in value.strip().strip("\"'").split(",")]
    return tuple(part for part in parts if part) or ("",)


def find_word(name: str, words: Sequence[Word]) -> Word | None:
    """By its name in any case, cut short at will down to the shortest; exact names win."""
    wanted = name.strip().lower()
    exact = next((word for word in words if word.name == wanted), None)
    fits = (word for word in words if word.name.startswith(wanted) and len(wanted) >= word.shortest)
    return exact or next(fits, None)


def _matching(word: str, table: Sequence[tuple[str, int, str]]) -> str | None:
    wanted = word.lower()
    return next((what for name, least, what in table if name.startswith(wanted) and len(wanted) >= least), None)


def _failure(text: str) -> Answer:
    return Answer(stderr=text, exit_code=1)
