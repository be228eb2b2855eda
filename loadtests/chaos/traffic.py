"""Searches and writes that go on while faults come and go."""

import threading
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal, Self

import httpx

from loadtests.chaos.ledger import Ledger, Written
from tests.pictures import encoded, scene

Kind = Literal["vector", "picture"]
Ended = Literal["whole", "partial", "wrong", "failed"]

OWNER: Final = "reference"
"""Of the pictures that searches are about; nobody changes them."""
K: Final = 10
_PACE_SECONDS: Final = 0.01
_AFTER_FAILURE_SECONDS: Final = 0.2
_WRITE_PACE_SECONDS: Final = 0.1
_CALL_SECONDS: Final = 30.0
_DELETED_SHARE: Final = 5
"""One of so many uploads is deleted again."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A stored picture, its vector, and the exact answer to it among the reference pictures."""

    content: bytes
    vector: Sequence[float]
    space: str
    nearest: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """One that was made. whole: answered from every shard, as before. why: of one that was not."""

    kind: Kind
    ended: Ended
    seconds: float
    why: str = ""


def ask(client: httpx.Client, kind: Kind, one: Reference, **fields: Any) -> httpx.Response:
    """Exact, among the reference pictures."""
    common = {"k": K, "exact": "true", "near_duplicates": "keep", "filter": f'{{"owner": "{OWNER}"}}', **fields}
    if kind == "picture":
        return client.post("/search", files={"image": one.content}, data=common)
    body = {**common, "exact": True, "vector": list(one.vector), "space": one.space}
    return client.post("/search", json=body)


class Traffic:
    """Runs inside its `with` block, each client on a thread. What writers began they finish before it ends."""

    def __init__(
        self, url: str, references: Sequence[Reference], ledger: Ledger, *, searchers: int, writers: int, name: str
    ) -> None:
        """name: begins the keys of what is uploaded, and draws other pictures than another one's."""
        self._url = url
        self._references = references
        self._ledger = ledger
        self._name = name
        self._stopped = threading.Event()
        self._searches: list[Search] = []
        kinds: tuple[Kind, ...] = ("vector", "picture")
        self._threads = [self._thread(self._search, kinds[at % 2], at) for at in range(searchers)]
        self._threads += [self._thread(self._write, at) for at in range(writers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def taken(self) -> list[Search]:
        """Searches since this was last called."""
        taken, self._searches = self._searches, []
        return taken

    def _thread(self, work: Callable[..., None], *arguments: Any) -> threading.Thread:
        return threading.Thread(target=work, args=arguments, daemon=True)

    def _search(self, kind: Kind, at: int) -> None:
        with self._client() as client:
            while not self._stopped.is_set():
                at += 1
                search = _searched(client, kind, self._references[at % len(self._references)])
                self._searches.append(search)
                self._stopped.wait(_AFTER_FAILURE_SECONDS if search.ended == "failed" else _PACE_SECONDS)

    def _write(self, writer: int) -> None:
        with ExitStack() as stack:
            client = stack.enter_context(self._client())
            number = 0
            while not self._stopped.is_set():
                number += 1
                key = f"{self._name}/{writer}/{number}"
                content = encoded(scene(160, 120, zlib.crc32(key.encode())))
                described = {"external_id": key, "owner": "chaos"}
                upload = partial(client.post, "/images", files={"image": content}, data=described)
                sent = self._until_acknowledged(upload)
                written = Written(key, sent.json()["id"], content)
                self._ledger.write(written)
                if number % _DELETED_SHARE == 0:
                    self._until_acknowledged(partial(client.delete, f"/images/{written.image_id}"), gone=True)
                    self._ledger.write(Written(key, written.image_id, content, deleted=True))
                self._stopped.wait(_WRITE_PACE_SECONDS)

    def _until_acknowledged(self, attempt: Callable[[], httpx.Response], *, gone: bool = False) -> httpx.Response:
        """gone: 404 says so too, where an earlier attempt had done it and its answer was lost."""
        while True:
            try:
                answer = attempt()
                if answer.is_success or (gone and answer.status_code == 404):
                    return answer
            except httpx.HTTPError:
                pass
            self._ledger.refuse()
            time.sleep(_AFTER_FAILURE_SECONDS)

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, timeout=_CALL_SECONDS)


def _searched(client: httpx.Client, kind: Kind, one: Reference) -> Search:
    started = time.perf_counter()
    try:
        answer = ask(client, kind, one)
    except httpx.HTTPError as error:
        return Search(kind, "failed", time.perf_counter() - started, type(error).__name__)
    seconds = time.perf_counter() - started
    document = answer.json()
    if answer.status_code != 200:
        return Search(kind, "failed", seconds, f"{answer.status_code} {document.get('detail', '')}")
    if document["coverage"]["fraction"] < 1:
        return Search(kind, "partial", seconds)
    found = [hit["id"] for hit in document["results"]]
    if found != list(one.nearest):
        return Search(kind, "wrong", seconds, f"{found} for {list(one.nearest)}")
    return Search(kind, "whole", seconds)
