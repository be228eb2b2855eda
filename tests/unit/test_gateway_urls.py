"""image_url: public addresses only, at every hop, within bounds."""

import ipaddress
import socket
import threading
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from omma.errors import (
    STATUS,
    InvalidPicture,
    InvalidQuery,
    NotAllowed,
    OmmaError,
    OutOfTime,
    Overloaded,
    TooLarge,
)
from omma.fetching.addresses import is_public
from omma.fetching.names import Names
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
            case "/nowhere":
                return httpx.Response(302, headers={"location": "http://[x"})
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
        "[2002:808:808::]",
        "[64:ff9b:1::808:808]",
        "[fec0::1]",
        "[::127.0.0.1]",
        "[::8.8.8.8]",
        "[::ffff:0:127.0.0.1]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "[2606:4700::5efe:127.0.0.1]",
        "[2001:db8::1]",
        "[ff0e::1]",
        "[::]",
        "192.88.99.1",
        "255.255.255.255",
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
        ("http://[x", InvalidQuery),
        ("http://" + "a" * 64 + ".example/a.jpg", InvalidQuery),
        ("http://" + "a.b" * 100 + "/a.jpg", InvalidQuery),
        ("http://good..example/a.jpg", InvalidQuery),
        ("http://2130706433/a.jpg", InvalidQuery),
        ("http://0177.0.0.1/a.jpg", InvalidQuery),
        ("http://0x7f.1/a.jpg", InvalidQuery),
        ("http://127.1/a.jpg", InvalidQuery),
        ("http://127.0.0.1./a.jpg", InvalidQuery),
        ("http://[fe80::1%25eth0]/a.jpg", InvalidQuery),
        ("http://good%2eexample/a.jpg", InvalidQuery),
        ("http://\uff11\uff12\uff17.0.0.1/a.jpg", InvalidQuery),
        ("http://good.example:22/a.jpg", InvalidQuery),
        ("http://good.example:0/a.jpg", InvalidQuery),
        ("http://good.example:99999/a.jpg", InvalidQuery),
        ("http://good.example/nowhere", InvalidQuery),
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


async def test_an_international_name_is_looked_up_and_asked_for_as_dns_has_it() -> None:
    asked: list[str] = []

    async def look(host: str, port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC]

    web = Web()
    fetcher = PictureFetcher(max_bytes=1_000, timeout_seconds=5, resolve=look, transport=httpx.MockTransport(web))
    for url in ("https://b\u00fccher.example/a.jpg", "https://good.example./a.jpg"):
        assert await fetcher.fetch(url, Deadline.after(5)) == b"picture"
    await fetcher.close()
    assert asked == ["xn--bcher-kva.example", "good.example."]
    assert [request.extensions["sni_hostname"] for request in web.asked] == ["xn--bcher-kva.example", "good.example"]


hosts = st.one_of(
    st.text(max_size=20),
    st.from_regex(r"\A[0-9a-fx.:%\[\]@]{1,30}\Z"),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.just("good.example"),
)
urls = st.one_of(
    st.text(max_size=60),
    st.builds("{}://{}{}{}".format, st.sampled_from(["http", "https", "HTTP", "ftp", ""]), hosts, st.sampled_from(
        ["", ":80", ":x", ":-1", ":070"]), st.text(max_size=20)),
)  # fmt: skip


@given(urls, st.one_of(st.none(), urls, st.text(max_size=40)))
@example("http://[x", None)
@example("http://" + "a" * 64 + "/", None)
@example("http://good.example/", "http://[x")
@example("http://good.example/", "//\\\x7f:")
async def test_whatever_a_url_is_it_is_fetched_or_refused(url: str, location: str | None) -> None:
    def web(request: httpx.Request) -> httpx.Response:
        assert is_public(request.url.host)
        if location is None or request.url.path == "/end":
            return httpx.Response(200, stream=httpx.ByteStream(b"picture"))
        return httpx.Response(302, headers=[(b"location", location.encode("utf-8", "replace"))])

    async def look(host: str, port: int) -> list[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            return [PUBLIC]

    fetcher = PictureFetcher(max_bytes=1_000, timeout_seconds=5, resolve=look, transport=httpx.MockTransport(web))
    try:
        assert await fetcher.fetch(url, Deadline.after(5)) == b"picture"
    except OmmaError as error:
        assert STATUS[error.kind].http < 500, error
        assert error.field == "image_url"
    finally:
        await fetcher.close()


@given(st.ip_addresses(v=4))
@example(ipaddress.IPv4Address("127.0.0.1"))
@example(ipaddress.IPv4Address("169.254.169.254"))
@example(ipaddress.IPv4Address("8.8.8.8"))
def test_ipv4_inside_ipv6_is_never_more_public_than_by_itself(inner: ipaddress.IPv4Address) -> None:
    low, high = int(inner) & 0xFFFF, int(inner) >> 16
    for wrapped in (f"::ffff:{inner}", f"64:ff9b::{inner}"):
        assert is_public(wrapped) == is_public(str(inner))
    for wrapped in (
        f"::{inner}",
        f"::ffff:0:{inner}",
        f"64:ff9b:1::{inner}",
        f"64:ff9b:1:{high:x}:{low >> 8:x}:{(low & 255) << 8:x}::",
        f"2002:{high:x}:{low:x}::1",
        f"2001:0:{high:x}:{low:x}::1",
        f"fe80::5efe:{inner}",
    ):
        assert not is_public(wrapped)
    for mark in ("0:5efe", "200:5efe"):
        assert is_public(f"2606:4700:0:0:{mark}:{inner}") == is_public(str(inner))


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_public(address: ipaddress.IPv6Address) -> None:
    if is_public(str(address)) and not str(address).startswith(("64:ff9b::", "::ffff:")):
        assert address in ipaddress.ip_network("2000::/3") and address.is_global
    assert not is_public(f"{address}%eth0")


async def test_a_name_server_that_hangs_holds_a_bounded_number_of_threads_and_callers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        release.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    names = Names(threads=2, at_once=3)
    fetcher = PictureFetcher(max_bytes=10, timeout_seconds=0.05, resolve=names)
    try:
        before = threading.active_count()
        for _ in range(3):
            with pytest.raises(OutOfTime):
                await fetcher.fetch("http://good.example/", Deadline.after(5))
        assert threading.active_count() <= before + 2
        # The third never began, and took its place back when its caller gave up; two still hang.
        with pytest.raises(OutOfTime):
            await fetcher.fetch("http://good.example/", Deadline.after(5))
        full = Names(threads=1, at_once=1)
        crowded = PictureFetcher(max_bytes=10, timeout_seconds=0.05, resolve=full)
        with pytest.raises(OutOfTime):
            await crowded.fetch("http://good.example/", Deadline.after(5))
        with pytest.raises(Overloaded) as failure:
            await crowded.fetch("http://good.example/", Deadline.after(5))
        assert failure.value.field == "image_url"
        await crowded.close()
        full.close()
    finally:
        release.set()
        await fetcher.close()
        names.close()
