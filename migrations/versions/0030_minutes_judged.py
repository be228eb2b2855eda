"""Which counts of a minute are of which step, and which of them a judge has counted: late ones are news, too.

The version before this one writes neither; its minutes are taken for those of the step that they are later than. What
a judge has seen of a rollout is kept by each version for itself, so that either judges while both run and after a way
back. New columns are without a default: the table is locked for the moment of the change.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0030"
down_revision: str | None = "0029"


def upgrade() -> None:
    op.add_column(
        "rollout_minutes",
        sa.Column(
            "stage",
            sa.BigInteger,
            comment="changed_at of the rollout as they were counted; of the version before: none",
        ),
    )
    op.add_column(
        "rollout_minutes",
        sa.Column(
            "judged", sa.JSON().with_variant(JSONB(), "postgresql"), comment="the counts that a judge has counted"
        ),
    )
    op.add_column("rollout_minutes", sa.Column("told_at", sa.BigInteger, comment="last, by the database's clock"))
    op.drop_index("ix_rollout_minutes_minute", "rollout_minutes")


def downgrade() -> None:
    op.create_index("ix_rollout_minutes_minute", "rollout_minutes", ["minute"])
    op.drop_column("rollout_minutes", "told_at")
    op.drop_column("rollout_minutes", "judged")
    op.drop_column("rollout_minutes", "stage")
