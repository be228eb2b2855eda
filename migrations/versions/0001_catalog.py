"""Pictures and what belongs to them; spaces, indexes, leases; interactions; keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision: str | None = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_IMAGE = (["tenant_id", "image_id"], ["images.tenant_id", "images.id"])


def upgrade() -> None:
    _pictures()
    _search()
    op.create_table(
        "interactions",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("query_image_id", sa.BigInteger, nullable=False, comment="0 when the query was no stored picture"),
        sa.Column("displayed_image_id", sa.BigInteger, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False, comment="impression | click"),
        sa.Column("ts", sa.BigInteger, nullable=False),
        sa.Column("query_id", sa.Text, nullable=False),
        sa.UniqueConstraint(
            "tenant_id",
            "ts",
            "user_id",
            "query_id",
            "query_image_id",
            "displayed_image_id",
            "rank",
            "type",
            name="uq_interactions_once",
        ),
    )
    op.create_table(
        "api_keys",
        sa.Column("hash", sa.Text, primary_key=True, comment="sha256 of the secret"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    for table in (
        "api_keys",
        "interactions",
        "leases",
        "indexes",
        "spaces",
        "objects",
        "image_spaces",
        "image_hash",
        "images",
    ):
        op.drop_table(table)


def _pictures() -> None:
    op.create_table(
        "images",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("sent_version", sa.BigInteger, nullable=False, comment="of the last event that is in the log"),
        sa.Column(
            "unsent_kind", sa.SmallInteger, nullable=False, comment="of the event of `version`: records.EventKind"
        ),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False, comment="catalog.PictureState"),
        sa.Column("reason", sa.Text, nullable=False, comment="why it is dead"),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, comment="of a referenced file"),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("tags", _JSON, nullable=False),
        sa.Column("source_url", sa.Text, nullable=False),
        sa.Column("source_domain", sa.Text, nullable=False),
        sa.Column("attributes", _JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tenant_id", "key", name="uq_images_tenant_id_key"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_images_tenant_id_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_images_sha256", "images", ["sha256"])
    unsent = sa.text("sent_version < version")
    op.create_index("ix_images_unsent", "images", ["changed_at", "id"], sqlite_where=unsent, postgresql_where=unsent)
    op.create_table(
        "image_hash",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("image_id", sa.BigInteger, primary_key=True),
        sa.Column("phash", sa.LargeBinary, nullable=False, comment="64 bits, big-endian"),
        sa.ForeignKeyConstraint(*_IMAGE, name="fk_image_hash_images"),
    )
    op.create_table(
        "image_spaces",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("space", sa.Text, primary_key=True),
        sa.Column("image_id", sa.BigInteger, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False, comment="of the bytes that the space has vectors of"),
        sa.ForeignKeyConstraint(*_IMAGE, name="fk_image_spaces_images"),
    )
    op.create_index("ix_image_spaces_space_sha256", "image_spaces", ["space", "sha256"])
    op.create_table(
        "objects",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("bucket", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("sequencer", sa.Text, nullable=False, comment="orders the object's events"),
        sa.Column("image_id", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(*_IMAGE, name="fk_objects_images"),
    )


def _search() -> None:
    op.create_table(
        "spaces",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("buckets", sa.Integer, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
    )
    op.create_table(
        "indexes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("space", sa.Text, nullable=False),
        sa.Column("factory", sa.Text, nullable=False),
        sa.Column("shards", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False, comment="index.IndexState"),
        sa.Column("codebook", sa.Text, comment="sha256; null while search is exact"),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name="fk_indexes_spaces"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
