"""One row a search for what it showed, with what answered it; clicks as before.

The version before this one writes on: what is new has a default.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0005"
down_revision: str | None = "0004"

_STAMPS = ("index", "space", "policy", "rollout", "arm")


def upgrade() -> None:
    ids = sa.JSON().with_variant(ARRAY(sa.BigInteger), "postgresql")
    op.add_column("interactions", sa.Column("displayed", ids, comment="what a search showed, in order"))
    for name in _STAMPS:
        op.add_column("interactions", sa.Column(name, sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    for name in (*_STAMPS, "displayed"):
        op.drop_column("interactions", name)
