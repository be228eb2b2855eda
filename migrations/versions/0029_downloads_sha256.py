"""Lines of lists are found by the bytes that they brought in, so that erasing a picture takes them along.

Whoever writes a line waits while the index is built: seconds a million lines. Readers do not wait. All revisions run in
one transaction: this one comes before those that lock what gateways write all the time.
"""

from alembic import op

revision = "0029"
down_revision: str | None = "0028"


def upgrade() -> None:
    op.create_index("ix_downloads_sha256", "downloads", ["tenant_id", "sha256"])


def downgrade() -> None:
    op.drop_index("ix_downloads_sha256", "downloads")
