"""Which accounts, users and QOS the conditions of a change mean. Pure."""

from dataclasses import replace

from adapters.slurm.sacctmgr import Conditions
from adapters.slurm.sacctmgr_list import matches
from adapters.slurm.sacctmgr_texts import Asker
from bridge.core.accounting import AccountUser, Book


def is_account(book: Book, name: str, conditions: Conditions, asker: Asker) -> bool:
    account = book.accounts[name]
    own = book.of_account(name)
    if conditions.names is not None and name not in conditions.names:
        return False
    if conditions.descriptions is not None and account.description.lower() not in conditions.descriptions:
        return False
    if conditions.organizations is not None and account.organization.lower() not in conditions.organizations:
        return False
    return own is None or matches(replace(conditions, names=None), own, book, asker.facts)


def has_level(user: AccountUser, conditions: Conditions) -> bool:
    return conditions.admin_level is None or user.admin_level.lower().startswith(conditions.admin_level)


def chosen_qos(conditions: Conditions, book: Book) -> list[str]:
    """In the order named, else by number."""
    known = [qos.name for qos in sorted(book.qos.values(), key=lambda qos: qos.id)]
    names = known if conditions.names is None else [name for name in conditions.names if name in book.qos]
    return [
        name
        for name in names
        if (conditions.ids is None or book.qos[name].id in conditions.ids)
        and (conditions.descriptions is None or book.qos[name].description.lower() in conditions.descriptions)
        and (conditions.preempt_mode is None or book.qos[name].preempt_mode == conditions.preempt_mode)
    ]
