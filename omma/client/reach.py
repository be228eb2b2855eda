"""Which way to a server: a proxy of the environment (HTTP_PROXY, ALL_PROXY …) is for other machines, never for this."""

import ipaddress
from contextlib import suppress
from typing import Final

import httpx

_HERE: Final = ("localhost", ".localhost")


def is_this_machine(url: str | httpx.URL) -> bool:
    """Its host is a loopback address, or the one that stands for all of this machine's. Asks no resolver.

    Raises httpx.InvalidURL.
    """
    host = httpx.URL(url).host.lower().rstrip(".")
    if host == _HERE[0] or host.endswith(_HERE[1]):
        return True
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_unspecified
    return False


def straight(url: str) -> httpx.HTTPTransport | None:
    """For a client of this url: a transport that asks no proxy, None where the environment's is right."""
    return httpx.HTTPTransport() if is_this_machine(url) else None


def straight_async(url: str) -> httpx.AsyncHTTPTransport | None:
    """As `straight`, for an asynchronous client."""
    return httpx.AsyncHTTPTransport() if is_this_machine(url) else None
