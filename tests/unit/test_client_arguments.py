"""What callers give the SDK: taken for what it is, or refused by name, in both clients, before anything is sent."""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any, get_type_hints

import httpx
import pytest

from omma.client import AsyncClient, Client
from omma.client.requests import SearchOptions
from omma.errors import InvalidQuery, OmmaError

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
        timeouts = request.extensions["timeout"].values()
        assert all(0 < seconds <= 4_000 for seconds in timeouts), "a socket takes no other"
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


SELF: list[Any] = []
SELF.append(SELF)
HOSTILE = (
    *("\ud800", "é", "a\nb", "a\0b", " ", "", "a" * 100_000, b"\xff", "\u0661"),
    *(float("nan"), float("inf"), -float("inf"), 1e300, -1, 10**400, 10**5_000, True, None),
    *(object(), {1}, {"\ud800": 1}, {(1, 2): 3}, {"a": float("nan")}, [["\ud800"]], [float("nan")], SELF, len),
)


@pytest.mark.parametrize(("method", "name"), [(method, name) for method in METHODS for name, _ in parameters(method)])
def test_whatever_is_given_an_error_has_a_kind(both: Both, method: str, name: str) -> None:
    for given in HOSTILE:
        error = both.call(method, **{name: given})
        missing = name == "image" and isinstance(error, OSError)
        assert missing or isinstance(error, OmmaError), (given, error)
        if isinstance(error, InvalidQuery):
            assert error.field in (name, None), (given, error)
            assert error.field or "too long" in error.detail, (given, error)


HALVES = ("\ud800", "a\udfff", "\udc80b")


@pytest.mark.parametrize(("method", "name"), [(method, name) for method in METHODS for name, _ in parameters(method)])
def test_half_a_character_is_named(both: Both, method: str, name: str) -> None:
    """Of text; a list of the kind is refused as no list, and a file of the name is not there."""
    if name == "image":
        return
    for given in HALVES:
        error = both.call(method, **{name: given})
        assert isinstance(error, InvalidQuery) and error.field == name, (given, error)
    assert both.sent == []


NO_HEADERS = ["é", "a\nb", "a\r\nX-API-Key: b", " a", "a ", "\ud800", "\0", float("nan"), 7, b"a", ["a"]]


@pytest.mark.parametrize("wrong", NO_HEADERS)
def test_what_is_sent_as_a_header_can_be_one(both: Both, wrong: Any) -> None:
    for method, given in (("search", {"image_id": 1}), ("search", {"image": b"a picture"})):
        error = both.call(method, session=wrong, **given)
        assert isinstance(error, InvalidQuery) and error.field == "session", error
    with Client("http://omma.test", api_key=wrong, transport=httpx.MockTransport(both._answered)) as client:
        for call in (client.health, lambda: client.get(1), lambda: client.search(image_id=1)):
            with pytest.raises(InvalidQuery) as refused:
                call()
            assert refused.value.field == "api_key"
    assert both.sent == []
    both.call("search", image_id=1, session="a session of ann's", user_id="ä\n")
    assert both.sent[0].headers["omma-session"] == "a session of ann's"
