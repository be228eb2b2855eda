"""Every view without a mouse: each control is reached by Tab and is seen to be, and what it does is done by keys."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.waiting import until
from tests.web.looks import settle, views

MOST_TABS = 400
SEEN = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  if (!window.walked) window.walked = new Set();
  const again = window.walked.has(at), box = at.getBoundingClientRect(), style = getComputedStyle(at);
  window.walked.add(at);
  const sides = [at, at.parentElement, at.closest("form,label")].filter(Boolean).map(one => getComputedStyle(one));
  const outlined = one => one.outlineStyle !== "none" && parseFloat(one.outlineWidth) > 0;
  const marked = at.id === "content" || sides.some(outlined) || (at.closest("form,label") && at.matches("input"));
  return { again, marked: !!marked, size: box.width * box.height, what: at.outerHTML.slice(0, 160) };
}"""
MISSED = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter(one =>
  one.checkVisibility() && !one.disabled && one.tabIndex >= 0 && one.type !== "radio" && !window.walked.has(one)
  && !one.closest("[data-radix-focus-guard], [role=dialog]")).map(one => one.outerHTML.slice(0, 160))"""


def walk(page: Page) -> None:
    """Tab through the whole view."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        told = page.evaluate(SEEN)
        if told is None or told["again"]:
            break
        assert told["marked"], told["what"]
    assert page.evaluate(MISSED) == []


@pytest.mark.timeout(900)
def test_every_control_of_every_view_is_reached_and_seen(page: Page, picture: int) -> None:
    for address, shows in views(picture).values():
        settle(page, address, shows)
        walk(page)


def test_the_menu_the_theme_and_the_views_are_had_by_keys(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_label("Pictures").get_by_role("listitem").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    for name, title in (("Add", "Add pictures"), ("Copies", "Copies"), ("Odd ones", "What stands apart")):
        page.get_by_label("Views").get_by_role("link", name=name, exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.get_by_role("button", name="Theme").focus()
    page.keyboard.press("Enter")
    themes = page.get_by_role("menuitemradio")
    expect(themes.first).to_be_focused()
    for number in (1, 2):  # Radix moves the focus a turn later
        page.keyboard.press("ArrowDown")
        expect(themes.nth(number)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", re.compile("light|dark"))


def test_words_filters_groups_and_a_picture_by_keys_alone(page: Page, rest: httpx.Client) -> None:
    picture = rest.get("/images", params={"limit": 1}).json()["images"][0]["id"]
    rest.patch(f"/images/{picture}", json={"tags": ["two wheels"]}).raise_for_status()
    page.goto("/")
    expect(page.get_by_label("Pictures").get_by_role("listitem").first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("a motorbike")
    page.keyboard.press("Enter")
    results = page.get_by_label("Results")
    expect(results.get_by_role("listitem").first).to_be_visible()
    page.get_by_role("button", name="Filter", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Filter")).to_be_visible()
    page.get_by_role("dialog").get_by_label("Value").focus()
    page.keyboard.type("two wheels")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("f=tag"))
    expect(results.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("button", name=re.compile("Take the filter .* away")).focus()
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile("f=tag"))
    page.get_by_role("button", name="In groups").focus()
    page.keyboard.press("Space")
    groups = page.get_by_label("Groups")
    expect(groups.get_by_role("img").first).to_be_visible()
    page.get_by_role("slider", name="How much alike").focus()
    with page.expect_response("**/search/cluster*"):
        page.keyboard.press("End")
    expect(page).to_have_url(re.compile(r"groups=0\.9"))
    expect(page.get_by_role("region", name="Groups", exact=True)).to_have_attribute("aria-busy", "false")
    groups.get_by_role("link", name=re.compile("#")).first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/ui/picture/"))
    expect(page.get_by_label("Similar").get_by_role("listitem").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"groups="))


def test_what_is_decided_leaves_and_keys_go_on_at_what_comes_next(page: Page, picture: int) -> None:
    page.goto("/ui/anomalies")
    odd = page.get_by_label("What stands apart", exact=True).get_by_role("listitem").get_by_role("link")
    expect(odd.nth(2)).to_be_visible()
    hrefs = [odd.nth(at).get_attribute("href") for at in range(3)]
    odd.first.focus()
    for key, following in (("r", hrefs[1]), ("o", hrefs[2])):
        page.keyboard.press(key)
        expect(page.locator(f'ol a[href="{following}"]')).to_be_focused()


def test_files_are_chosen_by_keys(page: Page, tmp_path: Path) -> None:
    (tmp_path / "none.jpg").write_bytes(b"no picture")
    page.on("filechooser", lambda _: None)  # asked for now, so that it is in force when the key is pressed
    page.goto("/ui/add")
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Choose files").focus()
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(tmp_path / "none.jpg")
    expect(page.locator("[data-state=failed]")).to_have_count(1)
    page.get_by_role("button", name="Try the failed ones again").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-state=failed]")).to_have_count(1)


def test_a_picture_is_deleted_and_taken_back_by_keys(page: Page, rest: httpx.Client) -> None:
    picture = rest.get("/images", params={"limit": 2}).json()["images"][1]["id"]
    page.goto(f"/ui/picture/{picture}")
    page.get_by_role("button", name="Delete", exact=True).focus()
    page.keyboard.press("Enter")
    until(lambda: rest.get(f"/images/{picture}").status_code == 404, 60)
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.keyboard.press("F8")  # to what is said in passing, as Radix has it
    for _ in range(4):
        if page.evaluate("document.activeElement.textContent") == "Undo":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    until(lambda: rest.get(f"/images/{picture}").status_code == 200, 60)
