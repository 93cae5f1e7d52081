"""What a job last waited for, kept once it runs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("waited_for", sa.Text(), nullable=False, server_default="None"))


def downgrade() -> None:
    op.drop_column("jobs", "waited_for")
