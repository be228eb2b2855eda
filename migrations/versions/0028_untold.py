"""Pictures that `omma.images` may have forgotten: a version before this one kept events for a week.

The worker has them sent once more, some at a time; the version before this one leaves that to this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision: str | None = "0027"


def upgrade() -> None:
    op.create_table(
        "untold",
        sa.Column(
            "up_to",
            sa.BigInteger,
            primary_key=True,
            autoincrement=False,
            comment="the events of pictures with this id or a lower one are still to be sent once more",
        ),
    )
    op.execute("INSERT INTO untold SELECT id FROM images ORDER BY id DESC LIMIT 1")


def downgrade() -> None:
    op.drop_table("untold")
