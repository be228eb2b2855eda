"""What a rollout is judged by: counts by minute, searches whose clicks count, and callers by arm.

The version before this one writes none of it: its searches count for no arm.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision: str | None = "0010"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rollout_minutes",
        sa.Column("rollout", sa.Text, primary_key=True),
        sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False, comment="since 1970"),
        sa.Column("arm", sa.Text, primary_key=True, comment="rollouts.Arm, or shadow"),
        sa.Column("follower", sa.Text, primary_key=True, comment="who counted"),
        sa.Column("counts", _JSON, nullable=False, comment="as judging.tally has them"),
    )
    op.create_index("ix_rollout_minutes_minute", "rollout_minutes", ["minute"])
    op.create_table(
        "rollout_searches",
        sa.Column("query_id", sa.Text, primary_key=True),
        sa.Column("rollout", sa.Text, nullable=False),
        sa.Column("stage", sa.BigInteger, nullable=False, comment="changed_at of the rollout when it was recorded"),
        sa.Column("arm", sa.Text, nullable=False, comment="rollouts.Arm"),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False, comment="who stays in an arm: a user, or a hash"),
        sa.Column("index", sa.Text, nullable=False),
        sa.Column("space", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("brought", _JSON, nullable=False, comment="of an interleaved one, picture to judging.draft.Brought"),
        sa.Column("clicked", _JSON, nullable=False, comment="pictures, each once"),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_rollout_searches_at", "rollout_searches", ["at"])
    op.create_table(
        "rollout_callers",
        sa.Column("rollout", sa.Text, primary_key=True),
        sa.Column("stage", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("arm", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("gained", sa.BigInteger, nullable=False, comment="as judging.moments has them"),
        sa.Column("asked", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "rollout_history",
        sa.Column("rollout", sa.Text, primary_key=True),
        sa.Column(
            "day", sa.BigInteger, primary_key=True, autoincrement=False, comment="since 1970, UTC; before the rollout"
        ),
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("gained", sa.BigInteger, nullable=False),
        sa.Column("asked", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for name in ("rollout_history", "rollout_callers", "rollout_searches", "rollout_minutes"):
        op.drop_table(name)
