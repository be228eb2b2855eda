"""Where an issuer's keys are read: a file, an address, or what the issuer's own document says."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx

from omma.errors import Corrupt, ReplicaDown
from services.gateway.callers.tokens.settings import JwtSettings, web_address

_SECONDS: Final = 5.0
_MAX_BYTES: Final = 256 * 1024
_OK: Final = 200
_DISCOVERY: Final = "/.well-known/openid-configuration"


async def read_published(settings: JwtSettings) -> list[Any]:
    """The issuer's JSON Web Keys, unchecked. Follows no redirect; five seconds and 256 KiB are all it gives.

    Raises ReplicaDown, Corrupt.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            place = settings.jwks or await _discovered(settings)
            document = await _read(place)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
        raise ReplicaDown("The issuer's keys cannot be read.") from error
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise Corrupt("What the issuer publishes is no set of keys.")
    return keys


async def _discovered(settings: JwtSettings) -> str:
    document = await _read(settings.issuer.rstrip("/") + _DISCOVERY)
    if document.get("issuer") != settings.issuer:
        raise Corrupt("The issuer's document is of another issuer.")
    place = document.get("jwks_uri")
    try:
        return web_address(place if isinstance(place, str) else "", "a place of keys")
    except ValueError as error:
        raise Corrupt("The issuer's document names no place of keys that is asked.") from error


async def _read(place: str) -> dict[str, Any]:
    if place.startswith("http"):
        content = await _fetched(place)
    else:
        content = await asyncio.to_thread(_of_file, Path(unquote(urlsplit(place).path)))
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"What {place} says is no JSON.") from error
    if not isinstance(document, dict):
        raise Corrupt(f"What {place} says is no JSON object.")
    return document


async def _fetched(url: str) -> bytes:
    # The environment's proxies and certificates count, as for any client of the operator's; not towards this machine.
    loopback = urlsplit(url).scheme == "http"
    async with (
        httpx.AsyncClient(trust_env=not loopback, timeout=_SECONDS) as client,
        client.stream("GET", url) as answer,
    ):
        if answer.status_code != _OK:
            raise ReplicaDown(f"{url} answers {answer.status_code}.")
        content = bytearray()
        async for piece in answer.aiter_bytes():
            content += piece
            _bounded(len(content))
    return bytes(content)


def _of_file(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    _bounded(len(content))
    return content


def _bounded(size: int) -> None:
    if size > _MAX_BYTES:
        raise Corrupt(f"The issuer's keys are more than {_MAX_BYTES} bytes.")
