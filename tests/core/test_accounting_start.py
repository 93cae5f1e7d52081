"""The accounting book that the site file describes."""

from bridge.core import accounting_start
from bridge.core.nodes import Site


def test_accounts_lie_below_root_each_once():
    book = accounting_start.book_of(
        Site(known_accounts=("physics", "Root"), accounts=(("alice", ("physics",)), ("root", ("root",))))
    )
    chains = {
        (one.account, one.user): [upper.account for upper in book.chain(one)] for one in book.associations.values()
    }
    assert chains["physics", "alice"] == ["physics", "physics", "root"]
    assert chains["physics", ""] == ["physics", "root"]
    assert chains["root", "root"] == ["root", "root"]
    assert chains["root", ""] == ["root"]
