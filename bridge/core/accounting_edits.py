"""Edits of the accounting book: each takes a book and gives another. Pure; texts and rights are not its business."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from bridge.core.accounting import AccountUser, Association, AssocKey, Book


def with_associations(book: Book, changed: Iterable[Association]) -> Book:
    return replace(book, associations={**book.associations, **{one.key: one for one in changed}})


def set_default(book: Book, user: str, account: str) -> Book:
    """What the user is charged on where nothing is said; of several partitions, the one without."""
    ones = [one for one in book.of_users.get(user, ()) if one.account == account]
    chosen = min(ones, key=lambda one: (one.partition, one.id), default=None)
    if chosen is None:
        return book
    return with_associations(
        book, [replace(one, is_default=one.key == chosen.key) for one in book.of_users.get(user, ())]
    )


def rename_user(book: Book, old: str, new: str) -> Book:
    users = {new if name == old else name: user for name, user in book.users.items()}
    users[new] = replace(users[new], name=new)
    moved = [replace(one, user=new) if one.user == old else one for one in book.associations.values()]
    accounts = {
        name: replace(account, coordinators=tuple(new if who == old else who for who in account.coordinators))
        for name, account in book.accounts.items()
    }
    return replace(book, users=users, accounts=accounts, associations={one.key: one for one in moved})


def without_associations(book: Book, keys: Collection[AssocKey]) -> Book:
    gone = set(keys)
    return replace(book, associations={key: one for key, one in book.associations.items() if key not in gone})


def without_users(book: Book, names: Collection[str]) -> Book:
    gone = set(names)
    accounts = {
        name: replace(account, coordinators=tuple(who for who in account.coordinators if who not in gone))
        for name, account in book.accounts.items()
    }
    return replace(
        book,
        users={name: user for name, user in book.users.items() if name not in gone},
        accounts=accounts,
        associations={key: one for key, one in book.associations.items() if one.user not in gone},
    )


def without_accounts(book: Book, names: Collection[str]) -> Book:
    """With all that lies below them."""
    gone = set(names) | {one.account for name in names for one in below(book, name) if not one.user}
    return replace(
        book,
        accounts={name: account for name, account in book.accounts.items() if name not in gone},
        associations={key: one for key, one in book.associations.items() if one.account not in gone},
    )


def without_qos(book: Book, names: Collection[str]) -> Book:
    gone = set(names)

    def cleaned(one: Association) -> Association:
        return replace(
            one,
            qos=None if one.qos is None else tuple(name for name in one.qos if name not in gone),
            qos_delta=tuple(word for word in one.qos_delta if word[1:] not in gone),
            default_qos=None if one.default_qos in gone else one.default_qos,
        )

    return replace(
        book,
        qos={
            name: replace(qos, preempt=tuple(one for one in qos.preempt if one not in gone))
            for name, qos in book.qos.items()
            if name not in gone
        },
        associations={key: cleaned(one) for key, one in book.associations.items()},
    )


def with_users(book: Book, changed: Mapping[str, AccountUser]) -> Book:
    return replace(book, users={**book.users, **changed})


def with_coordinators(book: Book, accounts: Collection[str], added: Collection[str], removed: Collection[str]) -> Book:
    changed = {
        name: replace(
            book.accounts[name],
            coordinators=tuple(sorted({*book.accounts[name].coordinators, *added} - set(removed))),
        )
        for name in accounts
    }
    return replace(book, accounts={**book.accounts, **changed})


def below(book: Book, account: str) -> list[Association]:
    """All associations under an account, each account before what is below it."""
    found: list[Association] = []
    for one in book.children.get(account, ()):
        found.append(one)
        if not one.user:
            found += below(book, one.account)
    return found


def heirs(book: Book, account: str, inherited: Collection[str], *, qos: bool, default_qos: bool) -> list[Association]:
    """Those below an account that take one of these limits (fields of Limits), or the QOS, from it."""
    found: list[Association] = []
    for one in book.children.get(account, ()):
        open_limits = [name for name in inherited if getattr(one.limits, name) in (None, ())]
        partly = [name for name in inherited if isinstance(getattr(one.limits, name), tuple)]
        passes_qos = qos and one.qos is None
        passes_default = default_qos and one.default_qos is None
        if not (open_limits or partly or passes_qos or passes_default):
            continue
        found.append(one)
        if not one.user:
            names = [name for name in inherited if name in open_limits or name in partly]
            found += heirs(book, one.account, names, qos=passes_qos, default_qos=passes_default)
    return found


def lacks_default_qos(book: Book, ones: Iterable[Association]) -> list[Association]:
    """Associations whose own default QOS is not granted to them."""
    return [one for one in ones if one.default_qos is not None and one.default_qos not in book.granted_qos(one)]


def keeps_others(book: Book, gone: Collection[AssocKey]) -> list[Association]:
    """Default associations among the ones to go whose users would keep others."""
    keys = set(gone)
    return [
        one
        for one in (book.associations[key] for key in gone)
        if one.is_default and any(other.key not in keys for other in book.of_users.get(one.user, ()))
    ]
