"""Which account and QOS a job is booked on, and whether limits let it be submitted. Pure."""

from bridge.core import accounting_limits
from bridge.core.accounting import NORMAL, Association, Book
from bridge.core.accounting_limits import Counter, Rules
from bridge.core.errors import Refused
from bridge.core.nodes import Site
from bridge.core.reasons import SENTENCES, Reason
from bridge.core.request import JobRequest
from bridge.core.sizing import size_of


def charged(request: JobRequest, site: Site, user: str, book: Book) -> tuple[str | None, str | None]:
    """(account, QOS) of the job, refused where the site enforces what the user has not got."""
    enforced = site.enforced
    if not enforced and book.version == 0:
        # Nobody keeps accounts here: what is named is a label.
        return request.account or site.default_account, request.qos
    partition = request.component.partitions[0] if request.component.partitions else ""
    own = _association(request, user.lower(), partition, book)
    if own is None and "associations" in enforced:
        named = request.account
        sentence = f"{user} may not charge {named}" if named else f"{user} has no account"
        raise Refused(sentence, code="invalid_account", field="account")
    account = own.account if own is not None else request.account or site.default_account
    return account, _qos(request, own, user, book, is_enforced="qos" in enforced)


def _association(request: JobRequest, user: str, partition: str, book: Book) -> Association | None:
    if request.account is not None:
        return book.find(user, request.account.lower(), partition)
    default = book.default_of(user)
    return None if default is None else book.find(user, default.account, partition) or default


def _qos(request: JobRequest, own: Association | None, user: str, book: Book, *, is_enforced: bool) -> str | None:
    default = book.default_qos(own) if own is not None else NORMAL if NORMAL in book.qos else None
    if request.qos is None:
        return default
    name = request.qos.lower()
    granted = book.granted_qos(own) if own is not None else tuple(book.qos)
    if name not in book.qos or (is_enforced and name not in granted):
        raise Refused(f"{user} may not use the QOS {request.qos}", code="invalid_qos", field="qos")
    return name


def priority(book: Book, site: Site, request: JobRequest) -> int:
    """Of a job that nobody gave another: what the site lets its QOS weigh, an operator's factor, less its niceness."""
    highest = max((one.priority for one in book.qos.values()), default=0)
    mine = book.qos.get((request.qos or "").lower())
    weight = site.priority_weight_qos * mine.priority // highest if mine is not None and highest else 0
    factor = dict(request.recorded).get("site-factor", "0")
    return max(1, weight + int(factor) - request.nice)


def check_limits(
    request: JobRequest,
    partition: str,
    time_limit_seconds: int,
    site: Site,
    rules: Rules,
    submitted: dict[Counter, int],
) -> None:
    """Refused with Slurm's reason before the colon. What is let in counts for those after it."""
    terms = rules.of(request.user, request.account, partition, request.qos)
    if not terms.submitted and not terms.denies:
        return
    jobs = len(request.array.indices) if request.array is not None else 1
    demand = accounting_limits.demand_of(size_of(request.component, site.partition(partition)), time_limit_seconds)
    reason = accounting_limits.refusal(terms, demand, jobs, submitted)
    if reason is not None:
        raise refused(reason)
    for ceiling in terms.submitted:
        submitted[ceiling.counter] = submitted.get(ceiling.counter, 0) + jobs


def refused(reason: Reason) -> Refused:
    return Refused(f"{reason}: {SENTENCES[reason]}", code="policy_limit")
