"""Every view at three widths, by day and by night, in both directions: nothing overflows, and axe finds nothing."""

import httpx
import pytest
from playwright.sync_api import Browser

from tests.e2e.process import Server
from tests.web.conftest import until
from tests.web.looks import DIRECTIONS, SCHEMES, WIDTHS, Scheme, looking, overflowing, settle, sized, views


@pytest.fixture(scope="module")
def picture(server: Server, rest_of_module: httpx.Client) -> int:
    """One of pictures that have copies, tags and scores."""
    rest = rest_of_module
    rows = rest.get("/images", params={"limit": 1000}).json()["images"]
    for one in rows:
        rest.patch(f"/images/{one['id']}", json={"tags": [one["uri"].split("/")[-2]]}).raise_for_status()
    small = rest.get(rows[0]["thumbnail_url"]).content
    rest.post("/images", files={"image": small}, data={"external_id": "a small copy"}).raise_for_status()
    until(lambda: rest.get("/stats").json()["waiting"] == 0)
    job = rest.post("/qa/anomalies").json()["job_id"]
    until(lambda: rest.get(f"/jobs/{job}").json()["state"] == "done")
    return int(rows[0]["id"])


@pytest.fixture(scope="module")
def rest_of_module(server: Server) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=60, trust_env=False)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_view_overflows_and_axe_finds_nothing(
    browser: Browser, server: Server, picture: int, axe: str, scheme: Scheme, direction: str
) -> None:
    with looking(browser, server.url, scheme, direction) as page:
        for name, (address, shows) in views(picture).items():
            settle(page, address, shows)
            for width in WIDTHS:
                sized(page, width)
                assert overflowing(page) == [], (name, width)
                if direction == "rtl" or width == WIDTHS[1]:
                    continue  # what it looks for does not turn
                page.evaluate(axe)
                found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})")
                told = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]]
                assert told == [], (name, width)
