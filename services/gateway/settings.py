"""Settings of the gateway: OMMA_GATEWAY__…"""

from pydantic import Field

from omma.settings import Section
from services.gateway.search.fanout.settings import FanoutSettings


class GatewaySettings(Section):
    """Limits of what callers may send, and of what is held while they wait."""

    max_json_bytes: int = Field(default=8_000_000, ge=1_000, le=1 << 30, description="a JSON body, batches included")
    max_text_characters: int = Field(default=2_000, ge=1, le=100_000)
    max_concurrent_searches: int = Field(default=128, ge=1, le=100_000, description="under way; one more waits")
    max_waiting_searches: int = Field(default=256, ge=0, le=100_000, description="one more is refused with 429")
    max_search_wait_seconds: float = Field(default=0.5, gt=0.0, le=60.0, description="for a turn, then 429")
    max_body_bytes: int = Field(
        default=1 << 29, ge=1 << 25, le=1 << 40, description="of all request bodies held at once; then 429"
    )
    max_concurrent_uploads: int = Field(default=32, ge=1, le=10_000, description="each holds a picture in memory")
    fanout: FanoutSettings = FanoutSettings()
    picture_threads: int = Field(default=2, ge=1, le=256, description="that check uploads and draw thumbnails")
    impressions_queued: int = Field(default=10_000, ge=1, le=10_000_000, description="more are lost, and counted")
    impressions_sampled: float = Field(default=1.0, ge=0.0, le=1.0, description="share of searches recorded")
    keys_max_age_seconds: float = Field(default=5.0, ge=0.0, le=3600.0, description="how long a revoked key may work")
    url_timeout_seconds: float = Field(default=5.0, gt=0.0, le=60.0, description="to fetch an image_url")
    jobs_unfinished: int = Field(default=100, ge=1, le=10_000, description="that wait or run; one more gets 429")
    ingest_buckets: tuple[str, ...] = Field(
        default=(), description="that may be ingested, as JSON; none named: each that the storage's keys open"
    )
