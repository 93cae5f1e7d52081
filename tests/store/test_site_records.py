"""What operators make at run time, the accounting book, and mail, on both databases."""

from dataclasses import replace

import pytest

from adapters.slurm.mail import Mail
from bridge.core import accounting_start
from bridge.core.accounting import Account, Association, Book, Limits, empty_book
from bridge.core.errors import Refused
from tests.builders import NOON
from tests.store.support import in_loop, opened, submit


def with_physics(book: Book) -> Book:
    own = Association(0, "physics", parent="root", limits=Limits(grp_tres=(("cpu", 4),)), qos=("normal",))
    return accounting_start.add_account(book, Account("physics", "Physik — größer", "sci", ("bob",)), own)


@in_loop
async def test_the_book_of_the_site_file_counts_until_the_first_change(url: str) -> None:
    async with opened(url) as store:
        assert (await store.accounting_version(), await store.accounting_book()) == (0, None)
        made = await store.edit_accounting(empty_book(), with_physics)
        assert made == replace(with_physics(empty_book()), version=1)
        assert (await store.accounting_version(), await store.accounting_book()) == (1, made)
    async with opened(url) as store:
        assert await store.accounting_book() == made


@in_loop
async def test_a_change_is_made_on_the_book_as_it_is(url: str) -> None:
    async with opened(url) as store:
        await store.edit_accounting(empty_book(), with_physics)
        seen: list[Book] = []

        def nothing(book: Book) -> None:
            seen.append(book)

        assert (await store.edit_accounting(empty_book(), nothing)).version == 1
        assert sorted(seen[0].accounts) == ["physics", "root"]
        without = replace(seen[0], accounts={"root": seen[0].accounts["root"]})
        assert (await store.edit_accounting(empty_book(), lambda book: without)).version == 2
        kept = await store.accounting_book()
        assert kept is not None and sorted(kept.accounts) == ["root"]


@in_loop
async def test_a_change_that_is_refused_leaves_the_book_alone(url: str) -> None:
    def refuse(book: Book) -> Book:
        raise Refused("no")

    async with opened(url) as store:
        with pytest.raises(Refused):
            await store.edit_accounting(empty_book(), refuse)
        assert await store.accounting_book() is None


@in_loop
async def test_records_are_kept_replaced_and_dropped_by_kind_and_name(url: str) -> None:
    async with opened(url) as store:
        await store.save_site_record("reservation", "a", "1")
        await store.save_site_record("partition", "a", "2")
        await store.save_site_record("reservation", "a", "3")
        assert await store.site_records(["reservation", "partition"]) == {
            "reservation": {"a": "3"},
            "partition": {"a": "2"},
        }
        await store.save_site_record("reservation", "a", None)
        assert await store.site_records(["reservation"]) == {"reservation": {}}


@in_loop
async def test_open_jobs_are_counted_by_what_they_are_booked_on(url: str) -> None:
    async with opened(url) as store:
        await submit(store, account="physics", qos="high")
        await submit(store, account="physics", qos="high", array="0-9")
        await submit(store, user="bob")
        assert sorted(await store.open_counts(), key=str) == [
            ("alice", "physics", "main", "high", 11),
            ("bob", None, "main", None, 1),
        ]


@in_loop
async def test_a_mail_is_due_until_it_is_sent_and_known_by_its_occasion(url: str) -> None:
    mail = Mail("7-END", 1, "alice", "Slurm Job_id=1 …", (("SLURM_JOB_ID", "1"),))
    async with opened(url) as store:
        assert await store.mail_cursor() is None
        await store.add_mails([mail, mail], 7, NOON)
        assert (await store.mail_cursor(), await store.next_mail_due()) == (7, NOON)
        assert await store.due_mails(NOON - 1, 10) == []
        assert await store.due_mails(NOON, 10) == [(mail, 0)]
        await store.mark_mail(mail.id, "waiting", 1, NOON + 30)
        assert await store.due_mails(NOON + 30, 10) == [(mail, 1)]
        await store.mark_mail(mail.id, "sent", 2, NOON + 30)
        await store.add_mails([mail], None, NOON)
        assert (await store.due_mails(NOON + 99, 10), await store.next_mail_due()) == ([], None)
        assert (await store.forget_mails(NOON + 30), await store.forget_mails(NOON + 31)) == (0, 1)
