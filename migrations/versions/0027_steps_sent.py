"""Which steps of rollouts the log has: those of before are nobody's news any more.

The version before this one takes steps as it did; they are sent by this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision: str | None = "0026"


def upgrade() -> None:
    op.add_column(
        "routing",
        sa.Column(
            "steps_sent", sa.BigInteger, nullable=False, server_default="0", comment="rollout_audit's, up to this id"
        ),
    )
    op.execute("UPDATE routing SET steps_sent = (SELECT COALESCE(MAX(id), 0) FROM rollout_audit)")


def downgrade() -> None:
    op.drop_column("routing", "steps_sent")
