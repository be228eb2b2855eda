"""image_url: public addresses only, at every hop, within bounds."""

import httpx
import pytest

from omma.errors import InvalidPicture, InvalidQuery, NotAllowed, OmmaError, OutOfTime, TooLarge
from omma.rpc.deadline import Deadline
from services.gateway.search.urls import PictureFetcher

PUBLIC = "93.184.215.14"
NAMES = {
    "good.example": [PUBLIC],
    "mixed.example": [PUBLIC, "10.0.0.1"],
    "nobody.example": [],
}


async def resolve(host: str, port: int) -> list[str]:
    return NAMES.get(host, [host])


class Web:
    """Answers by path, and remembers where it was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        match request.url.path:
            case "/a.jpg":
                return httpx.Response(200, stream=httpx.ByteStream(b"picture"))
            case "/large":
                return httpx.Response(200, stream=httpx.ByteStream(bytes(2_000)))
            case "/loop":
                return httpx.Response(302, headers={"location": "/loop"})
            case "/inside":
                return httpx.Response(302, headers={"location": "http://169.254.169.254/latest"})
            case "/relative":
                return httpx.Response(302, headers={"location": "a.jpg"})
            case "/broken":
                raise httpx.ConnectError("refused")
            case _:
                return httpx.Response(404)


async def fetch(url: str, web: Web | None = None, seconds: float = 5.0) -> bytes:
    transport = httpx.MockTransport(web or Web())
    fetcher = PictureFetcher(max_bytes=1_000, timeout_seconds=5, resolve=resolve, transport=transport)
    try:
        return await fetcher.fetch(url, Deadline.after(seconds))
    finally:
        await fetcher.close()


async def test_a_public_picture_is_fetched_from_the_vetted_address() -> None:
    web = Web()
    assert await fetch("https://good.example/a.jpg", web) == b"picture"
    (request,) = web.asked
    assert (request.url.host, request.headers["host"]) == (PUBLIC, "good.example")
    assert request.extensions["sni_hostname"] == "good.example"
    assert await fetch("http://good.example:8081/relative") == b"picture"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "[::1]",
        "[fe80::1]",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "mixed.example",
    ],
)
async def test_addresses_that_are_not_public_are_refused(host: str) -> None:
    web = Web()
    with pytest.raises(NotAllowed) as failure:
        await fetch(f"http://{host}/a.jpg", web)
    assert failure.value.field == "image_url"
    assert web.asked == []


async def test_a_redirect_is_vetted_like_the_first_hop() -> None:
    web = Web()
    with pytest.raises(NotAllowed):
        await fetch("http://good.example/inside", web)
    assert len(web.asked) == 1


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("file:///etc/passwd", InvalidQuery),
        ("ftp://good.example/a", InvalidQuery),
        ("http://user:secret@good.example/a.jpg", InvalidQuery),
        ("http://", InvalidQuery),
        ("http://good.example/" + "a" * 3_000, InvalidQuery),
        ("nonsense", InvalidQuery),
        ("http://nobody.example/a.jpg", InvalidQuery),
        ("http://good.example/loop", InvalidQuery),
        ("http://good.example/large", TooLarge),
        ("http://good.example/absent", InvalidPicture),
        ("http://good.example/broken", InvalidPicture),
    ],
)
async def test_what_cannot_be_fetched(url: str, error: type[OmmaError]) -> None:
    with pytest.raises(error) as failure:
        await fetch(url)
    assert failure.value.field == "image_url"


async def test_the_deadline_bounds_the_fetch() -> None:
    with pytest.raises(OutOfTime):
        await fetch("http://good.example/a.jpg", seconds=0)
