"""Who may ask, and what is done for nobody who waits."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text

from omma.catalog.schema.columns import DOCUMENT, metadata

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

quotas: Final = Table(
    "quotas",
    metadata,
    Column("tenant_id", Text, primary_key=True, comment="or *, for those that have none"),
    Column("max_pictures", BigInteger, comment="null: any number"),
    Column("max_bytes", BigInteger, comment="null: any number"),
    Column("pictures", BigInteger, nullable=False, comment="counted by triggers on images"),
    Column("bytes", BigInteger, nullable=False, comment="counted by triggers on images"),
    Column("inherits", Boolean, nullable=False, comment="the limits are those of *"),
)

secrets: Final = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False, comment="random; what gateways sign sessions with"),
)

leases: Final = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

jobs: Final = Table(
    "jobs",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False, comment="a folder or s3://bucket/prefix"),
    Column("state", Text, nullable=False, comment="job.JobState"),
    Column("cursor", Text, nullable=False, comment="where its next runner goes on"),
    Column("counts", DOCUMENT, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("holder", Text, nullable=False, comment="who runs it"),
    Column("expires_at", BigInteger, nullable=False, comment="then another one may"),
    Column("kind", Text, nullable=False, server_default="ingest", comment="one of omma.job_kinds"),
    Column("parameters", DOCUMENT, nullable=False, server_default="{}", comment="what else was asked for"),
    Column("result", DOCUMENT, nullable=False, server_default="{}", comment="what came of it"),
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
Index("ix_downloads_sha256", downloads.c.tenant_id, downloads.c.sha256)
