"""What the one process's faces have beside the gateway's own: who may call, and the inner services' RPCs."""

from functools import partial

from omma.catalog.api_key import Role
from omma.catalog.interface import Catalog
from omma.identity import DEFAULT_TENANT
from omma.rpc.server import Registration
from omma.v1 import embedding_pb2_grpc, rerank_pb2_grpc, shard_pb2_grpc
from services.egs.client import Embedder
from services.egs.servicer import EmbeddingServicer
from services.gateway.callers.auth import Authenticator, Caller, is_loopback
from services.gateway.callers.rates import Rates
from services.gateway.callers.tokens import open_tokens
from services.nn_shard.local import LocalShard
from services.nn_shard.servicer import ShardServicer
from services.rerank.servicer import RerankServicer
from services.standalone.services import Services
from services.standalone.settings import StandaloneSettings


class FolderOwner(Authenticator):
    """Whoever runs a command on the folder itself may do everything, as with any file of theirs."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog, open_without_keys=True)

    async def caller(self, secret: str | None, role: Role) -> Caller:
        """The default tenant's admin, whatever the secret."""
        return Caller(DEFAULT_TENANT, Role.ADMIN, credential="owner")

    @property
    def keyless(self) -> bool:
        """Not as a server is: nothing but this process calls."""
        return False

    async def run(self) -> None:
        """Nothing to do: no key counts."""


def authenticator_of(
    settings: StandaloneSettings, catalog: Catalog, *, trusted: bool, owner_secret: str = ""
) -> Authenticator:
    """trusted: commands in this process; else callers need keys once there are any, and always beyond loopback.

    owner_secret: for commands of the same user, who could as well open the folder.
    """
    if trusted:
        return FolderOwner(catalog)
    return Authenticator(
        catalog,
        open_without_keys=is_loopback(settings.bind),
        max_age_seconds=settings.gateway.keys_max_age_seconds,
        outage_seconds=settings.gateway.keys_outage_seconds,
        session_seconds=settings.gateway.session_seconds,
        rates=Rates(settings.gateway.tenant_rates),
        tokens=open_tokens(settings.gateway.jwt),
        owner_secret=owner_secret,
    )


def rpc_face(services: Services) -> tuple[Registration, ...]:
    """The embedder, the shard and the re-ranker on the gateway's gRPC server.

    Only an admin may call them, since a shard believes the tenant it is told.
    """

    def shard_of(index: str) -> LocalShard:
        return services.fleet.shard(index or services.indexes.live().index.id).client

    def live() -> Embedder:
        return services.indexes.live().embedder

    inner = (
        partial(embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server, EmbeddingServicer(live)),
        partial(shard_pb2_grpc.add_ShardServiceServicer_to_server, ShardServicer(shard_of)),
        partial(rerank_pb2_grpc.add_RerankServiceServicer_to_server, RerankServicer(services.reranker)),
    )
    return tuple(services.gateway.entrance.before(register, Role.ADMIN) for register in inner)
