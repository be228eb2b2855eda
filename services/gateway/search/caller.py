"""Who a search is for, as a rollout sees it: one person stays on one side, and one backend's key is not one person."""

import hashlib
from typing import Final

from services.gateway.search.query import (
    SearchQuery,
    Sought,
    SoughtPicture,
    SoughtStored,
    SoughtUrl,
    SoughtVector,
    SoughtWords,
)

_LOOKED_AT_BYTES: Final = 1 << 16
"""Of a picture: enough to tell pictures apart, and nothing to wait for."""


def caller_of(query: SearchQuery) -> str:
    """The user, else the session, else what is sought: a name for hashing, never shown. Pure."""
    if query.user_id:
        return f"user {query.user_id}"
    if query.session:
        return f"session {query.session}"
    digest = hashlib.blake2b(digest_size=16)
    for one in query.sought:
        digest.update(_content(one))
    return f"query {digest.hexdigest()}"


def kept_caller(query: SearchQuery) -> str:
    """As caller_of, to be kept: a user by name, as impressions have it, a session by its hash. Pure."""
    caller = caller_of(query)
    if query.user_id or not query.session:
        return caller
    return f"session {hashlib.blake2b(caller.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"


def _content(one: Sought) -> bytes:
    match one:
        case SoughtPicture():
            return one.content[:_LOOKED_AT_BYTES]
        case SoughtStored():
            return f"id {one.image_id}".encode()
        case SoughtUrl():
            return f"url {one.url}".encode()
        case SoughtWords():
            return f"text {one.text}".encode()
        case SoughtVector():
            return one.values.tobytes()
