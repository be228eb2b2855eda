"""Objects in buckets by their uri: `s3://bucket/key`, the key quoted as in any URL."""

from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from omma.errors import InvalidQuery

SCHEME: Final = "s3://"


class Place(NamedTuple):
    """key: of one object, or the beginning of the keys of several."""

    bucket: str
    key: str


def object_uri(bucket: str, key: str) -> str:
    return f"{SCHEME}{bucket}/{quote(key)}"


def place_of(uri: str) -> Place:
    """The object that an `s3://` uri names. Raises InvalidQuery, field `uri`."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or len(parts.path) < 2 or parts.query or parts.fragment:
        raise InvalidQuery(f"{uri[:200]!r} is no object in a bucket.", field="uri")
    return Place(parts.netloc, unquote(parts.path[1:]))


def bucket_place(source: str) -> Place:
    """What a person writes for a bucket or a part of it, nothing quoted: `s3://bucket/prefix`.

    Raises InvalidQuery, field `source`.
    """
    bucket, _, prefix = source.removeprefix(SCHEME).partition("/")
    if not source.startswith(SCHEME) or not bucket:
        raise InvalidQuery(f"{source[:200]!r} is no s3://bucket/prefix.", field="source")
    return Place(bucket, prefix)
