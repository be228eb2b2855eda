"""Who holds a token: its signature and claims checked, tenant and role read from it."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from omma.catalog.api_key import Role
from omma.errors import NotAllowed, NotSignedIn
from omma.identity import Tenant
from services.gateway.callers.tokens.place import read_published
from services.gateway.callers.tokens.published import PublishedKeys
from services.gateway.callers.tokens.settings import JwtSettings

if TYPE_CHECKING:
    from jwt import PyJWK

MAX_TOKEN_CHARACTERS: Final = 8_192
_MAX_SUBJECT_CHARACTERS: Final = 128
_MAX_KID_CHARACTERS: Final = 256
_TENANT: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PACKED: Final = "t_"
_PARTS: Final = 3
_MAX_ROLES: Final = 200
_MAX_CHECKED: Final = 1_024


@dataclass(frozen=True, slots=True)
class Bearer:
    """subject: the token's `sub`, as people see it. ends_at_seconds: since 1970."""

    subject: str
    tenant: Tenant
    role: Role
    ends_at_seconds: int

    def packed(self) -> str:
        """For a session's cookie, which signs it; no dot in it, and never a hash."""
        said = json.dumps([self.subject, self.tenant, self.role, self.ends_at_seconds], ensure_ascii=False)
        return _PACKED + base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")

    @classmethod
    def unpacked(cls, packed: str) -> "Bearer | None":
        """None for what was packed of no bearer."""
        if not packed.startswith(_PACKED):
            return None
        said = packed.removeprefix(_PACKED)
        subject, tenant, role, ends_at = json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
        return cls(subject, Tenant(tenant), Role(role), ends_at)


@dataclass(frozen=True, slots=True)
class _Checked:
    """key: that it was checked by; another one of the same name is not the same."""

    bearer: Bearer
    kid: str
    algorithm: str
    key: "PyJWK"


class Tokens:
    """Checks tokens of one issuer."""

    def __init__(self, settings: JwtSettings, keys: PublishedKeys, now: Callable[[], float] = time.time) -> None:
        """now: seconds since 1970."""
        self._settings = settings
        self._keys = keys
        self._now = now
        self._checked: dict[bytes, _Checked] = {}

    async def bearer(self, token: str) -> Bearer:
        """Whose it is. Raises NotSignedIn, NotAllowed for one without tenant, ReplicaDown."""
        # A signature takes 0.1 to 0.3 ms to check, and a gRPC call asks twice.
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._checked.get(name)
        if known is not None:
            ends_at = known.bearer.ends_at_seconds + self._settings.leeway_seconds
            if self._now() < ends_at and await self._keys.key(known.kid, known.algorithm) is known.key:
                return known.bearer
            self._checked.pop(name, None)
        checked = await self._check(token)
        if len(self._checked) >= _MAX_CHECKED:
            self._checked.clear()  # each is checked anew
        self._checked[name] = checked
        return checked.bearer

    async def _check(self, token: str) -> "_Checked":
        import jwt

        kid, algorithm = _named(token)
        if algorithm not in self._settings.algorithms:
            raise NotSignedIn(f"This token is not signed by {', '.join(self._settings.algorithms)}.")
        key = await self._keys.key(kid, algorithm)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway_seconds,
                options={"require": ["exp", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise NotSignedIn(_words(error)) from None
        return _Checked(self._read(claims), kid, algorithm, key)

    def _read(self, claims: Mapping[str, Any]) -> Bearer:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_CHARACTERS or not subject.isprintable():
            raise NotSignedIn(f"A token's sub is 1 to {_MAX_SUBJECT_CHARACTERS} printable characters.")
        tenant = _claim(claims, self._settings.tenant_claim)
        if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            raise NotAllowed(f"This token names no tenant in {self._settings.tenant_claim!r}.", field="tenant")
        return Bearer(subject, Tenant(tenant), self._role(claims), int(claims["exp"]))

    def _role(self, claims: Mapping[str, Any]) -> Role:
        said = _claim(claims, self._settings.role_claim)
        named = said[:_MAX_ROLES] if isinstance(said, list) else [said]
        known = [role for role in Role if role.value in named]
        return known[-1] if known else self._settings.role


def open_tokens(settings: JwtSettings) -> Tokens | None:
    """None without an issuer."""
    if not settings.issuer:
        return None
    keys = PublishedKeys(
        partial(read_published, settings),
        settings.algorithms,
        refresh_seconds=settings.refresh_seconds,
        outage_seconds=settings.outage_seconds,
    )
    return Tokens(settings, keys)


def looks_like_token(secret: str) -> bool:
    """Whether it is three parts of which the first one is a JSON object: no API key that Omma makes is."""
    return secret.startswith("eyJ") and secret.count(".") == _PARTS - 1


def _named(token: str) -> tuple[str, str]:
    """Which key and algorithm its header names; nothing is checked yet. Raises NotSignedIn."""
    import jwt

    if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
        raise NotSignedIn(f"A token has at most {MAX_TOKEN_CHARACTERS} characters, all ASCII.")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise NotSignedIn("This token cannot be read.") from None
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID_CHARACTERS:
        raise NotSignedIn("This token's header names no key (kid).")
    return kid, str(algorithm)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """By its whole name, else dot by dot into objects; None where there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _words(error: Exception) -> str:
    import jwt

    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"This token lacks the claim {error.claim!r}."
    said: dict[type[Exception], str] = {
        jwt.ExpiredSignatureError: "This token has expired.",
        jwt.ImmatureSignatureError: "This token does not count yet.",
        jwt.InvalidAudienceError: "This token is for another audience.",
        jwt.InvalidIssuerError: "This token is of another issuer.",
        jwt.InvalidSignatureError: "This token's signature is wrong.",
    }
    return said.get(type(error), "This token is not one that counts.")
