"""Uploads that wait in the blobs until somebody ingests them: where they lie, and how a list names them."""

import hashlib
import re
import secrets
from typing import Final

from omma.errors import InvalidQuery
from omma.identity import Tenant

UPLOADS: Final = "uploads/"
"""What the keys of blobs of uploads begin with."""
SCHEME: Final = "upload"
_NAME: Final = re.compile(r"[0-9]{10}-[0-9a-f]{32}")


def new_upload(expires_at_seconds: int) -> str:
    """A name that nobody guesses, in the order of time. expires_at_seconds: since 1970, when its address ends."""
    return f"{expires_at_seconds:010}-{secrets.token_hex(16)}"


def expiry_of(name: str) -> int:
    """Seconds since 1970. Raises InvalidQuery, field `upload`, for what is no name of an upload."""
    if not _NAME.fullmatch(name):
        raise InvalidQuery(f"{name[:80]!r} is no upload.", field="upload")
    return int(name.partition("-")[0])


def upload_key(tenant: Tenant, name: str) -> str:
    """Of its blob. Another tenant's upload has another key, whoever learns its name. Raises as expiry_of."""
    expiry_of(name)
    return f"{UPLOADS}{hashlib.sha256(tenant.encode()).hexdigest()[:16]}/{name}"


def upload_place(name: str) -> str:
    """As a list names it. Raises as expiry_of."""
    expiry_of(name)
    return f"{SCHEME}:{name}"


def upload_of(place: str) -> str:
    """The name in a place. Raises as expiry_of."""
    name = place.removeprefix(f"{SCHEME}:")
    expiry_of(name)
    return name
