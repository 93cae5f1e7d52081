"""The accounting book that the site file describes: what counts until somebody changes it by sacctmgr. Pure."""

from dataclasses import replace

from bridge.core import accounting
from bridge.core.accounting import Account, AccountUser, Association, Book, Qos
from bridge.core.nodes import Site


def book_of(site: Site) -> Book:
    """Accounts lie below root, each user's first account is charged by default, its first QOS taken by default."""
    if site.start is not None:
        return site.start
    book = accounting.empty_book()
    for name in _names_of_qos(site):
        book = add_qos(book, Qos(0, name, name))
    for name in _names_of_accounts(site):
        book = add_account(book, Account(name, name, name))
    granted = dict(site.qos)
    charged = dict(site.accounts)
    for user in dict.fromkeys((*charged, *granted)):
        names = charged.get(user) or ((site.default_account or accounting.ROOT,) if user in granted else ())
        qos = granted.get(user)
        for position, account in enumerate(names):
            one = Association(0, account.lower(), user.lower(), is_default=position == 0)
            if qos:
                one = replace(one, qos=tuple(name.lower() for name in qos), default_qos=qos[0].lower())
            book = add_user(book, one)
    return book


def _names_of_qos(site: Site) -> list[str]:
    return list(dict.fromkeys(name.lower() for _, names in site.qos for name in names))


def _names_of_accounts(site: Site) -> list[str]:
    names = [*site.known_accounts, *(name for _, mine in site.accounts for name in mine)]
    if site.default_account is not None:
        names.append(site.default_account)
    # Slurm's root is there already, and above itself it would be without end.
    return list(dict.fromkeys(name.lower() for name in names if name.lower() != accounting.ROOT))


def add_qos(book: Book, qos: Qos) -> Book:
    """With the next id; one that is there is replaced and keeps its own."""
    known = book.qos.get(qos.name)
    if known is not None:
        return replace(book, qos={**book.qos, qos.name: replace(qos, id=known.id)})
    return replace(book, qos={**book.qos, qos.name: replace(qos, id=book.next_qos)}, next_qos=book.next_qos + 1)


def add_account(book: Book, account: Account, own: Association | None = None) -> Book:
    """With its own association, below root where none is given."""
    own = own or Association(0, account.name, parent=accounting.ROOT)
    return add_association(replace(book, accounts={**book.accounts, account.name: account}), own)


def add_user(book: Book, one: Association) -> Book:
    """An association of a user, who is added where he is new. The first one of a user is the default."""
    users = book.users
    if one.user not in users:
        users = {**users, one.user: AccountUser(one.user)}
    return add_association(replace(book, users=users), one)


def add_association(book: Book, one: Association) -> Book:
    if one.key in book.associations:
        return replace(
            book, associations={**book.associations, one.key: replace(one, id=book.associations[one.key].id)}
        )
    added = replace(one, id=book.next_association)
    return replace(book, associations={**book.associations, one.key: added}, next_association=book.next_association + 1)
