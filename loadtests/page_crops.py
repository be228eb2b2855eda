"""A thing found by its crop on a page that runs, in three inputs: open, draw, look.

    make demo &
    python -m loadtests.page_crops http://127.0.0.1:8080 omma-data/sample

URL: of a server that asks for no key. FOLDER: pictures that it has, of which ten are looked for, each with a box drawn
on it. Exits 1 unless nine of ten are found first, each within ten seconds. Needs Chromium.
"""

import re
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright

CROPS = 10
BOX = (0.15, 0.1, 0.85, 0.9)
MOST_SECONDS = 10


def main(url: str, folder: str) -> int:
    with browser() as chromium:
        took, right = crops(chromium, url, Path(folder))
    for name, seconds, first in took:
        print(f"{seconds:5.1f} s  {name}{'' if first == name else f'  found {first}'}")
    middle, longest = statistics.median(one[1] for one in took), max(one[1] for one in took)
    print(f"{right} of {len(took)} found first, {middle:.1f} s in the middle, {longest:.1f} s at most")
    return int(right < 0.9 * len(took) or longest > MOST_SECONDS)


def crops(chromium: Browser, url: str, folder: Path) -> tuple[list[tuple[str, float, str]], int]:
    """Of each picture: its name, seconds from opening the page to the answer, and what was found first; how many were
    themselves found first.
    """
    every = sorted(folder.glob("*.jpg"))
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as rest:
        name_of = {one["id"]: one["uri"].rsplit("/", 1)[1] for one in rest.get("/images?limit=1000").json()["images"]}
    took = []
    for picture in every[:: max(1, len(every) // CROPS)][:CROPS]:
        with visitor(chromium, url) as page:
            began = time.perf_counter()
            page.goto("/")
            page.locator("input[type=file]").set_input_files(picture)
            page.get_by_test_id("canvas").get_by_role("img").evaluate("picture => picture.decode()")
            _draw(page, *BOX)
            expect(page).to_have_url(re.compile("box="))
            page.wait_for_load_state("networkidle")
            first = page.get_by_label("Results").get_by_role("listitem").get_by_role("link").first
            found = int((first.get_attribute("href") or "").rsplit("/", 1)[1])
            took.append((picture.name, time.perf_counter() - began, name_of.get(found, str(found))))
    return took, sum(name == first for name, _, first in took)


def _draw(page: Page, left: float, top: float, right: float, bottom: float) -> None:
    sides = page.get_by_test_id("canvas").bounding_box()
    assert sides
    at = [
        (sides["x"] + sides["width"] * x, sides["y"] + sides["height"] * y) for x, y in ((left, top), (right, bottom))
    ]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=4)
    page.mouse.up()


@contextmanager
def browser() -> Iterator[Browser]:
    """Debian's Chromium, whose heap is told exactly."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise SystemExit("Chromium is not here.")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--enable-precise-memory-info"]
        )
        yield launched
        launched.close()


@contextmanager
def visitor(chromium: Browser, url: str) -> Iterator[Page]:
    """A page of somebody who was never here."""
    context = chromium.new_context(base_url=url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    raise SystemExit(main(*sys.argv[1:]))
