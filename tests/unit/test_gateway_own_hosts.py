"""Where no key is needed, only this machine's own names are answered, and no page of another site."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from services.gateway.rest.head import HeadAsGet
from services.gateway.rest.own_hosts import OwnHosts

REBOUND = ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5", "",
           "evil.example@127.0.0.1", "127.0.0.1/evil", "0.0.0.0:8080", "[::2]:8080", "localhost:8080:9",
           "[::1"]  # fmt: skip
OWN = ["127.0.0.1", "127.0.0.1:8080", "localhost:18400", "LOCALHOST", "localhost.:80", "omma.localhost", "127.8.9.1",
       "[::1]:8080", "omma.example", "omma.example:8443"]  # fmt: skip


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def asked(method: str = "GET", *, keyless: bool = True, **headers: str) -> httpx.Response:
    app = OwnHosts(
        HeadAsGet(answer), keyless=lambda: keyless, trusted=["Omma.example"], origins=["https://page.example"]
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client:
        sent = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
        return await client.request(method, "/images", headers=sent)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD"])
@pytest.mark.parametrize("host", REBOUND)
async def test_a_foreign_host_is_refused(method: str, host: str) -> None:
    refused = await asked(method, host=host)
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    if method != "HEAD":
        assert (refused.json()["kind"], refused.json()["field"]) == ("not_allowed", "Host")
    assert (await asked(method, host=host, keyless=False)).status_code == 200


@pytest.mark.parametrize("host", OWN)
async def test_this_machines_names_and_those_that_are_named_are_answered(host: str) -> None:
    assert (await asked("POST", host=host)).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8080", 200),
        ("HTTP://127.0.0.1:8080", 200),
        ("https://omma.example", 200),
        ("http://127.0.0.1:3000", 403),
        ("http://localhost:8080", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://[x", 403),
    ],
)
async def test_pages_of_another_origin_are_refused(origin: str, status: int) -> None:
    assert (await asked("POST", host="127.0.0.1:8080", origin=origin)).status_code == status
    assert (await asked("POST", host="127.0.0.1:8080", origin=origin, keyless=False)).status_code == 200


async def test_what_a_page_elsewhere_embeds_is_refused_and_a_link_is_followed() -> None:
    embedded = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert (await asked(**embedded)).status_code == 403
    assert (await asked(**link)).status_code == 200
    assert (await asked("POST", **link)).status_code == 403
    assert (await asked(**{**link, "sec_fetch_dest": "iframe"})).status_code == 403
    assert (await asked(**{**embedded, "sec_fetch_site": "same-origin"})).status_code == 200


@given(st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=30))
async def test_no_host_header_breaks_the_door(host: str) -> None:
    assert (await asked(host=host)).status_code in (200, 403)


async def test_head_is_a_get_without_its_body() -> None:
    told = await asked("HEAD")
    assert (told.status_code, told.headers["content-length"], told.content) == (200, "2", b"")
