"""Tags that nobody gave.

The version before this one knows nothing of them; what it erases leaves a row here without a picture, of words alone.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision: str | None = "0024"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "auto_tags",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("image_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.Text, nullable=False, comment="of the bytes that they were told of"),
        sa.Column(
            "tags",
            sa.JSON().with_variant(JSONB(), "postgresql"),
            nullable=False,
            comment="word, confidence and who tells it, each",
        ),
        sa.Column("told_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("auto_tags")
