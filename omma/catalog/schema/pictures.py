"""Pictures, and what is noted of them by space, bucket and bytes."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from omma.catalog.schema.columns import DOCUMENT, SERIAL, metadata

images: Final = Table(
    "images",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("tenant_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sent_version", BigInteger, nullable=False, comment="of the last event that is in the log"),
    Column("unsent_kind", SmallInteger, nullable=False, comment="of the event of `version`: records.EventKind"),
    Column("changed_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False, comment="catalog.PictureState"),
    Column("reason", Text, nullable=False, comment="why it is dead"),
    Column("sha256", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, comment="of a referenced file"),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("tags", DOCUMENT, nullable=False),
    Column("source_url", Text, nullable=False),
    Column("source_domain", Text, nullable=False),
    Column("attributes", DOCUMENT, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("bucket", SmallInteger, comment="buckets.row_bucket_of the id; null in a row of an older version"),
    Column("deleted_at", BigInteger, comment="of the last delete; null once it cannot be taken back"),
    Column("deleted_by", Text, comment="catalog.DeletedBy; null while it lives"),
    Column("private", Boolean, comment="its owner and administrators see it, nobody else; null: false"),
    UniqueConstraint("tenant_id", "key"),
    UniqueConstraint("tenant_id", "id"),
    # A deleted id must never be given again: logs and snapshots remember it.
    sqlite_autoincrement=True,
)
Index("ix_images_sha256", images.c.sha256)
# All that a comparison reads of a row: a bucket's rows lie together here, and anywhere in the table.
Index("ix_images_bucket", images.c.bucket, images.c.id, images.c.version, images.c.state)
Index(
    "ix_images_deleted_at",
    images.c.deleted_at,
    sqlite_where=images.c.deleted_at.is_not(None),
    postgresql_where=images.c.deleted_at.is_not(None),
)
Index(
    "ix_images_unsent",
    images.c.changed_at,
    images.c.id,
    sqlite_where=images.c.sent_version < images.c.version,
    postgresql_where=images.c.sent_version < images.c.version,
)

untold: Final = Table(
    "untold",
    metadata,
    Column(
        "up_to",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="the events of pictures with this id or a lower one are still to be sent once more",
    ),
)

image_hash: Final = Table(
    "image_hash",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("image_id", BigInteger, primary_key=True),
    Column("phash", LargeBinary, nullable=False, comment="64 bits, big-endian"),
    Column("signature", LargeBinary, comment="its version first; null: none"),
    Column("sharpness", Double, comment="quality.Quality; null: not seen"),
    Column("exposure", Double),
    Column("look", SmallInteger, nullable=False, server_default="0", comment="0 due, 1 under way, 2 done"),
    ForeignKeyConstraint(["tenant_id", "image_id"], ["images.tenant_id", "images.id"]),
)
Index("ix_image_hash_phash", image_hash.c.tenant_id, image_hash.c.phash)
Index(
    "ix_image_hash_look",
    image_hash.c.image_id,
    sqlite_where=image_hash.c.look < 2,
    postgresql_where=image_hash.c.look < 2,
)

copy_pairs: Final = Table(
    "copy_pairs",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("first_id", BigInteger, primary_key=True, autoincrement=False, comment="the lower of both"),
    Column("second_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rule", Text, nullable=False, comment="that told them"),
    Column("distance", SmallInteger, nullable=False, comment="bits of 256 that differ"),
)
Index("ix_copy_pairs_second_id", copy_pairs.c.tenant_id, copy_pairs.c.second_id)

copy_groups: Final = Table(
    "copy_groups",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("tenant_id", Text, nullable=False),
    Column("image_id", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=False, comment="0: it is in none any more"),
    Column("rule", Text, nullable=False, comment="that brought it there"),
    Column("distance", SmallInteger, nullable=False, comment="bits of 256 that differ"),
    UniqueConstraint("tenant_id", "image_id"),
    # Gateways follow the ids: one that went is never given again.
    sqlite_autoincrement=True,
)
Index("ix_copy_groups_group_id", copy_groups.c.tenant_id, copy_groups.c.group_id)

given_vectors: Final = Table(
    "given_vectors",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("image_id", BigInteger, primary_key=True, autoincrement=False),
    Column("space", Text, nullable=False),
    Column("bucket", SmallInteger, nullable=False, comment="buckets.row_bucket_of the id"),
    Column("vector", LargeBinary, nullable=False, comment="float16, little-endian, normalised"),
    ForeignKeyConstraint(["tenant_id", "image_id"], ["images.tenant_id", "images.id"]),
)
# All that a comparison reads of it.
Index("ix_given_vectors_bucket", given_vectors.c.bucket, given_vectors.c.image_id, given_vectors.c.space)
Index("ix_given_vectors_image_id", given_vectors.c.image_id)

image_spaces: Final = Table(
    "image_spaces",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("space", Text, primary_key=True),
    Column("image_id", BigInteger, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False, comment="of the bytes that the space has vectors of"),
    ForeignKeyConstraint(["tenant_id", "image_id"], ["images.tenant_id", "images.id"]),
)
Index("ix_image_spaces_space_sha256", image_spaces.c.space, image_spaces.c.sha256)

space_deaths: Final = Table(
    "space_deaths",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("space", Text, primary_key=True),
    Column("image_id", BigInteger, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("reason", Text, nullable=False, comment="why the space has no vector of it"),
    ForeignKeyConstraint(["tenant_id", "image_id"], ["images.tenant_id", "images.id"]),
)

orphans: Final = Table(
    "orphans",
    metadata,
    Column("sha256", Text, primary_key=True, comment="of bytes that perhaps no row needs any more"),
    Column("since", BigInteger, nullable=False, comment="a row that needed them went, or they were found without one"),
    Column("taken_until", BigInteger, comment="until then a collector may be deleting them"),
    Column("gone_at", BigInteger, comment="when a collector took them that deleted them"),
    Column("urgent", Boolean, comment="true: erased, they have no grace"),
)
Index("ix_orphans_since", orphans.c.since)

objects: Final = Table(
    "objects",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("bucket", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("sequencer", Text, nullable=False, comment="orders the object's events"),
    Column("image_id", BigInteger, comment="null: the object was deleted"),
    ForeignKeyConstraint(["tenant_id", "image_id"], ["images.tenant_id", "images.id"]),
)

erasures: Final = Table(
    "erasures",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("image_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sha256", Text, nullable=False, comment="of the bytes that are to go"),
    Column("begun_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id", "image_id"], ["images.tenant_id", "images.id"]),
)

erased_bytes: Final = Table(
    "erased_bytes",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("digest", Text, primary_key=True, comment="erasure.bytes_digest: no ingest brings them back"),
    Column("at", BigInteger, nullable=False),
)
