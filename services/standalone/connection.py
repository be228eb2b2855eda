"""Where a command works: OMMA_URL, else the server of the data folder, else the folder itself, opened here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from omma.errors import ERROR_OF_KIND, Bug, Kind, OmmaError, ReplicaDown, WrongState
from services.gateway.auth import is_loopback
from services.standalone.data_dir import DataDir
from services.standalone.settings import StandaloneSettings

_TIMEOUT_SECONDS: Final = 60.0


class Connection:
    """Calls of the REST face, over the network or in this process; a problem document becomes its OmmaError."""

    def __init__(self, client: httpx.AsyncClient, where: str) -> None:
        """where: for people."""
        self._client = client
        self.where = where

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """The answer's JSON, None for an empty one. Raises the OmmaError that was answered, ReplicaDown for none."""
        content = await self.content(method, path, **options)
        return httpx.Response(200, content=content).json() if content else None

    async def content(self, method: str, path: str, **options: Any) -> bytes:
        """The answer's bytes; raises as `call` does."""
        try:
            response = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ReplicaDown(f"{self.where} does not answer: {error or type(error).__name__}.") from None
        if response.is_error:
            raise _error_of(response)
        return response.content


@asynccontextmanager
async def connected(settings: StandaloneSettings) -> AsyncIterator[Connection]:
    """Raises ReplicaDown, or WrongState when what answers at OMMA_URL is no Omma."""
    if url := settings.url:
        async with _remote(url, settings.api_key, proxied=not is_loopback(httpx.URL(url).host)) as connection:
            yield connection
    elif address := DataDir(settings.data_dir).served_at():
        async with _remote(address.url, settings.api_key or address.token, proxied=False) as connection:
            yield connection
    else:
        async with _opened_here(settings) as connection:
            yield connection


async def call_once(method: str, path: str, **options: Any) -> Any:
    """One call where this environment's settings say; for a command that makes no other. Raises as `connected`."""
    async with connected(StandaloneSettings()) as connection:
        return await connection.call(method, path, **options)


@asynccontextmanager
async def _remote(url: str, api_key: str, *, proxied: bool) -> AsyncIterator[Connection]:
    """proxied: the environment's proxy is asked; none of them reaches this machine's own server."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, headers=headers, trust_env=proxied) as client:
        await _require_omma(client, url)
        yield Connection(client, url)


@asynccontextmanager
async def _opened_here(settings: StandaloneSettings) -> AsyncIterator[Connection]:
    from services.standalone.app import opened

    async with opened(settings, trusted=True) as omma:
        await omma.services.until_ready()
        transport = httpx.ASGITransport(omma.rest)
        async with httpx.AsyncClient(transport=transport, base_url="http://omma", timeout=None) as client:  # noqa: S113
            yield Connection(client, str(settings.data_dir))


async def _require_omma(client: httpx.AsyncClient, url: str) -> None:
    try:
        health = (await client.get("/health")).json()
    except httpx.HTTPError as error:
        raise ReplicaDown(f"{url} does not answer: {error or type(error).__name__}.", field="OMMA_URL") from None
    except ValueError:
        health = None
    if not (isinstance(health, dict) and "ok" in health and "version" in health):
        raise WrongState(f"What answers at {url} is no Omma.", field="OMMA_URL")


def _error_of(response: httpx.Response) -> OmmaError:
    try:
        problem = response.json()
        error = ERROR_OF_KIND[Kind(problem["kind"])]
        return error(problem["detail"], field=problem.get("field"), limit=problem.get("limit"))
    except (ValueError, KeyError, TypeError):
        return Bug(f"{response.request.url} answered {response.status_code}, not as Omma does.")
