"""The tables, as SQLAlchemy sees them. What changes here needs a migration; a test compares the two.

Jobs, arrays' own records and array tasks with a row of their own share the table `jobs`: they are listed,
filtered and changed alike. A row is found by (key_id, task_index); task_index is -1 where there is none,
so that it can be part of the primary key. Times are epoch seconds.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    literal_column,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

NO_TASK = -1
_ESCAPE = "\\x"

ZERO: ColumnElement[int] = literal_column("0", Integer)
ONE: ColumnElement[int] = literal_column("1", Integer)
"""Written out in conditions: SQLite uses a partial index only where it sees the index's own words."""

metadata = MetaData()


class AnyText(TypeDecorator[str]):
    """Text as users give it: NUL and bytes that are no UTF-8 (lone surrogates) are kept, escaped as a whole."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or (value.isascii() and "\0" not in value and not value.startswith(_ESCAPE)):
            return value
        if "\0" not in value and not value.startswith(_ESCAPE):
            try:
                value.encode()
            except UnicodeEncodeError:
                pass
            else:
                return value
        return _ESCAPE + value.encode("utf-8", "surrogatepass").hex()

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        if value is None or not value.startswith(_ESCAPE):
            return value  # type: ignore[no-any-return]  # a text column gives text
        return bytes.fromhex(value[len(_ESCAPE) :]).decode("utf-8", "surrogatepass")


_ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""SQLite makes an INTEGER primary key its own row number, which saves an index."""


def _where(condition: str) -> dict[str, Any]:
    """A partial index; queries that are to use it must name the condition in these very words."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# One row. Its lock makes the writers of several processes take turns, which keeps history numbers in commit order.
instance = Table(
    "instance",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("instance_id", Text, nullable=False),
    Column("next_job_id", BigInteger, nullable=False),
    Column("next_seq", BigInteger, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("key_id", BigInteger, primary_key=True, autoincrement=False),
    Column("task_index", Integer, primary_key=True, autoincrement=False),
    Column("raw_id", BigInteger, nullable=False),
    Column("last_raw_id", BigInteger, nullable=False),  # of an array's block; else raw_id
    Column("array_id", BigInteger),
    Column("revision", BigInteger, nullable=False),
    Column("is_open", SmallInteger, nullable=False),  # 1: may still do something
    Column("counts_as", BigInteger, nullable=False),  # an array's waiting tasks; 1 for all others. 0: not listed
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("reason_detail", AnyText, nullable=False),
    Column("waited_for", Text, nullable=False, server_default="None"),  # a reason
    Column("uid", BigInteger, nullable=False),
    Column("user_name", AnyText, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("partition", AnyText, nullable=False),
    Column("account", AnyText),
    Column("qos", AnyText),
    Column("priority", BigInteger, nullable=False),
    Column("held_by_admin", SmallInteger, nullable=False),
    Column("submitted_at", Double, nullable=False),
    Column("eligible_at", Double),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("suspended_at", Double),
    Column("suspended_seconds", Double, nullable=False),
    Column("begin_at", Double),
    Column("time_limit_seconds", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("restarts", Integer, nullable=False),
    Column("node_names", AnyText, nullable=False),  # `,n1,n2,`: a node is found by `,n1,`
    Column("exit_status", Integer),
    Column("exit_signal", Integer),
    Column("cancelled_by_uid", BigInteger),
    Column("dependency_text", AnyText, nullable=False),
    Column("derived_exit_status", Integer, nullable=False),
    Column("waiting", Text),  # of an array, JSON
    Column("nodes", Text),  # JSON, as end, stop and request
    Column("end_json", Text),
    Column("stop_json", Text),
    Column("request", Text, nullable=False),
    # Of plain jobs and arrays' own records only, for their tasks too:
    Column("settled_at", Double),  # when the last of it ended; None while something may still happen
    Column("script_hash", String(64)),
    Column("environment_hash", String(64)),
    Column("has_history", SmallInteger, nullable=False),
    Index("jobs_open", "key_id", "task_index", **_where("is_open = 1")),
    Index("jobs_closed", "uid", "key_id", "task_index", **_where("is_open = 0")),
    Index("jobs_ended", "ended_at", "state", "counts_as", **_where("ended_at IS NOT NULL")),
    Index("jobs_arrays", "key_id", unique=True, **_where("task_index = -1 AND waiting IS NOT NULL")),
    Index("jobs_settled", "settled_at", **_where("settled_at IS NOT NULL")),
    Index(
        "jobs_settled_environment", "settled_at", **_where("settled_at IS NOT NULL AND environment_hash IS NOT NULL")
    ),
    Index("jobs_settled_script", "settled_at", **_where("settled_at IS NOT NULL AND script_hash IS NOT NULL")),
    Index("jobs_settled_history", "settled_at", **_where("settled_at IS NOT NULL AND has_history = 1")),
)


def _of_a_job() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["key_id", "task_index"], ["jobs.key_id", "jobs.task_index"], ondelete="CASCADE")


dependencies = Table(
    "dependencies",
    metadata,
    Column("key_id", BigInteger, primary_key=True, autoincrement=False),
    Column("task_index", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),  # of the clause
    Column("kind", String(16), nullable=False),
    Column("target_id", BigInteger, nullable=False),
    Column("target_task", Integer, nullable=False),
    _of_a_job(),
    Index("dependencies_target", "target_id"),
)

steps = Table(
    "steps",
    metadata,
    Column("key_id", BigInteger, primary_key=True, autoincrement=False),
    Column("task_index", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("step_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", AnyText, nullable=False),
    Column("node_list", Text, nullable=False),  # JSON
    Column("tasks", Integer, nullable=False),
    Column("cpus", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("exit_status", Integer, nullable=False),
    Column("signal", Integer, nullable=False),
    Column("max_rss_kib", BigInteger, nullable=False),
    Column("user_seconds", Double, nullable=False),
    Column("system_seconds", Double, nullable=False),
    _of_a_job(),
)

# The history. Written with the change it tells of, in one transaction; never altered.
events = Table(
    "events",
    metadata,
    Column("seq", _ROW_NUMBER, primary_key=True, autoincrement=False),  # in commit order, without gaps
    Column("key_id", BigInteger, nullable=False),
    Column("task_index", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    _of_a_job(),
    Index("events_job", "key_id", "task_index", "seq"),
)

reports = Table(
    "reports",
    metadata,
    Column("key_id", _ROW_NUMBER, primary_key=True, autoincrement=False),
    Column("data", Text, nullable=False),  # JSON
)

blobs = Table(
    "blobs",
    metadata,
    Column("kind", String(16), primary_key=True),  # script | environment
    Column("sha256", String(64), primary_key=True),
    Column("uses", BigInteger, nullable=False),  # rows of jobs that name it; gone at 0
    Column("data", LargeBinary, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("key_sha256", String(64), primary_key=True),
    Column("first_id", BigInteger, nullable=False),  # the call's jobs are those of first_id to last_id
    Column("last_id", BigInteger, nullable=False),
    Index("idempotency_first", "first_id"),
)

leases = Table(
    "leases",
    metadata,
    Column("backend", String(255), primary_key=True),
    Column("owner", Text, nullable=False),  # empty: released
    Column("number", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
)

node_marks = Table(
    "node_marks",
    metadata,
    Column("node", String(255), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", AnyText, nullable=False),
    Column("set_by", AnyText, nullable=False),
    Column("at", Double, nullable=False),
)

# What operators made at run time: the accounting book's parts, reservations, partitions. Few, read whole.
site_records = Table(
    "site_records",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("name", AnyText, primary_key=True),
    Column("data", Text, nullable=False),  # JSON
)

# Mail about jobs that is still to be sent.
mails = Table(
    "mails",
    metadata,
    Column("id", String(255), primary_key=True),  # names the occasion, so that none is told twice
    Column("key_id", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # waiting | handed
    Column("tries", Integer, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Index("mails_due", "due_at"),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("token_id", String(255), primary_key=True),
    Column("until", Double, nullable=False),
)
