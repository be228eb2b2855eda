"""Settings of blobs on S3: OMMA_S3__…"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from omma.settings import Section

_PREFIX = r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*"


class S3Settings(Section):
    """What Omma writes lies under bucket/prefix/. Without keys boto3 looks where it always does: environment, pod role.

    inbox: where others put pictures for Omma, `bucket` or `bucket/prefix`; named here so that the two never meet.
    """

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    prefix: str = Field(default="omma", max_length=200, pattern=f"^{_PREFIX}$")
    inbox: str = Field(
        default="", pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s]*)?)?$", description="bucket/prefix"
    )
    endpoint: str = Field(default="", pattern=r"^(https?://[^\s]+)?$", description="empty: Amazon's, of the region")
    public_endpoint: str = Field(
        default="", pattern=r"^(https?://[^\s]+)?$", description="in presigned urls; else endpoint"
    )
    region: str = Field(default="us-east-1", min_length=1, max_length=64)
    access_key: str = ""
    secret_key: SecretStr = SecretStr("")
    addressing: Literal["auto", "path", "virtual"] = "auto"
    authority: Path | None = Field(default=None, description="PEM, of the endpoint's certificate")
    create_bucket: bool = Field(default=False, description="make the bucket when it is absent")
    connections: int = Field(default=16, ge=1, le=1_000, description="threads, each with one request at a time")
    connect_timeout_seconds: float = Field(default=2.0, gt=0, le=60)
    read_timeout_seconds: float = Field(default=10.0, gt=0, le=300, description="between two pieces of an answer")
    tries: int = Field(default=3, ge=1, le=10, description="of one request, with pauses that grow and vary")
    part_bytes: int = Field(default=16 << 20, ge=5 << 20, le=1 << 30, description="files above it go up in such parts")
    presigned_seconds: int = Field(default=900, ge=1, le=7 * 86_400, description="how long a presigned url works")

    @model_validator(mode="after")
    def _checked(self) -> "S3Settings":
        if bool(self.access_key) != bool(self.secret_key.get_secret_value()):
            raise ValueError("access_key and secret_key go together")
        bucket, _, start = self.inbox.partition("/")
        own = f"{self.prefix}/"
        if bucket == self.bucket and (own.startswith(start) or start.startswith(own)):
            raise ValueError(f"the inbox {self.inbox!r} would hold what Omma itself writes under {self.bucket}/{own}")
        return self
