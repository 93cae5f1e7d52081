"""Accounting as a use case: the book of accounts, users, associations and QOS, and who may change it.

The site file gives the start. Until the first change by an operator its book counts, at each start afresh;
that change writes the whole book to the state database, which alone counts from then on.
"""

import time
from collections.abc import Callable

from bridge.core import accounting_start
from bridge.core.accounting import Book
from bridge.core.nodes import Site
from bridge.store.store import Store


class Accounting:
    def __init__(self, store: Store, site: Site, *, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._start = accounting_start.book_of(site)

    async def book(self) -> Book:
        return self._start
