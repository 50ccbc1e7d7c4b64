"""Bounds of external calls, business hours, audio first, and redirections followed"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("analyze_called_numbers", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("call_level_outside_hours", sa.Integer(), server_default="0", autoincrement=False, nullable=False)
        )
        batch_op.add_column(
            sa.Column("counts_as_external", sa.Boolean(), server_default="1", autoincrement=False, nullable=False)
        )

    with op.batch_alter_table("external_lines", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("follow_redirects", sa.Boolean(), server_default="0", autoincrement=False, nullable=False)
        )
        batch_op.add_column(
            sa.Column(
                "max_external_calls_per_hour", sa.Integer(), server_default="0", autoincrement=False, nullable=False
            )
        )
        batch_op.add_column(
            sa.Column(
                "max_external_minutes_per_day", sa.Integer(), server_default="0", autoincrement=False, nullable=False
            )
        )

    with op.batch_alter_table("local_users", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "max_external_calls_per_hour", sa.Integer(), server_default="0", autoincrement=False, nullable=False
            )
        )
        batch_op.add_column(
            sa.Column(
                "max_external_minutes_per_day", sa.Integer(), server_default="0", autoincrement=False, nullable=False
            )
        )

    with op.batch_alter_table("sip_trunks", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("follow_redirects", sa.Boolean(), server_default="0", autoincrement=False, nullable=False)
        )
        batch_op.add_column(
            sa.Column(
                "max_external_calls_per_hour", sa.Integer(), server_default="0", autoincrement=False, nullable=False
            )
        )
        batch_op.add_column(
            sa.Column(
                "max_external_minutes_per_day", sa.Integer(), server_default="0", autoincrement=False, nullable=False
            )
        )

    with op.batch_alter_table("system", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("audio_first", sa.Text(), server_default="window", autoincrement=False, nullable=False)
        )
        batch_op.add_column(
            sa.Column("business_hours", sa.Text(), server_default="", autoincrement=False, nullable=False)
        )
