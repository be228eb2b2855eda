"""image_url: fetched by omma.fetching, its faults told as those of the query."""

from collections.abc import Sequence
from typing import Final

import httpx

from omma.errors import InvalidPicture, InvalidQuery, NotAllowed, OmmaError, OutOfTime, Overloaded, TooLarge
from omma.fetching import Fetcher, Unfetched, Why
from omma.fetching.addresses import Network
from omma.fetching.names import Resolve
from omma.rpc.deadline import Deadline

_FIELD: Final = "image_url"
_ERRORS: Final[dict[Why, type[OmmaError]]] = {
    Why.UNFIT_ADDRESS: InvalidQuery,
    Why.UNKNOWN_HOST: InvalidQuery,
    Why.REDIRECTS: InvalidQuery,
    Why.PRIVATE_ADDRESS: NotAllowed,
    Why.TOO_LARGE: TooLarge,
    Why.TOO_SLOW: OutOfTime,
}
"""Everything else is InvalidPicture."""


class PictureFetcher:
    """Fetches the picture of a query."""

    def __init__(
        self,
        *,
        max_bytes: int,
        timeout_seconds: float,
        networks: Sequence[Network] = (),
        resolve: Resolve | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """networks, resolve, transport: as of omma.fetching.Fetcher; close the fetcher when done."""
        self._timeout_seconds = timeout_seconds
        self._fetcher = Fetcher(
            max_bytes=max_bytes, networks=networks, called=_FIELD, resolve=resolve, transport=transport
        )

    async def fetch(self, url: str, deadline: Deadline) -> bytes:
        """The bytes behind the URL.

        Raises InvalidQuery, NotAllowed, TooLarge, InvalidPicture, OutOfTime, Overloaded, each with field `image_url`.
        """
        try:
            return (await self._fetcher.fetch(url, min(self._timeout_seconds, deadline.require()))).content
        except Unfetched as error:
            told = _ERRORS.get(error.why, InvalidPicture)
            raise told(error.detail, field=_FIELD, limit=error.limit) from error.__cause__
        except Overloaded as error:
            raise Overloaded(
                error.detail, field=_FIELD, limit=error.limit, retry_after_seconds=error.retry_after_seconds
            ) from None

    async def close(self) -> None:
        await self._fetcher.close()
