"""Accounting as a use case: the book of accounts, users, associations and QOS, and changes to it.

The site file gives the start. Until the first change by an operator its book counts, at each start afresh;
that change writes the whole book to the state database, which alone counts from then on.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence

from bridge.core import accounting_admission, accounting_start
from bridge.core.accounting import NO_ADMIN, ROOT, Book
from bridge.core.accounting_limits import Rules
from bridge.core.nodes import Site
from bridge.store.records import NewJob
from bridge.store.store import Store

FRESH_SECONDS = 5.0
"""How long what another process changed may go unseen."""


class Accounting:
    def __init__(self, store: Store, site: Site, *, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self.start = accounting_start.book_of(site)
        """What the site file says."""
        self._book: Book | None = None
        self._until = 0.0
        self._watchers: list[Callable[[], None]] = []
        self._site = site
        self._rules: Rules | None = None
        self._rules_book: Book | None = None
        self._turn = asyncio.Lock()
        """Held from counting what is submitted until the new jobs are on disk."""

    async def book(self) -> Book:
        if self._book is None or self._now() >= self._until:
            known = self._book
            if known is None or known.version != await self._store.accounting_version():
                self._book = await self._store.accounting_book() or self.start
            self._until = self._now() + FRESH_SECONDS
        assert self._book is not None
        return self._book

    def is_admin(self, user: str) -> bool:
        """Whether the book, as last seen, makes the user an operator. The name root alone proves nothing."""
        found = self._book.users.get(user) if self._book is not None else None
        return found is not None and found.name != ROOT and found.admin_level != NO_ADMIN

    async def edit(self, change: Callable[[Book], Book | None]) -> Book:
        """Who may is the caller's business. The change is asked once more on the book as it is when it is written."""
        self._book = await self._store.edit_accounting(self.start, change)
        self._until = self._now() + FRESH_SECONDS
        for watcher in self._watchers:
            watcher()
        return self._book

    def replace_site(self, site: Site) -> None:
        """The site file was read again."""
        self._site = site
        self.start = accounting_start.book_of(site)
        self._book = self._rules = None

    async def rules(self) -> Rules:
        """The limits in force; the same object as long as the book is the same."""
        book = await self.book()
        if self._rules is None or self._rules_book is not book:
            self._rules = Rules(book, enforced="limits" in self._site.enforced)
            self._rules_book = book
        return self._rules

    @contextlib.asynccontextmanager
    async def submitting(self, new: Sequence[NewJob]) -> AsyncIterator[None]:
        """Refused where a limit forbids these jobs. Those that a limit counts are taken one call after the other."""
        rules = await self.rules()
        terms = [rules.of(job.request.user, job.request.account, job.partition, job.request.qos) for job in new]
        if not any(one.submitted or one.denies for one in terms):
            yield
            return
        async with self._turn:
            submitted = rules.submitted(await self._store.open_counts())
            for job in new:
                accounting_admission.check_limits(
                    job.request, job.partition, job.time_limit_seconds, self._site, rules, submitted
                )
            yield

    def when_changed(self, watcher: Callable[[], None]) -> None:
        self._watchers.append(watcher)
