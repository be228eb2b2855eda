"""Whose pictures nobody else sees.

The version before this one shows them to everybody of the tenant: it knows of none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision: str | None = "0021"


def upgrade() -> None:
    comment = "its owner and administrators see it, nobody else; null: false"
    op.add_column("images", sa.Column("private", sa.Boolean, comment=comment))


def downgrade() -> None:
    op.drop_column("images", "private")
