"""Pictures that only their owner and administrators see, as people make them so on the page."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.process import Folder
from tests.pictures import encoded, scene
from tests.waiting import until

As = Callable[[str], AbstractContextManager[Page]]


@pytest.fixture(scope="module")
def people(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, As]]:
    """A server for its admin, and a page for ann or bob, who both write."""
    with Folder(tmp_path_factory.mktemp("private") / "data").up() as server, server.client() as rest:
        secrets = {"admin": rest.post("/keys", json={"name": "admin", "role": "admin"}).json()["secret"]}
        rest.headers["authorization"] = f"Bearer {secrets['admin']}"
        for name in ("ann", "bob"):
            secrets[name] = rest.post("/keys", json={"name": name, "role": "write"}).json()["secret"]

        @contextmanager
        def as_(name: str) -> Iterator[Page]:
            with browser.new_context(base_url=server.url, reduced_motion="reduce") as context:
                page = context.new_page()
                page.goto("/")
                page.get_by_label("API key").fill(secrets[name])
                page.get_by_role("button", name="Sign in").click()
                expect(page.get_by_role("dialog")).to_have_count(0)
                yield page

        yield rest, as_


def test_files_are_added_privately_and_shown_to_all_by_their_owner(
    people: tuple[httpx.Client, As], tmp_path: Path
) -> None:
    rest, as_ = people
    content = encoded(scene(seed=970))
    (tmp_path / "a.jpg").write_bytes(content)
    shared = rest.post("/images", files={"image": ("a.jpg", content)}, data={"owner": "bob"}).json()["id"]
    with as_("ann") as page:
        page.get_by_role("link", name="Add", exact=True).click()
        page.get_by_label("Private").check()
        page.locator("input[type=file]").first.set_input_files(tmp_path / "a.jpg")
        # What everybody sees has the same bytes, and stays as it is.
        expect(page.get_by_role("status").first).to_contain_text("1 of 1 file · 1 added")
        page.locator("[data-state=added]").get_by_role("link").click()
        expect(page).to_have_url(re.compile(r"/ui/picture/\d+$"))
        expect(page.get_by_label("Private")).to_be_checked()
        mine = int(page.url.rsplit("/", 1)[1])
        assert mine != shared
        told = rest.get(f"/images/{mine}").json()
        assert (told["private"], told["owner"]) == (True, "ann")
        until(lambda: rest.get(f"/images/{mine}").json()["state"] == "indexed", 60)

        page.goto("/?f=private:true")
        expect(page.get_by_label("Pictures").get_by_role("listitem")).to_have_count(1)

        with as_("bob") as other:
            expect(other.get_by_label("Pictures").get_by_role("listitem")).to_have_count(1)
            other.goto(f"/ui/picture/{mine}")
            expect(other.get_by_role("heading", name="There is no such picture")).to_be_visible()
            other.goto(f"/ui/picture/{shared}")
            expect(other.get_by_label("Private")).not_to_be_checked()

            page.goto(f"/ui/picture/{mine}")
            page.get_by_label("Private").click()
            until(lambda: "private" not in rest.get(f"/images/{mine}").json(), 60)
            other.goto(f"/ui/picture/{mine}")
            expect(other.get_by_role("heading", level=1)).to_be_visible()
            expect(other.get_by_label("Private")).to_have_count(0)  # it is not his to change


def test_a_refusal_shows_it_as_it_is(people: tuple[httpx.Client, As]) -> None:
    rest, as_ = people
    mine = rest.post("/images", files={"image": ("b.jpg", encoded(scene(seed=971)))}, data={"owner": "ann"}).json()[
        "id"
    ]
    with as_("ann") as page:
        page.goto(f"/ui/picture/{mine}")
        expect(page.get_by_label("Private")).not_to_be_checked()
        assert rest.patch(f"/images/{mine}", json={"owner": "bob"}).is_success  # meanwhile
        page.get_by_label("Private").click()
        expect(page.get_by_text("What is private must be your own").first).to_be_visible()
        expect(page.get_by_label("Private")).not_to_be_checked()
