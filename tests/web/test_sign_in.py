"""The page where the server asks for a key: a session that scripts cannot read, and that no other site can use."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.process import Folder, Server
from tests.issuer import AUDIENCE, issuer
from tests.pictures import encoded, scene
from tests.waiting import until


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server with two keys, and a picture."""
    folder = Folder(tmp_path_factory.mktemp("locked") / "data")
    with folder.up() as server, server.client() as rest:
        admin = rest.post("/keys", json={"name": "the boss", "role": "admin"}).json()["secret"]
        boss = {"authorization": f"Bearer {admin}"}
        reader = rest.post("/keys", json={"name": "a reader", "role": "read"}, headers=boss).json()["secret"]
        made = rest.post("/images", files={"image": ("a.png", encoded(scene()))}, headers=boss)
        assert made.status_code == 201, made.text
        yield server, {"admin": admin, "read": reader}


def test_signing_in_shows_pictures_and_what_the_role_may(
    browser: Browser, locked: tuple[Server, dict[str, str]]
) -> None:
    server, keys = locked
    context = browser.new_context(base_url=server.url)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("unknown or revoked")
    page.get_by_label("API key").fill(keys["read"])
    page.get_by_role("button", name="Sign in").click()
    picture = page.get_by_label("Pictures").locator("img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("one => one.decode().then(() => one.naturalWidth)") > 0
    expect(page.get_by_role("link", name="Add", exact=True)).to_have_count(0)
    for address in ("/ui/add", "/ui/duplicates", "/ui/anomalies", "/ui/rollouts"):
        page.goto(address)
        expect(page.get_by_role("alert").get_by_role("link", name="To the search")).to_be_visible()
    page.goto("/")
    expect(picture).to_be_visible()
    (cookie,) = context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and keys["read"] not in cookie["value"]
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(picture).to_be_visible()
    page.route("**/ui/session", lambda route: route.abort())
    for told in (page.get_by_text("The server does not answer."), page.get_by_role("dialog", name="Sign in")):
        page.get_by_role("button", name="Theme").click()
        page.get_by_role("menuitem", name="Sign out").click()
        expect(told.first).to_be_visible()
        page.unroute("**/ui/session")
    context.close()


def test_a_token_signs_in_and_when_it_ends_somebody_else_goes_on_where_it_was(browser: Browser, tmp_path: Path) -> None:
    with issuer() as signs:
        signs.rotate("first", "ES256")
        settings = {
            "OMMA_GATEWAY__JWT__ISSUER": signs.url,
            "OMMA_GATEWAY__JWT__AUDIENCE": f'["{AUDIENCE}"]',
            "OMMA_GATEWAY__JWT__LEEWAY_SECONDS": "0",
        }
        with Folder(tmp_path / "data").up(**settings) as server, server.client() as rest:
            ann = {"authorization": f"Bearer {signs.token('first')}"}
            made = rest.post("/images", files={"image": ("a.png", encoded(scene()))}, headers=ann)
            assert made.status_code == 201, made.text
            with browser.new_context(base_url=server.url) as context:
                page = context.new_page()
                page.goto("/")
                dialog = page.get_by_role("dialog", name="Sign in")
                expect(dialog).to_contain_text("or with a token (JWT)")
                ends = int(time.time()) + 8
                dialog.get_by_label("API key or token").fill(signs.token("first", role="read", exp=ends))
                page.keyboard.press("Enter")
                expect(page.get_by_label("Pictures").get_by_role("listitem")).to_have_count(1)
                expect(page.get_by_role("link", name="Add", exact=True)).to_have_count(0)
                until(lambda: time.time() > ends, 60)
                page.keyboard.press("/")
                page.keyboard.type("a lamp")
                page.keyboard.press("Enter")
                expect(dialog).to_contain_text("The session is over.")
                expect(page.get_by_text("The search did not work")).to_have_count(0)
                dialog.get_by_label("API key or token").fill(signs.token("first"))
                page.keyboard.press("Enter")
                expect(dialog).to_have_count(0)
                expect(page).to_have_url(re.compile("text=a\\+lamp"))
                expect(page.get_by_label("Results").get_by_role("listitem")).to_have_count(1)
                expect(page.get_by_role("link", name="Add", exact=True)).to_be_visible()


def test_a_sessions_writes_need_its_token_and_end_with_its_key(locked: tuple[Server, dict[str, str]]) -> None:
    server, keys = locked
    with server.client() as rest:
        boss = {"authorization": f"Bearer {keys['admin']}"}
        made = rest.post("/keys", json={"name": "for a while", "role": "write"}, headers=boss).json()
        begun = rest.post("/ui/session", json={"key": made["secret"]})
        assert begun.status_code == 201 and made["secret"] not in begun.headers["set-cookie"]
        token = {"omma-csrf": begun.json()["token"]}
        assert rest.get("/images").status_code == 200
        for headers in ({}, {"omma-csrf": "made up"}, {"omma-csrf": "é".encode()}):
            refused = rest.post("/search", json={"text": "a lamp"}, headers=headers)
            assert (refused.status_code, refused.json()["field"]) == (403, "Omma-Csrf")
        assert rest.post("/search", json={"text": "a lamp"}, headers=token).status_code == 200
        assert rest.get("/ui/session").json()["role"] == "write"

        foreign = {"sec-fetch-site": "cross-site"}
        assert rest.post("/ui/session", json={"key": made["secret"]}, headers=foreign).status_code == 403
        assert rest.request("DELETE", f"/keys/{made['id']}", headers=boss).status_code == 200
        assert rest.get("/images").status_code == 401
        assert rest.get("/ui/session").json() == {"signed_in": False}


@pytest.mark.parametrize("cookie", ["", "a", "a.1.b.c", "a.9999999999.b.c", "....", "a.b.c.d", "x" * 5_000])
def test_a_cookie_that_was_made_up_is_nobodys(locked: tuple[Server, dict[str, str]], cookie: str) -> None:
    server, _ = locked
    answer = httpx.get(f"{server.url}/images", headers={"cookie": f"omma_session={cookie}"}, trust_env=False)
    assert answer.status_code == 401


def test_the_page_is_served_to_be_kept_and_loads_nothing_from_elsewhere(server: Server) -> None:
    with server.client() as rest:
        page = rest.get("/")
        assert page.headers["cache-control"] == "no-store"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert "http://" not in page.text and "https://" not in page.text
        nonces = {rest.get("/").text.split('csp-nonce" content="')[1].split('"')[0] for _ in range(2)}
        assert len(nonces) == 2
        script = page.text.split('type="module" crossorigin src="')[1].split('"')[0]
        fetched = rest.get(script)
        assert "immutable" in fetched.headers["cache-control"] and fetched.headers["content-encoding"] == "gzip"
        assert rest.get("/ui/picture/1").text.startswith("<!doctype html>")
        assert rest.get("/ui/assets/nothing.js").status_code == 404
        assert rest.get("/nothing").json()["kind"] == "absent"
