"""sacctmgr add: accounts, users, QOS and coordinators into the book. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from adapters.slurm import sacctmgr_settings
from adapters.slurm import sacctmgr_texts as texts
from adapters.slurm.sacctmgr import BadWord, Change, Entity, split
from adapters.slurm.sacctmgr_settings import Known, Settings
from adapters.slurm.sacctmgr_texts import Asker, Planned
from bridge.core import accounting, accounting_edits, accounting_start
from bridge.core.accounting import Account, Association, Book, Qos


def add(order: Change, book: Book, asker: Asker, known: Known) -> Planned:
    return _ADD[order.entity](order, book, asker, read_settings(order, known))


def put(entity: str, book: Book, asker: Asker, settings: Settings) -> Planned:
    """What was said in another way than by words."""
    return _ADD[entity](Change("add", cast(Entity, entity), ()), book, asker, settings)


def read_settings(order: Change, known: Known) -> Settings:
    settings = Settings()
    words = sacctmgr_settings.ADD_WORDS[order.entity]
    for text in order.words:
        if "=" not in text:
            target = "names" if order.entity != "coordinator" else "users"
            settings.lists[target] = (*settings.lists.get(target, ()), *map(str.lower, split(text)))
        elif not sacctmgr_settings.read(text, words, settings, known, order.verb):
            hint = " Use keyword 'where' to modify condition\n" if order.entity in ("account", "qos") else ""
            raise BadWord(f" Unknown option: {text}\n{hint}", on_stdout=order.entity == "qos")
    return settings


def _add_accounts(order: Change, book: Book, asker: Asker, s: Settings) -> Planned:
    names = tuple(dict.fromkeys(name for name in s.lists.get("names", ()) if name))
    if not names:
        return texts.failure(" Need name of account to add.\n")
    if not texts.may_edit(book, asker, [s.parent or accounting.ROOT]):
        return texts.failure(" error: Only admins/operators/coordinators can add accounts\n")
    cluster = asker.facts.name
    for other in s.lists.get("clusters", ()):
        if other != cluster.lower():
            return texts.failure(
                f" error: Cluster '{other}' has not been added yet, please contact your admin before adding accounts "
                "to it\n"
            )
    parent = s.parent or accounting.ROOT
    if parent not in book.accounts:
        return texts.failure(f" error: No parent account '{parent}' on cluster '{cluster}'\n")
    new = [name for name in names if name not in book.accounts]
    there = [f"Already existing account {name} on cluster {cluster}\n" for name in names if name in book.accounts]
    if not new:
        return Planned(f" {''.join(there)}", exit_code=1)
    description, organization = s.description, s.organization
    above = book.accounts[parent].organization if parent != accounting.ROOT else None
    changed = book
    for name in new:
        account = Account(name, description or name, organization or (parent if above is not None else name))
        own = sacctmgr_settings.onto_association(Association(0, name, parent=parent), s)
        changed = accounting_start.add_account(changed, account, own)
    lacking = accounting_edits.lacks_default_qos(changed, [changed.associations[name, "", ""] for name in new])
    if lacking:
        return texts.failure(f" error: {texts.NO_ACCESS}\n")
    lines = [" Adding Account(s)\n", *(f"  {name}\n" for name in new), " Settings\n"]
    lines.append(f"  Description     = {description or 'Account Name'}\n")
    lines.append(f"  Organization    = {organization or 'Parent/Account Name'}\n")
    lines += there or [" Associations =\n"]
    lines += [f"  C = {cluster:<10} A = {name:<20}\n" for name in new]
    if s.was_said:
        lines += [" Settings\n", texts.association_text(s)]
    return Planned("".join(lines), book=changed)


def _add_users(order: Change, book: Book, asker: Asker, s: Settings) -> Planned:
    names = tuple(dict.fromkeys(name for name in s.lists.get("names", ()) if name))
    if not names:
        return texts.failure(" Need name of user to add.\n")
    accounts = tuple(name for name in s.lists.get("accounts", ()) if name)
    if s.default_account and s.default_account not in accounts:
        accounts = (*accounts, s.default_account)
    if not accounts:
        return texts.failure(" Need name of account or wckey to add.\n")
    if not texts.may_edit(book, asker, accounts) or (
        s.admin_level is not None and not (asker.is_operator and asker.is_administrator)
    ):
        return texts.failure(
            " error: Problem adding user associations: Access/permission denied "
            "(Only admins/operators/coordinators can add accounts)\n"
        )
    cluster = asker.facts.name
    clusters = s.lists.get("clusters") or (cluster.lower(),)
    for other in clusters:
        missing = [name for name in accounts if other != cluster.lower() or name not in book.accounts]
        if missing:
            return Planned(f"No account {missing[0]} on cluster {other}, skipping.\n{texts.NOTHING_ADDED}", exit_code=1)
    changed = book
    added: list[Association] = []
    for account in accounts:
        for user in names:
            for partition in s.lists.get("partitions") or ("",):
                one = Association(0, account, user, partition)
                if one.key in changed.associations:
                    continue
                first = changed.default_of(user) is None and s.default_account in (None, "", account)
                one = replace(sacctmgr_settings.onto_association(one, s), is_default=first)
                changed = accounting_start.add_user(changed, one)
                added.append(changed.associations[one.key])
    new = [name for name in names if name not in book.users]
    if not added:
        return Planned(f"Request didn't affect anything\n{texts.NOTHING_ADDED}", exit_code=1)
    if s.default_account:
        for user in names:
            changed = accounting_edits.set_default(changed, user, s.default_account)
    if s.admin_level is not None:
        changed = accounting_edits.with_users(
            changed, {name: replace(changed.users[name], admin_level=s.admin_level) for name in new}
        )
    if accounting_edits.lacks_default_qos(changed, added):
        return texts.failure(f" error: Problem adding user associations: {texts.NO_ACCESS} ({texts.NO_ACCESS})\n")
    lines: list[str] = []
    if new:
        lines += [" Adding User(s)\n", *(f"  {name}\n" for name in new), " Settings\n"]
        if s.default_account:
            lines.append(f"  Default Account = {s.default_account}\n")
        if s.admin_level is not None:
            lines.append(f"  Admin Level     = {s.admin_level}\n")
    lines += [" Associations =\n", *(f"  {texts.place(cluster, one)}\n" for one in added)]
    settings = texts.association_text(s)
    if settings:
        lines += [" Non Default Settings\n", settings]
    stranger = next((name for name in new if not asker.is_known(name)), None)
    doubt = "" if stranger is None else f"There is no uid for user '{stranger}'\n{texts.SURE}"
    return Planned("".join(lines), book=changed, doubt=doubt)


def _add_qos(order: Change, book: Book, asker: Asker, s: Settings) -> Planned:
    names = tuple(dict.fromkeys(name for name in s.lists.get("names", ()) if name))
    if not names:
        return texts.failure(" Need name of qos to add.\n")
    new = [name for name in names if name not in book.qos]
    if not new:
        return Planned(" Nothing new added.\n", exit_code=1)
    changed = book
    for name in new:
        changed = accounting_start.add_qos(changed, sacctmgr_settings.onto_qos(Qos(0, name, name), s))
    description = s.description or new[-1]
    lines = [" Adding QOS(s)\n", *(f"  {name}\n" for name in new), " Settings\n"]
    lines += [
        f"  Description    = {description}\n",
        texts.qos_text(sacctmgr_settings.onto_qos(Qos(0, "", ""), s), s),
    ]
    if not asker.is_operator:
        return Planned("".join(lines), " Problem adding QOS: Access/permission denied\n", 1)
    return Planned("".join(lines), book=changed)


def _add_coordinators(order: Change, book: Book, asker: Asker, s: Settings) -> Planned:
    accounts, users = texts.coordinated(s)
    if not accounts and not users:
        return texts.failure(" You need to specify conditions to to add the coordinator.\n")
    if not users:
        return texts.failure(" You need to specify a user list here.\n")
    if not accounts:
        return texts.failure(" You need to specify an account list here.\n")
    problem = texts.unknown_names(book, accounts, users)
    if problem:
        return texts.failure(problem)
    if not texts.may_edit(book, asker, accounts):
        return texts.failure(f"{texts.NO_RIGHT} Problem adding coordinator: Access/permission denied\n")
    changed = accounting_edits.with_coordinators(book, accounts, users, ())
    text = texts.listed(" Adding Coordinator User(s)", users) + texts.listed(
        " To Account(s) and all sub-accounts", accounts
    )
    return Planned(text, book=changed)


def _add_clusters(order: Change, book: Book, asker: Asker, s: Settings) -> Planned:
    names = [name for name in s.lists.get("names", ()) if name]
    if not names:
        return texts.failure(" Need name of cluster to add.\n")
    if not asker.is_operator:
        lines = "".join(f"  Name           = {name}\n" for name in names)
        return Planned(f" Adding Cluster(s)\n{lines}", " Problem adding clusters: Access/permission denied\n", 1)
    if names == [asker.facts.name.lower()]:
        return Planned(f" This cluster {asker.facts.name} already exists.  Not adding.\n", exit_code=1)
    return texts.failure(f"sacctmgr: error: the bridge is one cluster, {asker.facts.name}, and keeps no others\n")


_Add = Callable[[Change, Book, Asker, Settings], Planned]
_ADD: Mapping[str, _Add] = {
    "account": _add_accounts,
    "user": _add_users,
    "qos": _add_qos,
    "coordinator": _add_coordinators,
    "cluster": _add_clusters,
}
