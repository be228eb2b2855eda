"""Ingests that outlive the process that runs them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision: str | None = "0002"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False, comment="a folder or s3://bucket/prefix"),
        sa.Column("state", sa.Text, nullable=False, comment="job.JobState"),
        sa.Column("cursor", sa.Text, nullable=False, comment="where its next runner goes on"),
        sa.Column("counts", _JSON, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("holder", sa.Text, nullable=False, comment="who runs it"),
        sa.Column("expires_at", sa.BigInteger, nullable=False, comment="then another one may"),
    )
    unfinished = sa.text("state IN ('waiting', 'running')")
    op.create_index(
        "uq_jobs_unfinished",
        "jobs",
        ["tenant_id", "source"],
        unique=True,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )


def downgrade() -> None:
    op.drop_table("jobs")
