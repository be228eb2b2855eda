"""Settings of an embedder whose towers run on Triton: OMMA_TRITON__…"""

from pydantic import Field

from omma.rpc.tls_settings import TlsSettings
from omma.settings import Section


class TritonSettings(Section):
    """Without url the towers run in the process itself."""

    url: str = Field(default="", pattern=r"^([^\s/]+:\d{1,5})?$", description="host:port of Triton's gRPC")
    in_flight: int = Field(default=32, ge=1, le=4_096, description="Requests at a time; Triton makes batches of them.")
    timeout_seconds: float = Field(
        default=30.0, gt=0, le=600, description="Of one request, when the deadline is later."
    )
    connect_seconds: float | None = Field(
        default=None, gt=0, le=3_600, description="To wait at start until it has the model; unset: for ever."
    )
    tls: TlsSettings = Field(default=TlsSettings(), description="Of the channel to it; no file at all: plain text.")
