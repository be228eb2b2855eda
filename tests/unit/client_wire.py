"""A server for the SDK's tests: answers as told, and what it was asked."""

from email.message import Message
from email.parser import BytesParser
from typing import Any

import httpx

from omma.client import Client

ANSWER = {
    "results": [
        {
            "id": 7,
            "score": 0.5,
            "uri": "omma:ab",
            "thumbnail_url": "/images/7/thumbnail",
            "bbox": [1, 2, 3, 4],
            "phash_distance": 3,
            "duplicates": [{"id": 9}, {"id": 8}],
            "attributes": {"price": 3},
            "tags": ["a"],
            "width": 10,
            "height": 20,
            "invented_later": 1,
        },
        {"id": 5, "score": 0.25, "uri": "file:///x", "thumbnail_url": "/images/5/thumbnail"},
    ],
    "latency_ms": 12.5,
    "query_id": "q",
    "space": "s",
    "index": "s.1",
    "coverage": {"fraction": 0.5, "shards_answered": 1, "shards_total": 2},
    "degraded": ["shard_missing"],
    "next_cursor": "c",
}
ROW = {
    "id": 7,
    "key": "mine",
    "sha256": "ab",
    "uri": "omma:ab",
    "version": 2,
    "receipt": "7@2",
    "state": "indexed",
    "created_at": "2026-11-21T10:00:00.000+00:00",
    "width": 10,
    "height": 20,
    "tags": ["a"],
}


class Wire:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, answer: httpx.Response | Exception | None = None) -> None:
        self.answer = answer or httpx.Response(200, json=ANSWER)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def client(self, **options: Any) -> Client:
        return Client("http://omma.test", transport=httpx.MockTransport(self), **options)

    @property
    def request(self) -> httpx.Request:
        return self.requests[-1]

    def parts(self) -> dict[str, list[Message]]:
        """The multipart body by name."""
        head = f"Content-Type: {self.request.headers['content-type']}\r\n\r\n".encode()
        parts: dict[str, list[Message]] = {}
        for part in BytesParser().parsebytes(head + self.request.content).get_payload():
            assert isinstance(part, Message)
            parts.setdefault(str(part.get_param("name", header="content-disposition")), []).append(part)
        return parts

    def form(self) -> dict[str, list[bytes]]:
        return {
            name: [bytes(part.get_payload(decode=True) or b"") for part in parts]
            for name, parts in self.parts().items()
        }
