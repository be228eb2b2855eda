"""Lines of lists are found by the bytes that they brought in, so that erasing a picture takes them along."""

from alembic import op

revision = "0030"
down_revision: str | None = "0029"


def upgrade() -> None:
    op.create_index("ix_downloads_sha256", "downloads", ["tenant_id", "sha256"])


def downgrade() -> None:
    op.drop_index("ix_downloads_sha256", "downloads")
