"""The SDK's asynchronous client."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, Unpack

import httpx

from omma.client import requests
from omma.client.arguments import in_path
from omma.client.reach import straight_async
from omma.client.requests import (
    DEFAULT_URL,
    FeedbackAction,
    ImageSource,
    Request,
    SearchOptions,
    content_of,
    document_of,
)
from omma.client.results import Picture, SearchResults, Uploaded


class AsyncClient:
    """One connection pool to one Omma; tasks of one loop may share it. Close it, or use it in an `async with` block.

    Every method raises omma.errors classes: what the server answered, by kind; ReplicaDown when it cannot be reached;
    OutOfTime; InvalidQuery, which names the argument, for what no request can carry. A picture's file that cannot be
    read is an OSError. Nothing is tried again.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """url: unless given, OMMA_URL, else the address that `omma up` serves. transport: in place of the network.

        Proxies of the environment are asked for other machines' servers only.
        """
        self._api_key = api_key
        self._timeout_seconds = timeout_seconds
        url = url or os.environ.get("OMMA_URL") or DEFAULT_URL
        self._http = httpx.AsyncClient(base_url=url, transport=transport or straight_async(url))

    async def search(self, image: ImageSource | None = None, **options: Unpack[SearchOptions]) -> SearchResults:
        """Pictures like a picture, a crop of it (bbox), a stored one (image_id), words (text), or a mix of them."""
        content = None if image is None else await asyncio.to_thread(content_of, image)
        request = requests.search_request(content, options, self._timeout_seconds)
        return SearchResults.from_json(document_of(await self._send(request)))

    async def upload(
        self,
        image: ImageSource,
        *,
        external_id: str | None = None,
        owner: str | None = None,
        tags: Sequence[str] = (),
        source_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        private: bool | None = None,
    ) -> Uploaded:
        """The picture and its row are durable when this returns; a search with the receipt sees it.

        private: only its owner, who is the key's own name, and administrators see it.
        """
        request = requests.upload_request(
            await asyncio.to_thread(content_of, image),
            external_id=external_id,
            owner=owner,
            tags=tags,
            source_url=source_url,
            attributes=attributes,
            private=private,
        )
        return Uploaded.from_json(document_of(await self._send(request)))

    async def get(self, image_id: int) -> Picture:
        """Raises Absent."""
        return Picture.from_json(document_of(await self._send(Request("GET", requests.picture_path(image_id)))))

    async def patch(
        self,
        image_id: int,
        *,
        tags: Sequence[str] | None = None,
        owner: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        private: bool | None = None,
    ) -> str:
        """Replace tags, owner, attributes or private; returns the receipt. Raises Absent."""
        request = requests.change_request(image_id, tags=tags, owner=owner, attributes=attributes, private=private)
        return (await self._send(request)).headers["omma-receipt"]

    async def delete(self, image_id: int) -> str:
        """Returns the receipt. Raises Absent."""
        return (await self._send(Request("DELETE", requests.picture_path(image_id)))).headers["omma-receipt"]

    async def restore(self, image_id: int) -> str:
        """Take a delete back, for a day unless the server has another grace; returns the receipt. Raises Absent."""
        return (await self._send(Request("POST", requests.picture_path(image_id, "restore")))).headers["omma-receipt"]

    async def ingest(
        self,
        urls: Sequence[str] = (),
        *,
        pictures: Sequence[Mapping[str, Any]] = (),
        refetch: bool = False,
        revive_deleted: bool = False,
    ) -> str:
        """Have pictures downloaded; returns the job's id at once.

        pictures: each with `url`, and what is known of it: external_id, owner, tags, source_url, attributes,
        captions, private.
        refetch: also what was downloaded before. revive_deleted: also what was deleted here comes back.
        """
        request = requests.ingest_request(urls, pictures, refetch=refetch, revive_deleted=revive_deleted)
        return str(document_of(await self._send(request))["job_id"])

    async def job(self, job_id: str) -> Mapping[str, Any]:
        """How far a job is: `state`, counts, `result`. Raises Absent."""
        return document_of(await self._send(Request("GET", f"/jobs/{in_path(job_id, 'job_id')}")))

    async def content(self, image_id: int) -> bytes:
        """The original file. Raises Absent."""
        return (await self._send(Request("GET", requests.picture_path(image_id, "content")))).content

    async def thumbnail(self, image_id: int) -> bytes:
        """WebP. Raises Absent."""
        return (await self._send(Request("GET", requests.picture_path(image_id, "thumbnail")))).content

    async def click(
        self,
        *,
        user_id: str | int,
        query_image_id: int,
        displayed_image_id: int,
        rank: int,
        query_id: str | None = None,
    ) -> None:
        """Say that a user chose a hit. query_image_id: 0 when the query was no stored picture."""
        await self._send(
            requests.click_request(
                user_id=user_id,
                query_image_id=query_image_id,
                displayed_image_id=displayed_image_id,
                rank=rank,
                query_id=query_id,
            )
        )

    async def feedback(
        self,
        image_id: int,
        action: FeedbackAction,
        *,
        note: str | None = None,
        query_id: str | None = None,
        query_image_id: int | None = None,
    ) -> None:
        """Say what you think of a picture, or of how it answers what was sought. Raises Absent."""
        await self._send(
            requests.feedback_request(image_id, action, note=note, query_id=query_id, query_image_id=query_image_id)
        )

    async def create_space(self, name: str, dim: int) -> Mapping[str, Any]:
        """A space for vectors of your own, with its index; again: the same. Needs role admin. Raises WrongSpace."""
        return document_of(await self._send(Request("POST", "/spaces", json={"name": name, "dim": dim})))

    async def add_vectors(self, space: str, rows: Sequence[Mapping[str, Any]], *, revive_deleted: bool = False) -> str:
        """Have vectors that you computed indexed, all or none; returns the job's id at once.

        rows: some thousand at a time, each with `id`, `vector`, and what is known of it: uri, owner, tags, source_url,
        attributes. The same id again replaces its vector. Raises InvalidQuery and WrongSpace, which name the row;
        Absent.
        """
        request = requests.vectors_request(space, rows, revive_deleted=revive_deleted)
        return str(document_of(await self._send(request))["job_id"])

    async def clusters(
        self,
        image_ids: Sequence[int] = (),
        *,
        filter: Mapping[str, Any] | None = None,
        limit: int | None = None,
        threshold: float | None = None,
        wait_seconds: float = 10.0,
    ) -> Mapping[str, Any]:
        """Pictures in groups that look alike: `clusters`, each with `ids`, `representative` and perhaps `label`; or,
        when they are not there in time, `job_id`, the job whose `result` they become.

        image_ids: these, or those of the filter, else the first `limit`; both: InvalidQuery, field `filter`.
        """
        request = requests.clusters_request(image_ids, filter, limit, threshold, wait_seconds)
        return document_of(await self._send(request))

    async def anomalies(
        self, by: Literal["distance", "density", "training"] = "distance", *, cursor: str = "", limit: int = 50
    ) -> Mapping[str, Any]:
        """What stands apart, the farthest first: `images` with `id`, `score`, `reasons`, and perhaps `next_cursor`."""
        request = requests.page_request("/qa/anomalies", by=by, cursor=cursor, limit=limit)
        return document_of(await self._send(request))

    async def duplicates(self, *, cursor: str = "") -> Mapping[str, Any]:
        """Copies: `groups` with `ids`, `keep`, `distances`; a page without any may have a `next_cursor`, too."""
        return document_of(await self._send(requests.page_request("/duplicates", cursor=cursor)))

    async def merge_duplicates(self, keep: int, ids: Sequence[int]) -> None:
        """These are copies of one picture, whatever the rule says. Raises Absent."""
        await self._send(requests.copies_request("/duplicates/merge", keep, ids))

    async def split_duplicates(self, keep: int, ids: Sequence[int]) -> None:
        """These are no copies of it, whatever the rule says. Raises Absent."""
        await self._send(requests.copies_request("/duplicates/split", keep, ids))

    async def health(self) -> Mapping[str, Any]:
        """`{"ok": true, …}`. Raises ReplicaDown while it cannot search."""
        return document_of(await self._send(Request("GET", "/health")))

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, request: Request) -> httpx.Response:
        try:
            response = await self._http.request(**request.arguments(self._api_key, self._timeout_seconds))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise requests.unreachable(error) from error
        return requests.require_success(response)
