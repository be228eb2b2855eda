"""Settings of the one-process Omma: OMMA_DATA_DIR and its neighbours, and a section for each service."""

from pydantic import Field

from omma.fetching import FetchSettings
from omma.images import PictureLimits
from omma.index import MAX_SHARDS
from services.egs.settings import EgsSettings
from services.gateway.callers.first_key import FirstKeySettings
from services.gateway.settings import GatewaySettings
from services.indexer.settings import IndexerSettings, RolloutSettings
from services.nn_shard.settings import ShardSettings
from services.rerank.settings import RerankSettings
from services.worker.settings import WorkerSettings


class StandaloneSettings(FirstKeySettings):
    """Read once, in main; each part is given only its section. Any OMMA_BIND but a loopback one needs an API key.

    REST answers /metrics itself: OMMA_METRICS_PORT is for whoever wants them on a port of their own, too.
    """

    metrics_port: int = Field(default=0, ge=0, le=65_535, description="Prometheus, plain HTTP; 0: none but REST's own")

    http_port: int = Field(default=8080, ge=0, le=65535, description="0: a free one")
    model: str = Field(default="", description="name@version; empty: the only one, or omma-mini")
    shards: int = Field(default=1, ge=1, le=MAX_SHARDS, description="of a new index")
    log_compaction_seconds: float = Field(default=3600.0, ge=1, le=7 * 86_400)
    url: str = Field(default="", description="for commands: the server to talk to")
    api_key: str = Field(default="", repr=False, description="for commands: sent to that server")
    pictures: PictureLimits = PictureLimits()
    fetch: FetchSettings = FetchSettings()
    egs: EgsSettings = EgsSettings()
    shard: ShardSettings = ShardSettings()
    rerank: RerankSettings = RerankSettings()
    gateway: GatewaySettings = GatewaySettings()
    indexer: IndexerSettings = IndexerSettings()
    worker: WorkerSettings = WorkerSettings()
    rollouts: RolloutSettings = RolloutSettings()
