"""The first schema.

Revises nothing.
"""

import secrets
import string
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "sha256"),
    )
    op.create_table(
        "idempotency",
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid", "key_sha256"),
    )
    op.create_index("idempotency_first", "idempotency", ["first_id"])
    op.create_table(
        "instance",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("next_job_id", sa.BigInteger(), nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "jobs",
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("task_index", sa.Integer(), nullable=False),
        sa.Column("raw_id", sa.BigInteger(), nullable=False),
        sa.Column("last_raw_id", sa.BigInteger(), nullable=False),
        sa.Column("array_id", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("is_open", sa.SmallInteger(), nullable=False),
        sa.Column("counts_as", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reason_detail", sa.Text(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("qos", sa.Text(), nullable=True),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("held_by_admin", sa.SmallInteger(), nullable=False),
        sa.Column("submitted_at", sa.Double(), nullable=False),
        sa.Column("eligible_at", sa.Double(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("suspended_at", sa.Double(), nullable=True),
        sa.Column("suspended_seconds", sa.Double(), nullable=False),
        sa.Column("begin_at", sa.Double(), nullable=True),
        sa.Column("time_limit_seconds", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("node_names", sa.Text(), nullable=False),
        sa.Column("exit_status", sa.Integer(), nullable=True),
        sa.Column("exit_signal", sa.Integer(), nullable=True),
        sa.Column("cancelled_by_uid", sa.BigInteger(), nullable=True),
        sa.Column("dependency_text", sa.Text(), nullable=False),
        sa.Column("derived_exit_status", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Text(), nullable=True),
        sa.Column("nodes", sa.Text(), nullable=True),
        sa.Column("end_json", sa.Text(), nullable=True),
        sa.Column("stop_json", sa.Text(), nullable=True),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("settled_at", sa.Double(), nullable=True),
        sa.Column("script_hash", sa.String(length=64), nullable=True),
        sa.Column("environment_hash", sa.String(length=64), nullable=True),
        sa.Column("has_history", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "task_index"),
    )
    op.create_index("jobs_arrays", "jobs", ["key_id"], unique=True, **_where("task_index = -1 AND waiting IS NOT NULL"))
    op.create_index("jobs_ended", "jobs", ["ended_at", "state", "counts_as"], **_where("ended_at IS NOT NULL"))
    op.create_index("jobs_open", "jobs", ["key_id", "task_index"], **_where("is_open = 1"))
    op.create_index("jobs_settled", "jobs", ["settled_at"], **_where("settled_at IS NOT NULL"))
    op.create_index(
        "jobs_settled_environment",
        "jobs",
        ["settled_at"],
        **_where("settled_at IS NOT NULL AND environment_hash IS NOT NULL"),
    )
    op.create_index(
        "jobs_settled_history", "jobs", ["settled_at"], **_where("settled_at IS NOT NULL AND has_history = 1")
    )
    op.create_index(
        "jobs_settled_script", "jobs", ["settled_at"], **_where("settled_at IS NOT NULL AND script_hash IS NOT NULL")
    )
    op.create_index("jobs_closed", "jobs", ["uid", "key_id", "task_index"], **_where("is_open = 0"))
    op.create_table(
        "leases",
        sa.Column("backend", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("backend"),
    )
    op.create_table(
        "node_marks",
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("node"),
    )
    op.create_table(
        "reports",
        sa.Column("key_id", ROW_NUMBER, autoincrement=False, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.String(length=255), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token_id"),
    )
    op.create_table(
        "dependencies",
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("task_index", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("target_id", sa.BigInteger(), nullable=False),
        sa.Column("target_task", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["key_id", "task_index"], ["jobs.key_id", "jobs.task_index"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key_id", "task_index", "position"),
    )
    op.create_index("dependencies_target", "dependencies", ["target_id"])
    op.create_table(
        "events",
        sa.Column("seq", ROW_NUMBER, autoincrement=False, nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("task_index", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["key_id", "task_index"], ["jobs.key_id", "jobs.task_index"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("events_job", "events", ["key_id", "task_index", "seq"])
    op.create_table(
        "steps",
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("task_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("node_list", sa.Text(), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.Column("cpus", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("exit_status", sa.Integer(), nullable=False),
        sa.Column("signal", sa.Integer(), nullable=False),
        sa.Column("max_rss_kib", sa.BigInteger(), nullable=False),
        sa.Column("user_seconds", sa.Double(), nullable=False),
        sa.Column("system_seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["key_id", "task_index"], ["jobs.key_id", "jobs.task_index"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key_id", "task_index", "attempt", "step_id"),
    )
    op.bulk_insert(
        sa.table("instance", *(sa.column(name) for name in ("id", "instance_id", "next_job_id", "next_seq"))),
        [{"id": 1, "instance_id": _new_instance_id(), "next_job_id": 1, "next_seq": 1}],
    )


def _new_instance_id() -> str:
    """Part of the name of everything that is made outside, so that two databases never claim the same thing."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))


def downgrade() -> None:
    for table in (
        "dependencies",
        "steps",
        "events",
        "jobs",
        "blobs",
        "idempotency",
        "instance",
        "leases",
        "node_marks",
        "reports",
        "revoked_tokens",
    ):
        op.drop_table(table)
