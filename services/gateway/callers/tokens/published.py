"""The issuer's public keys, kept: read anew now and then, and when a token names one that is not known."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from omma.errors import NotSignedIn, OmmaError, ReplicaDown, causes
from omma.telemetry.metrics import TOKEN_KEYS_READ_AT

if TYPE_CHECKING:
    from jwt import PyJWK

SEEK_SECONDS: Final = 10.0
"""Between two readings, whoever asks: tokens with invented keys cost the issuer no more."""
_MAX_KEYS: Final = 100
_LEAST_RSA_BITS: Final = 2048
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_AWAY: Final = "The issuer's keys cannot be read, so tokens cannot be checked now."

logger = logging.getLogger(__name__)


class PublishedKeys:
    """By `kid` and algorithm. For one event loop."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Sequence[Any]]],
        algorithms: Sequence[str],
        *,
        refresh_seconds: float,
        outage_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """read: the issuer's keys as they are published, unchecked."""
        self._read = read
        self._algorithms = algorithms
        self._refresh_seconds = refresh_seconds
        self._outage_seconds = outage_seconds
        self._now = now
        self._keys: Mapping[str, Mapping[str, PyJWK]] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._failing = False
        self._reading: asyncio.Task[None] | None = None

    async def key(self, kid: str, algorithm: str) -> "PyJWK":
        """The one that checks. Raises NotSignedIn when there is none; ReplicaDown when that cannot be known."""
        age = self._now() - self._read_at
        if kid not in self._keys or age > 2 * self._refresh_seconds:
            await self._read_again()
        elif age > self._refresh_seconds:
            self._begin_reading()
        if self._now() - self._read_at > max(self._outage_seconds, 2 * self._refresh_seconds):
            raise self._away()
        if kid not in self._keys:
            raise self._away() if self._failing else NotSignedIn("This token is signed by no key of its issuer.")
        if algorithm not in self._keys[kid]:
            raise NotSignedIn("This token is not signed in the way of the key that it names.")
        return self._keys[kid][algorithm]

    def _away(self) -> ReplicaDown:
        return ReplicaDown(_AWAY, retry_after_seconds=max(1.0, self._tried_at + SEEK_SECONDS - self._now()))

    async def _read_again(self) -> None:
        self._begin_reading()
        if self._reading is not None:
            await asyncio.shield(self._reading)  # callers share a reading, and one that goes takes it from no other

    def _begin_reading(self) -> None:
        if self._now() - self._tried_at < SEEK_SECONDS:
            return
        if self._reading is None or self._reading.done():
            self._tried_at = self._now()
            self._reading = asyncio.create_task(self._take_in(), name="the issuer's keys")

    async def _take_in(self) -> None:
        began = self._now()
        try:
            keys = _by_kid(await self._read(), self._algorithms)
        except Exception as error:  # noqa: BLE001  whatever it is: what is known counts, and it is tried again
            if not self._failing or not isinstance(error, OmmaError):
                logger.warning("the issuer's keys could not be read", extra={"reason": causes(error)})
            self._failing = True
        else:
            self._keys, self._read_at, self._failing = keys, began, False
            TOKEN_KEYS_READ_AT.set_to_current_time()


def _by_kid(published: Sequence[Any], algorithms: Sequence[str]) -> dict[str, dict[str, "PyJWK"]]:
    """What is no public key for a signature of these algorithms is passed over."""
    found: dict[str, dict[str, PyJWK]] = {}
    for one in published[:_MAX_KEYS]:
        kid = one.get("kid") if isinstance(one, dict) else None
        if not isinstance(kid, str) or "d" in one or one.get("use", "sig") != "sig":
            logger.warning("a published key is passed over", extra={"kid": str(kid)[:80]})
            continue
        for algorithm in algorithms:
            key = _usable(one, algorithm)
            if key is not None:
                found.setdefault(kid, {}).setdefault(algorithm, key)
    return found


def _usable(published: Mapping[str, Any], algorithm: str) -> "PyJWK | None":
    import jwt

    if published.get("alg", algorithm) != algorithm:
        return None
    if published.get("crv") != _CURVES.get(algorithm, published.get("crv")):
        return None
    try:
        key = jwt.PyJWK(dict(published), algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None  # of another kind than the algorithm's, or damaged
    return None if algorithm[0] in "RP" and key.key.key_size < _LEAST_RSA_BITS else key
