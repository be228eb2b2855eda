"""A row's bucket, with all that a comparison reads of a row in one index.

Rows that are there get theirs later, in batches, before a comparison; so do those that the older version makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    op.add_column(
        "images",
        sa.Column("bucket", sa.SmallInteger, comment="buckets.row_bucket_of the id; null in a row of an older version"),
    )
    op.create_index("ix_images_bucket", "images", ["bucket", "id", "version", "state"])


def downgrade() -> None:
    op.drop_index("ix_images_bucket", "images")
    op.drop_column("images", "bucket")
