"""What came of each line of a list of pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision: str | None = "0011"


def upgrade() -> None:
    op.create_table(
        "downloads",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False, comment="of the row in images that the line of a list makes"),
        sa.Column("place", sa.Text, nullable=False, comment="where the picture was"),
        sa.Column("run", sa.Text, nullable=False, comment="the ingest that looked at it last"),
        sa.Column("outcome", sa.Text, nullable=False, comment="download.Taken, or a failure's name"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False, comment="of HTTP; 0: none was answered"),
        sa.Column("latency_ms", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False, comment="as the host says"),
        sa.Column("sha256", sa.Text, comment="null for a failure"),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key", name="pk_downloads"),
    )
    op.create_index("ix_downloads_run", "downloads", ["tenant_id", "run", "key"])


def downgrade() -> None:
    op.drop_table("downloads")
