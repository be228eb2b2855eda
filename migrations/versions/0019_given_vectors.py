"""Vectors that callers computed: rows without a picture.

The version before this one takes such rows for pictures whose original is away: they die in the live space, and are
searchable again once this version has sent their events anew (`omma verify --repair`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision: str | None = "0018"


def upgrade() -> None:
    op.create_table(
        "given_vectors",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("image_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("space", sa.Text, nullable=False),
        sa.Column("bucket", sa.SmallInteger, nullable=False, comment="buckets.row_bucket_of the id"),
        sa.Column("vector", sa.LargeBinary, nullable=False, comment="float16, little-endian, normalised"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "image_id"], ["images.tenant_id", "images.id"], name="fk_given_vectors_images"
        ),
    )
    op.create_index("ix_given_vectors_bucket", "given_vectors", ["bucket", "image_id", "space"])
    op.create_index("ix_given_vectors_image_id", "given_vectors", ["image_id"])


def downgrade() -> None:
    op.drop_table("given_vectors")
