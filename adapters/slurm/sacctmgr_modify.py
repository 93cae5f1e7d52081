"""sacctmgr modify: accounts, users with their associations, and QOS. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from adapters.slurm import sacctmgr_chosen, sacctmgr_settings
from adapters.slurm import sacctmgr_texts as texts
from adapters.slurm.sacctmgr import BadWord, Change, Conditions, read_conditions
from adapters.slurm.sacctmgr_list import matches
from adapters.slurm.sacctmgr_settings import Known, Settings
from adapters.slurm.sacctmgr_texts import Asker, Planned
from bridge.core import accounting, accounting_edits
from bridge.core.accounting import Association, Book


def modify(order: Change, book: Book, asker: Asker, known: Known) -> Planned:
    if order.entity == "cluster":
        return texts.failure(
            "sacctmgr: error: defaults of the cluster are those of its root account: modify that one\n"
        )
    conditions, s = _conditions_and_settings(order, known)
    match order.entity:
        case "account":
            return _modify_accounts(conditions, s, book, asker)
        case "user":
            return _modify_users(conditions, s, book, asker)
        case _:
            return _modify_qos(conditions, s, book, asker)


def _conditions_and_settings(order: Change, known: Known) -> tuple[Conditions, Settings]:
    """`[where] name=bob account=physics set MaxJobs=3 [where …]`"""
    conditions: list[str] = []
    settings = Settings()
    was_set = is_setting = False
    for text in order.words:
        plain = text.lower()
        if "=" not in text and plain in ("where", "set", "and"):
            is_setting = plain == "set" or (is_setting and plain == "and")
            continue
        if not is_setting:
            conditions.append(text)
            continue
        if "=" not in text:
            raise BadWord(f" Bad format on {text}: End your option with an '=' sign\n")
        if not sacctmgr_settings.read(text, sacctmgr_settings.SET_WORDS[order.entity], settings, known, order.verb):
            hint = " Use keyword 'where' to modify condition\n"
            raise BadWord(f" Unknown option: {text}\n{hint}", on_stdout=order.entity == "qos")
        was_set = True
    if order.entity == "qos" and "names" in settings.lists and not settings.was_said:
        was_set = False
    found, _ = read_conditions(order.entity, conditions)
    if not was_set:
        raise BadWord(" You didn't give me anything to set\n")
    return found, settings


def _modify_accounts(conditions: Conditions, s: Settings, book: Book, asker: Asker) -> Planned:
    chosen = [name for name in sorted(book.accounts) if sacctmgr_chosen.is_account(book, name, conditions, asker)]
    lines: list[str] = []
    changed = book
    failed = False
    if s.description is not None or s.organization is not None:
        lines.append(" Modified accounts...\n")
        if not asker.is_operator:
            return Planned("".join(lines), texts.DENIED, 1)
        for name in chosen:
            account = changed.accounts[name]
            account = replace(
                account,
                description=account.description if s.description is None else s.description,
                organization=account.organization if s.organization is None else s.organization,
            )
            changed = replace(changed, accounts={**changed.accounts, name: account})
        lines += [f"  {name}\n" for name in chosen] or ["  Nothing modified\n"]
        failed = not chosen
    if s.of_association:
        lines.append(" Modified account associations...\n")
        if not texts.may_edit(book, asker, chosen) or not (chosen or asker.is_operator):
            return Planned("".join(lines), texts.DENIED, 1)
        problem = _bad_parent(book, chosen, s.parent, asker)
        if problem is not None:
            return Planned("".join([*lines, problem]))
        ones = [one for _, one in book.tree() if not one.user and one.account in chosen]
        edited = [_moved(sacctmgr_settings.onto_association(one, s), s.parent) for one in ones]
        changed = accounting_edits.with_associations(changed, edited)
        touched = _touched(changed, edited, s)
        lacking = accounting_edits.lacks_default_qos(changed, [one for one, _ in touched])
        if lacking:
            return Planned("".join(lines), _lacking_text(lacking, asker), 1)
        for one, is_own in touched:
            lines.append(f"  {_own_place(book, one, asker) if is_own else texts.place(asker.facts.name, one)}\n")
        if not touched:
            lines.append("  Nothing modified\n")
            failed = True
    return Planned("".join(lines), exit_code=1 if failed else 0, book=None if failed else changed)


def _own_place(book: Book, one: Association, asker: Asker) -> str:
    """An account that was named itself is told with the one above it, as that was before."""
    above = book.associations[one.key].parent
    return f"C = {asker.facts.name:<10} A = {one.account}" + (f" of {above}" if above else "")


def _bad_parent(book: Book, chosen: Collection[str], parent: str | None, asker: Asker) -> str | None:
    if parent is None:
        return None
    if parent not in book.accounts:
        return f"  Parent account {parent} doesn't exist on cluster {asker.facts.name}\n"
    for name in chosen:
        if parent == name or any(one.account == parent for one in accounting_edits.below(book, name)):
            return (
                f"  Requested parent account {parent} is a child of {name} on cluster {asker.facts.name}. "
                f"Please re-parent {parent} before using it as a parent.\n"
            )
    return None


def _moved(one: Association, parent: str | None) -> Association:
    return one if parent is None or one.account == accounting.ROOT else replace(one, parent=parent)


def _touched(book: Book, edited: Sequence[Association], s: Settings) -> list[tuple[Association, bool]]:
    """(association, whether it was named itself): with those that inherit what changed."""
    inherited = [name for name in s.limits if name in accounting.INHERITED]
    named = {one.key for one in edited}
    found: dict[accounting.AssocKey, tuple[Association, bool]] = {}
    for one in edited:
        found[one.key] = (one, True)
        heirs = accounting_edits.heirs(
            book, one.account, inherited, qos=s.qos is not None, default_qos=s.default_qos is not None
        )
        for heir in heirs if s.parent is None else accounting_edits.below(book, one.account):
            if heir.key not in named:
                found.setdefault(heir.key, (heir, False))
    return list(found.values())


def _modify_users(conditions: Conditions, s: Settings, book: Book, asker: Asker) -> Planned:
    names = [
        name
        for name in sorted(book.users)
        if (conditions.names is None or name in conditions.names)
        and sacctmgr_chosen.has_level(book.users[name], conditions)
    ]
    ones = [
        one
        for _, one in book.tree()
        if one.user in names and matches(replace(conditions, names=None), one, book, asker.facts)
    ]
    lines: list[str] = []
    changed = book
    failed = False
    if s.admin_level is not None or s.default_account is not None or s.new_name is not None:
        lines.append(" Modified users...\n")
        if not asker.is_operator or (s.admin_level is not None and not asker.is_administrator):
            return Planned("".join(lines), texts.DENIED, 1)
        strangers = [
            name
            for name in names
            if s.default_account is not None
            and not any(one.account == s.default_account for one in book.of_users.get(name, ()))
        ]
        if strangers:
            account = s.default_account
            lines.append(
                f" Can't modify because these users aren't associated with new default account '{account}'...\n"
            )
            lines += [f"  U = {name} C = {asker.facts.name}\n" for name in strangers]
            return Planned("".join(lines), exit_code=1)
        touched, changed = _modify_people(conditions, names, s, book)
        lines += [f"  {name}\n" for name in touched] or ["  Nothing modified\n"]
        failed = not touched
    if s.of_association:
        lines.append(" Modified user associations...\n")
        if not texts.may_edit(book, asker, [one.account for one in ones]) or not (ones or asker.is_operator):
            return Planned("".join(lines), texts.DENIED, 1)
        edited = [sacctmgr_settings.onto_association(changed.associations.get(one.key, one), s) for one in ones]
        changed = accounting_edits.with_associations(changed, edited)
        lacking = accounting_edits.lacks_default_qos(changed, edited)
        if lacking:
            return Planned("".join(lines), _lacking_text(lacking, asker), 1)
        lines += [f"  {texts.place(asker.facts.name, one)}\n" for one in edited] or ["  Nothing modified\n"]
        failed = failed or not edited
    return Planned("".join(lines), exit_code=1 if failed else 0, book=None if failed else changed)


def _modify_people(conditions: Conditions, names: Sequence[str], s: Settings, book: Book) -> tuple[list[str], Book]:
    """(users that something was done to, the book)"""
    touched: list[str] = []
    changed = book
    for name in names:
        if conditions.accounts is not None and s.default_account is None:
            continue  # what is the user's own does not hang on an account
        if s.default_account is not None:
            changed = accounting_edits.set_default(changed, name, s.default_account)
        if s.admin_level is not None:
            user = replace(changed.users[name], admin_level=s.admin_level)
            changed = accounting_edits.with_users(changed, {name: user})
        if s.new_name is not None:
            if s.new_name in changed.users:
                continue
            changed = accounting_edits.rename_user(changed, name, s.new_name)
        touched.append(name)
    return touched, changed


def _modify_qos(conditions: Conditions, s: Settings, book: Book, asker: Asker) -> Planned:
    if not asker.is_operator:
        return Planned(stderr=texts.DENIED, exit_code=1)
    chosen = sacctmgr_chosen.chosen_qos(conditions, book)
    if not chosen:
        return Planned("  Nothing modified\n", exit_code=1)
    changed = replace(
        book, qos={**book.qos, **{name: sacctmgr_settings.onto_qos(book.qos[name], s) for name in chosen}}
    )
    return Planned(texts.listed(" Modified qos...", chosen), book=changed)


def _lacking_text(ones: Sequence[Association], asker: Asker) -> str:
    lines = "".join(f"  DefQOS = {one.default_qos:<10} {texts.place(asker.facts.name, one)}\n" for one in ones)
    return (
        "sacctmgr: error: \n These associations don't have access to their default qos.\n"
        " Please give them access before they the default can be set to this.\n"
        f"{lines}\n Error with request: {texts.NO_ACCESS}\n"
    )
