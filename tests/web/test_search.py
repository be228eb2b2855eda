"""Searching on the page: by words, by picture, by a part, by link, by keys."""

import base64
import re
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.waiting import until


def picture_of(rest: httpx.Client, name: str) -> int:
    """The first of a class."""
    images = rest.get("/images", params={"limit": 1000}).json()["images"]
    return next(one["id"] for one in images if f"/{name}/" in one["uri"])


def first_hits(page: Page, count: int = 3) -> list[str]:
    """Where the first ones lead."""
    cards = page.get_by_label("Results").get_by_role("listitem").get_by_role("link")
    expect(cards.nth(count - 1)).to_be_visible()
    return [cards.nth(at).get_attribute("href") or "" for at in range(count)]


def uri_of(page: Page, address: str) -> str:
    """Of the picture that an address leads to."""
    uri: str = page.request.get(f"/images/{address.rsplit('/', 1)[1]}").json()["uri"]
    return uri


def test_words_find_pictures_and_the_address_holds_the_search(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_label("Pictures").get_by_role("listitem").first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("a motorbike")
    page.keyboard.press("Enter")
    found = first_hits(page)
    assert page.url.endswith("/?text=a+motorbike")

    other = page.context.new_page()
    other.goto(page.url)
    assert first_hits(other) == found
    other.close()


def test_a_link_to_a_picture_shows_what_is_like_it(page: Page, rest: httpx.Client) -> None:
    picture = picture_of(rest, "Motorbikes")
    page.goto(f"/?id={picture}")
    asked = rest.post("/search", json={"queries": [{"image_id": picture}], "k": 60}).json()["results"]
    assert first_hits(page) == [f"/ui/picture/{hit['id']}" for hit in asked[:3]]


def test_a_dropped_picture_is_searched_by_and_still_there_after_a_reload(page: Page, pictures: Path) -> None:
    dropped = sorted((pictures / "helicopter").iterdir())[3]
    page.goto("/")
    page.locator("input[type=file]").set_input_files(dropped)
    expect(page).to_have_url(re.compile(r"upload=[0-9a-f]{64}"))
    found = first_hits(page, 1)
    page.reload()
    assert first_hits(page, 1) == found
    expect(page.get_by_alt_text("The picture")).to_be_visible()


GIVEN = """([name, kind, base64]) => {
  const bytes = Uint8Array.from(atob(base64), one => one.charCodeAt(0)), given = new DataTransfer();
  given.items.add(new File([bytes], name, { type: "image/jpeg" }));
  const event = kind === "paste" ? new ClipboardEvent(kind, { clipboardData: given, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: given, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


def test_a_picture_is_dropped_or_pasted_and_words_beside_it_weigh(page: Page, pictures: Path) -> None:
    content = base64.b64encode(sorted((pictures / "helicopter").iterdir())[2].read_bytes()).decode()
    page.goto("/")
    expect(page.get_by_label("Pictures").get_by_role("listitem").first).to_be_visible()
    page.evaluate(GIVEN, ["a.jpg", "dragenter", content])
    page.evaluate(GIVEN, ["a.jpg", "dragover", content])
    expect(page.get_by_text("Drop the picture to search by it")).to_be_visible()
    page.evaluate(GIVEN, ["a.jpg", "drop", content])
    expect(page).to_have_url(re.compile("upload="))
    dropped = first_hits(page)
    page.goto("/")
    expect(page.get_by_label("Pictures").get_by_role("listitem").first).to_be_visible()
    page.evaluate(GIVEN, ["b.jpg", "paste", content])
    expect(page).to_have_url(re.compile("upload="))
    assert first_hits(page) == dropped

    page.keyboard.press("/")
    page.keyboard.type("a pizza")
    page.keyboard.press("Enter")
    weight = page.get_by_role("slider", name="Picture or words")
    for key, found in (("Home", "helicopter"), ("End", "pizza")):
        weight.focus()
        with page.expect_response(lambda one: one.url.endswith("/search")):
            page.keyboard.press(key)
        expect(page).to_have_url(re.compile(r"weight=[01]$"))
        page.wait_for_load_state("networkidle")
        until(lambda kind=found: f"/{kind}/" in uri_of(page, first_hits(page, 1)[0]), 60)


def test_what_can_be_done_with_a_picture_is_there_for_the_one_that_is_pointed_at_or_in_focus(page: Page) -> None:
    page.goto("/?text=a+butterfly")
    cards = page.get_by_label("Results").get_by_role("listitem")
    expect(cards.nth(3)).to_be_visible()
    page.mouse.move(1, 1)
    actions = page.get_by_role("button", name="Less like this")
    expect(actions).to_have_count(0)
    cards.nth(1).hover()
    expect(actions).to_have_count(1)
    cards.nth(2).hover()
    expect(cards.nth(2).get_by_role("button", name="Less like this")).to_be_visible()
    expect(actions).to_have_count(1)
    page.mouse.move(1, 1)
    expect(actions).to_have_count(0)
    cards.first.get_by_role("link").focus()
    expect(cards.first.get_by_role("button", name="Less like this")).to_be_visible()


def test_a_narrow_picture_has_its_actions_too_and_a_dialog_leads_back_to_it(page: Page) -> None:
    page.goto("/?text=a+chair")
    cards = page.get_by_label("Results").get_by_role("listitem")
    expect(cards.nth(7)).to_be_visible()
    narrow = min(cards.all(), key=lambda card: card.evaluate("one => one.clientWidth"))
    assert narrow.evaluate("one => one.clientWidth") < 144
    # By its address: which one of the list it is changes when it is scrolled to.
    address = narrow.get_by_role("link").get_attribute("href")
    narrow = cards.filter(has=page.locator(f'a[href="{address}"]'))
    narrow.hover()
    narrow.get_by_role("button", name="Why it is here").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.mouse.move(1, 1)
    page.keyboard.press("Escape")
    expect(narrow.get_by_role("link")).to_be_focused()


def test_a_finger_that_rests_on_a_picture_brings_what_keys_and_hands_have(page: Page) -> None:
    page.goto("/?text=a+chair")
    link = page.get_by_label("Results").get_by_role("listitem").get_by_role("link").nth(1)
    picture = (link.get_attribute("href") or "").rsplit("/", 1)[1]
    held = "new PointerEvent('contextmenu', {bubbles: true, cancelable: true, pointerType: '%s'})"
    assert link.evaluate(f"one => one.dispatchEvent({held % 'mouse'})")  # its menu is the browser's
    assert not link.evaluate(f"one => one.dispatchEvent({held % 'touch'})")
    page.get_by_role("dialog", name="Why it is here").get_by_role("button", name="Less like this").click()
    expect(page).to_have_url(re.compile(f"not={picture}"))
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_where_there_is_no_view_a_way_leads_to_the_search(page: Page) -> None:
    for address in ("/ui/nowhere", "/ui/picture/999999999"):
        page.goto(address)
        page.get_by_role("alert").get_by_role("link", name="To the search").click()
        expect(page.get_by_label("Pictures").get_by_role("listitem").first).to_be_visible()


def test_the_wall_begins_with_what_came_last(page: Page, rest: httpx.Client) -> None:
    newest = rest.get("/images", params={"limit": 3, "order": "newest"}).json()["images"]
    page.goto("/")
    cards = page.get_by_label("Pictures").get_by_role("listitem").get_by_role("link")
    for at, one in enumerate(newest):
        expect(cards.nth(at)).to_have_attribute("href", f"/ui/picture/{one['id']}")


def test_a_box_is_drawn_moved_and_taken_away_while_results_follow(page: Page, rest: httpx.Client) -> None:
    page.goto(f"/?id={picture_of(rest, 'chair')}")
    whole = first_hits(page)
    canvas = page.get_by_test_id("canvas")
    expect(canvas.get_by_role("img")).to_be_visible()
    canvas.get_by_role("img").evaluate("picture => picture.decode()")
    sides = canvas.bounding_box()
    assert sides is not None
    with page.expect_response(
        lambda answer: answer.url.endswith("/search") and "bbox" in (answer.request.post_data or "")
    ):
        page.mouse.move(sides["x"] + sides["width"] * 0.1, sides["y"] + sides["height"] * 0.1)
        page.mouse.down()
        page.mouse.move(sides["x"] + sides["width"] * 0.5, sides["y"] + sides["height"] * 0.6, steps=5)  # not let go
    page.mouse.up()
    expect(page).to_have_url(re.compile("box=0.1%2C0.1%2C0.5%2C0.6"))
    box = page.get_by_role("group", name=re.compile("The part that is searched for"))
    box.focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("box=0.12%2C0.1%2C0.52%2C0.6"))
    page.keyboard.press("Delete")
    expect(page).not_to_have_url(re.compile("box="))
    expect(page.get_by_label("Results").get_by_role("listitem").get_by_role("link").first).to_have_attribute(
        "href", whole[0]
    )


def test_keys_alone_lead_from_words_to_a_picture_and_to_what_is_like_it(page: Page) -> None:
    page.goto("/?text=a+butterfly")
    found = first_hits(page)
    page.get_by_label("Results").get_by_role("listitem").get_by_role("link").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(f'a[href="{found[1]}"]')).to_be_focused()
    page.keyboard.press("w")
    expect(page.get_by_role("dialog", name="Why it is here")).to_contain_text("Cosine")
    page.keyboard.press("Escape")
    expect(page.locator(f'a[href="{found[1]}"]')).to_be_focused()
    with page.expect_response(lambda answer: answer.url.endswith("/search")):
        page.keyboard.press("n")
    expect(page).to_have_url(re.compile(r"not=\d+"))
    expect(page.get_by_role("region", name="Results")).to_have_attribute("aria-busy", "false")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_label("Results").get_by_role("listitem").get_by_role("link").first.focus()
    page.keyboard.press("s")
    expect(page).to_have_url(re.compile(r"/\?id=\d+$"))


def test_words_that_the_model_does_not_know_are_said_to_find_nothing(page: Page) -> None:
    page.goto("/?text=кот")
    expect(page.get_by_role("heading", name="The model knows none of these words")).to_be_visible()
