"""How sharp and how well lit pictures are.

The version before this one writes on without; it changes a row's signature and leaves these as they are, until this one
embeds the bytes again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision: str | None = "0023"


def upgrade() -> None:
    op.add_column("image_hash", sa.Column("sharpness", sa.Double, comment="quality.Quality; null: not seen"))
    op.add_column("image_hash", sa.Column("exposure", sa.Double))


def downgrade() -> None:
    op.drop_column("image_hash", "exposure")
    op.drop_column("image_hash", "sharpness")
