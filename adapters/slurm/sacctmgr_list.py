"""The lists of sacctmgr: which rows of the accounting book an order wants."""

from collections.abc import Iterator

from adapters.slurm import sacctmgr_fields
from adapters.slurm.sacctmgr import Conditions, List
from adapters.slurm.sacctmgr_fields import ClusterFacts, Row
from bridge.core import accounting
from bridge.core.accounting import Association, Book

ONLY_WITH_ASSOCIATIONS = "You requested options that are only valid when querying with the withassoc option."


def needs_question(order: List) -> bool:
    """Conditions on associations where no associations are listed: Slurm asks whether that is meant."""
    conditions = order.conditions
    if order.entity not in ("account", "user") or "withassoc" in conditions.flags:
        return False
    on_other = conditions.accounts if order.entity == "user" else conditions.users
    return conditions.needs_associations or on_other is not None


def text(order: List, book: Book, facts: ClusterFacts) -> str:
    return sacctmgr_fields.render(order.fields, list(rows(order, book, facts)), order.form)


def rows(order: List, book: Book, facts: ClusterFacts) -> Iterator[Row]:
    match order.entity:
        case "account":
            yield from _accounts(order.conditions, book, facts)
        case "user":
            yield from _users(order.conditions, book, facts)
        case "association":
            yield from _associations(order.conditions, book, facts)
        case "qos":
            yield from _qos(order.conditions, book, facts)
        case "cluster":
            names = order.conditions.names
            if names is None or facts.name.lower() in names:
                top = book.of_account(accounting.ROOT)
                yield Row(book, facts.name, association=top, facts=facts)
        case "tres":
            yield from _tres(order.conditions, book, facts)
        case "coordinator":
            return


def _accounts(conditions: Conditions, book: Book, facts: ClusterFacts) -> Iterator[Row]:
    for name in sorted(book.accounts):
        account = book.accounts[name]
        if not _in(name, conditions.names):
            continue
        if not _in(account.description.lower(), conditions.descriptions):
            continue
        if not _in(account.organization.lower(), conditions.organizations):
            continue
        coordinators = "withcoordinators" in conditions.flags
        if "withassoc" not in conditions.flags:
            yield Row(book, facts.name, account, with_coordinators=coordinators)
            continue
        own = book.of_account(name)
        ones = [own] if own else []
        ones += [one for one in book.children.get(name, ()) if one.user]
        ones = [one for one in ones if matches(conditions, one, book, facts)]
        inherits = "wopinfo" not in conditions.flags
        for one in ones:
            yield Row(book, facts.name, account, association=one, inherits=inherits, with_coordinators=coordinators)
        if not ones:
            yield Row(book, facts.name, account, with_coordinators=coordinators)


def _users(conditions: Conditions, book: Book, facts: ClusterFacts) -> Iterator[Row]:
    in_tree: dict[str, list[Association]] = {}
    for _, one in book.tree():
        in_tree.setdefault(one.user, []).append(one)
    for name in sorted(book.users):
        user = book.users[name]
        if not _in(name, conditions.names):
            continue
        if conditions.admin_level is not None and not _is_level(conditions.admin_level, user.admin_level):
            continue
        default = book.default_of(name)
        if not _in(default.account if default else "", conditions.default_accounts):
            continue
        ones = [one for one in in_tree.get(name, ()) if matches(conditions, one, book, facts)]
        charged = next((one.account for one in ones if one.is_default), "")
        coordinators = "withcoordinators" in conditions.flags
        shown = ones if "withassoc" in conditions.flags else []
        inherits = "wopinfo" not in conditions.flags
        for one in shown:
            yield Row(
                book,
                facts.name,
                user=user,
                association=one,
                default_account=charged,
                inherits=inherits,
                with_coordinators=coordinators,
            )
        if not shown:
            yield Row(book, facts.name, user=user, default_account=charged, with_coordinators=coordinators)


def _associations(conditions: Conditions, book: Book, facts: ClusterFacts) -> Iterator[Row]:
    is_tree = "tree" in conditions.flags
    inherits = "wopinfo" not in conditions.flags
    for depth, one in book.tree():
        if matches(conditions, one, book, facts):
            yield Row(book, facts.name, association=one, depth=depth if is_tree else None, inherits=inherits)


def _qos(conditions: Conditions, book: Book, facts: ClusterFacts) -> Iterator[Row]:
    for qos in sorted(book.qos.values(), key=lambda qos: qos.id):
        if not _in(qos.name, conditions.names) or not _in(qos.description.lower(), conditions.descriptions):
            continue
        if conditions.ids is not None and qos.id not in conditions.ids:
            continue
        if conditions.preempt_mode is not None and conditions.preempt_mode != qos.preempt_mode:
            continue
        yield Row(book, facts.name, qos=qos)


_TRES_IDS = {"cpu": 1, "mem": 2, "energy": 3, "node": 4, "billing": 5, "fs/disk": 6, "vmem": 7, "pages": 8}
"""Slurm's own; what a site has of its own is numbered from 1001."""


def _tres(conditions: Conditions, book: Book, facts: ClusterFacts) -> Iterator[Row]:
    known = [(name, _TRES_IDS[name]) for name in _TRES_IDS]
    own = [name for name, _ in facts.tres if name not in _TRES_IDS]
    for full_name, number in [*known, *((name, 1001 + at) for at, name in enumerate(own))]:
        kind, _, name = full_name.partition("/")
        is_wanted = conditions.ids is None or number in conditions.ids
        if is_wanted and _in(kind, conditions.descriptions) and _in(name, conditions.names):
            yield Row(book, facts.name, tres=(kind, name, number))


def matches(conditions: Conditions, one: Association, book: Book, facts: ClusterFacts) -> bool:
    if conditions.ids is not None and one.id not in conditions.ids:
        return False
    if conditions.clusters is not None and facts.name.lower() not in conditions.clusters:
        return False
    if conditions.accounts is not None and not _in_accounts(conditions, one, book):
        return False
    if not _in(one.user, conditions.users) or not _in(one.partition, conditions.partitions):
        return False
    if not _in(one.parent, conditions.parents):
        return False
    if conditions.qos is not None and not set(conditions.qos) & set(book.granted_qos(one)):
        return False
    if conditions.default_qos is not None and one.default_qos not in conditions.default_qos:
        return False
    return "onlydefaults" not in conditions.flags or one.is_default


def _in_accounts(conditions: Conditions, one: Association, book: Book) -> bool:
    assert conditions.accounts is not None
    if "withsubaccounts" not in conditions.flags:
        return one.account in conditions.accounts
    return any(part.account in conditions.accounts for part in book.chain(one))


def _in(value: str, among: tuple[str, ...] | None) -> bool:
    return among is None or value in among


def _is_level(given: str, level: str) -> bool:
    return level.lower().startswith(given)
