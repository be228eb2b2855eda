"""How far pictures stand apart from what the model was trained on.

The version before this one knows nothing of it, and writes on: what it scores has none until it is scored anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision: str | None = "0025"


def upgrade() -> None:
    op.add_column(
        "anomaly_scores",
        sa.Column("training", sa.Double, comment="cosine distance to what the model was trained on"),
    )
    op.create_index("ix_anomaly_scores_training", "anomaly_scores", ["tenant_id", "space", "training", "image_id"])


def downgrade() -> None:
    op.drop_index("ix_anomaly_scores_training", "anomaly_scores")
    op.drop_column("anomaly_scores", "training")
