"""Alarms by mail and web"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("system", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("alarm_webhook", sa.Text(), server_default="", autoincrement=False, nullable=False)
        )
        batch_op.add_column(
            sa.Column("alarm_mail_to", sa.Text(), server_default="[]", autoincrement=False, nullable=False)
        )
        batch_op.add_column(
            sa.Column("alarm_mail_from", sa.Text(), server_default="", autoincrement=False, nullable=False)
        )
        batch_op.add_column(sa.Column("mail_server", sa.Text(), server_default="", autoincrement=False, nullable=False))
        batch_op.add_column(
            sa.Column("mail_port", sa.Integer(), server_default="587", autoincrement=False, nullable=False)
        )
        batch_op.add_column(
            sa.Column("mail_security", sa.Text(), server_default="starttls", autoincrement=False, nullable=False)
        )
        batch_op.add_column(sa.Column("mail_user", sa.Text(), server_default="", autoincrement=False, nullable=False))
        batch_op.add_column(
            sa.Column("mail_password", sa.Text(), server_default="", autoincrement=False, nullable=False)
        )
