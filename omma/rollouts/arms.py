"""Who is answered from which index: a hash of the caller, so that nobody changes sides as the share grows."""

import hashlib
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from omma.errors import InvalidQuery
from omma.identity import Tenant
from omma.rollouts.rollout import RolloutId

MIN_SHARE: Final = 1.0
MAX_SHARE: Final = 100.0


class Arm(StrEnum):
    """interleaved: from both, each hit with the arm that brought it."""

    CONTROL = "control"
    CANDIDATE = "candidate"
    INTERLEAVED = "interleaved"


@dataclass(frozen=True, slots=True)
class Variant:
    """On which side of which rollout an answer is."""

    rollout: RolloutId
    arm: Arm


def arm_of(rollout: RolloutId, tenant: Tenant, caller: str, share: float) -> Arm:
    """candidate for `share` percent of callers. The same caller stays, and a larger share only adds callers. Pure."""
    content = "\0".join((rollout, tenant, caller)).encode(errors="surrogatepass")
    drawn = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
    return Arm.CANDIDATE if drawn < share / MAX_SHARE * 2**64 else Arm.CONTROL


def checked_share(share: float) -> float:
    """Percent of callers. Raises InvalidQuery, field `share`, unless 1 … 100."""
    # Written so that NaN fails.
    if not (math.isfinite(share) and MIN_SHARE <= share <= MAX_SHARE):
        limit = MAX_SHARE if share > MAX_SHARE else MIN_SHARE
        raise InvalidQuery("share is a percentage of callers, 1 to 100.", field="share", limit=limit)
    return float(share)
