"""A model is rolled out on the page: built, compared, given a share, made live, taken back, each with its reason."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.process import Folder, Server
from tests.e2e.two_models import A, B, register_two
from tests.pictures import encoded, scene

PICTURES = 24


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Answers from one of two models, and has pictures."""
    root = tmp_path_factory.mktemp("two-models")
    register_two(root / "models")
    settings = {
        "OMMA_MODEL": A,
        "OMMA_EGS__MODELS_DIR": str(root / "models"),
        "OMMA_WORKER__ROLLOUT_LOOK_SECONDS": "0.1",
    }
    with Folder(root / "data").up(**settings) as server, server.client() as rest:
        for seed in range(PICTURES):
            made = rest.post("/images", files={"image": encoded(scene(96, 72, seed))})
            assert made.status_code == 201, made.text
        receipts = [made.json()["receipt"]]
        rest.post("/search", json={"image_id": 1, "receipts": receipts, "timeout_ms": 50_000})
        yield server


@pytest.fixture
def page(browser: Browser, two_models: Server) -> Iterator[Page]:
    context = browser.new_context(
        base_url=two_models.url, viewport={"width": 1280, "height": 1000}, reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def take(page: Page, step: str, reason: str, *, anyway: str = "") -> None:
    """A step with its reason, in its dialog."""
    page.get_by_role("button", name=step, exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why (for the audit)").fill(reason)
    if anyway:
        dialog.get_by_label(anyway).check()
    dialog.get_by_role("button", name=step, exact=True).click()


def test_a_rollout_is_walked(page: Page, two_models: Server) -> None:
    page.goto("/ui/rollouts")
    expect(page.get_by_role("heading", level=1)).to_contain_text("tiny-1.0.0")
    page.get_by_role("button", name="Roll something out").click()
    begin = page.get_by_role("dialog")
    begin.get_by_label("Model, as name@version").fill("nobody@1.0.0")
    begin.get_by_role("button", name="Build it").click()
    expect(begin.get_by_role("alert")).to_contain_text("nobody@1.0.0")
    begin.get_by_label("Model, as name@version").fill(B)
    begin.get_by_role("button", name="Build it").click()
    walk = page.get_by_label("How far it is").locator("[aria-current=step]")
    expect(walk).to_have_text("Shadow", timeout=60_000)

    page.goto("/ui/rollouts?id=2")
    with two_models.client() as rest:
        asked = {"queries": [{"image_id": 2}], "k": 20}
        indexes = {one["state"]: one["id"] for one in rest.get("/indexes").json()["indexes"]}
        found = {state: rest.post("/search", json={**asked, "index": id}).json() for state, id in indexes.items()}
    shown = {"Live": found["live"], "Candidate": found["shadow"]}
    for column, answer in shown.items():
        links = page.get_by_label(column, exact=True).get_by_role("listitem").get_by_role("link")
        expect(links).to_have_count(len(answer["results"]))
        hrefs = [links.nth(at).get_attribute("href") for at in range(len(answer["results"]))]
        assert hrefs == [f"/ui/picture/{hit['id']}" for hit in answer["results"]]
    first = [{hit["id"] for hit in answer["results"][:10]} for answer in shown.values()]
    expect(page.get_by_text(f"{len(first[0] & first[1])} of the first 10 are in both.")).to_be_visible()

    take(page, "Answer a share", "no traffic here")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Its gate is not met")
    page.keyboard.press("Escape")
    take(page, "Answer a share", "no traffic here", anyway="Also while a gate is not met")
    expect(walk).to_have_text("Canary")
    expect(page.get_by_role("heading", level=1)).to_contain_text("and tiny-2.0.0")

    page.get_by_role("button", name="Change the share").click()
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    page.get_by_role("dialog").get_by_label("Also while a gate is not met").check()
    page.get_by_role("dialog").get_by_role("button", name="Answer a share").click()
    expect(page.get_by_text(re.compile("6 % of callers"))).to_be_visible()

    take(page, "Promote", "better on ours")
    expect(walk).to_have_text("Live")
    expect(page.get_by_role("heading", level=1)).to_contain_text("tiny-2.0.0")
    take(page, "Roll back", "worse <b>after</b> all")
    expect(walk).to_have_text("Rolled back")
    expect(page.get_by_text("worse <b>after</b> all")).to_be_visible()
    take(page, "Clear up", "it lost")
    expect(walk).to_have_text("Cleared up")
    with two_models.client() as rest:
        (rollout,) = rest.get("/rollouts").json()["rollouts"]
        audit = rest.get(f"/rollouts/{rollout['id']}").json()["audit"]
    told = [(entry["step"], entry["reason"]) for entry in audit if entry["by"] == "owner"]
    assert told[1:] == [
        ("canary", "no traffic here"),
        ("canary", ""),
        ("promote", "better on ours"),
        ("rollback", "worse <b>after</b> all"),
        ("retire", "it lost"),
    ]


def test_axe_finds_nothing(page: Page, axe: str) -> None:
    page.goto("/ui/rollouts?id=2")
    expect(page.get_by_role("table").first).to_be_visible()
    page.evaluate(axe)
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})")
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]] == []
