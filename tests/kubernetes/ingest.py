"""Photographs on their way into a release: over its API, and into the bucket whose notifications it reads."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from omma.blobs.object_uri import object_uri
from tests.kubernetes.cluster import until

Stored = list[tuple[Path, str]]
"""(file, id) of what is acknowledged."""

_AT_ONCE = 4


def upload(client: httpx.Client, pictures: Sequence[Path]) -> Stored:
    """Over REST."""

    def sent(picture: Path) -> tuple[Path, str]:
        answer = client.post("/images", files={"image": picture.read_bytes()})
        assert answer.status_code in (200, 201), answer.text
        return picture, str(answer.json()["id"])

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(sent, pictures))


def put(s3: Any, bucket: str, client: httpx.Client, pictures: Sequence[Path]) -> Stored:
    """By S3's PUT, as somebody does who has never heard of Omma. Waits until each is a row. s3: boto3's client."""

    def sent(picture: Path) -> tuple[Path, str]:
        key = f"{picture.parent.name}/{picture.name}"
        s3.put_object(Bucket=bucket, Key=key, Body=picture.read_bytes())
        return picture, object_uri(bucket, key)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        uris = list(pool.map(sent, pictures))

    def ids() -> dict[str, str] | None:
        rows = {one["uri"]: str(one["id"]) for one in _rows(client)}
        return rows if all(uri in rows for _, uri in uris) else None

    known = until("a row of each object", ids)
    return [(picture, known[uri]) for picture, uri in uris]


def _rows(client: httpx.Client) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next_cursor": ""}
    while "next_cursor" in page:
        asked = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
        page = client.get("/images", params=asked).raise_for_status().json()
        rows += page["images"]
    return rows
