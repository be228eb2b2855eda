"""Spaces, indexes, and rollouts between them."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKeyConstraint, Index, Integer, Table, Text

from omma.catalog.schema.columns import DOCUMENT, SERIAL, metadata

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
    Column("figures", DOCUMENT, nullable=False, comment="what was measured, by what measured it"),
    Column("name", Text, nullable=False, server_default=""),
    Column("settings", DOCUMENT, comment="of an experiment's candidate; null for an index's"),
    ForeignKeyConstraint(["candidate"], ["indexes.id"], name="fk_rollouts_candidate_indexes"),
    ForeignKeyConstraint(["control"], ["indexes.id"], name="fk_rollouts_control_indexes"),
)

rollout_audit: Final = Table(
    "rollout_audit",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("rollout", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("step", Text, nullable=False),
    Column("state", Text, nullable=False, comment="after it"),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("share", Double, nullable=False),
    Column("figures", DOCUMENT, nullable=False, comment="of that moment"),
    ForeignKeyConstraint(["rollout"], ["rollouts.id"]),
    sqlite_autoincrement=True,
)
Index("ix_rollout_audit_rollout_id", rollout_audit.c.rollout, rollout_audit.c.id)

routing: Final = Table(
    "routing",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="of the one row, 1"),
    Column("epoch", BigInteger, nullable=False, comment="raised by each change of which index answers whom"),
    Column("defaults", DOCUMENT, comment="rollouts.SearchSettings; null for none"),
    Column("steps_sent", BigInteger, nullable=False, server_default="0", comment="rollout_audit's, up to this id"),
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
    Column("counts", DOCUMENT, nullable=False, comment="as judging.tally has them"),
    Column("stage", BigInteger, comment="changed_at of the rollout as they were counted; of the version before: none"),
    Column("judged", DOCUMENT, comment="the counts that a judge has counted"),
    Column("told_at", BigInteger, comment="last, by the database's clock"),
)

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
    Column("brought", DOCUMENT, nullable=False, comment="of an interleaved one, picture to judging.draft.Brought"),
    Column("clicked", DOCUMENT, nullable=False, comment="pictures, each once"),
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
