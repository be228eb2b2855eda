"""What people and their searches said of pictures, and who changed what."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, SmallInteger, Table, Text

from omma.catalog.schema.columns import DOCUMENT, IDS, SERIAL, metadata

DAY_MS: Final = 86_400_000

interactions: Final = Table(
    "interactions",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("tenant_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("query_image_id", BigInteger, nullable=False, comment="0 when the query was no stored picture"),
    Column("displayed_image_id", BigInteger, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("type", Text, nullable=False, comment="impression | click"),
    Column("ts", BigInteger, nullable=False),
    Column("query_id", Text, nullable=False),
    Column("displayed", IDS, comment="what a search showed, in order"),
    Column("index", Text, nullable=False, server_default=""),
    Column("space", Text, nullable=False, server_default=""),
    Column("policy", Text, nullable=False, server_default=""),
    Column("rollout", Text, nullable=False, server_default=""),
    Column("arm", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)
# In PostgreSQL a table by ranges of ts, a partition a day (UTC), with the key (ts, id): migrations/versions/0002.
Index("ix_interactions_ts_id", interactions.c.ts, interactions.c.id).ddl_if(dialect="sqlite")

interaction_offsets: Final = Table(
    "interaction_offsets",
    metadata,
    Column("log", Text, primary_key=True, comment="its identity"),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False, comment="of the first record that is no row yet"),
)

feedback: Final = Table(
    "feedback",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
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

pair_verdicts: Final = Table(
    "pair_verdicts",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("tenant_id", Text, nullable=False),
    Column("first_id", BigInteger, nullable=False, comment="the lower of both"),
    Column("second_id", BigInteger, nullable=False),
    Column("same", Boolean, nullable=False, comment="of a pair the highest id counts"),
    Column("given_by", Text, nullable=False, comment="name of the API key"),
    Column("ts", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_pair_verdicts_first_id", pair_verdicts.c.tenant_id, pair_verdicts.c.first_id)
Index("ix_pair_verdicts_second_id", pair_verdicts.c.tenant_id, pair_verdicts.c.second_id)

anomaly_scores: Final = Table(
    "anomaly_scores",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("image_id", BigInteger, primary_key=True, autoincrement=False),
    Column("space", Text, nullable=False),
    Column("distance", Double, nullable=False, comment="cosine distance to the nearest picture"),
    Column("density", Double, nullable=False, comment="mean cosine distance to the nearest ten"),
    Column("neighbours", SmallInteger, nullable=False, comment="that density rests on"),
    Column("training", Double, comment="cosine distance to what the model was trained on"),
    Column("scored_at", BigInteger, nullable=False),
)
for _measure in (anomaly_scores.c.distance, anomaly_scores.c.density, anomaly_scores.c.training):
    Index(
        f"ix_anomaly_scores_{_measure.name}",
        anomaly_scores.c.tenant_id,
        anomaly_scores.c.space,
        _measure,
        anomaly_scores.c.image_id,
    )

auto_tags: Final = Table(
    "auto_tags",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("image_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sha256", Text, nullable=False, comment="of the bytes that they were told of"),
    Column("tags", DOCUMENT, nullable=False, comment="word, confidence and who tells it, each"),
    Column("told_at", BigInteger, nullable=False),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("id", Text, primary_key=True, comment="orders by time"),
    Column("at_ms", BigInteger, nullable=False),
    Column("tenant", Text, nullable=False, comment="the caller's"),
    Column("credential", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("call", Text, nullable=False, comment="method and route, or service and method"),
    Column("object", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("request_id", Text, nullable=False),
)
Index("ix_audit_tenant_id", audit.c.tenant, audit.c.id)
Index("ix_audit_at_ms", audit.c.at_ms)
