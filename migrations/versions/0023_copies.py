"""Pairs of copies that were looked at, and the groups that come of them.

The version before this one knows nothing of it: what it embeds anew is looked at when it is embedded the next time.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision: str | None = "0022"


def upgrade() -> None:
    op.add_column(
        "image_hash",
        sa.Column(
            "look",
            sa.SmallInteger,
            nullable=False,
            server_default="0",
            comment="0 due, 1 under way, 2 done",
        ),
    )
    op.create_index("ix_image_hash_phash", "image_hash", ["tenant_id", "phash"])
    not_done = sa.text("look < 2")
    op.create_index("ix_image_hash_look", "image_hash", ["image_id"], sqlite_where=not_done, postgresql_where=not_done)
    op.create_table(
        "copy_pairs",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("first_id", sa.BigInteger, primary_key=True, autoincrement=False, comment="the lower of both"),
        sa.Column("second_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rule", sa.Text, nullable=False, comment="that told them"),
        sa.Column("distance", sa.SmallInteger, nullable=False, comment="bits of 256 that differ"),
    )
    op.create_index("ix_copy_pairs_second_id", "copy_pairs", ["tenant_id", "second_id"])
    op.create_table(
        "copy_groups",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("image_id", sa.BigInteger, nullable=False),
        sa.Column("group_id", sa.BigInteger, nullable=False, comment="0: it is in none any more"),
        sa.Column("rule", sa.Text, nullable=False, comment="that brought it there"),
        sa.Column("distance", sa.SmallInteger, nullable=False, comment="bits of 256 that differ"),
        sa.UniqueConstraint("tenant_id", "image_id", name="uq_copy_groups_tenant_id_image_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_copy_groups_group_id", "copy_groups", ["tenant_id", "group_id"])
    for end in ("first_id", "second_id"):
        op.create_index(f"ix_pair_verdicts_{end}", "pair_verdicts", ["tenant_id", end])


def downgrade() -> None:
    for end in ("first_id", "second_id"):
        op.drop_index(f"ix_pair_verdicts_{end}", "pair_verdicts")
    op.drop_table("copy_groups")
    op.drop_table("copy_pairs")
    op.drop_index("ix_image_hash_look", "image_hash")
    op.drop_index("ix_image_hash_phash", "image_hash")
    op.drop_column("image_hash", "look")
