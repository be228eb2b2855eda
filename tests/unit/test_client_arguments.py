"""What callers give the SDK: taken for what it is, or refused by name, in both clients, before anything is sent."""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any, get_type_hints

import httpx
import pytest

from omma.client import AsyncClient, Client
from omma.client.requests import SearchOptions
from omma.errors import InvalidQuery

NEEDED = {
    "image": b"a picture",
    "image_id": 1,
    "action": "relevant",
    "user_id": "ann",
    "query_image_id": 1,
    "displayed_image_id": 1,
    "rank": 0,
    "job_id": "6f0c",
    "name": "own",
    "dim": 2,
    "space": "own",
    "rows": (),
    "keep": 1,
    "ids": (2,),
}
METHODS = [
    name
    for name, method in inspect.getmembers(Client, inspect.isfunction)
    if not name.startswith("_") and name != "close"
]


def parameters(method: str) -> Iterator[tuple[str, str]]:
    """Names and annotations, those of a search's options and of what it passes on as well."""
    hints = get_type_hints(getattr(Client, method))
    for name in inspect.signature(getattr(Client, method)).parameters:
        if name == "options":
            yield from ((option, str(hint)) for option, hint in get_type_hints(SearchOptions).items())
            yield "queries", "Sequence[Any]"
        elif name != "self":
            yield name, str(hints[name])


class Both:
    """Each call by both clients; what they raise must be alike. sent: requests."""

    def __init__(self) -> None:
        self.sent: list[httpx.Request] = []

    def call(self, method: str, **given: Any) -> BaseException | None:
        needed = inspect.signature(getattr(Client, method)).parameters
        arguments = {
            **{name: NEEDED[name] for name, one in needed.items() if one.default is one.empty and name in NEEDED},
            **given,
        }
        raised = [
            self._raised(lambda: self._waiting(method, arguments)),
            self._raised(lambda: asyncio.run(self._async(method, arguments))),
        ]
        assert [type(one) for one in raised] == [type(raised[0])] * 2, (method, given, raised)
        return raised[0]

    def _raised(self, call: Any) -> BaseException | None:
        try:
            call()
        except Exception as error:  # noqa: BLE001  what it is, is what is asked
            return error
        return None

    def _answered(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        return httpx.Response(503, json={"kind": "replica_down", "detail": "not now"})

    def _waiting(self, method: str, arguments: dict[str, Any]) -> None:
        with Client("http://omma.test", transport=httpx.MockTransport(self._answered)) as client:
            getattr(client, method)(**arguments)

    async def _async(self, method: str, arguments: dict[str, Any]) -> None:
        async with AsyncClient("http://omma.test", transport=httpx.MockTransport(self._answered)) as client:
            await getattr(client, method)(**arguments)


@pytest.fixture
def both() -> Both:
    return Both()


LISTS = [
    (method, name) for method in METHODS for name, of in parameters(method) if "Sequence[" in of and name != "bbox"
]


@pytest.mark.parametrize(("method", "name"), LISTS)
def test_text_is_no_list_of_its_letters(both: Both, method: str, name: str) -> None:
    for given in ("blue", "http://a/", b"blue", {"blue": 1}, 5, ""):
        error = both.call(method, **{name: given})
        assert isinstance(error, InvalidQuery) and error.field == name, (given, error)
    assert both.sent == []
    both.call(method, **{name: []})
    assert both.sent


def test_the_walk_has_the_lists() -> None:
    assert {name for _, name in LISTS} >= {
        "tags",
        "urls",
        "pictures",
        "image_ids",
        "ids",
        "rows",
        "vector",
        "receipts",
        "queries",
    }


@pytest.mark.parametrize("vector", [["1", "2"], [None], [[1.0]], [1, "x"], [10**400]])
def test_a_vector_is_of_numbers(both: Both, vector: Any) -> None:
    for method, given in (
        ("search", {"vector": vector, "space": "own"}),
        ("add_vectors", {"rows": [{"vector": vector}]}),
    ):
        error = both.call(method, **given)
        assert isinstance(error, InvalidQuery) and error.field == "vector", error
    error = both.call("add_vectors", rows=[{"id": "a"}])
    assert isinstance(error, InvalidQuery) and error.field == "rows"
    assert both.sent == []
