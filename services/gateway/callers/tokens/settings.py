"""Whose tokens count, and what they are read for: OMMA_GATEWAY__JWT__…"""

from typing import Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from omma.catalog.api_key import Role
from omma.settings import Section

Algorithm: TypeAlias = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Asymmetric ones only: whoever can check a token must not be able to make one."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class JwtSettings(Section):
    """No issuer: only API keys count."""

    issuer: str = Field(default="", max_length=2_048, description="`iss` of the tokens that count; empty: none do")
    audience: tuple[str, ...] = Field(default=(), max_length=20, description="`aud`, any of these, as JSON")
    jwks: str = Field(
        default="",
        max_length=2_048,
        description="where the issuer's keys are, https or a file; empty: its /.well-known/openid-configuration says",
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256", "PS256", "ES256", "EdDSA"), min_length=1, description="that a token may be signed by, as JSON"
    )
    tenant_claim: str = Field(
        default="tenant", min_length=1, max_length=200, description="dots lead into objects; without it no entry"
    )
    role_claim: str = Field(
        default="role", min_length=1, max_length=200, description="a role or several, of which the highest counts"
    )
    role: Role = Field(default=Role.READ, description="of tokens that name none")
    leeway_seconds: float = Field(default=30.0, ge=0.0, le=300.0, description="that clocks may differ")
    refresh_seconds: float = Field(
        default=300.0, ge=10.0, le=86_400.0, description="after which the keys are read again; a new one is at once"
    )
    outage_seconds: float = Field(
        default=3_600.0, ge=0.0, le=604_800.0, description="how long known keys count while theirs is away; then 503"
    )

    @field_validator("issuer")
    @classmethod
    def _issuer_is_an_address(cls, issuer: str) -> str:
        return issuer if not issuer else web_address(issuer, "an issuer")

    @field_validator("jwks")
    @classmethod
    def _keys_have_a_place(cls, jwks: str) -> str:
        return jwks if not jwks or jwks.startswith(("/", "file:///")) else web_address(jwks, "a place of keys")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.issuer and not any(self.audience):
            raise ValueError("an issuer's tokens for everybody else would count as well: name the audience")
        if not self.issuer and (self.jwks or self.audience):
            raise ValueError("audience and jwks count for nothing without an issuer")
        return self


def web_address(url: str, what: str) -> str:
    """The same, which is asked: encrypted, or of this machine. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return url
    raise ValueError(f"{what} is at https://…, or on this machine at http://localhost…")
