"""sacctmgr delete: what has active jobs stays, and nobody loses his default account alone. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from adapters.slurm import sacctmgr_add, sacctmgr_chosen
from adapters.slurm import sacctmgr_texts as texts
from adapters.slurm.sacctmgr import Change, Conditions, read_conditions
from adapters.slurm.sacctmgr_list import matches
from adapters.slurm.sacctmgr_settings import Known
from adapters.slurm.sacctmgr_texts import Asker, Planned
from bridge.core import accounting, accounting_edits
from bridge.core.accounting import Book


def delete(order: Change, book: Book, asker: Asker) -> Planned:
    if order.entity == "coordinator":
        return _delete_coordinators(order, book, asker)
    conditions, _ = read_conditions(order.entity, [word for word in order.words if word.lower() != "and"])
    if conditions == Conditions():
        return texts.failure(" No conditions given to remove, not executing.\n")
    match order.entity:
        case "account":
            return _delete_accounts(conditions, book, asker)
        case "user":
            return _delete_users(conditions, book, asker)
        case "qos":
            return _delete_qos(conditions, book, asker)
        case _:
            if not asker.is_operator:
                return texts.failure(texts.DENIED)
            return texts.failure(
                f"sacctmgr: error: the bridge is one cluster, {asker.facts.name}, which cannot be deleted\n"
            )


def _delete_accounts(conditions: Conditions, book: Book, asker: Asker) -> Planned:
    chosen = [name for name in sorted(book.accounts) if sacctmgr_chosen.is_account(book, name, conditions, asker)]
    if accounting.ROOT in chosen:
        return texts.failure(" You are not allowed to remove the root account.\n Use remove cluster instead.\n")
    if not chosen:
        return Planned(" Nothing deleted\n", exit_code=1)
    if not texts.may_edit(book, asker, chosen):
        return texts.failure(texts.DENIED)
    changed = accounting_edits.without_accounts(book, chosen)
    gone = [one.key for one in book.associations.values() if one.key not in changed.associations]
    accounts = {account for account, _, _ in gone}
    jobs = [job for job in asker.jobs if job.account in accounts]
    if jobs:
        return texts.failure(texts.active_text(jobs, asker, "  "))
    kept = accounting_edits.keeps_others(book, gone)
    if kept:
        return texts.failure(
            texts.default_text(kept, asker)
            + " Please either remove the accounts listed above from list and resubmit,\n"
            " or change these users' default accounts to remove the account(s).\n Changes Discarded\n"
        )
    return Planned(texts.listed(" Deleting accounts...", chosen), book=changed)


def _delete_users(conditions: Conditions, book: Book, asker: Asker) -> Planned:
    names = [
        name
        for name in sorted(book.users)
        if (conditions.names is None or name in conditions.names)
        and sacctmgr_chosen.has_level(book.users[name], conditions)
    ]
    if not (conditions.needs_associations or conditions.accounts is not None):
        return _delete_people(names, book, asker)
    ones = [
        one
        for _, one in book.tree()
        if one.user in names and matches(replace(conditions, names=None), one, book, asker.facts)
    ]
    if not ones:
        return Planned(" Nothing deleted\n", exit_code=1)
    if not texts.may_edit(book, asker, [one.account for one in ones]):
        return texts.failure(texts.DENIED)
    places = {(one.account, one.user) for one in ones}
    jobs = [job for job in asker.jobs if (job.account, job.user) in places]
    if jobs:
        return texts.failure(texts.active_text(jobs, asker, "  "))
    kept = accounting_edits.keeps_others(book, [one.key for one in ones])
    if kept:
        return texts.failure(
            texts.default_text(kept, asker)
            + " You must change the default account of these users or remove the users completely from the affected "
            "clusters to allow these changes.\n Changes Discarded\n"
        )
    changed = accounting_edits.without_associations(book, [one.key for one in ones])
    lines = [
        " Deleting user associations...\n",
        *(f"  {texts.short_place(asker.facts.name, one)}\n" for one in ones),
    ]
    alone = [name for name in sorted({one.user for one in ones}) if name not in changed.of_users]
    if alone:
        changed = accounting_edits.without_users(changed, alone)
        lines += [" Deleting users (No Associations)...\n", *(f"  {name}\n" for name in alone)]
    return Planned("".join(lines), book=changed)


def _delete_people(names: Sequence[str], book: Book, asker: Asker) -> Planned:
    if not names:
        return Planned(" Nothing deleted\n", exit_code=1)
    if not asker.is_operator:
        return texts.failure(texts.DENIED)
    jobs = [job for job in asker.jobs if job.user in names]
    if jobs:
        return texts.failure(texts.active_text(jobs, asker, "  "))
    return Planned(texts.listed(" Deleting users...", names), book=accounting_edits.without_users(book, names))


def _delete_qos(conditions: Conditions, book: Book, asker: Asker) -> Planned:
    if not asker.is_operator:
        return texts.failure(texts.DENIED)
    chosen = sacctmgr_chosen.chosen_qos(conditions, book)
    if not chosen:
        return Planned("  Nothing deleted\n", exit_code=1)
    jobs = [job for job in asker.jobs if job.qos in chosen]
    if jobs:
        return texts.failure(texts.active_text(jobs, asker, " "))
    return Planned(texts.listed(" Deleting QOS(s)...", chosen), book=accounting_edits.without_qos(book, chosen))


def _delete_coordinators(order: Change, book: Book, asker: Asker) -> Planned:
    s = sacctmgr_add.read_settings(order, Known(book.qos))
    accounts, users = texts.coordinated(s)
    if not accounts and not users:
        return texts.failure(" You need to specify a user list or account list here.\n")
    problem = texts.unknown_names(book, accounts, users)
    if problem:
        return texts.failure(problem)
    if not texts.may_edit(book, asker, accounts or tuple(book.accounts)):
        return texts.failure(texts.DENIED)
    gone = [
        (user, name)
        for name in sorted(accounts or book.accounts)
        for user in book.accounts[name].coordinators
        if not users or user in users
    ]
    text = texts.listed(" Removing Coordinators with user name", users) if users else ""
    if accounts:
        text += texts.listed(" From Account(s)" if users else " Removing all users from Accounts", accounts)
    if not gone:
        return Planned(f"{text} Nothing removed\n", exit_code=1)
    changed = book
    for user, name in gone:
        changed = accounting_edits.with_coordinators(changed, [name], (), [user])
    lines = [f"  U = {user:<9} A = {name:<10}\n" for user, name in gone]
    return Planned("".join([text, " Removed Coordinators (sub accounts not listed)...\n", *lines]), book=changed)
