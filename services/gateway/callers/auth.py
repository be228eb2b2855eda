"""Who is calling, by API key or token, for which tenant, and whether the role suffices."""

import asyncio
import hashlib
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from omma.catalog.api_key import ApiKey, Role
from omma.catalog.interface import Catalog
from omma.errors import NotAllowed, NotSignedIn, OmmaError, ReplicaDown
from omma.identity import DEFAULT_TENANT, Tenant
from omma.telemetry.metrics import KEYS_READ_AT
from services.gateway.callers.rates import Rates
from services.gateway.callers.sessions import Session, Sessions
from services.gateway.callers.tokens import Bearer, Tokens, looks_like_token

_NEVER: Final = float("-inf")
_RANK: Final = {role: rank for rank, role in enumerate(Role)}
_MAX_SECRET_CHARACTERS: Final = 512
_READ_SECONDS: Final = 1.0
_FIRST_READ_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 1.0
_FIRST_SECONDS: Final = 10.0
"""For keys that were never read, as of a process that starts on a busy machine: nobody can be told anything before
they are. Who has less time leaves earlier.
"""

KEY: Final = "key:"
"""What the credential of a caller begins with whom an API key let in."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. name: of the key, or what the token calls its bearer; empty where no key is needed.

    credential: what let them in, `key:` and the key's id, `token:` and the bearer, `owner`; empty as name is.
    """

    tenant: Tenant
    role: Role
    name: str = ""
    credential: str = ""

    def may(self, role: Role) -> bool:
        """Whether the caller's role includes this one."""
        return _RANK[self.role] >= _RANK[role]

    def require(self, role: Role) -> None:
        """Raises NotAllowed when the caller's role is below this one."""
        if not self.may(role):
            raise NotAllowed(f"This needs an API key with role {role.value}; this one has {self.role.value}.")


class Authenticator:
    """Knows the keys of the catalog, as of at most max_age_seconds ago: a revoked key works no longer than that.

    `run` reads them before they are that old, so that callers wait for no database. While the catalog cannot be read,
    what was known last counts, for outage_seconds: searches do not depend on it, and a revocation that this process
    was not told of is bounded by that. `omma_keys_read_timestamp_seconds` says how old they are.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        open_without_keys: bool,
        max_age_seconds: float = 5.0,
        outage_seconds: float = 86_400.0,
        owner_secret: str = "",
        session_seconds: float = 43_200.0,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rates: Rates | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        """rates: of tenants' requests; None: as many as come. tokens: that count beside keys.

        open_without_keys: while no key exists, nor an issuer, everyone is admin of the default tenant; for loopback
        only.

        owner_secret: who holds it may do everything, whatever keys there are; for commands of the server's own user.
        session_seconds: how long the page's sessions last.
        """
        self.sessions = Sessions(catalog, seconds=session_seconds)
        self._catalog = catalog
        self._open_without_keys = open_without_keys and tokens is None
        self._tokens = tokens
        self._max_age_seconds = max_age_seconds
        self._outage_seconds = outage_seconds
        self._owner_hash = hash_secret(owner_secret) if owner_secret else ""
        self._now = now
        self._sleep = sleep
        self._rates = rates or Rates({})
        self._keys: Mapping[str, ApiKey] = {}
        self._known_at = _NEVER
        """When the reading began that the keys are from."""
        self._changed_at = float("-inf")
        self._tried_at = float("-inf")
        self._sought_at = float("-inf")
        self._failing = False
        self._reading: asyncio.Task[None] | None = None

    async def caller(self, secret: str | None, role: Role) -> Caller:
        """Who holds this secret, with at least this role. Raises NotSignedIn, NotAllowed, Overloaded, ReplicaDown."""
        caller = await self._known(secret)
        self._rates.spend(caller.tenant)
        caller.require(role)
        return caller

    async def begin_session(self, secret: str) -> tuple[Session, Caller]:
        """For who holds this secret; a token's ends with it. Raises NotSignedIn, NotAllowed, ReplicaDown."""
        if self._tokens is not None and looks_like_token(secret):
            bearer = await self._tokens.bearer(secret)
            return await self.sessions.begin(bearer.packed(), bearer.ends_at_seconds), _caller_of(bearer)
        caller = await self._known(secret)
        return await self.sessions.begin(hash_secret(secret)), caller

    async def session_caller(self, session: Session, role: Role) -> Caller:
        """Whom this session stands for. Raises as `caller`: NotSignedIn once its key is revoked, or no token counts."""
        bearer = Bearer.unpacked(session.stands_for)
        if bearer is not None and self._tokens is None:
            raise NotSignedIn("Tokens do not count here any more: sign in again.")
        caller = await self._of_hash(session.stands_for) if bearer is None else _caller_of(bearer)
        self._rates.spend(caller.tenant)
        caller.require(role)
        return caller

    @property
    def keyless(self) -> bool:
        """Whether everyone is let in, key or not, as far as is known; true also before the keys were ever read."""
        return self._open_without_keys and not self._keys

    async def lets_everyone_in(self) -> bool:
        """As `keyless`, once the keys were read: a session is looked at unless nobody needs one. Raises ReplicaDown."""
        if self._open_without_keys:
            await self._refresh(self._max_age_seconds)
        return self.keyless

    def changed(self) -> None:
        """A key was made or revoked here: the next caller is judged by keys that are read after this."""
        self._changed_at = self._now()

    async def run(self) -> None:
        """Read the keys again before they are too old, until cancelled."""
        try:
            while True:
                await self._read_once()
                await asyncio.sleep(max(self._max_age_seconds / 2, _RETRY_SECONDS))
        finally:
            if self._reading is not None:
                self._reading.cancel()

    async def _known(self, secret: str | None) -> Caller:
        if self._tokens is not None and secret and looks_like_token(secret):
            return _caller_of(await self._tokens.bearer(secret))
        return await self._of_hash(hash_secret(secret) if secret and len(secret) <= _MAX_SECRET_CHARACTERS else "")

    async def _of_hash(self, hashed: str) -> Caller:
        """hashed: of what was sent, "" for nothing."""
        # Looked up by a hash, the time taken says something of hashes; nobody finds a secret to a hash of their choice.
        if hashed and hashed == self._owner_hash:
            return Caller(DEFAULT_TENANT, Role.ADMIN, "owner", "owner")
        await self._refresh(self._max_age_seconds)
        if not self._keys and self._open_without_keys:
            return Caller(DEFAULT_TENANT, Role.ADMIN)
        if not hashed:
            raise NotSignedIn("Send an API key: Authorization: Bearer <key>, or X-API-Key: <key>.")
        if hashed not in self._keys:
            await self._look_again()
        key = self._keys.get(hashed)
        if key is None or key.revoked:
            raise NotSignedIn("This API key is unknown or revoked.")
        return Caller(key.tenant, key.role, key.name, f"{KEY}{key.id}")

    async def _refresh(self, max_age_seconds: float) -> None:
        """Have keys that are no older, counted from now; older ones only while the catalog cannot be read."""
        wanted = max(self._now() - max_age_seconds, self._changed_at)
        while self._known_at < wanted and not self._failing:
            await self._read_once()
        if self._failing and self._now() - self._tried_at >= _RETRY_SECONDS:
            self._begin_reading()
        if self._known_at == _NEVER:
            await self._read_first()
        bound = max(self._outage_seconds, max_age_seconds)
        if self._now() - self._known_at > bound and self._reading is not None:
            await asyncio.shield(self._reading)  # only who could not be answered otherwise waits for it
        if self._now() - self._known_at > bound:
            raise ReplicaDown("API keys cannot be checked now.", retry_after_seconds=_RETRY_SECONDS)

    async def _read_first(self) -> None:
        """Try until they are read, or for as long as a caller may wait."""
        until = self._now() + _FIRST_SECONDS
        while self._known_at == _NEVER and self._now() < until:
            if self._reading is None or self._reading.done():
                await self._sleep(max(0.0, self._tried_at + _RETRY_SECONDS - self._now()))
            await self._read_once()

    async def _look_again(self) -> None:
        """Have keys that are read after now, so that one that was just made is not refused. A reading that is begun for
        a guess comes a second after the one before, whoever guesses: all who came meanwhile wait for it.
        """
        arrived = self._now()
        while self._known_at < arrived and not self._failing:
            if self._reading is None or self._reading.done():
                wait_seconds = self._sought_at + _RETRY_SECONDS - self._now()
                if wait_seconds > 0:
                    await self._sleep(wait_seconds)
                    continue
                self._sought_at = self._now()
            await self._read_once()

    async def _read_once(self) -> None:
        # Shielded: callers share a reading, and one that goes away takes it from none of the others.
        await asyncio.shield(self._begin_reading())

    def _begin_reading(self) -> "asyncio.Task[None]":
        if self._reading is None or self._reading.done():
            self._tried_at = self._now()
            self._reading = asyncio.create_task(self._read(self._tried_at), name="api keys")
        return self._reading

    async def _read(self, began: float) -> None:
        try:
            async with asyncio.timeout(_FIRST_READ_SECONDS if self._known_at == _NEVER else _READ_SECONDS):
                keys = await self._catalog.api_keys()
        except Exception as error:  # noqa: BLE001  whatever it is: what is known counts, and it is tried again
            if not self._failing or not isinstance(error, OmmaError | TimeoutError):
                logger.warning("API keys could not be read; those known still count", extra={"reason": repr(error)})
            self._failing = True
        else:
            if self._failing:
                logger.info("API keys can be read again")
            self._keys, self._known_at, self._failing = {key.hash: key for key in keys}, began, False
            KEYS_READ_AT.set_to_current_time()


def _caller_of(bearer: Bearer) -> Caller:
    return Caller(bearer.tenant, bearer.role, bearer.subject, f"token:{bearer.subject}")


def hash_secret(secret: str) -> str:
    """What is stored of a key: sha256 hex. Secrets are random, so they need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def secret_of(authorization: str | None, x_api_key: str | None) -> str | None:
    """The secret in `Authorization: Bearer <key>` or `X-API-Key: <key>`; the first counts."""
    if authorization:
        scheme, _, secret = authorization.partition(" ")
        return secret.strip() if scheme.lower() == "bearer" else None
    return x_api_key


def is_loopback(address: str) -> bool:
    """Whether a bind address is reachable from this machine only."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
