"""Registrations"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registrations",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("remote_host", sa.Text(), nullable=False),
        sa.Column("remote_port", sa.Integer(), nullable=False),
        sa.Column("local_host", sa.Text(), nullable=False),
        sa.Column("local_port", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("password_mark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("node", "number", "contact", "remote_host"),
    )
