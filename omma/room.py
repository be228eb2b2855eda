"""Whether a picture fits its tenant's quota, asked before its bytes are kept; the catalog has the last word."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from omma.catalog.picture import Change, PictureBook, PictureState
from omma.catalog.quota import QuotaBook
from omma.errors import QuotaExceeded
from omma.identity import Tenant

OVER_QUOTA: Final = Change.OVER_QUOTA.value
NO_ROOM: Final = "the tenant keeps as much as it may"


class Books(QuotaBook, PictureBook, Protocol):
    """The catalog's calls that it takes."""


async def refusal(
    books: Books, tenant: Tenant, size: int, key: Callable[[], Awaitable[str]] | None = None
) -> QuotaExceeded | None:
    """Why a picture of so many bytes does not fit; None when it does. key: of the row that it would change, asked only
    when there is no room for another one; None: it is a new one. Raises as the catalog.
    """
    quota = await books.quota(tenant)
    if quota is None or quota.room().takes(1, size):
        return None
    place = "" if key is None else await key()
    for there in await books.find_pictures(tenant, place) if place else ():
        lives = there.key == place and there.state is not PictureState.DELETED
        if lives and quota.room().takes(0, size - there.bytes):
            return None
    return quota.room().refusal()
