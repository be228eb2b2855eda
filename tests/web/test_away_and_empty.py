"""Where nothing is there: no picture in the collection, no server when a view is opened."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from deploy.parts.ports import free_port
from tests.e2e.process import Folder


def test_what_is_empty_says_so_and_a_view_waits_for_the_server(browser: Browser, tmp_path: Path) -> None:
    folder, port = Folder(tmp_path / "data"), str(free_port("127.0.0.1"))
    with browser.new_context(reduced_motion="reduce") as context:
        page = context.new_page()
        with folder.up(OMMA_HTTP_PORT=port) as server:
            page.goto(f"{server.url}/?text=a+car")
            expect(page.get_by_role("heading", name="No pictures yet")).to_be_visible()
            expect(page.get_by_text("Take a filter")).to_have_count(0)
            expect(page.get_by_role("link", name="Add pictures")).to_have_attribute("href", "/ui/add")
            page.goto(f"{server.url}/?text=a+car&f=tag:x")
            expect(page.get_by_text("Take a filter")).to_be_visible()
            page.goto(f"{server.url}/?id=4")
            expect(page.get_by_text("There is no picture 4 in this index.")).to_be_visible()
            expect(page.get_by_text("The picture cannot be shown.")).to_be_visible()
            expect(page.get_by_alt_text("The picture")).to_have_count(0)
        page.get_by_role("link", name="Health").click()
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
        expect(page.get_by_role("navigation", name="Views")).to_be_visible()
        with folder.up(OMMA_HTTP_PORT=port):
            page.get_by_role("button", name="Try again").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Everything answers.")
