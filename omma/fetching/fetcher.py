"""One GET after another, as far as redirects lead: each hop's host vetted, sizes and times bounded."""

import asyncio
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urljoin

import httpx

from omma.errors import UnsupportedMedia
from omma.fetching.addresses import Network, is_public, is_within
from omma.fetching.names import Names, Resolve

MAX_URL_CHARACTERS: Final = 2_048
_MAX_REDIRECTS: Final = 5
_SNIFFED_BYTES: Final = 256
"""Enough to tell a picture by: an AVIF says what it is in a list of brands."""
_PORTS: Final = {"http": 80, "https": 443}
_FIRST_FREE_PORT: Final = 1_024
_MAX_PORT: Final = 65_535
_MAX_NAME_CHARACTERS: Final = 253
_MAX_WAIT_SECONDS: Final = 3_600
_NAME: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?")
_ENDS_IN_A_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\.?$")
"""After the last dot: https://url.spec.whatwg.org/#ends-in-a-number-checker"""


class Why(StrEnum):
    """What kept a picture from being fetched."""

    UNFIT_ADDRESS = "unfit_address"
    UNKNOWN_HOST = "unknown_host"
    PRIVATE_ADDRESS = "private_address"
    REDIRECTS = "too_many_redirects"
    UNREACHABLE = "unreachable"
    BROKEN_ANSWER = "broken_answer"
    STATUS = "http_status"
    NO_PICTURE = "no_picture"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"


class Unfetched(Exception):
    """detail: a sentence that begins with what the address is called. status: that was answered; 0 for none.

    wait_seconds: as the host asked for. limit: bytes that were too few.
    """

    def __init__(
        self, why: Why, detail: str, *, status: int = 0, wait_seconds: float = 0.0, limit: int | None = None
    ) -> None:
        super().__init__(detail)
        self.why = why
        self.detail = detail
        self.status = status
        self.wait_seconds = wait_seconds
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Fetched:
    """media_type: as the host says, which may be anything; "" when it says nothing."""

    content: bytes
    media_type: str


class Fetcher:
    """Fetches over HTTP. Each hop's host is resolved once, its addresses are vetted, and the connection goes to one of
    them: a name that changes its mind between check and use gains nothing.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        networks: Sequence[Network] = (),
        called: str = "The address",
        judge: Callable[[bytes], object] | None = None,
        resolve: Resolve | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """networks: not public, and allowed all the same. called: the address, in what people are told.

        judge: told the first bytes; raises UnsupportedMedia for what is not to be fetched further. resolve: DNS unless
        given. transport: httpx's own unless given; close the fetcher when done.
        """
        self._max_bytes = max_bytes
        self._networks = networks
        self._called = called
        self._judge = judge
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

    async def fetch(self, url: str, seconds: float) -> Fetched:
        """What is behind the URL, redirects followed. seconds: for all of it. Raises Unfetched, Overloaded."""
        try:
            async with asyncio.timeout(seconds):
                for _ in range(_MAX_REDIRECTS + 1):
                    answer = await self._get(url)
                    if isinstance(answer, Fetched):
                        return answer
                    url = answer
        except TimeoutError:
            raise self._unfetched(Why.TOO_SLOW, "did not give its picture in time") from None
        except httpx.TimeoutException as error:
            raise self._unfetched(Why.TOO_SLOW, "is at a host that did not answer in time") from error
        except httpx.ConnectError as error:
            raise self._unfetched(Why.UNREACHABLE, "is at a host that cannot be connected to") from error
        except httpx.HTTPError as error:
            raise self._unfetched(
                Why.BROKEN_ANSWER, "is at a host that does not answer as a web server does"
            ) from error
        raise self._unfetched(Why.REDIRECTS, f"redirects more than {_MAX_REDIRECTS} times")

    async def close(self) -> None:
        await self._client.aclose()
        self._names.close()

    async def _get(self, url: str) -> Fetched | str:
        """What came, or where the answer redirects to."""
        target = self._parsed(url)
        port = target.port or _PORTS[target.scheme]
        host = host_of(target)
        address = await self._vetted_address(host, port)
        if port < _FIRST_FREE_PORT and port not in _PORTS.values():
            raise self._unfetched(Why.UNFIT_ADDRESS, f"has the port {port}, another service's than the web's")
        headers = {
            "host": target.netloc.decode(),
            "user-agent": "omma",
            "accept": "image/*",
            "accept-encoding": "identity",
        }
        extensions = {"sni_hostname": host.removesuffix(".")}
        at_address = target.copy_with(host=address)
        async with self._client.stream("GET", at_address, headers=headers, extensions=extensions) as response:
            if response.has_redirect_location:
                return self._joined(url, response.headers["location"])
            if response.status_code != httpx.codes.OK:
                raise self._unfetched(
                    Why.STATUS,
                    f"answered {response.status_code}",
                    status=response.status_code,
                    wait_seconds=_wait_seconds(response),
                )
            return Fetched(await self._content(response), response.headers.get("content-type", "")[:100])

    async def _content(self, response: httpx.Response) -> bytes:
        """As much as may be, stopped at the byte that is one too many, or that shows it to be no picture."""
        announced = response.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self._max_bytes:
            raise self._too_large()
        content = bytearray()
        judged = self._judge is None
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > self._max_bytes:
                raise self._too_large()
            if not judged and len(content) >= _SNIFFED_BYTES:
                self._require_picture(bytes(content[:_SNIFFED_BYTES]))
                judged = True
        if not judged:
            self._require_picture(bytes(content))
        return bytes(content)

    def _require_picture(self, first: bytes) -> None:
        try:
            if self._judge is not None:
                self._judge(first)
        except UnsupportedMedia as error:
            raise self._unfetched(Why.NO_PICTURE, "leads to what is no picture that Omma reads") from error

    async def _vetted_address(self, host: str, port: int) -> str:
        try:
            addresses = await self._resolve(host, port)
        except OSError:
            addresses = ()
        if not addresses:
            raise self._unfetched(Why.UNKNOWN_HOST, f"has an unknown host, {host[:80]!r}")
        # One address that may not be reached is reason enough: the next answer may hold only that one.
        for address in addresses:
            if not is_public(address) and not is_within(address, self._networks):
                raise self._unfetched(Why.PRIVATE_ADDRESS, "leads to an address that is not public")
        return addresses[0]

    def _parsed(self, url: str) -> httpx.URL:
        target = plain_url(url)
        if target is None:
            raise self._unfetched(Why.UNFIT_ADDRESS, "must be a plain http or https URL, without a user")
        if not _is_host(host_of(target)):
            raise self._unfetched(Why.UNFIT_ADDRESS, "has no host that could be looked up")
        if target.port is not None and not 0 < target.port <= _MAX_PORT:
            raise self._unfetched(Why.UNFIT_ADDRESS, "has a port that there is not")
        return target

    def _joined(self, url: str, location: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError:
            raise self._unfetched(Why.UNFIT_ADDRESS, "redirects to what is no URL") from None

    def _too_large(self) -> Unfetched:
        limit = self._max_bytes
        return self._unfetched(Why.TOO_LARGE, f"leads to a picture of more than {limit:,} bytes", limit=limit)

    def _unfetched(
        self, why: Why, predicate: str, *, status: int = 0, wait_seconds: float = 0.0, limit: int | None = None
    ) -> Unfetched:
        detail = f"{self._called} {predicate}."
        return Unfetched(why, detail, status=status, wait_seconds=wait_seconds, limit=limit)


def plain_url(url: str) -> httpx.URL | None:
    """The URL parsed; None for what is none of http or https, names a user, or is too long."""
    try:
        target = httpx.URL(url) if len(url) <= MAX_URL_CHARACTERS else None
    except (httpx.InvalidURL, ValueError):
        return None
    return target if target is not None and target.scheme in _PORTS and not target.userinfo else None


def host_of(target: httpx.URL) -> str:
    """As DNS and TLS have it: not the Unicode of an international name."""
    return target.raw_host.decode("ascii")


def _is_host(host: str) -> bool:
    """A name in DNS's own letters, or an address in its one usual spelling: 0177.1 and 2130706433 are neither."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        fits = len(host.removesuffix(".")) <= _MAX_NAME_CHARACTERS and _NAME.fullmatch(host) is not None
        return fits and _ENDS_IN_A_NUMBER.match(host.removesuffix(".").rpartition(".")[2]) is None
    return "%" not in host


def _wait_seconds(response: httpx.Response) -> float:
    """Retry-After in seconds; its other form, a date, says nothing to a machine whose clock is another."""
    asked = response.headers.get("retry-after", "").strip()
    return float(min(int(asked), _MAX_WAIT_SECONDS)) if asked.isdigit() and len(asked) < 10 else 0.0
