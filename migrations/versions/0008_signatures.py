"""Room for the signature by which copies are found, beside the pHash.

The version before this one writes on: its rows have none, as those of pictures that were embedded before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"


def upgrade() -> None:
    op.add_column("image_hash", sa.Column("signature", sa.LargeBinary, comment="its version first; null: none"))


def downgrade() -> None:
    op.drop_column("image_hash", "signature")
