"""Jobs of every kind, with what they were asked for and what came of it; an ingest is one kind among them."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision: str | None = "0003"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_SOURCE = "what it works on: a folder, s3://bucket/prefix; empty: everything"
_UNFINISHED = sa.text("state IN ('waiting', 'running')")


def upgrade() -> None:
    op.add_column("jobs", _column("kind", sa.Text(), "ingest", "one of omma.job_kinds"))
    op.add_column("jobs", _column("parameters", _JSON, "{}", "what else was asked for"))
    op.add_column("jobs", _column("result", _JSON, "{}", "what came of it"))
    op.drop_index("uq_jobs_unfinished", "jobs")
    _unique_unfinished(["tenant_id", "kind", "source"])


def downgrade() -> None:
    op.drop_index("uq_jobs_unfinished", "jobs")
    op.execute(sa.text("DELETE FROM jobs WHERE kind <> 'ingest'"))
    _unique_unfinished(["tenant_id", "source"])
    for name in ("result", "parameters", "kind"):
        op.drop_column("jobs", name)


def _column(name: str, type: sa.types.TypeEngine[Any], default: str, comment: str) -> sa.Column[Any]:
    return sa.Column(name, type, nullable=False, server_default=default, comment=comment)


def _unique_unfinished(columns: list[str]) -> None:
    op.create_index(
        "uq_jobs_unfinished",
        "jobs",
        columns,
        unique=True,
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )
