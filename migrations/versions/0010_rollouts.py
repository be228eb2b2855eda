"""Rollouts with their audit, the routing that processes follow, and what died in one space only.

The version before this one reads none of it, and goes on with the index that is live.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision: str | None = "0009"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "rollouts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False, comment="rollouts.RolloutState"),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("control", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False, comment="name@version of the candidate"),
        sa.Column("mode", sa.Text, nullable=False, comment="rollouts.Mode"),
        sa.Column("share", sa.Double, nullable=False, comment="percent of callers"),
        sa.Column("auto_promote", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False, comment="of its last step"),
        sa.Column("figures", _JSON, nullable=False, comment="what was measured, by what measured it"),
        sa.ForeignKeyConstraint(["candidate"], ["indexes.id"], name="fk_rollouts_candidate_indexes"),
        sa.ForeignKeyConstraint(["control"], ["indexes.id"], name="fk_rollouts_control_indexes"),
    )
    op.create_table(
        "rollout_audit",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("rollout", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, comment="after it"),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("share", sa.Double, nullable=False),
        sa.Column("figures", _JSON, nullable=False, comment="of that moment"),
        sa.ForeignKeyConstraint(["rollout"], ["rollouts.id"], name="fk_rollout_audit_rollouts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_rollout_audit_rollout_id", "rollout_audit", ["rollout", "id"])
    op.create_table(
        "routing",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False, comment="of the one row, 1"),
        sa.Column("epoch", sa.BigInteger, nullable=False, comment="raised by each change of which index answers whom"),
    )
    op.create_table(
        "routing_followers",
        sa.Column("follower", sa.Text, primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False, comment="that it routes by"),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "space_deaths",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("space", sa.Text, primary_key=True),
        sa.Column("image_id", sa.BigInteger, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, comment="why the space has no vector of it"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "image_id"], ["images.tenant_id", "images.id"], name="fk_space_deaths_images"
        ),
    )


def downgrade() -> None:
    for table in ("space_deaths", "routing_followers", "routing", "rollout_audit", "rollouts"):
        op.drop_table(table)
