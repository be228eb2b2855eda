"""When and by whom a picture was deleted, and bytes that perhaps no row needs any more."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"

_DELETED = sa.text("deleted_at IS NOT NULL")


def upgrade() -> None:
    op.add_column(
        "images",
        sa.Column("deleted_at", sa.BigInteger, comment="of the last delete; null once it cannot be taken back"),
    )
    op.add_column("images", sa.Column("deleted_by", sa.Text, comment="catalog.DeletedBy; null while it lives"))
    op.create_index("ix_images_deleted_at", "images", ["deleted_at"], sqlite_where=_DELETED, postgresql_where=_DELETED)
    op.create_table(
        "orphans",
        sa.Column("sha256", sa.Text, nullable=False, comment="of bytes that perhaps no row needs any more"),
        sa.Column(
            "since",
            sa.BigInteger,
            nullable=False,
            comment="a row that needed them went, or they were found without one",
        ),
        sa.Column("taken_until", sa.BigInteger, comment="until then a collector may be deleting them"),
        sa.Column("gone_at", sa.BigInteger, comment="when a collector took them that deleted them"),
        sa.PrimaryKeyConstraint("sha256", name="pk_orphans"),
    )
    op.create_index("ix_orphans_since", "orphans", ["since"])


def downgrade() -> None:
    op.drop_table("orphans")
    op.drop_index("ix_images_deleted_at", "images")
    op.drop_column("images", "deleted_by")
    op.drop_column("images", "deleted_at")
