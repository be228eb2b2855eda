"""Settings of a shard: OMMA_SHARD__… in the environment."""

from pydantic import Field

from omma.settings import Section
from services.nn_shard.engine_settings import EngineSettings


class ShardSettings(Section):
    """Everything one replica may be told; a process that hosts several gives each the same."""

    engine: EngineSettings = Field(default_factory=EngineSettings)

    search_threads: int = Field(1, ge=1, le=256, description="Engine calls at a time.")
    max_batch: int = Field(32, ge=1, le=1_024, description="Queries that share one engine call.")
    inline_seconds: float = Field(
        0.003, ge=0, le=1, description="A call that should take less runs on the loop, not on a thread; 0: none."
    )
    max_waiting: int = Field(1_024, ge=1, le=100_000, description="Queries that wait; one more is refused.")

    poll_records: int = Field(2_000, ge=1, le=100_000, description="Records applied at once.")
    poll_seconds: float = Field(1.0, gt=0, le=60, description="Longest wait of one poll of the log.")
    log_retry_seconds: float = Field(1.0, ge=0, le=60, description="Pause after the log could not be read.")
    log_timeout_seconds: float = Field(10.0, gt=0, le=600, description="Then a call to the log counts as failed.")
    stale_seconds: float = Field(
        30.0, gt=0, le=86_400, description="Behind the log, or without word from it, when answers say stale_replica."
    )
    drift_seconds: float = Field(
        60.0, gt=0, le=86_400, description="Between two measurings of how well the codebook fits."
    )
    lag_check_seconds: float = Field(5.0, gt=0, le=600, description="Between two looks at the log's end.")
    max_head_segments: float = Field(
        4.0, ge=1, le=64, description="Head rows, in seal_rows, at which applying waits for sealing."
    )

    maintenance_seconds: float = Field(1.0, gt=0, le=3_600, description="Between two looks for sealing and merging.")
    checkpoint_seconds: float = Field(30.0, gt=0, le=86_400, description="Between two local checkpoints.")
    snapshot_seconds: float = Field(
        0.0, ge=0, le=604_800, description="Between two snapshots to object storage; 0: none, for a folder that lasts."
    )
    keep_snapshots: int = Field(3, ge=1, le=100, description="Snapshots kept, newest first.")

    catalog_seconds: float = Field(5.0, gt=0, le=3_600, description="Between two looks at the index's codebook.")
    training_threads: int = Field(1, ge=1, le=256, description="Of the process that trains a codebook.")
    training_lease_seconds: float = Field(60.0, ge=1, le=3_600, description="A trainer that dies is replaced after it.")
    training_max_seconds: float = Field(3_600.0, ge=1, le=86_400, description="Then the trainer is stopped.")
