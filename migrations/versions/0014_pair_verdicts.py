"""What people say of two pictures: copies of each other, or not.

The version before this one knows nothing of it, and folds as the rule has it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision: str | None = "0013"


def upgrade() -> None:
    op.create_table(
        "pair_verdicts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("first_id", sa.BigInteger, nullable=False, comment="the lower of both"),
        sa.Column("second_id", sa.BigInteger, nullable=False),
        sa.Column("same", sa.Boolean, nullable=False, comment="of a pair the highest id counts"),
        sa.Column("given_by", sa.Text, nullable=False, comment="name of the API key"),
        sa.Column("ts", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("pair_verdicts")
