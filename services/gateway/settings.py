"""Settings of the gateway: OMMA_GATEWAY__…"""

import re
from typing import Final, Literal

from pydantic import Field, field_validator

from omma.settings import Section
from services.gateway.callers.tokens import JwtSettings
from services.gateway.search.fanout.settings import FanoutSettings
from services.gateway.sharing.shares import Shares

_MAX_WEIGHT: Final = 1_000.0
_MAX_RATE: Final = 1e6
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")

FORM_SLACK_BYTES: Final = 1_000_000
"""Of a request beside its picture: the other fields together, and what is between them."""


class GatewaySettings(Section):
    """Limits of what callers may send, and of what is held while they wait."""

    max_json_bytes: int = Field(default=8_000_000, ge=1_000, le=1 << 30, description="a JSON body, batches included")
    max_text_characters: int = Field(default=2_000, ge=1, le=100_000)
    max_concurrent_searches: int = Field(default=128, ge=1, le=100_000, description="under way; one more waits")
    max_waiting_searches: int = Field(default=256, ge=0, le=100_000, description="one more is refused with 429")
    max_search_wait_seconds: float = Field(default=0.5, gt=0.0, le=60.0, description="for a turn, then 429")
    kept_embeddings_bytes: int = Field(
        default=16 << 20, ge=0, le=1 << 36, description="vectors of what was sought before; 0: none"
    )
    kept_results_bytes: int = Field(
        default=64 << 20,
        ge=0,
        le=1 << 36,
        description="what was found before, until anything is written; of shards in this process; 0: none",
    )
    slow_search_seconds: float = Field(
        default=0.5, gt=0.0, le=60.0, description="fewer are run at once while many make each take longer"
    )
    slow_query_ms: float = Field(
        default=1_000.0,
        ge=0.0,
        le=600_000.0,
        description="a search that takes so long is logged by stages; 0: none",
    )
    slow_query_words: bool = Field(default=False, description="with the words that were sought")
    keyword_words: tuple[str, ...] = Field(
        default=(),
        max_length=10_000,
        description="that a picture is told by where the model has a text tower, as JSON; none: some 500 common ones",
    )
    max_body_bytes: int = Field(
        default=1 << 29, ge=1 << 25, le=1 << 40, description="of all request bodies held at once, both faces; then 429"
    )
    body_seconds: float = Field(default=60.0, gt=0.0, le=3600.0, description="for a head or a body to come; then 408")
    request_seconds: float = Field(
        default=30.0, gt=0.0, le=3600.0, description="from a whole body to an answer; a search has its timeout_ms"
    )
    tenant_share: float = Field(
        default=0.75, gt=0.0, le=1.0, description="of places, turns and bodies that one tenant may take"
    )
    tenant_weights: dict[str, float] = Field(
        default={}, description='of tenants that count as more or fewer than one, as JSON: {"shop": 2.0}'
    )
    tenant_rates: dict[str, float] = Field(
        default={}, description='requests a second that each gateway takes of a tenant, as JSON: {"shop": 50, "*": 10}'
    )
    max_concurrent_uploads: int = Field(default=32, ge=1, le=10_000, description="each holds a picture in memory")
    fanout: FanoutSettings = FanoutSettings()
    jwt: JwtSettings = JwtSettings()
    picture_threads: int = Field(default=2, ge=1, le=256, description="that check uploads and draw thumbnails")
    impressions_queued: int = Field(default=10_000, ge=1, le=10_000_000, description="more are lost, and counted")
    impressions_sampled: float = Field(default=1.0, ge=0.0, le=1.0, description="share of searches recorded")
    user_ids: Literal["hashed", "plain"] = Field(
        default="hashed", description="what interactions keep of a user_id: HMAC by a secret of the catalog, or itself"
    )
    shadow_sampled: float = Field(
        default=0.1, ge=0.0, le=1.0, description="share of searches that a candidate in the shadow is asked too"
    )
    recall_sampled: float = Field(
        default=0.005, ge=0.0, le=1.0, description="share of searches repeated exactly, one at once, to measure recall"
    )
    shadow_at_once: int = Field(default=2, ge=1, le=1_000, description="in the shadow; one more is left out")
    keys_max_age_seconds: float = Field(default=5.0, ge=0.0, le=3600.0, description="how long a revoked key may work")
    keys_outage_seconds: float = Field(
        default=86_400.0, ge=0.0, le=31_536_000.0, description="how long known keys count while the catalog is away"
    )
    session_seconds: float = Field(
        default=43_200.0, ge=60.0, le=2_592_000.0, description="how long somebody is signed in on the page"
    )
    trusted_hosts: tuple[str, ...] = Field(
        default=(), description="names, as JSON, under which it may be asked without a key beside this machine's own"
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description='origins whose pages may ask, as JSON: ["https://shop.example"]; their keys go in headers',
    )
    gzip_bytes: int = Field(
        default=16_384,
        ge=0,
        le=1 << 30,
        description="JSON of at least so many goes out in gzip to who takes it; 0: none",
    )
    url_timeout_seconds: float = Field(default=5.0, gt=0.0, le=60.0, description="to fetch an image_url")
    jobs_unfinished: int = Field(default=100, ge=1, le=10_000, description="that wait or run; one more gets 429")
    rollout_keep_for_seconds: float = Field(
        default=7 * 86_400.0, ge=0.0, le=366 * 86_400.0, description="that an index that was live can be gone back to"
    )
    ingest_buckets: tuple[str, ...] = Field(
        default=(), description="that may be ingested, as JSON; none named: each that the storage's keys open"
    )

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(one) for one in origins):
            raise ValueError("an origin is a scheme, a host and perhaps a port: https://shop.example")
        return origins

    @field_validator("tenant_weights")
    @classmethod
    def _positive(cls, weights: dict[str, float]) -> dict[str, float]:
        if not all(0 < weight <= _MAX_WEIGHT for weight in weights.values()):
            raise ValueError(f"a weight is above 0 and at most {_MAX_WEIGHT}")
        return weights

    @field_validator("tenant_rates")
    @classmethod
    def _some(cls, rates: dict[str, float]) -> dict[str, float]:
        if not all(0 < rate <= _MAX_RATE for rate in rates.values()):
            raise ValueError(f"a rate is above 0 and at most {_MAX_RATE:,}")
        return rates

    @property
    def shares(self) -> Shares:
        """Of tenants, in whatever they share."""
        return Shares(self.tenant_share, self.tenant_weights)
