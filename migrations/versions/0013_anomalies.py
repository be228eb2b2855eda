"""How far pictures stand apart.

The version before this one knows nothing of it, and writes on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision: str | None = "0012"


def upgrade() -> None:
    op.create_table(
        "anomaly_scores",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("image_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("space", sa.Text, nullable=False),
        sa.Column("distance", sa.Double, nullable=False, comment="cosine distance to the nearest picture"),
        sa.Column("density", sa.Double, nullable=False, comment="mean cosine distance to the nearest ten"),
        sa.Column("neighbours", sa.SmallInteger, nullable=False, comment="that density rests on"),
        sa.Column("scored_at", sa.BigInteger, nullable=False),
    )
    for measure in ("distance", "density"):
        op.create_index(f"ix_anomaly_scores_{measure}", "anomaly_scores", ["tenant_id", "space", measure, "image_id"])


def downgrade() -> None:
    op.drop_table("anomaly_scores")
