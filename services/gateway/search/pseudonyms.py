"""What is kept instead of a `user_id`: the same for the same user of a tenant, and no way back without the catalog."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, TypeAlias

from omma.identity import Tenant

KeptName: TypeAlias = Callable[[Tenant, str], str]
"""What interactions call this user of the tenant; "" for nobody."""

OF_USERS: Final = "user ids"
"""The catalog's secret by this name."""
_BYTES: Final = 16


def pseudonyms(secret: bytes) -> KeptName:
    """HMAC-SHA256 of tenant and user, half of it in hex."""

    def kept_name(tenant: Tenant, user_id: str) -> str:
        if not user_id:
            return ""
        said = f"{tenant}\0{user_id}".encode(errors="surrogatepass")
        return hmac.digest(secret, said, hashlib.sha256)[:_BYTES].hex()

    return kept_name


def as_given(tenant: Tenant, user_id: str) -> str:
    """The `user_id` itself."""
    return user_id
