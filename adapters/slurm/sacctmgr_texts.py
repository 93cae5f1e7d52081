"""What sacctmgr's changes share: who asks, what was worked out, and the texts of 25.11."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from adapters.slurm import durations, sacctmgr_settings
from adapters.slurm.sacctmgr_fields import ClusterFacts, tres_text
from adapters.slurm.sacctmgr_settings import Settings
from bridge.core import accounting
from bridge.core.accounting import Association, Book, Limits, Qos
from bridge.core.job import Job
from bridge.core.users import Caller

COMMIT = "Would you like to commit changes? (You have 30 seconds to decide)\n(N/y): "
SURE = "Are you sure you want to continue? (You have 30 seconds to decide)\n(N/y): "

NO_RIGHT = "sacctmgr: error: Your user doesn't have privilege to perform this action\n"
DENIED = f"{NO_RIGHT} Error with request: Access/permission denied\n"
NOTHING_ADDED = (
    "Nothing added.\nMake sure the accounts requested here have been added to the system/cluster. "
    "(sacctmgr add account...)\n"
)
NO_ACCESS = "This request would make it so some associations would not have access to their default qos."


@dataclass(frozen=True, slots=True)
class ActiveJob:
    """A job that is not over, and what it is booked on."""

    id: int
    account: str
    user: str
    qos: str
    partition: str = ""


@dataclass(frozen=True)
class Asker:
    facts: ClusterFacts
    user: str
    is_operator: bool
    is_administrator: bool = True
    """Of operators: whether they may make others operators."""
    is_known: Callable[[str], bool] = lambda name: True
    """Whether the host has a user of that name."""
    jobs: Sequence[ActiveJob] = ()


def asker_of(
    caller: Caller, book: Book, facts: ClusterFacts, is_known: Callable[[str], bool], unfinished: Iterable[Job]
) -> Asker:
    mine = book.users.get(caller.user.name)
    level = mine.admin_level if mine is not None and caller.job_id is None else accounting.NO_ADMIN
    return Asker(
        facts=facts,
        user=caller.user.name.lower(),
        is_operator=caller.is_operator or level != accounting.NO_ADMIN,
        # Whom the site file names, or root, may everything; an operator by the book makes no others.
        is_administrator=level != accounting.OPERATOR or caller.user.uid == 0,
        is_known=is_known,
        jobs=[
            ActiveJob(job.id, (job.request.account or "").lower(), job.request.user.lower(), job.request.qos or "")
            for job in unfinished
        ],
    )


@dataclass(frozen=True, slots=True)
class Planned:
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    book: Book | None = None
    """As it will be; None: nothing changes."""
    doubt: str = ""
    """A question that comes before everything else."""


def failure(text: str) -> Planned:
    return Planned(stderr=text, exit_code=1)


def listed(title: str, names: Iterable[str]) -> str:
    return f"{title}\n" + "".join(f"  {name}\n" for name in names)


def place(cluster: str, one: Association) -> str:
    text = f"C = {cluster:<10} A = {one.account:<20}"
    if one.user:
        text += f" U = {one.user:<9}"
        if one.partition:
            text += f" P = {one.partition}"
    return text


def short_place(cluster: str, one: Association) -> str:
    text = f"C = {cluster:<10} A = {one.account:<10} U = {one.user:<9}"
    return f"{text} P = {one.partition:<10}".rstrip() if one.partition else text


def active_text(jobs: Sequence[ActiveJob], asker: Asker, indent: str) -> str:
    cluster = asker.facts.name
    lines = [
        f"{indent}JobID = {job.id:<10} C = {cluster:<10} A = {job.account:<10} U = {job.user:<9} Q = {job.qos}\n"
        for job in jobs
    ]
    return " Error with request: Job(s) active, cancel job(s) before remove\n" + "".join(lines)


def default_text(ones: Sequence[Association], asker: Asker) -> str:
    lines = [f"  C = {asker.facts.name:<15} A = {one.account:<10} U = {one.user:<9}\n" for one in ones]
    return " Error with request: You can not remove the default account of a user\n" + "".join(lines)


def coordinated(s: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    accounts = tuple(dict.fromkeys(name for name in s.lists.get("accounts", ()) if name))
    users = tuple(dict.fromkeys(name for name in s.lists.get("users", ()) if name))
    return accounts, users


def unknown_names(book: Book, accounts: Iterable[str], users: Iterable[str]) -> str:
    lines = [f" You specified a non-existent account '{name}'.\n" for name in accounts if name not in book.accounts]
    lines += [f" You specified a non-existent user '{name}'.\n" for name in users if name not in book.users]
    return "".join(lines)


def may_edit(book: Book, asker: Asker, accounts: Iterable[str]) -> bool:
    """Operators may everything, coordinators what is in their accounts."""
    return asker.is_operator or set(accounts) <= set(book.coordinated_by(asker.user))


def association_text(s: Settings) -> str:
    """What was set, in Slurm's order."""
    limits = sacctmgr_settings.onto_limits(Limits(), s.limits)
    rows: list[tuple[str, str]] = []
    if s.shares is not None:
        rows.append(("  Fairshare     = ", str(s.shares)))
    rows += _limit_rows(limits, _ASSOCIATION_ROWS)
    if s.parent is not None:
        rows.append(("  Parent        = ", s.parent))
    if s.priority is not None and s.priority >= 0:
        rows.append(("  Priority      = ", str(s.priority)))
    if s.qos is not None:
        rows.append(("  QOS           = ", ",".join([*sorted(s.qos.whole or ()), *s.qos.changes])))
    if s.default_qos:
        rows.append(("  DefQOS        = ", s.default_qos))
    if s.comment:
        rows.append(("  Comment       = ", s.comment))
    return "".join(f"{label}{text}\n" for label, text in rows)


_ASSOCIATION_ROWS = (
    ("  GrpJobs       = ", "grp_jobs"),
    ("  GrpJobsAccrue            = ", "grp_jobs_accrue"),
    ("  GrpSubmitJobs = ", "grp_submit_jobs"),
    ("  GrpTRES       = ", "grp_tres"),
    ("  GrpTRESMins   = ", "grp_tres_minutes"),
    ("  GrpTRESRunMins= ", "grp_tres_run_minutes"),
    ("  GrpWall       = ", "grp_wall_minutes"),
    ("  MaxJobs       = ", "max_jobs"),
    ("  MaxJobsPrioAcc= ", "max_jobs_accrue"),
    ("  MaxSubmitJobs = ", "max_submit_jobs"),
    ("  MaxTRES       = ", "max_tres"),
    ("  MaxTRESPerNode= ", "max_tres_per_node"),
    ("  MaxTRESMins   = ", "max_tres_minutes"),
    ("  MaxWall       = ", "max_wall_minutes"),
    ("  MinPrioThresh = ", "min_priority"),
)


def qos_text(qos: Qos, s: Settings) -> str:
    rows: list[tuple[str, str]] = []
    if s.flags is not None:
        rows.append(("Flags", ",".join(qos.flags)))
    if s.grace_seconds is not None:
        rows.append(("GraceTime", str(qos.grace_seconds)))
    rows += [(label, text) for label, text in _limit_rows(qos.limits, _QOS_ROWS)]
    if s.preempt is not None:
        rows.append(("Preempt", ",".join(qos.preempt)))
    if s.preempt_mode is not None:
        rows.append(("PreemptMode", qos.preempt_mode.upper()))
    if qos.preempt_exempt_seconds is not None:
        rows.append(("PreemptExemptTime", durations.long(qos.preempt_exempt_seconds)))
    if s.priority is not None:
        rows.append(("Priority", str(qos.priority)))
    for label, number in (
        ("UsageFactor", s.usage_factor),
        ("UsageThreshold", s.usage_threshold),
        ("LimitFactor", s.limit_factor),
    ):
        if number is not None and number >= 0:
            rows.append((label, f"{number:.4f}"))
    # 25.11 does not line up this one.
    lines = (f"  {label} = {text}" if label == "MaxJobsPerUser" else f"  {label:<24} = {text}" for label, text in rows)
    return "".join(f"{line}\n" for line in lines)


_QOS_ROWS = (
    ("GrpJobs", "grp_jobs"),
    ("GrpJobsAccrue", "grp_jobs_accrue"),
    ("GrpSubmitJobs", "grp_submit_jobs"),
    ("GrpTRES", "grp_tres"),
    ("GrpTRESMins", "grp_tres_minutes"),
    ("GrpTRESRunMins", "grp_tres_run_minutes"),
    ("GrpWall", "grp_wall_minutes"),
    ("MaxJobsAccruePerAccount", "max_jobs_accrue_per_account"),
    ("MaxJobsAccruePerUser", "max_jobs_accrue_per_user"),
    ("MaxJobsPerAccount", "max_jobs_per_account"),
    ("MaxJobsPerUser", "max_jobs_per_user"),
    ("MaxSubmitJobsPerAccount", "max_submit_per_account"),
    ("MaxSubmitJobsPerUser", "max_submit_per_user"),
    ("MaxTRESPerAccount", "max_tres_per_account"),
    ("MaxTRESPerJob", "max_tres"),
    ("MaxTRESPerNode", "max_tres_per_node"),
    ("MaxTRESPerUser", "max_tres_per_user"),
    ("MinPrioThresh", "min_priority"),
    ("MinTRESPerJob", "min_tres"),
    ("MaxTRESMins", "max_tres_minutes"),
    ("MaxTRESRUNMinsPerAccount", "max_tres_run_minutes_per_account"),
    ("MaxTRESRUNMinsPerUser", "max_tres_run_minutes_per_user"),
    ("MaxWall", "max_wall_minutes"),
)


def _limit_rows(limits: Limits, labels: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for label, name in labels:
        value = getattr(limits, name)
        if value is None or value == ():
            continue
        if isinstance(value, tuple):
            text = tres_text(value)
        else:
            text = durations.long(value * 60) if name.endswith("wall_minutes") else str(value)
        rows.append((label, text))
    return rows
