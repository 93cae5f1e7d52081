"""The accounting book in the database: each account, user, association and QOS is a record of its own."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from bridge.core.accounting import Account, AccountUser, Association, Book, Qos
from bridge.store import codec, site_records

BOOK = "book"
_KINDS = (BOOK, "qos", "account", "user", "association")

Edit = Callable[[Book], Book | None]
"""The book as it stands → as it shall be; None: nothing changes."""


@dataclass(frozen=True, slots=True)
class _Numbers:
    next_association: int
    next_qos: int
    version: int


def version(connection: Connection) -> int:
    """0: the database has no book yet."""
    data = site_records.load(connection, [BOOK])[BOOK].get(BOOK)
    return 0 if data is None else codec.load(_Numbers, data).version


def load(connection: Connection) -> Book | None:
    """None: nobody has changed the site file's."""
    found = site_records.load(connection, _KINDS)
    if BOOK not in found[BOOK]:
        return None
    numbers = codec.load(_Numbers, found[BOOK][BOOK])
    ones = [codec.load(Association, data) for data in found["association"].values()]
    return Book(
        qos={name: codec.load(Qos, data) for name, data in found["qos"].items()},
        accounts={name: codec.load(Account, data) for name, data in found["account"].items()},
        users={name: codec.load(AccountUser, data) for name, data in found["user"].items()},
        associations={one.key: one for one in sorted(ones, key=lambda one: one.id)},
        next_association=numbers.next_association,
        next_qos=numbers.next_qos,
        version=numbers.version,
    )


def edit(connection: Connection, start: Book, change: Edit) -> Book:
    """Change the database's book, or the site file's where there is none, which is written whole then."""
    stored = load(connection)
    before = start if stored is None else stored
    wanted = change(before)
    if wanted is None:
        return before
    after = replace(wanted, version=before.version + 1)
    old = {} if stored is None else _records(stored)
    new = _records(after)
    changed = {key: data for key, data in new.items() if old.get(key) != data}
    site_records.save(connection, changed, [key for key in old if key not in new])
    return after


def _records(book: Book) -> dict[tuple[str, str], str]:
    records = {(BOOK, BOOK): codec.dump(_Numbers(book.next_association, book.next_qos, book.version))}
    records |= {("qos", name): codec.dump(qos) for name, qos in book.qos.items()}
    records |= {("account", name): codec.dump(account) for name, account in book.accounts.items()}
    records |= {("user", name): codec.dump(user) for name, user in book.users.items()}
    records |= {("association", str(one.id)): codec.dump(one) for one in book.associations.values()}
    return records
