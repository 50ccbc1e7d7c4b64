"""The domain in From towards a SIP trunk"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("sip_trunks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("from_domain", sa.Text(), server_default="", autoincrement=False, nullable=False))
