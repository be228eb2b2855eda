"""From which score on a neighbour is more likely right than not, by index.

The version before this one knows nothing of it, and cuts by what a caller says alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision: str | None = "0015"


def upgrade() -> None:
    column = sa.Column("match_score", sa.Double, comment="omma.calibration; null while it is not known")
    op.add_column("indexes", column)


def downgrade() -> None:
    op.drop_column("indexes", "match_score")
