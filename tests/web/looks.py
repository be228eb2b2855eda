"""Every view at three widths, by day and by night, from left to right and from right to left: looked at, and measured.

    python -m tests.web.looks URL FOLDER

takes the screenshots of a server that runs and asks for no key, and says what overflows.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Literal

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright

Scheme = Literal["light", "dark"]
WIDTHS = (390, 820, 1440)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
DIRECTIONS = ("ltr", "rtl")
SETTLED_MS = 30_000

OVERFLOWING = """() => {
  const wide = document.documentElement.clientWidth, told = [];
  const moves = one => { for (let up = one.parentElement; up && up !== document.body; up = up.parentElement) {
    if (getComputedStyle(up).overflowX !== "visible") return true;
  } return false; };
  for (const one of document.body.querySelectorAll("*")) {
    const at = one.getBoundingClientRect();
    if (at.width === 0 || at.height === 0 || !one.checkVisibility()) continue;
    if ((at.right > wide + 1 || at.left < -1) && !moves(one)) told.push("outside: " + one.outerHTML.slice(0, 160));
    const style = getComputedStyle(one), says = one.matches("button, a, label, summary, th, h1, h2, dt, legend");
    if (says && style.overflowX === "visible" && style.display !== "inline" && one.scrollWidth > one.clientWidth + 1)
      told.push("cut: " + one.outerHTML.slice(0, 160));
  }
  if (document.documentElement.scrollWidth > wide) told.push("the page scrolls sideways");
  return told;
}"""
"""What stands outside of the window, or is longer than its own box."""


def views(picture: int) -> Mapping[str, tuple[str, str]]:
    """Every view by name: the address of one that has something to show, and what it shows. picture: a stored one."""
    return {
        "wall": ("/", "[aria-label=Pictures] img"),
        "words": ("/?text=a+butterfly", "[aria-label=Results] img"),
        "part": (f"/?id={picture}&text=red&box=0.2,0.2,0.8,0.8&near=keep", "[aria-label=Results] img"),
        "nothing": ("/?text=кот", "[role=status] h2"),
        "groups": ("/?groups=0.4", "[aria-label=Groups] img"),
        "picture": (f"/ui/picture/{picture}", "[aria-label=Similar] img"),
        "add": ("/ui/add", "h1"),
        "copies": ("/ui/duplicates", "[aria-label=Copies] img"),
        "odd-ones": ("/ui/anomalies", "ol img"),
        "rollouts": (f"/ui/rollouts?id={picture}", "table"),
        "health": ("/ui/health", "table"),
    }


@contextmanager
def looking(browser: Browser, url: str, scheme: Scheme, direction: str) -> Iterator[Page]:
    """A page by day or by night, from either side."""
    with browser.new_context(base_url=url, color_scheme=scheme, reduced_motion="reduce") as context:
        context.set_default_timeout(SETTLED_MS)
        context.add_init_script(
            f"document.addEventListener('DOMContentLoaded', () => document.documentElement.dir = '{direction}')"
        )
        yield context.new_page()


def settle(page: Page, address: str, shows: str) -> None:
    """To a view that has what it shows."""
    page.goto(address)
    expect(page.locator(shows).first).to_be_visible(timeout=SETTLED_MS)
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=SETTLED_MS)
    page.wait_for_load_state("networkidle")


def sized(page: Page, width: int) -> None:
    """In a window of this width, once the grid has followed."""
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_load_state("networkidle")


def overflowing(page: Page) -> list[str]:
    found: list[str] = page.evaluate(OVERFLOWING)
    return found


def main(url: str, folder: str) -> int:
    """Screenshots of every view; how many of them overflow is the exit code."""
    into = Path(folder)
    into.mkdir(parents=True, exist_ok=True)
    pictures = httpx.get(f"{url}/images", params={"limit": 1}, trust_env=False).json()["images"]
    wrong = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for direction, scheme in product(DIRECTIONS, SCHEMES):
            with looking(browser, url, scheme, direction) as page:
                for name, (address, shows) in views(pictures[0]["id"]).items():
                    settle(page, address, shows)
                    for width in WIDTHS:
                        sized(page, width)
                        page.screenshot(path=into / f"{name}-{width}-{scheme}-{direction}.png")
                        for told in overflowing(page):
                            wrong += 1
                            print(name, width, scheme, direction, told, flush=True)
    return min(wrong, 100)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
