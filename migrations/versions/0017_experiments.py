"""Experiments: rollouts of settings, without an index. The version before this one starts none, and has no defaults."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision: str | None = "0016"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("rollouts", sa.Column("name", sa.Text, nullable=False, server_default=""))
    op.add_column("rollouts", sa.Column("settings", _JSON, comment="of an experiment's candidate; null for an index's"))
    op.add_column("routing", sa.Column("defaults", _JSON, comment="rollouts.SearchSettings; null for none"))


def downgrade() -> None:
    op.drop_column("routing", "defaults")
    op.drop_column("rollouts", "settings")
    op.drop_column("rollouts", "name")
