"""Every view: for people who see little or use no mouse, with what strangers wrote, and with files that are none."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.process import Server
from tests.pictures import encoded, scene
from tests.web.conftest import until

HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\">",
    "\u202egnp.exe\u202c",
    "javascript:document.title='owned'",
    "x" * 900,
)


def added(rest: httpx.Client, seed: int, **fields: str) -> int:
    """A picture that can be found."""
    answer = rest.post("/images", files={"image": ("a.jpg", encoded(scene(seed=seed)))}, data=fields)
    assert answer.is_success, answer.text
    rest.post(
        "/search", json={"image_id": answer.json()["id"], "receipts": [answer.json()["receipt"]], "timeout_ms": 50_000}
    )
    return int(answer.json()["id"])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view(
    browser: Browser, server: Server, rest: httpx.Client, web: Path, scheme: str
) -> None:
    axe = (web / "node_modules/axe-core/axe.min.js").read_text()
    picture = rest.get("/images", params={"limit": 1}).json()["images"][0]["id"]
    context = browser.new_context(base_url=server.url, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    for path in (
        "/",
        "/?text=a+chair",
        f"/?id={picture}&text=red&box=0.2,0.2,0.8,0.8",
        f"/ui/picture/{picture}",
        "/ui/add",
        "/ui/duplicates",
        "/ui/anomalies",
        "/ui/health",
    ):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        page.evaluate(axe)
        found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})")
        told = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]]
        assert told == [], path
    context.close()


def test_what_strangers_wrote_is_shown_as_text(page: Page, rest: httpx.Client) -> None:
    tags = list(HOSTILE[:3])
    picture = added(rest, 901, external_id=HOSTILE[0], owner=HOSTILE[1], source_url=HOSTILE[2])
    described = {"tags": tags, "attributes": {"caption": HOSTILE[0], "note": HOSTILE[3]}}
    assert rest.patch(f"/images/{picture}", json=described).is_success
    for path in (f"/ui/picture/{picture}", f"/?id={picture}"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.title() == "Omma" and page.locator("img[src=x]").count() == 0
    page.goto(f"/ui/picture/{picture}")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE[0])
    assert page.locator("a[href^='javascript']").count() == 0
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0


def test_tags_are_changed_and_a_delete_is_taken_back(page: Page, rest: httpx.Client) -> None:
    picture = added(rest, 902)
    page.goto(f"/ui/picture/{picture}")
    page.get_by_label("Add a tag").fill("brass lamp")
    page.keyboard.press("Enter")
    until(lambda: rest.get(f"/images/{picture}").json()["tags"] == ["brass lamp"])
    page.get_by_role("button", name="Delete").click()
    until(lambda: rest.get(f"/images/{picture}").status_code == 404)
    page.get_by_role("button", name="Undo").click()
    until(lambda: rest.get(f"/images/{picture}").status_code == 200)
    expect(page.get_by_role("button", name="Take the tag brass lamp away")).to_be_visible()


def test_a_list_of_files_is_added_and_what_failed_says_why(page: Page, rest: httpx.Client, tmp_path: Path) -> None:
    for number in range(24):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(scene(seed=2_000 + number)))
    (tmp_path / "again.jpg").write_bytes((tmp_path / "0.jpg").read_bytes())
    for number, content in enumerate((b"", b"no picture at all", encoded(scene(seed=1))[:200])):
        (tmp_path / f"broken-{number}.jpg").write_bytes(content)
    before = rest.get("/images").json()["count"]
    page.goto("/ui/add")
    page.locator("input[type=file]").first.set_input_files(sorted(tmp_path.iterdir()))
    expect(page.get_by_role("status").first).to_contain_text("28 of 28 files", timeout=120_000)
    rows = page.get_by_label("Files").get_by_role("listitem")
    assert rows.count() == 28
    assert page.locator("[data-state=added]").count() == 24 and page.locator("[data-state=twice]").count() == 1
    failed = page.locator("[data-state=failed]")
    assert failed.count() == 3
    for at in range(3):
        name, why, state = failed.nth(at).inner_text().splitlines()
        assert name.startswith("broken-") and len(why) > 10 and state == "failed"
    assert rest.get("/images").json()["count"] == before + 24


def test_health_says_what_runs(page: Page) -> None:
    page.goto("/?text=a+pizza")
    expect(page.get_by_label("Results").get_by_role("listitem").first).to_be_visible()
    page.goto("/ui/health")
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything answers.")
    expect(page.get_by_text("embed", exact=True)).to_be_visible()
    expect(page.get_by_role("table").first).to_contain_text("omma-mini")


def copies_of(rest: httpx.Client, seed: int) -> list[int]:
    """One picture at three sizes, the smallest first."""
    picture = scene(640, 480, seed)
    ids = []
    for width in (160, 320, 640):
        content = encoded(picture.resize((width, width * 3 // 4)))
        answer = rest.post("/images", files={"image": ("a.jpg", content)}, data={"external_id": f"copy {seed} {width}"})
        assert answer.status_code == 201, answer.text
        ids.append(int(answer.json()["id"]))
    receipts = [answer.json()["receipt"]]
    rest.post("/search", json={"image_id": ids[0], "receipts": receipts, "timeout_ms": 50_000})
    return ids


def test_copies_are_looked_at_and_decided_and_each_decision_is_taken_back(page: Page, rest: httpx.Client) -> None:
    ids = copies_of(rest, 911)
    page.goto("/ui/duplicates")
    groups = page.get_by_label("Copies", exact=True)
    group = groups.locator("> li").filter(has=page.locator(f'a[href="/ui/picture/{ids[0]}"]'))
    expect(group.get_by_role("radio")).to_have_count(3, timeout=120_000)
    expect(group.get_by_role("radio").nth(2)).to_be_checked()  # the largest

    group.get_by_role("button", name="Keep it, delete the other 2").click()
    expect(group).to_have_count(0)
    until(lambda: [rest.get(f"/images/{id}").status_code for id in ids] == [404, 404, 200])
    page.get_by_role("button", name="Undo").click()
    until(lambda: all(rest.get(f"/images/{id}").status_code == 200 for id in ids))
    expect(group.get_by_role("radio")).to_have_count(3)

    page.get_by_label("Keep by").select_option("sharpness")
    expect(group.get_by_text("sharpness")).to_have_count(3)
    boxes = group.get_by_role("checkbox")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_label("Tag them all").fill("twice")
    page.keyboard.press("Enter")
    until(lambda: [rest.get(f"/images/{id}").json()["tags"] for id in ids] == [["twice"], ["twice"], []])

    group.get_by_role("button", name="They are different").click()
    expect(group).to_have_count(0)

    def apart() -> bool:
        hits = rest.post("/search", json={"image_id": ids[0], "k": 60, "timeout_ms": 50_000}).json()["results"]
        return set(ids[1:]) <= {hit["id"] for hit in hits}

    until(apart)
    page.get_by_role("button", name="Undo").last.click()
    until(lambda: not apart())


def test_what_stands_apart_is_measured_and_reviewed(page: Page, rest: httpx.Client) -> None:
    page.goto("/ui/anomalies")
    page.get_by_role("button", name="Measure anew").click()
    rows = page.get_by_label("What stands apart", exact=True).get_by_role("listitem")
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
    said = {one["image_id"]: one["action"] for one in rest.get("/feedback").json()["feedback"]}
    assert {f"/ui/picture/{id}": action for id, action in said.items()} | {first: "reviewed", odd: "anomaly"} == {
        f"/ui/picture/{id}": action for id, action in said.items()
    }
    page.goto(odd or "")
    expect(page.get_by_label("What was said of it").get_by_role("listitem")).to_contain_text("Odd")
