"""The page in a real browser: first paint, weight, layout shift, a thing found by its crop, 10,000 pictures scrolled.

    python -m loadtests.page [--pictures N] [--rounds N]

Needs Chromium. What is looked at is the catalogue of `make demo`; the many pictures are drawn, and no two are alike.
"""

import argparse
import gzip
import re
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, Response, expect

from loadtests.bench.figures import Report, spread
from loadtests.bench.up import Up, up
from loadtests.page_crops import CROPS, MOST_SECONDS, browser, crops, visitor
from services.standalone.sample.catalogue import draw_catalogue

ARCHIVE = Path(__file__).parents[1] / "services/gateway/rest/page/page.zip"
WALL_PAGE, RESULTS_PAGE = 120, 60
DEEPEST = 5_000
"""Pictures that the pages of a search lead to."""
MARKS = (1_000, 5_000)
SHIFT = """() => { window.shifted = 0; new PerformanceObserver(list => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifted += one.value;
}).observe({ type: "layout-shift", buffered: true }); }"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    report = Report("page", "python -m loadtests.page")
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        draw_catalogue(pictures)
        with up(Path(folder) / "data") as server, browser() as chromium:
            _ingest(server, pictures)
            weigh(report)
            paint(report, chromium, server, given.rounds)
            find_crops(report, chromium, server, pictures)
            report.save()
        with up(Path(folder) / "many") as server, browser() as chromium:
            _many(Path(folder) / "drawn", given.pictures)
            job = _begin(server, Path(folder) / "drawn")
            _until(server, job, lambda told: told["created"] >= given.pictures)
            scroll_wall(report, chromium, server, given.pictures)
            report.save()
            _until(server, job, _searchable)
            scroll_results(report, chromium, server, min(given.pictures, DEEPEST))
    report.save()
    return int(any(one.met is False for one in report.targets))


def weigh(report: Report) -> None:
    """What comes before the first search."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        first = re.findall(r'(?:src|href)="/ui/([^"]+[.]js)"', archive.read("index.html").decode())
        weight = sum(len(gzip.compress(archive.read(name), 9)) for name in first)
    report.target(
        "page: JavaScript before the first search, gzip", f"{weight / 1000:.0f} kB", "<= 200 kB", weight <= 200_000
    )


def paint(report: Report, chromium: Browser, server: Up, rounds: int) -> None:
    """From the address to the first paint, nothing cached, and how far anything moves while thumbnails come."""
    painted, shifts = [], []
    for _ in range(rounds):
        with visitor(chromium, server.url) as page:
            page.add_init_script(f"({SHIFT})()")
            page.goto("/")
            expect(page.get_by_label("Pictures").get_by_role("listitem").first).to_be_visible()
            page.wait_for_load_state("networkidle")
            painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000)
            page.goto("/?text=a+green+car")
            expect(page.get_by_label("Results").get_by_role("listitem").first).to_be_visible()
            page.mouse.wheel(0, 3_000)
            page.wait_for_load_state("networkidle")
            shifts.append(page.evaluate("window.shifted"))
    first, shift = statistics.median(painted), max(shifts)
    report.target("page: first paint, nothing cached", f"{spread(painted, 2)} s", "<= 1 s", first <= 1)
    report.target("page: layout shift of a search and a scroll", f"{shift:.3f}", "<= 0.02", shift <= 0.02)


def find_crops(report: Report, chromium: Browser, server: Up, pictures: Path) -> None:
    """Three inputs: the page is opened, a picture goes in, a box is drawn; the first picture is looked at."""
    found, right = crops(chromium, server.url, pictures)
    took = [seconds for _, seconds, _ in found]
    report.target(
        "page: the right picture first, by its crop", f"{right} of {CROPS}", ">= 9 of 10", right >= 0.9 * CROPS
    )
    report.target("page: opened, drawn, looked at", f"{spread(took, 1)} s", "<= 10 s", max(took) <= MOST_SECONDS)


def scroll_wall(report: Report, chromium: Browser, server: Up, count: int) -> None:
    """To the end of everything that is there; what is not searchable yet is listed all the same."""
    with visitor(chromium, server.url) as page:
        told = _scrolled(page, "/", "Pictures", "GET /images", WALL_PAGE, count)
    _tell(report, "the wall", told)


def scroll_results(report: Report, chromium: Browser, server: Up, count: int) -> None:
    """To the end of a search, as far as its pages lead."""
    with visitor(chromium, server.url) as page:
        told = _scrolled(page, "/?text=a+green+car&near=keep", "Results", "POST /search", RESULTS_PAGE, count)
    _tell(report, "a search", told)


def _tell(report: Report, what: str, told: list[tuple[int, float, float, int]]) -> None:
    """What the browser holds on the way."""
    columns = ["pictures that came", "seconds", "JavaScript heap MB", "elements"]
    table = report.table(f"Scrolled to the end of {what}.", columns)
    for came, seconds, heap, elements in told:
        table.rows.append([f"{came:,}", f"{seconds:.0f}", f"{heap:.1f}", elements])
    more, most = told[-1][2] - told[0][2], max(elements for *_, elements in told)
    report.target(f"page: heap that {told[-1][0]:,} pictures of {what} add", f"{more:.1f} MB", "<= 60 MB", more <= 60)
    report.target(f"page: elements of {what} at most", f"{most:,}", "<= 1,500", most <= 1_500)


def _scrolled(
    page: Page, address: str, label: str, call: str, of_page: int, last: int
) -> list[tuple[int, float, float, int]]:
    """Pictures that came, seconds until then, MB of heap after collecting, elements: on the way and at the end."""
    session = page.context.new_cdp_session(page)
    came = [0]
    method, path = call.split()

    def heard(answer: Response) -> None:
        came[0] += answer.request.method == method and answer.url.split("?")[0].endswith(path)

    page.on("response", heard)
    page.goto(address)
    expect(page.get_by_label(label).get_by_role("listitem").first).to_be_visible()
    told: list[tuple[int, float, float, int]] = []
    marks = [of_page, *(mark for mark in MARKS if of_page < mark < last), last]
    began = time.perf_counter()
    while marks:
        page.mouse.wheel(0, 6_000)
        page.wait_for_timeout(50)
        if came[0] * of_page >= marks[0]:
            took = time.perf_counter() - began
            page.wait_for_load_state("networkidle")
            session.send("HeapProfiler.collectGarbage")
            heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
            told.append((marks.pop(0), took, heap, page.evaluate("document.querySelectorAll('*').length")))
    return told


def _ingest(server: Up, folder: Path) -> None:
    _until(server, _begin(server, folder), _searchable)


def _begin(server: Up, folder: Path) -> str:
    with server.client() as rest:
        return str(rest.post("/images/ingest", json={"folder": str(folder)}).json()["job_id"])


def _searchable(told: dict[str, Any]) -> bool:
    return told["state"] == "done" and not told["waiting"]


def _until(server: Up, job: str, met: Callable[[dict[str, Any]], bool]) -> None:
    with server.client() as rest:
        while not met(rest.get(f"/jobs/{job}").json()):
            time.sleep(0.5)


def _many(folder: Path, count: int) -> None:
    """So many pictures of clouds, each its own."""
    folder.mkdir()
    rng = np.random.default_rng(14)
    for number in range(count):
        cells = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        size = (int(rng.integers(120, 240)), int(rng.integers(120, 240)))
        cells.resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")


if __name__ == "__main__":
    raise SystemExit(main())
