"""Jobs of every kind, with what they were asked for and what came of it; an ingest is one kind among them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision: str | None = "0003"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_SOURCE = "what it works on: a folder, s3://bucket/prefix; empty: everything"
_UNFINISHED = sa.text("state IN ('waiting', 'running')")


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("kind", sa.Text, nullable=False, server_default="ingest", comment="one of omma.job_kinds")
    )
    op.add_column(
        "jobs", sa.Column("parameters", _JSON, nullable=False, server_default="{}", comment="what else was asked for")
    )
    op.add_column("jobs", sa.Column("result", _JSON, nullable=False, server_default="{}", comment="what came of it"))
    if op.get_context().dialect.name == "postgresql":  # the other one keeps no comments
        op.alter_column("jobs", "source", comment=_SOURCE)
    op.drop_index("uq_jobs_unfinished", "jobs")
    _unique_unfinished(["tenant_id", "kind", "source"])


def downgrade() -> None:
    op.drop_index("uq_jobs_unfinished", "jobs")
    op.execute(sa.text("DELETE FROM jobs WHERE kind <> 'ingest'"))
    _unique_unfinished(["tenant_id", "source"])
    for name in ("result", "parameters", "kind"):
        op.drop_column("jobs", name)


def _unique_unfinished(columns: list[str]) -> None:
    op.create_index(
        "uq_jobs_unfinished",
        "jobs",
        columns,
        unique=True,
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )
