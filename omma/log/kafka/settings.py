"""Settings of the log on Kafka: OMMA_KAFKA__…, the same for every service."""

import ssl
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from omma.settings import Section


class KafkaSettings(Section):
    """Where the brokers are, how to be known to them, and how long to wait for them."""

    brokers: str = Field(min_length=1, description="host:port, several separated by commas.")
    prefix: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
        description="Of every topic, group and transactional id, so that several Ommas share one Kafka.",
    )
    replication_factor: int = Field(default=1, ge=1, le=16, description="Of topics that are made; 3 in production.")

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    authority: Path | None = Field(default=None, description="PEM of who signed the brokers; unset: the system's.")
    certificate: Path | None = Field(default=None, description="PEM of this client, for mutual TLS.")
    key: Path | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None

    request_seconds: float = Field(default=20.0, ge=1, le=300, description="Longest wait for one answer of a broker.")
    delivery_seconds: float = Field(default=30.0, ge=1, le=600, description="For a write to be durable.")
    transaction_seconds: float = Field(
        default=30.0,
        ge=1,
        le=900,
        description="The broker ends a transaction that is open longer: readers wait for it.",
    )
    session_seconds: float = Field(
        default=10.0, ge=1, le=300, description="A member that is silent longer loses its partitions."
    )
    rebalance_seconds: float = Field(
        default=60.0, ge=1, le=900, description="A member has so long to let go of partitions; then they are taken."
    )
    silence_seconds: float = Field(
        default=15.0, ge=1, le=600, description="A partition that no broker answers for longer than this is an error."
    )
    fetch_wait_seconds: float = Field(
        default=5.0, ge=0.01, le=30, description="A fetch waits so long at the broker when there is nothing."
    )
    fetch_bytes: int = Field(default=16 << 20, ge=1 << 10, le=256 << 20, description="Fetched at once and held.")
    partition_fetch_bytes: int = Field(default=1 << 20, ge=1 << 10, le=64 << 20, description="Of it, per partition.")
    batch_bytes: int = Field(default=256 << 10, ge=1 << 10, le=16 << 20, description="Held per partition to be sent.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.security_protocol.startswith("SASL") and (self.username is None or self.password is None):
            raise ValueError("SASL needs username and password.")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together.")
        return self

    def connection(self) -> dict[str, Any]:
        """What every client of aiokafka takes. Reads the TLS files; raises OSError."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.brokers.split(","),
            "client_id": "omma",
            "request_timeout_ms": int(self.request_seconds * 1000),
            "retry_backoff_ms": 200,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.endswith("SSL"):
            context = ssl.create_default_context(cafile=self.authority)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
            arguments["ssl_context"] = context
        if self.password is not None:
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.get_secret_value(),
            }
        return arguments
