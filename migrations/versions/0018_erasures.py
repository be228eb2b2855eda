"""Erasing: what is left to do of each picture, and what is known of erased bytes.

The version before this one knows nothing of it: its ingests bring erased bytes back, and its collector gives them the
grace of any other.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision: str | None = "0017"


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("image_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.Text, nullable=False, comment="of the bytes that are to go"),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "image_id"], ["images.tenant_id", "images.id"], name="fk_erasures_images"
        ),
    )
    op.create_table(
        "erased_bytes",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True, comment="erasure.bytes_digest: no ingest brings them back"),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.add_column("orphans", sa.Column("urgent", sa.Boolean, comment="true: erased, they have no grace"))


def downgrade() -> None:
    op.drop_column("orphans", "urgent")
    op.drop_table("erased_bytes")
    op.drop_table("erasures")
