"""What people said of pictures.

The version before this one knows nothing of it, and writes on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision: str | None = "0008"


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("image_id", sa.BigInteger, nullable=False),
        sa.Column("action", sa.Text, nullable=False, comment="feedback.FeedbackAction"),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("query_id", sa.Text, nullable=False),
        sa.Column("query_image_id", sa.BigInteger, nullable=False, comment="0: none, or not told"),
        sa.Column("given_by", sa.Text, nullable=False, comment="name of the API key"),
        sa.Column("ts", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feedback_tenant_id_image_id_id", "feedback", ["tenant_id", "image_id", "id"])


def downgrade() -> None:
    op.drop_table("feedback")
