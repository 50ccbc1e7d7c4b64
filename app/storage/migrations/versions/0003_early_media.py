"""Early media"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("external_lines", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("early_media", sa.Text(), server_default="pass", autoincrement=False, nullable=False)
        )

    with op.batch_alter_table("sip_trunks", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("early_media", sa.Text(), server_default="pass", autoincrement=False, nullable=False)
        )
