"""Settings of the catalog on PostgreSQL: OMMA_POSTGRES__…"""

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SecretStr, model_validator

from omma.settings import Section

if TYPE_CHECKING:  # a command that only asks a server reads its settings without SQLAlchemy
    from sqlalchemy import URL


class PostgresSettings(Section):
    """Where the database is, and what every call of it may cost.

    tls: off; require: encrypted, whoever answers; verify: the certificate must be of this host and this authority.
    """

    url: SecretStr = Field(description="postgresql://user:password@host:5432/omma")
    password: SecretStr | None = Field(default=None, description="instead of one in the url: a secret by itself")
    application_name: str = Field(default="omma", max_length=63, description="as pg_stat_activity shows it")
    connections: int = Field(default=10, ge=1, le=1_000, description="at most, of this process")
    connection_wait_seconds: float = Field(default=5.0, gt=0, le=60, description="for a free one, then 429")
    connection_life_seconds: float = Field(default=1_800.0, ge=10, le=86_400, description="then it is made anew")
    connect_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    statement_timeout_seconds: float = Field(default=30.0, gt=0, le=3_600)
    lock_timeout_seconds: float = Field(default=5.0, gt=0, le=600, description="for a row that another one holds")
    newer_schema: Literal["accept", "refuse"] = Field(
        default="accept", description="of a later version of Omma, as after a rollback"
    )
    tls: Literal["off", "require", "verify"] = "off"
    tls_authority: Path | None = Field(default=None, description="PEM; none: the machine's authorities")
    tls_certificate: Path | None = Field(default=None, description="PEM, of this client")
    tls_key: Path | None = None

    @model_validator(mode="after")
    def _checked(self) -> "PostgresSettings":
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.url.get_secret_value())
        except ArgumentError:
            raise ValueError("url must look like postgresql://user@host:5432/database") from None
        if not url.drivername.startswith("postgresql") or not url.host or not url.database:
            raise ValueError("url must look like postgresql://user@host:5432/database")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        return self

    def address(self) -> "URL":
        """For SQLAlchemy, with asyncpg as the driver."""
        from sqlalchemy import make_url

        url = make_url(self.url.get_secret_value()).set(drivername="postgresql+asyncpg")
        return url if self.password is None else url.set(password=self.password.get_secret_value())

    def ssl(self) -> ssl.SSLContext | Literal[False]:
        """Reads the TLS files. Raises OSError, ssl.SSLError."""
        if self.tls == "off":
            return False
        context = ssl.create_default_context(cafile=self.tls_authority)
        if self.tls == "require":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.tls_certificate is not None and self.tls_key is not None:
            context.load_cert_chain(self.tls_certificate, self.tls_key)
        return context

    def server_settings(self) -> dict[str, Any]:
        """What the server is told when a connection opens; its bounds hold even when this process hangs."""
        return {
            "application_name": self.application_name,
            "timezone": "UTC",
            "statement_timeout": _milliseconds(self.statement_timeout_seconds),
            "lock_timeout": _milliseconds(self.lock_timeout_seconds),
            "idle_in_transaction_session_timeout": _milliseconds(self.statement_timeout_seconds),
        }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
