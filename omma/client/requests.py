"""Arguments to HTTP requests, and answers to errors: what both clients share. No network here."""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, TypedDict

import httpx

from omma.client.arguments import (
    as_header,
    as_json,
    as_list,
    as_numbers,
    as_object,
    as_rows,
    as_seconds,
    as_text,
    in_path,
)
from omma.errors import ERROR_OF_KIND, STATUS, Bug, InvalidQuery, Kind, OmmaError, OutOfTime, ReplicaDown
from omma.telemetry.context import request_id

DEFAULT_URL: Final = "http://127.0.0.1:8080"
CONNECT_TIMEOUT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 10.0
"""Beside what a call was told to wait for."""

_LONGEST_SECONDS: Final = 3_600.0
"""More than a server lets anything wait for."""

_KINDS: Final = frozenset(kind.value for kind in Kind)
_KIND_OF_HTTP: Final = {**{status.http: kind for kind, status in reversed(STATUS.items())}, 500: Kind.BUG}


class PillowImage(Protocol):
    """A PIL.Image.Image: the SDK itself does not need Pillow."""

    def save(self, fp: Any, format: str | None = None) -> None: ...


ImageSource: TypeAlias = str | os.PathLike[str] | bytes | PillowImage
"""A path, the bytes of a file, or a Pillow picture (sent as PNG)."""


class SearchOptions(TypedDict, total=False):
    """The fields of POST /search, beside the picture. Those left out take the server's defaults.

    bbox: x1, y1, x2, y2 in pixels of the upright picture; in 0 … 1 with bbox_unit="fraction".
    session: who asks, where there is no user_id: stays on one side of a rollout.
    vector: of `space`. filter: as CONTRACT's JSON, already parsed. timeout_ms: the search's own deadline.
    """

    text: str
    image_id: int
    image_url: str
    vector: Sequence[float]
    space: str
    image_weight: float
    image_id_weight: float
    image_url_weight: float
    text_weight: float
    vector_weight: float
    bbox: str | tuple[float, float, float, float]
    bbox_unit: Literal["pixel", "fraction"]
    k: int
    cursor: str
    filter: Mapping[str, Any]
    score_threshold: float | Literal["auto"]
    near_duplicates: Literal["collapse", "drop", "keep"]
    phash_gate: int
    use_crops: bool
    policy: str
    index: str
    effort: int
    exact: bool
    explain: bool
    timeout_ms: int
    min_coverage: float
    receipts: Sequence[str]
    user_id: str | int
    session: str


FeedbackAction: TypeAlias = Literal["relevant", "irrelevant", "duplicate", "different", "anomaly", "reviewed"]


@dataclass(frozen=True, slots=True)
class Request:
    """timeout_seconds: None is the client's own."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    image: bytes | None = None
    timeout_seconds: float | None = None
    session: str = ""

    def arguments(self, api_key: str | None, timeout_seconds: float) -> dict[str, Any]:
        """Keyword arguments of httpx's `request`. Raises InvalidQuery for what no request can carry."""
        headers = {"authorization": f"Bearer {as_header('api_key', api_key)}"} if api_key else {}
        if request_id():
            headers["x-request-id"] = request_id()
        if self.session:
            headers["omma-session"] = self.session
        timeout = httpx.Timeout(self.timeout_seconds or timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS)
        body: dict[str, Any] = {}
        if self.json is not None:
            headers["content-type"] = "application/json"
            body = {"content": as_object(self.json)}
        if self.image is not None:
            body = {"data": self.form, "files": {"image": ("image", self.image, "application/octet-stream")}}
        return {"method": self.method, "url": self.path, "headers": headers, "timeout": timeout, **body}


def search_request(image: bytes | None, options: SearchOptions, timeout_seconds: float) -> Request:
    """POST /search: multipart with a picture, JSON without. Waits as long as the search may take, and the network."""
    fields: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if isinstance(fields.get("bbox"), tuple | list):
        fields["bbox"] = ",".join(str(corner) for corner in fields["bbox"])
    for name, listed in (("vector", as_numbers), ("receipts", as_list), ("queries", as_list)):
        if name in fields:
            fields[name] = listed(name, fields[name])
    session = as_header("session", fields.pop("session", ""))
    wait = timeout_seconds
    if "timeout_ms" in fields:
        asked_seconds = as_seconds("timeout_ms", fields["timeout_ms"]) / 1000
        wait = max(wait, min(asked_seconds, _LONGEST_SECONDS) + CONNECT_TIMEOUT_SECONDS)
    if image is None:
        return Request("POST", "/search", json=fields, timeout_seconds=wait, session=session)
    return Request("POST", "/search", form=_form(fields), image=image, timeout_seconds=wait, session=session)


def upload_request(
    image: bytes,
    *,
    external_id: str | None,
    owner: str | None,
    tags: Sequence[str],
    source_url: str | None,
    attributes: Mapping[str, Any] | None,
    private: bool | None,
) -> Request:
    fields = {
        "external_id": external_id,
        "owner": owner,
        "tags": as_list("tags", tags) or None,
        "source_url": source_url,
        "attributes": attributes,
        "private": private,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return Request("POST", "/images", form=_form(given), image=image)


def ingest_request(
    urls: Sequence[str], pictures: Sequence[Mapping[str, Any]], *, refetch: bool, revive_deleted: bool
) -> Request:
    listed = {"urls": as_list("urls", urls), "pictures": as_list("pictures", pictures)}
    body = {**listed, "refetch": refetch, "revive_deleted": revive_deleted}
    return Request("POST", "/ingest", json=body)


def vectors_request(space: str, rows: Sequence[Mapping[str, Any]], *, revive_deleted: bool) -> Request:
    body = {"space": space, "vectors": as_rows("rows", rows), "revive_deleted": revive_deleted}
    return Request("POST", "/vectors", json=body)


def clusters_request(
    image_ids: Sequence[int],
    filter: Mapping[str, Any] | None,
    limit: int | None,
    threshold: float | None,
    wait_seconds: float,
) -> Request:
    fields = {
        "image_ids": as_list("image_ids", image_ids) or None,
        "filter": filter,
        "limit": limit,
        "threshold": threshold,
    }
    body = {name: value for name, value in fields.items() if value is not None}
    asked_seconds = min(as_seconds("wait_seconds", wait_seconds), _LONGEST_SECONDS)
    timeout_seconds = asked_seconds + CONNECT_TIMEOUT_SECONDS + _ANSWER_SECONDS
    path = page_request("/search/cluster", wait_seconds=wait_seconds).path
    return Request("POST", path, json=body, timeout_seconds=timeout_seconds)


def picture_path(image_id: int, part: str = "") -> str:
    return f"/images/{in_path(image_id, 'image_id')}{'/' if part else ''}{part}"


def page_request(path: str, **asked: Any) -> Request:
    """What is empty is not asked."""
    given = {name: as_text(name, value) for name, value in asked.items() if value != ""}
    return Request("GET", f"{path}?{httpx.QueryParams(given)}" if given else path)


def change_request(
    image_id: int,
    *,
    tags: Sequence[str] | None,
    owner: str | None,
    attributes: Mapping[str, Any] | None,
    private: bool | None,
) -> Request:
    """What is None stays as it is."""
    told = None if tags is None else as_list("tags", tags)
    fields = {"tags": told, "owner": owner, "attributes": attributes, "private": private}
    return Request(
        "PATCH",
        picture_path(image_id),
        json={name: one for name, one in fields.items() if one is not None},
    )


def copies_request(path: str, keep: int, ids: Sequence[int]) -> Request:
    return Request("POST", path, json={"keep": keep, "ids": as_list("ids", ids)})


def click_request(
    *, user_id: str | int, query_image_id: int, displayed_image_id: int, rank: int, query_id: str | None
) -> Request:
    body = {
        "user_id": user_id,
        "query_image_id": query_image_id,
        "displayed_image_id": displayed_image_id,
        "rank": rank,
        **({} if query_id is None else {"query_id": query_id}),
    }
    return Request("POST", "/click", json=body)


def feedback_request(
    image_id: int, action: str, *, note: str | None, query_id: str | None, query_image_id: int | None
) -> Request:
    optional = {"note": note, "query_id": query_id, "query_image_id": query_image_id}
    given = {name: value for name, value in optional.items() if value is not None}
    return Request("POST", "/feedback", json={"image_id": image_id, "action": action, **given})


def content_of(image: ImageSource) -> bytes:
    """The bytes to send. Reads a file: blocks. Raises OSError; InvalidQuery for no picture at all."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | os.PathLike):
        try:
            return Path(image).read_bytes()
        except ValueError as error:  # a name that no file system takes
            raise InvalidQuery(f"image is no file: {error}.", field="image") from None
    if not hasattr(image, "save"):
        raise InvalidQuery("image must be a path, the bytes of a file or a Pillow picture.", field="image")
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def require_success(response: httpx.Response) -> httpx.Response:
    """The response when it is one of success; else raises the omma.errors class that its problem document names.

    The request id, by which the server's log is searched, is a note on the error.
    """
    if response.is_success:
        return response
    problem = _problem(response)
    kind = problem.get("kind")
    retry_after = response.headers.get("retry-after", "")
    error = _class_of(kind, response.status_code)(
        str(problem.get("detail") or problem.get("title") or f"HTTP {response.status_code}"),
        field=problem.get("field"),
        limit=problem.get("limit"),
        retry_after_seconds=float(retry_after) if retry_after.isdigit() else None,
    )
    if problem.get("request_id"):
        error.add_note(f"request {problem['request_id']}")
    raise error


def unreachable(error: httpx.HTTPError | httpx.InvalidURL) -> OmmaError:
    """A network's failure as an error with a kind; an address's that is too long, for one, as the caller's."""
    if isinstance(error, httpx.InvalidURL):
        return InvalidQuery(f"This cannot be asked: {error}.")
    if isinstance(error, httpx.TimeoutException):
        return OutOfTime(f"Omma did not answer in time ({type(error).__name__}).")
    return ReplicaDown(f"Omma cannot be reached: {error}.")


def document_of(response: httpx.Response) -> Mapping[str, Any]:
    """The JSON object of an answer. Raises Bug when it is none: something else than Omma answers there."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Bug(f"What answers at {response.url} is not Omma.")
    return document


def _form(fields: Mapping[str, Any]) -> dict[str, str]:
    """Lists as JSON: what they hold may have a comma."""
    return {
        as_text(name, name): as_text(name, value) if isinstance(value, str) else as_json(name, value)
        for name, value in fields.items()
    }


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _class_of(kind: Any, http: int) -> type[OmmaError]:
    if isinstance(kind, str) and kind in _KINDS:
        return ERROR_OF_KIND[Kind(kind)]
    known = _KIND_OF_HTTP.get(http)  # a proxy's answer, not Omma's
    return Bug if known is None else ERROR_OF_KIND[known]
