"""Settings of the indexer: OMMA_INDEXER__…"""

from pydantic import Field

from omma.settings import Section
from services.indexer.regions import Regions


class IndexerSettings(Section):
    """Bounds of what the indexer holds at once and how long it waits."""

    images_partitions: int = Field(default=8, ge=1, le=1024, description="of a new topic omma.images")
    batch_pictures: int = Field(default=64, ge=1, le=1024, description="events taken from the log at once, at most")
    batches_in_flight: int = Field(default=3, ge=2, le=16, description="batches being embedded while one is committed")
    waiting_pictures: int = Field(
        default=65_536, ge=16, le=1 << 22, description="that wait for the embedder; only then nothing more is taken"
    )
    patience_seconds: float = Field(
        default=60.0, ge=0.0, le=3600, description="with an original that cannot be read while others of its place can"
    )
    put_off_seconds: float = Field(default=600.0, ge=1, le=86_400, description="until such an original is tried again")
    chunk_pictures: int = Field(default=16, ge=1, le=64, description="pictures in one call of the embedder")
    chunk_bytes: int = Field(default=32 << 20, ge=1 << 20, le=1 << 30, description="originals read for one call")
    regions: Regions = Field(
        default=Regions.NONE,
        description="that get vectors beside the whole picture; crops: its middle and corners, each embedded; windows: "
        "those that the model's one run has",
    )
    chunks_in_flight: int = Field(default=4, ge=1, le=64)
    recent_pictures: int = Field(default=4096, ge=0, le=1 << 20, description="vectors kept until their shard has them")
    embed_timeout_seconds: float = Field(default=120.0, ge=1, le=3600)
    fetch_timeout_seconds: float = Field(default=5.0, ge=0.1, le=60)
    poll_seconds: float = Field(default=1.0, ge=0.01, le=60)
    retry_seconds: float = Field(default=0.2, ge=0.01, le=60, description="first wait after a failure; doubles to 10 s")
    deaths_window: int = Field(
        default=200, ge=10, le=100_000, description="of the last pictures, as many are looked at together"
    )
    deaths_share: float = Field(
        default=0.5, gt=0.0, le=1.0, description="of a place's die of one kind of fault: it is held; 1: never"
    )
    deaths_pause_seconds: float = Field(
        default=60.0, ge=0.01, le=3600, description="the first pause; doubles up to sixteen times as long"
    )


class RolloutSettings(Section):
    """OMMA_ROLLOUTS__…"""

    backfill_share: float = Field(
        default=0.5, ge=0.05, le=1.0, description="of the time in which a candidate that is being built may embed"
    )
