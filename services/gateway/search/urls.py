"""Pictures on the public web: fetched within bounds, and never from this machine's own networks."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urljoin

import httpx

from omma.errors import InvalidPicture, InvalidQuery, NotAllowed, OutOfTime, TooLarge
from omma.rpc.deadline import Deadline

_MAX_REDIRECTS: Final = 5
_MAX_URL_CHARACTERS: Final = 2_048
_PORTS: Final = {"http": 80, "https": 443}

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses, as text. Raises OSError."""


class PictureFetcher:
    """Fetches over HTTP. Each hop's host is resolved once, its addresses are vetted, and the connection goes to one of
    them: a name that changes its mind between check and use gains nothing.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        timeout_seconds: float,
        resolve: Resolve | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """resolve: DNS unless given. transport: httpx's own unless given; close the fetcher when done."""
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds
        self._resolve = resolve or _resolve
        # trust_env off: a proxy would connect where it likes, past every check here.
        # No connection is kept: the next host at the same address has another certificate.
        self._client = httpx.AsyncClient(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def fetch(self, url: str, deadline: Deadline) -> bytes:
        """The bytes behind the URL.

        Raises InvalidQuery, NotAllowed, TooLarge, InvalidPicture, OutOfTime, each with field `image_url`.
        """
        try:
            async with asyncio.timeout(min(self._timeout_seconds, deadline.require())):
                for _ in range(_MAX_REDIRECTS + 1):
                    answer = await self._get(url)
                    if isinstance(answer, bytes):
                        return answer
                    url = answer
        except TimeoutError:
            raise OutOfTime("The picture behind image_url did not come in time.", field="image_url") from None
        except httpx.HTTPError as error:
            raise InvalidPicture(
                f"The picture behind image_url could not be fetched: {type(error).__name__}.", field="image_url"
            ) from error
        raise InvalidQuery(f"image_url redirects more than {_MAX_REDIRECTS} times.", field="image_url")

    async def close(self) -> None:
        await self._client.aclose()

    async def _get(self, url: str) -> bytes | str:
        """The body, or where the answer redirects to."""
        target = _parsed(url)
        port = target.port or _PORTS[target.scheme]
        address = await self._public_address(target.host, port)
        vetted = target.copy_with(host=address)
        headers = {
            "host": target.netloc.decode(),
            "user-agent": "omma",
            "accept": "image/*",
            "accept-encoding": "identity",
        }
        extensions = {"sni_hostname": target.host}
        async with self._client.stream("GET", vetted, headers=headers, extensions=extensions) as response:
            if response.has_redirect_location:
                return urljoin(url, response.headers["location"])
            if response.status_code != httpx.codes.OK:
                raise InvalidPicture(f"image_url answered {response.status_code}.", field="image_url")
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > self._max_bytes:
                    limit = self._max_bytes
                    raise TooLarge(
                        f"The picture behind image_url has more than {limit:,} bytes.", field="image_url", limit=limit
                    )
            return bytes(content)

    async def _public_address(self, host: str, port: int) -> str:
        try:
            addresses = await self._resolve(host, port)
        except OSError:
            addresses = []
        if not addresses:
            raise InvalidQuery(f"The host {host[:80]!r} of image_url is unknown.", field="image_url")
        # One address that is not public is reason enough: the next answer may hold only that one.
        for address in addresses:
            if not _is_public(address):
                raise NotAllowed("image_url leads to an address that is not public.", field="image_url")
        return addresses[0]


def _parsed(url: str) -> httpx.URL:
    try:
        target = httpx.URL(url) if len(url) <= _MAX_URL_CHARACTERS else None
    except (httpx.InvalidURL, UnicodeError):
        target = None
    if target is None or target.scheme not in _PORTS or not target.host or target.userinfo:
        raise InvalidQuery("image_url must be a plain http or https URL, without a user.", field="image_url")
    return target


def _is_public(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    # Addresses that wrap an IPv4 one are as public as what they wrap.
    wrapped = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    teredo = getattr(parsed, "teredo", None)
    if wrapped is not None and not wrapped.is_global:
        return False
    return parsed.is_global and not parsed.is_multicast and teredo is None and not _is_nat64(parsed)


def _is_nat64(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.version == 6 and address in ipaddress.ip_network("64:ff9b::/96")


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]
