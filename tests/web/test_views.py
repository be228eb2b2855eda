"""What is decided in each view, and taken back."""

from typing import Literal

import httpx
from playwright.sync_api import Locator, Page, Route, expect

from tests.waiting import until
from tests.web.shown import added, copies_of


def test_tags_are_changed_and_a_delete_is_taken_back(page: Page, rest: httpx.Client) -> None:
    picture = added(rest, 902)
    page.goto(f"/ui/picture/{picture}")
    page.get_by_label("Add a tag").fill("brass lamp")
    page.keyboard.press("Enter")
    until(lambda: rest.get(f"/images/{picture}").json()["tags"] == ["brass lamp"], 60)
    page.get_by_role("button", name="Delete").click()
    until(lambda: rest.get(f"/images/{picture}").status_code == 404, 60)
    page.get_by_role("button", name="Undo").click()
    until(lambda: rest.get(f"/images/{picture}").status_code == 200, 60)
    expect(page.get_by_role("button", name="Take the tag brass lamp away")).to_be_visible()


def test_health_says_what_runs(page: Page) -> None:
    page.goto("/?text=a+pizza")
    expect(page.get_by_label("Results").get_by_role("listitem").first).to_be_visible()
    page.goto("/ui/health")
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything answers.")
    expect(page.get_by_text("embed it", exact=True)).to_be_visible()
    expect(page.get_by_role("table").first).to_contain_text("omma-mini")


def test_health_says_how_searches_fare_what_was_changed_and_how_much_may_be_kept(
    page: Page, rest: httpx.Client
) -> None:
    index = rest.get("/health").json()["indexes"][0]["id"]
    page.goto("/?text=a+pizza")
    with page.expect_request("**/click"):
        page.get_by_label("Results").get_by_role("listitem").get_by_role("link").first.click()
    until(lambda: rest.get("/insights").json()["insights"] != [], 60)
    assert rest.put("/quotas/*", json={"max_pictures": 20}).is_success
    assert rest.put("/quotas/default", json={"max_pictures": 100_000, "max_bytes": 10**9}).is_success
    try:
        page.goto("/ui/health")
        told = rest.get("/insights").json()["insights"][-1]
        fares = page.get_by_role("table").filter(has_text="Found nothing").get_by_role("row").last
        expect(fares).to_contain_text(f"{told['day']}{index}")
        kept = page.get_by_role("table").filter(has_text="Everybody else, each").get_by_role("row")
        expect(kept.nth(1)).to_contain_text("20no limit")
        pictures = rest.get("/quotas").json()["quotas"][-1]["pictures"]
        expect(kept.nth(2)).to_contain_text(f"default{pictures:,} of 100,000")
        changes = page.get_by_role("table").filter(has_text="Outcome")
        expect(changes).to_contain_text("PUT /quotas/{tenant}")
    finally:
        for tenant in ("*", "default"):
            rest.delete(f"/quotas/{tenant}").raise_for_status()


def test_copies_are_looked_at_and_decided_and_each_decision_is_taken_back(page: Page, rest: httpx.Client) -> None:
    ids = copies_of(rest, 911)
    page.goto("/ui/duplicates")
    groups = page.get_by_label("Copies", exact=True)
    group = groups.locator("> li").filter(has=page.locator(f'a[href="/ui/picture/{ids[0]}"]'))
    expect(group.get_by_role("radio")).to_have_count(3, timeout=120_000)

    def of(picture: int, role: Literal["radio", "checkbox"]) -> Locator:
        link = page.locator(f'a[href="/ui/picture/{picture}"]')
        return group.get_by_role("listitem").filter(has=link).get_by_role(role)

    expect(of(ids[2], "radio")).to_be_checked()  # the largest
    expect(group.get_by_role("radio").first).to_be_checked()

    group.get_by_role("button", name="Keep it, delete the other 2").click()
    expect(group).to_have_count(0)
    until(lambda: [rest.get(f"/images/{id}").status_code for id in ids] == [404, 404, 200], 60)
    page.get_by_role("button", name="Undo").click()
    until(lambda: all(rest.get(f"/images/{id}").status_code == 200 for id in ids), 60)
    expect(group.get_by_role("radio")).to_have_count(3)

    page.get_by_label("Keep by").select_option("sharpness")
    expect(group.get_by_text("sharpness")).to_have_count(3)
    for one in ids[:2]:
        of(one, "checkbox").check()
    page.get_by_label("Tag them all").fill("twice")
    page.keyboard.press("Enter")
    until(lambda: [rest.get(f"/images/{id}").json()["tags"] for id in ids] == [["twice"], ["twice"], []], 60)
    page.get_by_label("Tag them all").fill("thrice")
    page.keyboard.press("Enter")
    both = ["twice", "thrice"]
    until(lambda: [rest.get(f"/images/{id}").json()["tags"] for id in ids] == [both, both, []], 60)

    expect(page.get_by_label("Chosen pictures")).to_be_visible()
    group.get_by_role("button", name="They are different").click()
    expect(group).to_have_count(0)
    expect(page.get_by_label("Chosen pictures")).to_have_count(0)

    def apart() -> bool:
        hits = rest.post("/search", json={"image_id": ids[0], "k": 60, "timeout_ms": 50_000}).json()["results"]
        return set(ids[1:]) <= {hit["id"] for hit in hits}

    until(apart, 60)
    # Two calls: said when the last of them was answered.
    said = page.get_by_role("listitem").filter(has_text="Searches show them apart")
    said.get_by_role("button", name="Undo").click()
    until(lambda: not apart(), 60)


def test_beside_a_picture_stand_those_that_searches_fold_with_it(page: Page, rest: httpx.Client) -> None:
    ids = copies_of(rest, 916)
    read: list[Route] = []

    def answer(route: Route) -> None:
        """The first one that is read, and not shown, does not come."""
        if route.request.resource_type == "fetch" and not read:
            read.append(route)
            route.fulfill(status=503, json={"kind": "replica_down", "detail": "It is away."})
        else:
            route.continue_()

    page.route("**/thumbnail*", answer)
    page.goto(f"/ui/picture/{ids[2]}")
    copies = page.get_by_role("button", name="Compare:")
    expect(copies).to_have_count(2)
    copies.first.click()
    expect(page.get_by_role("dialog", name="Compare").get_by_role("slider")).to_be_visible()

    assert rest.post("/duplicates/split", json={"keep": ids[2], "ids": ids[:2]}).is_success

    def apart() -> bool:
        page.reload()
        expect(page.get_by_label("Similar").get_by_role("listitem").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        return copies.count() == 0

    until(apart, 60)


def test_what_a_measure_lacks_is_said_beside_the_choice_of_another(page: Page) -> None:
    refused = "This model does not say what it was trained on."
    page.route(
        "**/qa/anomalies?by=training*",
        lambda route: route.fulfill(status=409, json={"kind": "wrong_state", "detail": refused}),
    )
    page.goto("/ui/anomalies")
    measure = page.get_by_label("Measured by")
    measure.select_option("training")
    expect(page.get_by_role("alert")).to_contain_text(refused)
    measure.select_option("density")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_what_stands_apart_is_measured_and_reviewed(page: Page, rest: httpx.Client) -> None:
    page.goto("/ui/anomalies")
    listed = page.get_by_label("What stands apart", exact=True)
    expect(listed).to_have_attribute("aria-busy", "false")
    with page.expect_response("**/qa/anomalies?*"):  # once the job is done
        page.get_by_role("button", name="Measure anew").click()
    expect(listed).to_have_attribute("aria-busy", "false")
    rows = listed.get_by_role("listitem")
    expect(rows.first).to_be_visible()
    first = rows.first.get_by_role("link").get_attribute("href")
    scores = [float(row.locator("p").first.inner_text().split()[0]) for row in rows.all()]
    assert scores == sorted(scores, reverse=True)
    rows.first.get_by_role("button", name="Reviewed: it is fine").click()
    expect(page.locator(f'ol a[href="{first}"]')).to_have_count(0)
    rows.first.get_by_role("link").focus()
    odd = rows.first.get_by_role("link").get_attribute("href")
    page.keyboard.press("o")
    expect(page.locator(f'ol a[href="{odd}"]')).to_have_count(0)

    def said() -> set[tuple[str, str]]:
        newest_first = rest.get("/feedback").json()["feedback"]
        last = {one["image_id"]: one["action"] for one in reversed(newest_first)}
        return {(f"/ui/picture/{id}", action) for id, action in last.items()}

    until(lambda: said() >= {(first, "reviewed"), (odd, "anomaly")}, 60)
    page.goto(odd or "")
    expect(page.get_by_label("What was said of it").get_by_role("listitem").first).to_contain_text("Odd")
