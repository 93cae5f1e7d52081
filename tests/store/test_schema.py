import asyncio
import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from bridge.core.errors import Refused, Unavailable
from bridge.core.job import JobKey, JobState
from bridge.store import engine, schema, tables
from bridge.store.store import Store
from tests.store import support
from tests.store.support import in_loop, opened


def _differences(url: str) -> list[object]:
    made = engine.make(engine.parse_url(url), writes=False)
    try:
        with made.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return list(compare_metadata(context, tables.metadata))
    finally:
        made.dispose()


def _indexes(url: str) -> set[tuple[str, str, tuple[str | None, ...], bool]]:
    made = engine.make(engine.parse_url(url), writes=False)
    try:
        with made.connect() as connection:
            found = inspect(connection)
            return {
                (table, index["name"] or "", tuple(index["column_names"]), bool(index["unique"]))
                for table in tables.metadata.tables
                for index in found.get_indexes(table)
            }
    finally:
        made.dispose()


def test_an_upgraded_database_is_what_the_tables_say(empty_url: str) -> None:
    assert schema.current(empty_url) is None
    schema.upgrade(empty_url)
    assert schema.current(empty_url) == schema.head()
    assert _differences(empty_url) == []
    assert _indexes(empty_url) == {
        (table.name, str(index.name), tuple(column.name for column in index.columns), bool(index.unique))
        for table in tables.metadata.tables.values()
        for index in table.indexes
    }


def test_upgrading_twice_changes_nothing(empty_url: str) -> None:
    schema.upgrade(empty_url)
    schema.upgrade(empty_url)
    assert _differences(empty_url) == []


def test_an_empty_database_goes_down_and_up_again(empty_url: str) -> None:
    schema.upgrade(empty_url)
    schema.downgrade(empty_url, "base")
    assert schema.current(empty_url) is None
    schema.upgrade(empty_url)
    assert _differences(empty_url) == []


def test_a_filled_database_goes_down_and_up_again(url: str) -> None:
    async def fill() -> None:
        async with opened(url) as store:
            one = await support.submit(store, idempotency_key="k")
            array = await support.submit(store, array="0-3")
            await support.run_to(store, JobKey(array.id, 1), JobState.COMPLETED)
            await support.run_to(store, one.key, JobState.RUNNING)
            assert await store.acquire_lease("local", "me", 10, 0.0) is not None

    asyncio.run(fill())
    schema.downgrade(url, "base")
    assert schema.current(url) is None
    schema.upgrade(url)
    assert _differences(url) == []


@in_loop
async def test_upgrading_keeps_what_is_stored(url: str) -> None:
    async with opened(url) as store:
        job = await support.submit(store)
        name = store.instance_id
    schema.upgrade(url)
    async with opened(url) as store:
        assert store.instance_id == name
        assert await store.get(job.key) == job


@in_loop
async def test_the_instance_id_is_eight_letters_and_digits(url: str) -> None:
    async with opened(url) as store:
        assert re.fullmatch(r"[a-z0-9]{8}", store.instance_id)


@in_loop
async def test_a_database_without_schema_is_refused_with_the_command_to_run(empty_url: str) -> None:
    with pytest.raises(Unavailable, match="bridge db upgrade") as caught:
        await Store.open(empty_url)
    assert caught.value.code == "schema_old"


@in_loop
async def test_a_schema_of_a_newer_release_is_refused(url: str) -> None:
    made = engine.make(engine.parse_url(url), writes=True)
    with made.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from2031'"))
    made.dispose()
    with pytest.raises(Unavailable, match="from2031, which is newer") as caught:
        await Store.open(url)
    assert caught.value.code == "schema_new"


def test_a_revision_that_is_unknown_is_refused_with_those_there_are(url: str) -> None:
    with pytest.raises(Refused, match=r"'9999'; the revisions are 0001, ") as refused:
        schema.downgrade(url, "9999")
    assert refused.value.field == "revision"
    assert schema.current(url) == schema.head()


@in_loop
async def test_it_can_be_read_beside_a_bridge_that_has_it(url: str) -> None:
    async with opened(url) as store:
        job = await support.submit(store)
        beside = await Store.open(url, read_only=True)
        assert [found.id for found in await beside.unfinished()] == [job.id]
        with pytest.raises(Unavailable):
            await support.submit(beside)
        await beside.close()
        assert await store.get(job.key) == job


@in_loop
async def test_no_upgrade_while_a_bridge_has_the_file(sqlite_url: str) -> None:
    async with opened(sqlite_url):
        with pytest.raises(Unavailable, match="in use"):
            schema.upgrade(sqlite_url)


def test_a_new_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    schema.upgrade(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_made_is_named() -> None:
    with pytest.raises(Unavailable, match=r"/nowhere/at/all/bridge\.db"):
        schema.upgrade("sqlite:////nowhere/at/all/bridge.db")


@pytest.mark.parametrize("text", ["sqlite://", "mysql://x/y", "no url", "sqlite:///:memory:"])
def test_a_url_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="database URL"):
        engine.parse_url(text)
