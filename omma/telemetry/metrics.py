"""Every metric that Omma exports; none is made anywhere else. Label values are bounded: names from code, never input.

Names: https://prometheus.io/docs/practices/naming/. A service adds its own here, at the end of its part.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds: from one shard's search to a search's whole deadline."""
_BATCH: Final = (1, 2, 4, 8, 16, 32, 64)

# Faces
HTTP_SECONDS = Histogram(
    "omma_http_request_seconds", "REST requests; route is the template.", ("method", "route", "status"), buckets=_FAST
)
RPC_SECONDS = Histogram("omma_rpc_seconds", "gRPC calls answered.", ("method", "code"), buckets=_FAST)

# Gateway
SEARCH_STAGE_SECONDS = Histogram(
    "omma_search_stage_seconds", "Stages of a search: embed, shards, merge, rerank.", ("stage",), buckets=_FAST
)
SEARCH_DEGRADED = Counter("omma_search_degraded_total", "Searches that left something out.", ("reason",))
SEARCH_COVERAGE = Histogram(
    "omma_search_coverage_ratio", "Share of live vectors answered for.", buckets=(0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
)
SHARD_CALLS = Counter("omma_shard_calls_total", "Calls to replicas: first, failover or hedge.", ("attempt", "outcome"))
REPLICA_EJECTIONS = Counter(
    "omma_replica_ejections_total", "Replicas not asked for a while: failures, failed_share or slow.", ("reason",)
)
REPLICAS_PASSED_OVER = Gauge(
    "omma_replicas_passed_over", "Replicas that others stand in for: ejected or stale.", ("index", "shard", "why")
)
HEDGE_BUDGET = Gauge("omma_hedge_budget_calls", "Hedges that may come at once.")
SEARCHES_IN_FLIGHT = Gauge("omma_searches_in_flight", "Searches under way.")
SEARCHES_AT_ONCE = Gauge("omma_searches_at_once", "Searches that may be under way at once, by how long they take.")
SEARCHES_WAITING = Gauge("omma_searches_waiting", "Searches that wait for their turn.")
BODY_BYTES_IN_FLIGHT = Gauge("omma_body_bytes_in_flight", "Bytes of request bodies held.")
REQUESTS_SHED = Counter(
    "omma_requests_shed_total", "Requests refused with 429: queue_full, no_time, waited or body_bytes.", ("reason",)
)
ROUTING_EPOCH = Gauge("omma_routing_epoch", "Of the routing that this process follows; equal everywhere within 2 s.")
INDEXES_MISPLACED = Gauge(
    "omma_indexes_misplaced", "Live or canary in the catalog, and of no place that this process knows."
)
TOPOLOGY_REFUSED = Gauge(
    "omma_topology_refused", "1 while OMMA_TOPOLOGY is wrong or cannot be read: the last good one counts."
)
ROLLOUT_TRIPPED = Counter("omma_rollout_tripped_total", "Times that this gateway stopped asking a candidate by itself.")
ROLLOUT_DECISIONS = Counter(
    "omma_rollout_decisions_total", "Steps that the judge took by itself: rollback or promote.", ("step",)
)
SHADOWED = Counter(
    "omma_shadowed_searches_total", "Searches for the shadow: asked, failed, or dropped under load.", ("outcome",)
)
REPEATED = Counter(
    "omma_repeated_searches_total",
    "Searches repeated exactly to measure recall: asked, failed, or dropped under load.",
    ("outcome",),
)
RECALL_AT_10 = Gauge(
    "omma_recall_at_10",
    "Of the ten nearest, how many searches find: mean of the last 200 repeated exactly.",
    ("index",),
)
KEYS_READ_AT = Gauge("omma_keys_read_timestamp_seconds", "When the API keys that count were read from the catalog.")
TOKEN_KEYS_READ_AT = Gauge(
    "omma_token_keys_read_timestamp_seconds", "When the keys that tokens are checked by were read from their issuer."
)
INTERACTIONS = Counter(
    "omma_interactions_total",
    "Impressions and clicks: sent or dropped by the face; then recorded, expired or unreadable.",
    ("type", "outcome"),
)
AUDIT_LOST = Counter("omma_audit_lost_total", "Changes whose entry in the audit log was lost: the catalog was away.")
KEPT_LOOKUPS = Counter(
    "omma_kept_lookups_total", "Of embeddings or results of earlier searches: hit or miss.", ("what", "outcome")
)
KEPT_BYTES = Gauge("omma_kept_bytes", "That embeddings or results of earlier searches take.", ("what",))

# EGS
EMBED_ITEMS = Counter("omma_embed_items_total", "Pictures and texts embedded.", ("kind", "outcome"))
EMBED_BATCH_ITEMS = Histogram("omma_embed_batch_items", "Items in one run of the model.", ("tower",), buckets=_BATCH)
EMBED_TOWERS_AWAY = Gauge("omma_embed_towers_away", "1 while the towers did not answer when last asked.")
EMBED_QUEUE_ITEMS = Gauge("omma_embed_queue_items", "Items that wait for the model.", ("tower",))
EMBED_SECONDS = Histogram("omma_embed_run_seconds", "One run of the model.", ("tower",), buckets=_FAST)
DECODE_SECONDS = Histogram("omma_decode_seconds", "Decoding, hashing and cropping one picture.", buckets=_FAST)

# Shard
SHARD_LIVE_VECTORS = Gauge("omma_shard_live_vectors", "Live vectors held.", ("index", "shard"))
SHARD_DEAD_ROWS = Gauge("omma_shard_dead_rows", "Rows that deletes and updates hide.", ("index", "shard"))
SHARD_HEAD_ROWS = Gauge("omma_shard_head_rows", "Rows in the head.", ("index", "shard"))
SHARD_SEGMENTS = Gauge("omma_shard_segments", "Sealed segments.", ("index", "shard"))
SHARD_LAG_RECORDS = Gauge("omma_shard_lag_records", "Records in the log and not applied yet.", ("index", "shard"))
SHARD_QUEUE_QUERIES = Gauge("omma_shard_queue_queries", "Queries that wait for the engine.", ("index", "shard"))
SHARD_BATCH_QUERIES = Histogram("omma_shard_batch_queries", "Queries in one FAISS call.", buckets=_BATCH)
SHARD_SEARCH_SECONDS = Histogram("omma_shard_search_seconds", "One batch through the engine.", buckets=_FAST)
SHARD_MAINTENANCE_SECONDS = Histogram(
    "omma_shard_maintenance_seconds",
    "Sealing, merging, training, snapshots.",
    ("work",),
    buckets=(0.01, 0.1, 1, 10, 60, 600),
)
SHARD_CORRUPT_FILES = Counter(
    "omma_shard_corrupt_files_total", "Files whose checksum did not fit, rebuilt from the log."
)
SHARD_STALE = Gauge(
    "omma_shard_stale", "1 while the replica is behind its bound, or hears nothing.", ("index", "shard")
)
SHARD_LIST_IMBALANCE = Gauge(
    "omma_shard_list_imbalance",
    "1 for lists of one size; as many times the rows a search looks at.",
    ("index", "shard"),
)
SHARD_QUANTISATION_ERROR = Gauge(
    "omma_shard_quantisation_error", "Mean squared distance of vectors from what their codes say.", ("index", "shard")
)
SHARD_RECENT_FIT = Gauge(
    "omma_shard_recent_fit",
    "How near recent vectors lie to their lists, over the training sample's.",
    ("index", "shard"),
)
SHARD_REBUILD_PROPOSED = Gauge(
    "omma_shard_rebuild_proposed", "1 while rows have outgrown the codebook, or drifted from it.", ("index", "shard")
)
SHARD_FAILURES = Counter(
    "omma_shard_failures_total",
    "Tries that failed and follow again, by part of the shard: disk_full, lease_lost, unexpected, other.",
    ("part", "reason"),
)
SHARD_RECORDS_PASSED_OVER = Counter(
    "omma_shard_records_passed_over_total",
    "Records of the vectors topic that no shard can hold, by what is wrong with them.",
    ("reader", "reason"),
)
SHARD_SNAPSHOT_AT = Gauge(
    "omma_shard_snapshot_timestamp_seconds",
    "When this replica last wrote a snapshot of its shard, or began, without one; 0: it writes none.",
    ("index", "shard"),
)
SHARD_SNAPSHOTS_REFUSED = Counter(
    "omma_shard_snapshots_refused_total", "Snapshots that a restore could not use and passed over."
)

# Re-ranker
RERANK_SECONDS = Histogram("omma_rerank_seconds", "Re-ranking one answer.", ("policy",), buckets=_FAST)
RERANK_DROPPED = Counter("omma_rerank_dropped_total", "Candidates taken out.", ("reason",))

# Indexer
INDEXED_PICTURES = Counter(
    "omma_indexed_pictures_total", "Events handled: indexed, deleted, dead, stale, unreadable.", ("outcome",)
)
INDEXER_BATCH_SECONDS = Histogram(
    "omma_indexer_batch_seconds", "One batch of events to durable vectors.", buckets=_FAST
)

# Truth
DIFFERENCES = Gauge("omma_differences", "Between blobs, catalog, log and shards, when last compared.", ("kind",))
VERIFIED_AT = Gauge("omma_verified_timestamp_seconds", "When blobs, catalog, log and shards were last compared.")
OUTBOX_OLDEST_AT = Gauge(
    "omma_outbox_oldest_timestamp_seconds",
    "When the row changed whose event waits longest for the log; 0: every event is in the log.",
)
COLLECTED = Counter("omma_collected_total", "Orphaned bytes looked at: collected, or needed after all.", ("outcome",))

# Inbox, and the indexer's brakes
INBOX_EVENTS = Counter("omma_inbox_events_total", "S3 events: followed, elsewhere or unreadable.", ("outcome",))
INDEXER_FULL = Gauge("omma_indexer_full", "1 while as many pictures wait as may, and none is taken.")
INDEXER_WAITING = Gauge("omma_indexer_waiting_pictures", "Pictures that wait for the embedder or are being embedded.")
INDEXER_HELD = Gauge("omma_indexer_held", "1 while a place is held as too many of its pictures die of one fault.")
INDEXER_PUT_OFF = Counter("omma_indexer_put_off_total", "Pictures that could not be read, to be tried again later.")

# Every process
TRIES_FAILED = Counter(
    "omma_tries_failed_total",
    "Work that failed and is tried again, by what it is and by kind of error.",
    ("what", "kind"),
)
