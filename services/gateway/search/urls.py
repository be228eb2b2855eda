"""Pictures on the public web: fetched within bounds, and never from this machine's own networks."""

import asyncio
import ipaddress
import re
from typing import Final
from urllib.parse import urljoin

import httpx

from omma.errors import InvalidPicture, InvalidQuery, NotAllowed, OutOfTime, TooLarge
from omma.rpc.deadline import Deadline
from services.gateway.search.addresses import is_public
from services.gateway.search.names import Names, Resolve

_MAX_REDIRECTS: Final = 5
_MAX_URL_CHARACTERS: Final = 2_048
_PORTS: Final = {"http": 80, "https": 443}
_FIRST_FREE_PORT: Final = 1_024
_MAX_PORT: Final = 65_535
_MAX_NAME_CHARACTERS: Final = 253
_NAME: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?")
_ENDS_IN_A_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\.?$")
"""After the last dot: https://url.spec.whatwg.org/#ends-in-a-number-checker"""


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
        self._names = Names()
        self._resolve = resolve or self._names
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

        Raises InvalidQuery, NotAllowed, TooLarge, InvalidPicture, OutOfTime, Overloaded, each with field `image_url`.
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
            raise InvalidPicture(f"The host of image_url {_failure(error)}.", field="image_url") from error
        raise InvalidQuery(f"image_url redirects more than {_MAX_REDIRECTS} times.", field="image_url")

    async def close(self) -> None:
        await self._client.aclose()
        self._names.close()

    async def _get(self, url: str) -> bytes | str:
        """The body, or where the answer redirects to."""
        target = _parsed(url)
        port = target.port or _PORTS[target.scheme]
        host = target.raw_host.decode("ascii")  # as DNS and TLS have it: not the Unicode of an international name
        address = await self._public_address(host, port)
        if port < _FIRST_FREE_PORT and port not in _PORTS.values():
            raise InvalidQuery(f"Port {port} of image_url is another service's than the web's.", field="image_url")
        vetted = target.copy_with(host=address)
        headers = {
            "host": target.netloc.decode(),
            "user-agent": "omma",
            "accept": "image/*",
            "accept-encoding": "identity",
        }
        extensions = {"sni_hostname": host.removesuffix(".")}
        async with self._client.stream("GET", vetted, headers=headers, extensions=extensions) as response:
            if response.has_redirect_location:
                return _joined(url, response.headers["location"])
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
            addresses = ()
        if not addresses:
            raise InvalidQuery(f"The host {host[:80]!r} of image_url is unknown.", field="image_url")
        # One address that is not public is reason enough: the next answer may hold only that one.
        for address in addresses:
            if not is_public(address):
                raise NotAllowed("image_url leads to an address that is not public.", field="image_url")
        return addresses[0]


def _parsed(url: str) -> httpx.URL:
    try:
        target = httpx.URL(url) if len(url) <= _MAX_URL_CHARACTERS else None
    except (httpx.InvalidURL, ValueError):
        target = None
    if target is None or target.scheme not in _PORTS or target.userinfo:
        raise InvalidQuery("image_url must be a plain http or https URL, without a user.", field="image_url")
    if not _is_host(target.raw_host.decode("ascii")):
        raise InvalidQuery("image_url has no host that could be looked up.", field="image_url")
    if target.port is not None and not 0 < target.port <= _MAX_PORT:
        raise InvalidQuery("image_url has a port that there is not.", field="image_url")
    return target


def _is_host(host: str) -> bool:
    """A name in DNS's own letters, or an address in its one usual spelling: 0177.1 and 2130706433 are neither."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        fits = len(host.removesuffix(".")) <= _MAX_NAME_CHARACTERS and _NAME.fullmatch(host) is not None
        return fits and _ENDS_IN_A_NUMBER.match(host.removesuffix(".").rpartition(".")[2]) is None
    return "%" not in host


def _failure(error: httpx.HTTPError) -> str:
    match error:
        case httpx.ConnectError():
            return "cannot be connected to"
        case httpx.TimeoutException():
            return "did not answer in time"
        case _:
            return "does not answer as a web server does"


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise InvalidQuery("image_url redirects to what is no URL.", field="image_url") from None
