"""Thumbnails that do not come: because nobody is signed in any more, the server is away, or the picture is gone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from deploy.parts.ports import free_port
from tests.e2e.process import Folder
from tests.pictures import encoded, scene
from tests.waiting import until

KEY = "a-key-of-an-admin-that-is-long-enough"
PICTURES = 40
UNSEEN = "No thumbnail"
LOADED = "[...document.querySelectorAll('main li img')].every(one => one.complete && one.naturalWidth > 0)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Has more pictures than a small window shows, with their thumbnails."""
    folder = Folder(tmp_path_factory.mktemp("thumbnails") / "data")
    with folder.up(OMMA_ADMIN_KEY=KEY) as server, server.client() as rest:
        rest.headers["x-api-key"] = KEY
        for seed in range(PICTURES):
            rest.post("/images", files={"image": encoded(scene(160, 120, seed))}).raise_for_status()
        until(lambda: rest.get("/stats").json()["waiting"] == 0, seconds=120)
        server.stop()
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 700, "height": 400}, reduced_motion="reduce") as context:
        yield context.new_page()


def open_page(page: Page, url: str, key: str = KEY) -> None:
    page.goto(url)
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Pictures").locator("img").first).to_be_visible()
    until(lambda: page.evaluate(LOADED), 60)  # the first row stays when it is far away, where a browser loads nothing


def to_the_end(page: Page) -> None:
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.get_by_text(UNSEEN)).not_to_have_count(0)


def all_seen(page: Page) -> None:
    expect(page.get_by_text(UNSEEN)).to_have_count(0)
    until(lambda: page.get_by_label("Pictures").locator("img").count() > 0 and page.evaluate(LOADED), 60)


def test_a_session_that_ends_while_one_scrolls_asks_to_sign_in_and_shows_them_then(folder: Folder, page: Page) -> None:
    with folder.up(OMMA_ADMIN_KEY=KEY) as server, server.client() as rest:
        admin = {"x-api-key": KEY}
        made = rest.post("/keys", json={"name": "for a while", "role": "read"}, headers=admin).json()
        open_page(page, server.url, made["secret"])
        assert rest.delete(f"/keys/{made['id']}", headers=admin).is_success
        to_the_end(page)
        expect(page.get_by_role("dialog", name="Sign in")).to_contain_text("The session is over.")
        page.get_by_label("API key").fill(KEY)
        page.keyboard.press("Enter")
        all_seen(page)


def test_they_come_when_the_server_is_back(folder: Folder, page: Page) -> None:
    settings = {"OMMA_HTTP_PORT": str(free_port("127.0.0.1")), "OMMA_ADMIN_KEY": KEY}
    with folder.up(**settings) as server:
        open_page(page, server.url)
        server.stop()
        to_the_end(page)
    with folder.up(**settings):
        all_seen(page)


def test_one_that_is_gone_is_asked_after_once(folder: Folder, page: Page) -> None:
    with folder.up(OMMA_ADMIN_KEY=KEY) as server, server.client() as rest:
        rest.headers["x-api-key"] = KEY
        open_page(page, server.url)
        gone = rest.get("/images", params={"limit": 1}).json()["images"][0]["id"]  # the oldest, at the end
        asked: list[Request] = []
        page.on("request", lambda one: asked.append(one) if f"/images/{gone}/" in one.url else None)
        assert rest.delete(f"/images/{gone}").is_success
        to_the_end(page)
        expect(page.get_by_text(UNSEEN)).to_have_count(1)
        page.evaluate("() => new Promise(asked => setTimeout(asked, 1000))")
        assert [one.method for one in asked] == ["GET", "HEAD"]
