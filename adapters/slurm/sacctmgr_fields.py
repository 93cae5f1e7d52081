"""Fields of sacctmgr's lists: names and how far they may be cut short, widths, and what stands in them.

Every field exists for every kind of row; where a row has nothing for it, it stays empty, as in Slurm.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adapters.slurm import durations, sizes
from bridge.core import accounting
from bridge.core.accounting import Account, AccountUser, Association, Book, Limits, Qos


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What the list of clusters shows of ours."""

    name: str
    host: str = ""
    port: int = 0
    protocol: int = 11264
    """25.11's own number of its protocol, that clients ask for."""
    tres: sizes.Tres = ()
    node_count: int = 0
    node_list: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    book: Book
    cluster: str
    account: Account | None = None
    user: AccountUser | None = None
    association: Association | None = None
    qos: Qos | None = None
    facts: ClusterFacts | None = None
    tres: tuple[str, str, int] | None = None
    """(type, name, id)"""
    default_account: str | None = None
    """Of the user's row; None: of the whole book."""
    inherits: bool = True
    """With the limits and QOS of the accounts above."""
    depth: int | None = None
    """In the tree; None: no tree is wanted."""
    with_coordinators: bool = False

    @property
    def limits(self) -> Limits:
        if self.qos is not None:
            return self.qos.limits
        if self.association is None:
            return Limits()
        return self.book.effective(self.association) if self.inherits else self.association.limits


Value = Callable[[Row], str]


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    shortest: int
    """So many letters of the name are enough."""
    width: int
    title: str
    value: Value


@dataclass(frozen=True, slots=True)
class Chosen:
    field: Field
    width: int
    is_left: bool = False


# ── values ────────────────────────────────────────────────────────────────────────────────────────


def _count(name: str) -> Value:
    def value(row: Row) -> str:
        found = getattr(row.limits, name)
        return "" if found is None else str(found)

    return value


def _minutes(name: str) -> Value:
    def value(row: Row) -> str:
        found = getattr(row.limits, name)
        return "" if found is None else durations.long(found * 60)

    return value


def _tres(name: str) -> Value:
    return lambda row: tres_text(getattr(row.limits, name))


def _one(name: str, resource: str) -> Value:
    def value(row: Row) -> str:
        found = dict(getattr(row.limits, name)).get(resource)
        return "" if found is None else str(found)

    return value


def tres_text(tres: accounting.Tres) -> str:
    return sizes.tres_text(tuple(sorted(tres)))


def _of_qos(value: Callable[[Qos], str]) -> Value:
    return lambda row: "" if row.qos is None else value(row.qos)


def _of_association(value: Callable[[Association], str]) -> Value:
    return lambda row: "" if row.association is None else value(row.association)


def _of_facts(value: Callable[[ClusterFacts], str]) -> Value:
    return lambda row: "" if row.facts is None else value(row.facts)


def _account(row: Row) -> str:
    name = row.association.account if row.association else row.account.name if row.account else ""
    return " " * (row.depth or 0) + name if row.depth is not None else name


def _admin(row: Row) -> str:
    return row.user.admin_level if row.user else ""


def _cluster(row: Row) -> str:
    return row.cluster if row.association or row.facts else ""


def _coordinators(row: Row) -> str:
    if not row.with_coordinators:
        return ""
    if row.user is not None:
        return ",".join(row.book.coordinated_by(row.user.name))
    return ",".join(sorted(row.account.coordinators)) if row.account else ""


def _default_account(row: Row) -> str:
    if row.user is None:
        return ""
    if row.default_account is not None:
        return row.default_account
    found = row.book.default_of(row.user.name)
    return found.account if found else ""


def _default_qos(row: Row) -> str:
    if row.association is None:
        return ""
    chain = row.book.chain(row.association) if row.inherits else (row.association,)
    return next((one.default_qos for one in chain if one.default_qos is not None), "")


def _description(row: Row) -> str:
    return row.account.description if row.account else row.qos.description if row.qos else ""


def _flags(row: Row) -> str:
    if row.qos is not None:
        return ",".join(row.qos.flags)
    if row.facts is not None:
        return ""
    return "None" if row.account or row.user or row.association else ""


def _id(row: Row) -> str:
    if row.tres is not None:
        return str(row.tres[2])
    return str(row.association.id) if row.association else str(row.qos.id) if row.qos else "0" if row.facts else ""


def _lineage(row: Row) -> str:
    if row.association is None:
        return ""
    path = "/".join(one.account for one in reversed(row.book.chain(row.association)) if not one.user)
    text = "/" + path.removeprefix(accounting.ROOT).removeprefix("/")
    text = text if text == "/" else text + "/"
    if not row.association.user:
        return text
    partition = f"{row.association.partition}/" if row.association.partition else ""
    return f"{text}0-{row.association.user}/{partition}"


def _parent_id(row: Row) -> str:
    if row.association is None:
        return ""
    above = row.book.above(row.association)
    return str(above.id) if above else "0"


def _qos_names(row: Row) -> tuple[str, ...]:
    if row.association is None:
        return ()
    if row.inherits:
        return row.book.granted_qos(row.association)
    return tuple(sorted(row.association.qos or ()))


def _qos_raw(row: Row) -> str:
    return ",".join(str(row.book.qos[name].id) for name in _qos_names(row) if name in row.book.qos)


def _preempt(qos: Qos) -> str:
    return ",".join(sorted(qos.preempt))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:f}"


def _priority(row: Row) -> str:
    if row.qos is not None:
        return str(row.qos.priority)
    found = row.association.priority if row.association else None
    return "" if found is None else str(found)


def _share(row: Row) -> str:
    if row.association is None:
        return ""
    return "parent" if row.association.shares is None else str(row.association.shares)


def _user(row: Row) -> str:
    return row.association.user if row.association else row.user.name if row.user else ""


def _name(row: Row) -> str:
    return row.qos.name if row.qos else row.tres[1] if row.tres else ""


def _nothing(row: Row) -> str:
    """Of fields for what is not kept here: features, federations, keys of workload characterization."""
    return ""


FIELDS = (
    Field("account", 3, 10, "Account", _account),
    Field("adminlevel", 2, 9, "Admin", _admin),
    Field("classification", 3, 9, "Class", _nothing),
    Field("cluster", 2, 10, "Cluster", _cluster),
    Field("clusternodes", 8, 20, "Cluster Nodes", _of_facts(lambda facts: facts.node_list)),
    Field("comment", 3, 20, "Comment", _of_association(lambda one: one.comment)),
    Field("controlhost", 8, 15, "ControlHost", _of_facts(lambda facts: facts.host)),
    Field("controlport", 8, 12, "ControlPort", _of_facts(lambda facts: str(facts.port))),
    Field("coordinators", 3, 20, "Coord Accounts", _coordinators),
    Field("defaultaccount", 8, 10, "Def Acct", _default_account),
    Field("defaultqos", 8, 9, "Def QOS", _default_qos),
    Field("defaultwckey", 8, 10, "Def WCKey", _nothing),
    Field("description", 3, 20, "Descr", _description),
    Field("features", 3, 20, "Features", _nothing),
    Field("fedstate", 4, 12, "FedState", _nothing),
    Field("federation", 3, 10, "Federation", _nothing),
    Field("flags", 2, 20, "Flags", _flags),
    Field("gracetime", 3, 10, "GraceTime", _of_qos(lambda qos: durations.long(qos.grace_seconds))),
    Field("grpcpus", 6, 8, "GrpCPUs", _one("grp_tres", "cpu")),
    Field("grpcpumins", 7, 11, "GrpCPUMins", _one("grp_tres_minutes", "cpu")),
    Field("grpcpurunmins", 7, 13, "GrpCPURunMins", _one("grp_tres_run_minutes", "cpu")),
    Field("grptres", 7, 13, "GrpTRES", _tres("grp_tres")),
    Field("grptresmins", 8, 13, "GrpTRESMins", _tres("grp_tres_minutes")),
    Field("grptresrunmins", 8, 13, "GrpTRESRunMins", _tres("grp_tres_run_minutes")),
    Field("grpjobs", 4, 7, "GrpJobs", _count("grp_jobs")),
    Field("grpjobsaccrue", 8, 13, "GrpJobsAccrue", _count("grp_jobs_accrue")),
    Field("grpmemory", 4, 7, "GrpMem", _one("grp_tres", "mem")),
    Field("grpnodes", 4, 8, "GrpNodes", _one("grp_tres", "node")),
    Field("grpsubmitjobs", 4, 9, "GrpSubmit", _count("grp_submit_jobs")),
    Field("grpwall", 4, 11, "GrpWall", _minutes("grp_wall_minutes")),
    Field("id", 2, 6, "ID", _id),
    Field("limitfactor", 6, 11, "LimitFactor", _of_qos(lambda qos: _number(qos.limit_factor))),
    Field("lineage", 1, 20, "Lineage", _lineage),
    Field("maxcpuminsperjob", 7, 11, "MaxCPUMins", _one("max_tres_minutes", "cpu")),
    Field("maxcpurunmins", 7, 15, "MaxCPURunMinsPU", _one("max_tres_run_minutes_per_user", "cpu")),
    Field("maxcpusperuser", 9, 9, "MaxCPUsPU", _one("max_tres_per_user", "cpu")),
    Field("maxcpuspu", 9, 9, "MaxCPUsPU", _one("max_tres_per_user", "cpu")),
    Field("maxcpusperjob", 7, 8, "MaxCPUs", _one("max_tres", "cpu")),
    Field("maxjobs", 4, 7, "MaxJobs", _count("max_jobs")),
    Field("maxjobsaccrue", 8, 13, "MaxJobsAccrue", _count("max_jobs_accrue")),
    Field("maxjobsaccruepa", 15, 15, "MaxJobsAccruePA", _count("max_jobs_accrue_per_account")),
    Field("maxjobsaccruepu", 15, 15, "MaxJobsAccruePU", _count("max_jobs_accrue_per_user")),
    Field("maxjobsaccrueperuser", 17, 15, "MaxJobsAccruePU", _count("max_jobs_accrue_per_user")),
    Field("maxjobspa", 9, 9, "MaxJobsPA", _count("max_jobs_per_account")),
    Field("maxjobsperaccount", 11, 9, "MaxJobsPA", _count("max_jobs_per_account")),
    Field("maxjobspu", 9, 9, "MaxJobsPU", _count("max_jobs_per_user")),
    Field("maxjobsperuser", 11, 9, "MaxJobsPU", _count("max_jobs_per_user")),
    Field("maxnodesperuser", 12, 10, "MaxNodesPU", _one("max_tres_per_user", "node")),
    Field("maxnodesperjob", 4, 8, "MaxNodes", _one("max_tres", "node")),
    Field("maxsubmitjobs", 4, 9, "MaxSubmit", _count("max_submit_jobs")),
    Field("maxsubmitjobspa", 15, 11, "MaxSubmitPA", _count("max_submit_per_account")),
    Field("maxsubmitjobsperaccount", 17, 11, "MaxSubmitPA", _count("max_submit_per_account")),
    Field("maxsubmitpa", 11, 11, "MaxSubmitPA", _count("max_submit_per_account")),
    Field("maxsubmitjobsperuser", 14, 11, "MaxSubmitPU", _count("max_submit_per_user")),
    Field("maxsubmitjobspu", 15, 11, "MaxSubmitPU", _count("max_submit_per_user")),
    Field("maxsubmitpu", 10, 11, "MaxSubmitPU", _count("max_submit_per_user")),
    Field("maxtres", 7, 13, "MaxTRES", _tres("max_tres")),
    Field("maxtresperjob", 11, 13, "MaxTRES", _tres("max_tres")),
    Field("maxtrespj", 9, 13, "MaxTRES", _tres("max_tres")),
    Field("maxtrespernode", 11, 14, "MaxTRESPerNode", _tres("max_tres_per_node")),
    Field("maxtrespn", 9, 14, "MaxTRESPerNode", _tres("max_tres_per_node")),
    Field("maxtresminsperjob", 8, 13, "MaxTRESMins", _tres("max_tres_minutes")),
    Field("maxtresperuser", 11, 13, "MaxTRESPU", _tres("max_tres_per_user")),
    Field("maxtrespu", 9, 13, "MaxTRESPU", _tres("max_tres_per_user")),
    Field("maxtresperaccount", 11, 13, "MaxTRESPA", _tres("max_tres_per_account")),
    Field("maxtrespa", 9, 13, "MaxTRESPA", _tres("max_tres_per_account")),
    Field("maxtresrunminspa", 15, 16, "MaxTRESRunMinsPA", _tres("max_tres_run_minutes_per_account")),
    Field("maxtresrunminsperaccount", 18, 16, "MaxTRESRunMinsPA", _tres("max_tres_run_minutes_per_account")),
    Field("maxtresrunminspu", 8, 16, "MaxTRESRunMinsPU", _tres("max_tres_run_minutes_per_user")),
    Field("maxtresrunminsperuser", 16, 16, "MaxTRESRunMinsPU", _tres("max_tres_run_minutes_per_user")),
    Field("maxwalldurationperjob", 4, 11, "MaxWall", _minutes("max_wall_minutes")),
    Field("mincpus", 7, 8, "MinCPUs", _one("min_tres", "cpu")),
    Field("minpriothreshold", 4, 12, "MinPrioThres", _count("min_priority")),
    Field("mintresperjob", 7, 13, "MinTRES", _tres("min_tres")),
    Field("name", 2, 10, "Name", _name),
    Field("nodecount", 5, 9, "NodeCount", _of_facts(lambda facts: str(facts.node_count))),
    Field("organization", 1, 20, "Org", lambda row: row.account.organization if row.account else ""),
    Field("parentid", 7, 8, "ParentID", _parent_id),
    Field("parentname", 7, 10, "ParentName", _of_association(lambda one: one.parent)),
    Field("partition", 4, 10, "Partition", _of_association(lambda one: one.partition)),
    Field("preempt", 7, 10, "Preempt", _of_qos(_preempt)),
    Field(
        "preemptexempttime",
        8,
        19,
        "PreemptExemptTime",
        _of_qos(lambda q: "" if q.preempt_exempt_seconds is None else durations.long(q.preempt_exempt_seconds)),
    ),
    Field("preemptmode", 8, 11, "PreemptMode", _of_qos(lambda qos: qos.preempt_mode)),
    Field("priority", 3, 10, "Priority", _priority),
    Field("qosraw", 4, 10, "QOS_RAW", _qos_raw),
    Field("qoslevel", 3, 20, "QOS", lambda row: ",".join(_qos_names(row))),
    Field("rpc", 2, 5, "RPC", _of_facts(lambda facts: str(facts.protocol))),
    Field("share", 1, 9, "Share", _share),
    Field("fairshare", 2, 9, "Share", _share),
    Field("type", 2, 8, "Type", lambda row: row.tres[0] if row.tres else ""),
    Field("tres", 2, 20, "TRES", _of_facts(lambda facts: tres_text(facts.tres))),
    Field("usagefactor", 6, 11, "UsageFactor", _of_qos(lambda qos: _number(qos.usage_factor))),
    Field("usagethreshold", 6, 10, "UsageThres", _of_qos(lambda qos: _number(qos.usage_threshold))),
    Field("user", 1, 10, "User", _user),
    Field("wckeys", 2, 20, "WCKeys", _nothing),
)

_BY_NAME = {field.name: field for field in FIELDS}


class UnknownField(ValueError):
    """The text is the field as written."""


def find(name: str) -> Field | None:
    word = name.lower()
    exact = _BY_NAME.get(word)
    if exact is not None:
        return exact
    # What more than one could be is the shorter one's: `grpcpu` is GrpCPUs.
    fits = [field for field in FIELDS if field.name.startswith(word) and len(word) >= field.shortest]
    return min(fits, key=lambda field: (len(field.name), field.name)) if fits else None


def choose(text: str) -> tuple[Chosen, ...]:
    """`account%20,user%-8`. Raises UnknownField."""
    return tuple(_choose_one(word) for word in text.split(","))


def _choose_one(word: str) -> Chosen:
    name, _, width = word.partition("%")
    field = find(name.strip())
    if field is None or not name.strip():
        raise UnknownField(name)
    digits = width.removeprefix("-")
    number = int(digits[:4]) if digits.isascii() and digits.isdigit() else 0
    if number == 0:
        return Chosen(field, field.width)
    return Chosen(field, number, is_left=width.startswith("-"))


def for_tree(chosen: Chosen) -> Chosen:
    """The account stands at the left, with room to be indented."""
    is_usual = chosen.field.name == "account" and chosen.width == chosen.field.width
    return Chosen(chosen.field, 20, is_left=True) if is_usual else chosen


# ── text ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Form:
    header: bool = True
    delimiter: str | None = None
    """None: in columns."""
    ends_with_delimiter: bool = False


def render(fields: Sequence[Chosen], rows: Sequence[Row], form: Form) -> str:
    table = [[chosen.field.value(row) for chosen in fields] for row in rows]
    if form.delimiter is not None:
        end = form.delimiter if form.ends_with_delimiter else ""
        if form.header:
            table.insert(0, [chosen.field.title for chosen in fields])
        return "".join(form.delimiter.join(cells) + end + "\n" for cells in table)
    lines = []
    if form.header:
        lines.append("".join(_pad(chosen, chosen.field.title[: chosen.width]) for chosen in fields))
        lines.append("".join("-" * chosen.width + " " for chosen in fields))
    lines += ["".join(_cell(chosen, text) for chosen, text in zip(fields, cells, strict=True)) for cells in table]
    return "".join(f"{line}\n" for line in lines)


def _cell(chosen: Chosen, text: str) -> str:
    """What is too long ends in `+`."""
    return _pad(chosen, text if len(text) <= chosen.width else text[: chosen.width - 1] + "+")


def _pad(chosen: Chosen, text: str) -> str:
    return (text.ljust(chosen.width) if chosen.is_left else text.rjust(chosen.width)) + " "


TITLES_OF_NOTHING = {
    "federations": (("Federation", 10), ("Cluster", 10), ("ID", 2), ("Features", 20), ("FedState", 12)),
    "resources": (
        *(("Name", 10), ("Server", 10), ("Type", 8), ("Count", 6), ("LastConsumed", 12)),
        *(("Allocated", 9), ("ServerType", 10), ("Flags", 20)),
    ),
}
"""(title, width) of the tables of what one cluster by itself has none of."""


def empty(entity: str, form: Form) -> str:
    titles = TITLES_OF_NOTHING[entity]
    fields = [Chosen(Field(title.lower(), len(title), width, title, _nothing), width) for title, width in titles]
    return render(fields, [], form)
