"""A real browser, and a real server with real photographs to look at."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.e2e.process import Folder, Server
from tests.waiting import until

ROOT = Path(__file__).parent.parent.parent
SOURCES = (
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    ".npmrc",
    "tsconfig.json",
    "vite.config.ts",
)
CLASSES = ("barrel", "beaver", "butterfly", "camera", "chair", "helicopter", "Motorbikes", "pizza")
OF_EACH = 6
NOT_THE_PAGES = ("status of", "ERR_NETWORK_CHANGED")
"""An answer that is an error is the page's to tell; another interface of the machine that comes or goes is nobody's."""
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; nothing is downloaded. Of a module: while it runs, asyncio sees a loop in this thread."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have Chromium")
        pytest.skip("Chromium is not here")
    with sync_playwright() as playwright:
        # A container's root has no user namespaces for the sandbox; the page is our own.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pictures(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of some of them."""
    folder = tmp_path_factory.mktemp("looked-at")
    for name in CLASSES:
        (folder / name).mkdir()
        for one in sorted((photographs / "caltech-101" / name).iterdir())[:OF_EACH]:
            shutil.copy(one, folder / name / one.name)
    return folder


@pytest.fixture(scope="session")
def server(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Has ingested them; asks for no key."""
    folder = Folder(tmp_path_factory.mktemp("page") / "data")
    with folder.up() as server, server.client() as rest:
        job = rest.post("/images/ingest", json={"folder": str(pictures)}).json()["job_id"]
        until(lambda: rest.get(f"/jobs/{job}").json()["state"] == "done", seconds=300)
        until(lambda: rest.get(f"/jobs/{job}").json()["waiting"] == 0, seconds=300)
        yield server


@pytest.fixture
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """Of somebody who was never here before."""
    context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Whatever the browser complains of fails the test: a policy that is broken, an exception."""
    page = context.new_page()
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(one in message.text for one in NOT_THE_PAGES):
            complaints.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert complaints == []


@pytest.fixture
def rest(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def picture(server: Server) -> int:
    """The id of one, of pictures that have tags, copies and scores: every view has something to show."""
    with server.client() as rest:
        every = rest.get("/images", params={"limit": 1000}).json()["images"]
        rows = [one for one in every if one["uri"].split("/")[-2:][0] in CLASSES]
        for one in rows:
            rest.patch(f"/images/{one['id']}", json={"tags": [one["uri"].split("/")[-2]]}).raise_for_status()
        # Not of a thing on white, of which it takes more for a copy.
        whole = next(one for one in rows if "butterfly" in one["uri"])
        small = rest.get(whole["thumbnail_url"]).content
        rest.post("/images", files={"image": small}, data={"external_id": "a small copy"}).raise_for_status()
        until(lambda: rest.get("/stats").json()["waiting"] == 0, 60)
        job = rest.post("/qa/anomalies").json()["job_id"]
        until(lambda: rest.get(f"/jobs/{job}").json()["state"] == "done", 60)
    return int(rows[0]["id"])


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of web/ with what it depends on, installed from its lock."""
    if shutil.which("npm") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have Node")
        pytest.skip("Node is not here")
    copy = tmp_path_factory.mktemp("web")
    for name in SOURCES:
        source = ROOT / "web" / name
        if source.is_dir():
            shutil.copytree(source, copy / name)
        else:
            shutil.copy(source, copy / name)
    run(copy, "npm", "ci", "--prefer-offline")
    return copy


@pytest.fixture(scope="session")
def axe(web: Path) -> str:
    """axe-core's script."""
    return (web / "node_modules/axe-core/axe.min.js").read_text()


def run(folder: Path, *command: str) -> str:
    """A command to its good end; what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser on a busy machine takes its time."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(400))
