"""Where a command works: OMMA_URL, else the server of the data folder, else the folder itself, opened here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from omma.client.arguments import as_header
from omma.client.reach import straight_async
from omma.errors import ERROR_OF_KIND, Absent, Bug, InvalidQuery, Kind, OmmaError, ReplicaDown, WrongState
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
        """The answer's JSON, None for an empty one. Raises the OmmaError that was answered, ReplicaDown for none,
        InvalidQuery for what no request can carry.
        """
        content = await self.content(method, path, **options)
        return httpx.Response(200, content=content).json() if content else None

    async def content(self, method: str, path: str, **options: Any) -> bytes:
        """The answer's bytes; raises as `call` does."""
        try:
            response = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ReplicaDown(f"{self.where} does not answer: {error or type(error).__name__}.") from None
        except UnicodeEncodeError as error:  # of an argument, whose other bytes Python keeps as halves of characters
            raise InvalidQuery(f"{error.object[:80]!a} holds what is not UTF-8.") from None
        except httpx.InvalidURL as error:
            raise InvalidQuery(f"This cannot be asked: {error}.") from None
        if response.is_redirect:  # of a word that ends with a slash
            raise Absent(f"There is nothing at {response.request.url.path}.")
        if response.is_error:
            raise _error_of(response)
        return response.content


@asynccontextmanager
async def connected(settings: StandaloneSettings, *, make: bool = False) -> AsyncIterator[Connection]:
    """make: a folder that holds nothing yet is made.

    Raises ReplicaDown; WrongState when what answers at OMMA_URL is no Omma, or when the settings name the storage of a
    cluster and not its gateway; Absent when there is nothing in the folder; InvalidQuery for an unfit OMMA_URL or
    OMMA_API_KEY.
    """
    data = DataDir(settings.data_dir)
    if url := settings.url:
        async with _remote(url, settings.api_key, _way_to(url)) as connection:
            yield connection
    elif address := data.served_at():
        # It was told by a process of this machine, whatever the address that it listens at.
        async with _remote(address.url, settings.api_key or address.token, httpx.AsyncHTTPTransport()) as connection:
            yield connection
    elif settings.kafka is not None or settings.postgres is not None:
        raise WrongState(
            "OMMA_KAFKA__… or OMMA_POSTGRES__… name the storage of a cluster, which its own services work on. Say "
            "where its gateway is, as OMMA_URL=http://host:8080; commands ask that.",
            field="OMMA_URL",
        )
    elif make or data.is_made:
        async with _opened_here(settings) as connection:
            yield connection
    else:
        raise Absent(
            f"There is nothing in {data.path.absolute()} yet. `omma ingest DIR` or `omma up` makes it; OMMA_DATA_DIR "
            "names another folder, OMMA_URL a server.",
            field="OMMA_DATA_DIR",
        )


async def call_once(method: str, path: str, *, make: bool = False, **options: Any) -> Any:
    """One call where this environment's settings say; for a command that makes no other. Raises as `connected`."""
    async with connected(StandaloneSettings(), make=make) as connection:
        return await connection.call(method, path, **options)


@asynccontextmanager
async def _remote(url: str, api_key: str, way: httpx.AsyncHTTPTransport | None) -> AsyncIterator[Connection]:
    headers = {"Authorization": f"Bearer {as_header('OMMA_API_KEY', api_key)}"} if api_key else {}
    try:
        opened = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, headers=headers, transport=way)
    except (ImportError, ValueError) as error:
        raise InvalidQuery(f"The proxy that the environment names for {url} cannot be used: {error}") from None
    async with opened as client:
        await _require_omma(client, url)
        yield Connection(client, url)


def _way_to(url: str) -> httpx.AsyncHTTPTransport | None:
    try:
        return straight_async(url)
    except httpx.InvalidURL as error:
        raise InvalidQuery(f"{url!a} is no address of a server: {error}", field="OMMA_URL") from None


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
