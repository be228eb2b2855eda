"""The catalog's tables, for SQLite and PostgreSQL. migrations/ makes them; a test holds the two equal.

Times are milliseconds since 1970, UTC. `tenant_id` is in every key of what belongs to a tenant.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

DAY_MS: Final = 86_400_000

# AUTOINCREMENT in SQLite exists for INTEGER only, which is 64 bits wide there.
_Serial = BigInteger().with_variant(Integer(), "sqlite")
_Json = JSON().with_variant(JSONB(), "postgresql")
_Ids = JSON().with_variant(ARRAY(BigInteger), "postgresql")

images: Final = Table(
    "images",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
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
    Column("tags", _Json, nullable=False),
    Column("source_url", Text, nullable=False),
    Column("source_domain", Text, nullable=False),
    Column("attributes", _Json, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("bucket", SmallInteger, comment="buckets.row_bucket_of the id; null in a row of an older version"),
    Column("deleted_at", BigInteger, comment="of the last delete; null once it cannot be taken back"),
    Column("deleted_by", Text, comment="catalog.DeletedBy; null while it lives"),
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

image_hash: Final = Table(
    "image_hash",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("image_id", BigInteger, primary_key=True),
    Column("phash", LargeBinary, nullable=False, comment="64 bits, big-endian"),
    Column("signature", LargeBinary, comment="its version first; null: none"),
    ForeignKeyConstraint(["tenant_id", "image_id"], ["images.tenant_id", "images.id"]),
)

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

interactions: Final = Table(
    "interactions",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("tenant_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("query_image_id", BigInteger, nullable=False, comment="0 when the query was no stored picture"),
    Column("displayed_image_id", BigInteger, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("type", Text, nullable=False, comment="impression | click"),
    Column("ts", BigInteger, nullable=False),
    Column("query_id", Text, nullable=False),
    Column("displayed", _Ids, comment="what a search showed, in order"),
    Column("index", Text, nullable=False, server_default=""),
    Column("space", Text, nullable=False, server_default=""),
    Column("policy", Text, nullable=False, server_default=""),
    Column("rollout", Text, nullable=False, server_default=""),
    Column("arm", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)
# In PostgreSQL a table by ranges of ts, a partition a day (UTC), with the key (ts, id): migrations/versions/0002.
Index("ix_interactions_ts_id", interactions.c.ts, interactions.c.id).ddl_if(dialect="sqlite")

feedback: Final = Table(
    "feedback",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("tenant_id", Text, nullable=False),
    Column("image_id", BigInteger, nullable=False),
    Column("action", Text, nullable=False, comment="feedback.FeedbackAction"),
    Column("note", Text, nullable=False),
    Column("query_id", Text, nullable=False),
    Column("query_image_id", BigInteger, nullable=False, comment="0: none, or not told"),
    Column("given_by", Text, nullable=False, comment="name of the API key"),
    Column("ts", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_feedback_tenant_id_image_id_id", feedback.c.tenant_id, feedback.c.image_id, feedback.c.id)

anomaly_scores: Final = Table(
    "anomaly_scores",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("image_id", BigInteger, primary_key=True, autoincrement=False),
    Column("space", Text, nullable=False),
    Column("distance", Double, nullable=False, comment="cosine distance to the nearest picture"),
    Column("density", Double, nullable=False, comment="mean cosine distance to the nearest ten"),
    Column("neighbours", SmallInteger, nullable=False, comment="that density rests on"),
    Column("scored_at", BigInteger, nullable=False),
)
for _measure in (anomaly_scores.c.distance, anomaly_scores.c.density):
    Index(
        f"ix_anomaly_scores_{_measure.name}",
        anomaly_scores.c.tenant_id,
        anomaly_scores.c.space,
        _measure,
        anomaly_scores.c.image_id,
    )

pair_verdicts: Final = Table(
    "pair_verdicts",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("tenant_id", Text, nullable=False),
    Column("first_id", BigInteger, nullable=False, comment="the lower of both"),
    Column("second_id", BigInteger, nullable=False),
    Column("same", Boolean, nullable=False, comment="of a pair the highest id counts"),
    Column("given_by", Text, nullable=False, comment="name of the API key"),
    Column("ts", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

interaction_offsets: Final = Table(
    "interaction_offsets",
    metadata,
    Column("log", Text, primary_key=True, comment="its identity"),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False, comment="of the first record that is no row yet"),
)

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

spaces: Final = Table(
    "spaces",
    metadata,
    Column("id", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("dim", Integer, nullable=False),
    Column("buckets", Integer, nullable=False),
    Column("metric", Text, nullable=False),
)

indexes: Final = Table(
    "indexes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("space", Text, nullable=False),
    Column("factory", Text, nullable=False),
    Column("shards", Integer, nullable=False),
    Column("state", Text, nullable=False, comment="index.IndexState"),
    Column("codebook", Text, comment="sha256; null while search is exact"),
    Column("match_score", Double, comment="omma.calibration; null while it is not known"),
    ForeignKeyConstraint(["space"], ["spaces.id"]),
)

rollouts: Final = Table(
    "rollouts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False, comment="rollouts.RolloutState"),
    Column("candidate", Text, nullable=False),
    Column("control", Text, nullable=False),
    Column("model", Text, nullable=False, comment="name@version of the candidate"),
    Column("mode", Text, nullable=False, comment="rollouts.Mode"),
    Column("share", Double, nullable=False, comment="percent of callers"),
    Column("auto_promote", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False, comment="of its last step"),
    Column("figures", _Json, nullable=False, comment="what was measured, by what measured it"),
    Column("name", Text, nullable=False, server_default=""),
    Column("settings", _Json, comment="of an experiment's candidate; null for an index's"),
    ForeignKeyConstraint(["candidate"], ["indexes.id"], name="fk_rollouts_candidate_indexes"),
    ForeignKeyConstraint(["control"], ["indexes.id"], name="fk_rollouts_control_indexes"),
)

rollout_audit: Final = Table(
    "rollout_audit",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("rollout", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("step", Text, nullable=False),
    Column("state", Text, nullable=False, comment="after it"),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("share", Double, nullable=False),
    Column("figures", _Json, nullable=False, comment="of that moment"),
    ForeignKeyConstraint(["rollout"], ["rollouts.id"]),
    sqlite_autoincrement=True,
)
Index("ix_rollout_audit_rollout_id", rollout_audit.c.rollout, rollout_audit.c.id)

routing: Final = Table(
    "routing",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="of the one row, 1"),
    Column("epoch", BigInteger, nullable=False, comment="raised by each change of which index answers whom"),
    Column("defaults", _Json, comment="rollouts.SearchSettings; null for none"),
)

routing_followers: Final = Table(
    "routing_followers",
    metadata,
    Column("follower", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False, comment="that it routes by"),
    Column("at", BigInteger, nullable=False),
)

rollout_minutes: Final = Table(
    "rollout_minutes",
    metadata,
    Column("rollout", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False, comment="since 1970"),
    Column("arm", Text, primary_key=True, comment="rollouts.Arm, or shadow"),
    Column("follower", Text, primary_key=True, comment="who counted"),
    Column("counts", _Json, nullable=False, comment="as judging.tally has them"),
)
Index("ix_rollout_minutes_minute", rollout_minutes.c.minute)

rollout_searches: Final = Table(
    "rollout_searches",
    metadata,
    Column("query_id", Text, primary_key=True),
    Column("rollout", Text, nullable=False),
    Column("stage", BigInteger, nullable=False, comment="changed_at of the rollout when it was recorded"),
    Column("arm", Text, nullable=False, comment="rollouts.Arm"),
    Column("tenant_id", Text, nullable=False),
    Column("caller", Text, nullable=False, comment="who stays in an arm: a user, or a hash"),
    Column("index", Text, nullable=False),
    Column("space", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("brought", _Json, nullable=False, comment="of an interleaved one, picture to judging.draft.Brought"),
    Column("clicked", _Json, nullable=False, comment="pictures, each once"),
    Column("at", BigInteger, nullable=False),
)
Index("ix_rollout_searches_at", rollout_searches.c.at)

rollout_callers: Final = Table(
    "rollout_callers",
    metadata,
    Column("rollout", Text, primary_key=True),
    Column("stage", BigInteger, primary_key=True, autoincrement=False),
    Column("arm", Text, primary_key=True),
    Column("tenant_id", Text, primary_key=True),
    Column("caller", Text, primary_key=True),
    Column("gained", BigInteger, nullable=False, comment="as judging.moments has them"),
    Column("asked", BigInteger, nullable=False),
)

rollout_history: Final = Table(
    "rollout_history",
    metadata,
    Column("rollout", Text, primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False, comment="since 1970, UTC; before the rollout"),
    Column("tenant_id", Text, primary_key=True),
    Column("caller", Text, primary_key=True),
    Column("gained", BigInteger, nullable=False),
    Column("asked", BigInteger, nullable=False),
)

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

leases: Final = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("hash", Text, primary_key=True, comment="sha256 of the secret"),
    Column("name", Text, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked", Boolean, nullable=False),
)

secrets: Final = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False, comment="random; what gateways sign sessions with"),
)

jobs: Final = Table(
    "jobs",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False, comment="a folder or s3://bucket/prefix"),
    Column("state", Text, nullable=False, comment="job.JobState"),
    Column("cursor", Text, nullable=False, comment="where its next runner goes on"),
    Column("counts", _Json, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("holder", Text, nullable=False, comment="who runs it"),
    Column("expires_at", BigInteger, nullable=False, comment="then another one may"),
    Column("kind", Text, nullable=False, server_default="ingest", comment="one of omma.job_kinds"),
    Column("parameters", _Json, nullable=False, server_default="{}", comment="what else was asked for"),
    Column("result", _Json, nullable=False, server_default="{}", comment="what came of it"),
)
Index(
    "uq_jobs_unfinished",
    jobs.c.tenant_id,
    jobs.c.kind,
    jobs.c.source,
    unique=True,
    sqlite_where=jobs.c.state.in_(["waiting", "running"]),
    postgresql_where=jobs.c.state.in_(["waiting", "running"]),
)

downloads: Final = Table(
    "downloads",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("key", Text, primary_key=True, comment="of the row in images that the line of a list makes"),
    Column("place", Text, nullable=False, comment="where the picture was"),
    Column("run", Text, nullable=False, comment="the ingest that looked at it last"),
    Column("outcome", Text, nullable=False, comment="download.Taken, or a failure's name"),
    Column("reason", Text, nullable=False),
    Column("status", Integer, nullable=False, comment="of HTTP; 0: none was answered"),
    Column("latency_ms", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False, comment="as the host says"),
    Column("sha256", Text, comment="null for a failure"),
    Column("at", BigInteger, nullable=False),
)
Index("ix_downloads_run", downloads.c.tenant_id, downloads.c.run, downloads.c.key)
