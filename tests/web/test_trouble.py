"""What a person meets when answers are late, are refused or do not come, and when another window is faster."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.waiting import until
from tests.web.shown import added, copies_of

AWAY: dict[str, Any] = {"status": 503, "json": {"kind": "replica_down", "detail": "It is away."}}
REFUSED: dict[str, Any] = {"status": 409, "json": {"kind": "cursor_expired", "detail": "This cursor has expired."}}


def test_a_server_on_this_machine_answers_without_a_network(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_label("Pictures").get_by_role("listitem").first).to_be_visible()
    page.evaluate("dispatchEvent(new Event('offline'))")
    page.get_by_label("What to look for").fill("a butterfly")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Results").get_by_role("listitem").first).to_be_visible()


def test_without_a_way_to_the_server_a_search_says_so_and_is_done_when_there_is_one(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_label("Pictures").get_by_role("listitem").first).to_be_visible()
    context.set_offline(True)
    page.get_by_label("What to look for").fill("a butterfly")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    context.set_offline(False)
    expect(page.get_by_label("Results").get_by_role("listitem").first).to_be_visible()


def test_what_was_found_before_is_not_taken_for_a_late_answer(page: Page) -> None:
    held: list[Route] = []

    def answer(route: Route) -> None:  # Playwright takes no bound method of a list
        held.append(route)

    page.goto("/?text=a+butterfly")
    results = page.get_by_role("region", name="Results")
    told = results.get_by_role("status").first
    expect(told).to_contain_text("pictures")
    page.route("**/search", answer)
    with page.expect_request("**/search"):
        page.get_by_label("What to look for").fill("a pizza")
        page.keyboard.press("Enter")
    expect(told).to_have_text("Looking …")
    expect(results.get_by_role("listitem").first).to_be_visible()
    held[0].continue_()
    expect(told).to_contain_text("pictures")


def test_a_next_page_that_is_refused_is_not_asked_for_again_by_itself(page: Page) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        """The first page has one that follows, which is refused."""
        request = route.request
        if "more" in request.url + (request.post_data or ""):
            asked.append(request.url)
            route.fulfill(**REFUSED)
        else:
            answered = route.fetch()
            route.fulfill(response=answered, json={**answered.json(), "next_cursor": "more"})

    page.route(re.compile(r"/images\?|/search$"), answer)
    for address in ("/", "/?text=a+butterfly"):
        page.goto(address)
        page.get_by_role("listitem").last.scroll_into_view_if_needed()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("This cursor has expired.")
        assert len(asked) == 1, address
        with page.expect_response(re.compile(r"/images\?|/search$")):
            alert.get_by_role("button", name="Try again").click()
        asked.clear()


def test_a_delete_that_is_answered_late_takes_nobody_away_from_where_they_are(page: Page, rest: httpx.Client) -> None:
    picture = added(rest, 920)
    held: list[Route] = []

    def answer(route: Route) -> None:
        if route.request.method == "DELETE":
            held.append(route)
        else:
            route.continue_()

    page.route(f"**/images/{picture}", answer)
    page.goto("/ui/health")
    page.goto(f"/ui/picture/{picture}")
    with page.expect_request(lambda one: one.method == "DELETE"):
        page.get_by_role("button", name="Delete").click()
    page.get_by_label("Views").get_by_role("link", name="Odd ones").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What stands apart")
    held[0].continue_()
    expect(page.get_by_text("Deleted. It can be taken back").first).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("What stands apart")
    page.get_by_role("button", name="Undo").click()
    expect(page).to_have_url(re.compile(f"/ui/picture/{picture}$"))
    until(lambda: rest.get(f"/images/{picture}").is_success, 60)


def test_tags_that_are_said_in_a_hurry_are_kept_beside_those_of_another_window(page: Page, rest: httpx.Client) -> None:
    picture = added(rest, 921)
    held: list[Route] = []

    def answer(route: Route) -> None:
        """The first change is late."""
        if route.request.method == "PATCH" and not held:
            held.append(route)
        else:
            route.continue_()

    page.route(f"**/images/{picture}", answer)
    page.goto(f"/ui/picture/{picture}")
    field = page.get_by_label("Add a tag")
    expect(field).to_be_visible()
    assert rest.patch(f"/images/{picture}", json={"tags": ["elsewhere"]}).is_success
    with page.expect_request(lambda one: one.method == "PATCH"):
        field.fill("one")
        field.press("Enter")
    field.fill("two")
    field.press("Enter")
    expect(page.get_by_role("button", name="Take the tag two away")).to_be_visible()
    with page.expect_response(lambda one: one.request.method == "PATCH"):
        held[0].continue_()
    field.fill("three")
    field.press("Enter")
    kept = {"elsewhere", "one", "two", "three"}
    # What is sent goes on while the page is asked something.
    until(lambda: page.evaluate("true") and set(rest.get(f"/images/{picture}").json()["tags"]) == kept, 60)
    expect(page.get_by_role("button", name=re.compile("Take the tag"))).to_have_count(4)


def test_a_picture_that_waits_for_the_embedder_is_looked_at_again(page: Page, rest: httpx.Client) -> None:
    picture = added(rest, 922)
    asked: list[Route] = []

    def answer(route: Route) -> None:
        """Pending, then away for longer than the page asks in one go, then as it is."""
        asked.append(route)
        if len(asked) == 1:
            answered = route.fetch()
            route.fulfill(response=answered, json={**answered.json(), "state": "pending"})
        elif len(asked) <= 6:
            route.fulfill(**AWAY)
        else:
            route.continue_()

    page.route(f"**/images/{picture}", answer)
    page.goto(f"/ui/picture/{picture}")
    page.get_by_label("Add a tag").fill("half a wo")
    expect(page.get_by_label("Similar").get_by_role("listitem").first).to_be_visible()
    expect(page.get_by_label("Add a tag")).to_have_value("half a wo")


@pytest.mark.parametrize("act", ["tag", "delete"])
def test_a_picture_that_is_gone_meanwhile_is_said_to_be_when_something_is_done_with_it(
    page: Page, rest: httpx.Client, act: str
) -> None:
    picture = added(rest, 924)
    page.goto(f"/ui/picture/{picture}")
    expect(page.get_by_label("Similar").get_by_role("listitem").first).to_be_visible()
    assert rest.delete(f"/images/{picture}").is_success
    if act == "tag":
        page.get_by_label("Add a tag").fill("late")
        page.keyboard.press("Enter")
    else:
        page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="There is no such picture")).to_be_visible()


def test_a_picture_whose_row_does_not_come_is_not_said_to_be_gone(page: Page, rest: httpx.Client) -> None:
    picture = added(rest, 922)
    page.route(f"**/images/{picture}", lambda route: route.fulfill(**AWAY))
    page.goto(f"/ui/picture/{picture}")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("It is away.")
    expect(alert).not_to_contain_text("There is no such picture")
    page.unroute(f"**/images/{picture}")
    alert.get_by_role("button", name="Try again").click()
    expect(page.get_by_label("Similar").get_by_role("listitem").first).to_be_visible()


def test_a_copy_whose_row_does_not_come_is_waited_for_before_anything_is_decided(
    page: Page, rest: httpx.Client
) -> None:
    ids = copies_of(rest, 923)
    page.route(f"**/images/{ids[2]}", lambda route: route.fulfill(**AWAY))
    page.goto("/ui/duplicates")
    groups = page.get_by_label("Copies", exact=True)
    alert = groups.get_by_role("alert")
    expect(alert).to_contain_text("It is away.")
    expect(groups.locator(f'a[href="/ui/picture/{ids[0]}"]')).to_have_count(0)
    page.unroute(f"**/images/{ids[2]}")
    alert.get_by_role("button", name="Try again").click()
    group = groups.locator("> li").filter(has=page.locator(f'a[href="/ui/picture/{ids[0]}"]'))
    expect(group.get_by_role("radio")).to_have_count(3)

    def answer(route: Route) -> None:
        if route.request.method == "DELETE":
            route.fulfill(**AWAY)
        else:
            route.continue_()

    page.route(f"**/images/{ids[1]}", answer)
    group.get_by_role("button", name="Keep it, delete the other 2").click()
    expect(page.get_by_text("It is away.").first).to_be_visible()
    page.unroute(f"**/images/{ids[1]}")
    left = groups.locator("> li").filter(has=page.locator(f'a[href="/ui/picture/{ids[2]}"]'))
    expect(left.get_by_role("radio")).to_have_count(2)
    left.get_by_role("button", name="Keep it, delete the other").click()
    until(lambda: [rest.get(f"/images/{id}").status_code for id in ids] == [404, 404, 200], 60)


def two_that_stand_apart(rest: httpx.Client) -> list[dict[str, Any]]:
    """As the server lists them."""
    some = rest.get("/images", params={"limit": 2}).json()["images"]
    return [{"id": one["id"], "score": 0.5, "reasons": ["far"]} for one in some]


def test_what_is_ordered_anew_stays_while_a_pointer_is_on_it(page: Page, rest: httpx.Client) -> None:
    listed = two_that_stand_apart(rest)
    page.route("**/qa/anomalies?*", lambda route: route.fulfill(json={"images": listed}))
    page.goto("/ui/anomalies")
    rows = page.get_by_label("What stands apart", exact=True)
    links = rows.get_by_role("listitem").get_by_role("link")
    before, after = (f"/ui/picture/{one['id']}" for one in listed)
    expect(links.first).to_have_attribute("href", before)
    listed.reverse()
    page.get_by_role("button", name="Measure anew").focus()
    rows.get_by_role("button", name="Reviewed: it is fine").first.hover()
    with page.expect_response("**/qa/anomalies?*"):
        page.keyboard.press("Enter")
    expect(rows).to_have_attribute("aria-busy", "false")
    expect(links.first).to_have_attribute("href", before)
    page.mouse.move(1, 1)
    expect(links.first).to_have_attribute("href", after)


def test_what_is_said_of_one_that_stands_apart_counts_at_once_and_comes_back_when_it_is_refused(
    page: Page, rest: httpx.Client
) -> None:
    listed = two_that_stand_apart(rest)
    held: list[Route] = []

    def answer(route: Route) -> None:  # Playwright takes no bound method of a list
        held.append(route)

    page.route("**/qa/anomalies?*", lambda route: route.fulfill(json={"images": listed}))
    page.route("**/feedback", answer)
    page.goto("/ui/anomalies")
    links = page.get_by_label("What stands apart", exact=True).get_by_role("listitem").get_by_role("link")
    expect(links).to_have_count(2)
    with page.expect_request("**/feedback"):
        page.get_by_role("button", name="It is odd").first.click()
    expect(links).to_have_count(1)
    held[0].fulfill(**AWAY)
    expect(links).to_have_count(2)
    expect(page.get_by_text("It is away.").first).to_be_visible()


def test_what_was_typed_into_a_dialog_outlives_a_server_that_is_away(page: Page) -> None:
    page.goto("/ui/rollouts")
    page.get_by_role("button", name="Roll something out").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Model, as name@version").fill("nobody@1.0.0")
    page.route("**/indexes", lambda route: route.fulfill(**AWAY))
    told = page.locator("main [role=alert]")
    expect(told).to_contain_text("It is away.")
    page.unroute("**/indexes")
    expect(told).to_have_count(0)
    expect(dialog.get_by_label("Model, as name@version")).to_have_value("nobody@1.0.0")


def test_keys_mean_the_picture_in_focus_wherever_an_answer_puts_it(page: Page) -> None:
    links = page.get_by_label("Results").get_by_role("listitem").get_by_role("link")
    page.goto("/?text=a+butterfly")
    butterfly = links.first.get_attribute("href") or ""
    page.get_by_label("What to look for").fill("a pizza")
    page.keyboard.press("Enter")
    expect(links.first).not_to_have_attribute("href", butterfly)
    pizza = links.first.get_attribute("href") or ""
    links.first.focus()
    page.go_back()
    expect(links.first).to_have_attribute("href", butterfly)
    expect(page.locator(f'a[href="{pizza}"]')).to_be_focused()
    page.keyboard.press("s")
    expect(page).to_have_url(re.compile(rf"/\?id={pizza.rsplit('/', 1)[1]}$"))


def test_searches_that_another_window_forgot_do_not_come_back(context: BrowserContext) -> None:
    page, other = context.new_page(), context.new_page()

    def recent() -> Any:
        return page.evaluate("JSON.parse(localStorage.getItem('omma.recent') ?? '[]')")

    page.goto("/?text=a+pizza")
    until(lambda: recent() == ["text=a+pizza"], 60)
    other.goto("/")
    other.get_by_role("button", name="Forget them").click()
    page.get_by_label("What to look for").fill("a chair")
    page.keyboard.press("Enter")
    until(lambda: "text=a+chair" in recent(), 60)
    assert recent() == ["text=a+chair"]
