"""Uploads at an address of their own: the storage's where it gives such addresses, else Omma's."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from omma.blobs.interface import Blobs
from omma.errors import Absent, InvalidQuery, TooLarge
from omma.identity import DEFAULT_TENANT, Tenant
from omma.room import Books, refusal
from omma.uploads import expiry_of, new_upload, upload_key

_SECONDS: Final = 900
_MEDIA_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Presigned:
    """url: for a PUT of exactly these headers; one that begins with / is Omma's own."""

    upload: str
    url: str
    headers: dict[str, str]
    seconds: int


class Uploads:
    """Of this process: addresses of Omma's own end with it. The blobs keep what came."""

    def __init__(self, catalog: Books, blobs: Blobs, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        """max_bytes: of an upload. clock: seconds since 1970."""
        self._catalog = catalog
        self._blobs = blobs
        self._max_bytes = max_bytes
        self._clock = clock
        self._origin: str | None = None
        self._secret = secrets.token_bytes(32)

    async def origin(self) -> str:
        """Where browsers put uploads, `https://host[:port]`; "" where they come to Omma itself. Asks nobody."""
        if self._origin is None:
            key = upload_key(DEFAULT_TENANT, new_upload(0))
            put = await self._blobs.presigned_put(key, bytes=1, content_type=_MEDIA_TYPE)
            place = urlsplit("" if put is None else put.url)
            self._origin = f"{place.scheme}://{place.netloc}" if place.netloc else ""
        return self._origin

    async def presign(self, tenant: Tenant, size: int, media_type: str = "") -> Presigned:
        """size: bytes, exactly. Raises InvalidQuery, TooLarge, field `bytes`; QuotaExceeded."""
        if size < 1:
            raise InvalidQuery("An upload has at least one byte.", field="bytes", limit=1)
        if size > self._max_bytes:
            limit = self._max_bytes
            raise TooLarge(f"A picture has at most {limit:,} bytes.", field="bytes", limit=limit)
        refused = await refusal(self._catalog, tenant, size)
        if refused is not None:
            raise refused
        media_type = media_type or _MEDIA_TYPE
        name = new_upload(int(self._clock()) + _SECONDS)
        put = await self._blobs.presigned_put(upload_key(tenant, name), bytes=size, content_type=media_type)
        if put is not None:
            return Presigned(name, put.url, dict(put.headers), put.seconds)
        asked = {"tenant": tenant, "bytes": size, "signature": self._signature(tenant, name, size)}
        headers = {"Content-Length": str(size), "Content-Type": media_type}
        return Presigned(name, f"/uploads/{name}?{urlencode(asked)}", headers, _SECONDS)

    def allowed(self, tenant: Tenant, name: str, size: int, signature: str) -> None:
        """The address is one that was given, and has not ended. Raises Absent: nothing else is said of it."""
        expected = self._signature(tenant, name, size)
        try:
            over = self._clock() > expiry_of(name)
        except InvalidQuery:
            over = True
        if over or not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise Absent("There is no such address for an upload, or its time is over; ask for another.", field="name")

    async def put(self, tenant: Tenant, name: str, content: bytes, size: int) -> None:
        """Durable when it returns. Raises InvalidQuery when it has another size, StorageFull."""
        if len(content) != size:
            raise InvalidQuery(f"The upload has {len(content):,} bytes and was to have {size:,}.", field="bytes")
        await self._blobs.put(upload_key(tenant, name), content)

    def _signature(self, tenant: Tenant, name: str, size: int) -> str:
        told = f"{len(tenant)} {tenant} {name} {size}".encode()
        return hmac.new(self._secret, told, hashlib.sha256).hexdigest()
