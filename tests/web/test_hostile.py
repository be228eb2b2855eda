"""What strangers wrote, in every view that shows it: names, tags, owners, attributes, EXIF, file names, addresses."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.e2e.process import Folder, Server
from tests.pictures import scene
from tests.waiting import until

MARKUP = "<img src=x onerror=\"document.title='owned'\">"
BACKWARDS = "\u202egnp.exe\u202c"
ADDRESS = "javascript:document.title='owned'"
LONG = "x" * 10_000
TAGS = [MARKUP, BACKWARDS, ADDRESS, "y" * 256]
FILE = "<img src=x onerror=document.title=1>.jpg"
DESCRIPTION, ARTIST = 0x010E, 0x013B
SMALL = 390


def described(picture: Image.Image) -> bytes:
    """With EXIF that is markup."""
    exif = Image.Exif()
    exif[DESCRIPTION], exif[ARTIST] = MARKUP, LONG
    content = io.BytesIO()
    picture.save(content, "JPEG", exif=exif)
    return content.getvalue()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[int]]]:
    """A server of such pictures, the first three copies of one, and one file that is none; and their ids."""
    root = tmp_path_factory.mktemp("hostile")
    (root / "folder").mkdir()
    (root / "folder" / FILE).write_bytes(b"no picture")
    (root / "folder" / f"good {FILE}").write_bytes(described(scene(seed=950)))
    original = scene(640, 480, 951)
    made = [original.resize((width, width * 3 // 4)) for width in (160, 320, 640)]
    made += [scene(seed=960 + number) for number in range(4)]
    with Folder(root / "data").up() as server, server.client() as rest:
        ids = []
        for number, picture in enumerate(made):
            fields = {"external_id": f"{MARKUP} {number}", "owner": BACKWARDS, "source_url": ADDRESS}
            answer = rest.post("/images", files={"image": (FILE, described(picture))}, data=fields)
            assert answer.status_code == 201, answer.text
            ids.append(int(answer.json()["id"]))
            said = {"caption": f"{MARKUP} {number}", "note": LONG, MARKUP: ADDRESS}
            answer = rest.patch(f"/images/{ids[-1]}", json={"tags": TAGS[: 1 + number % 4], "attributes": said})
            assert answer.is_success, answer.text
            said_of_it = {"image_id": ids[-1], "action": "relevant", "note": f"{MARKUP} {LONG[:900]}"}
            assert rest.post("/feedback", json=said_of_it).is_success
        job = rest.post("/images/ingest", json={"folder": str(root / "folder")}).json()["job_id"]
        until(lambda: (told := rest.get(f"/jobs/{job}").json())["state"] == "done" and not told["waiting"], seconds=120)
        until(lambda: len(rest.get("/dead-letters").json()["dead_letters"]) == 1, seconds=120)
        until(lambda: rest.get("/stats").json()["catalog"]["indexed"] == len(made) + 1, seconds=120)
        job = rest.post("/qa/anomalies").json()["job_id"]
        until(lambda: rest.get(f"/jobs/{job}").json()["state"] == "done", seconds=120)
        yield server, ids


@pytest.mark.parametrize("width", [SMALL, 1280])
def test_it_is_shown_as_text_and_breaks_no_view(
    browser: Browser, hostile: tuple[Server, list[int]], width: int
) -> None:
    server, ids = hostile
    shown = {
        "/": "[aria-label=Pictures] img",
        f"/?id={ids[0]}&near=keep": "[aria-label=Results] img",
        f"/?id={ids[3]}&not={ids[4]}&f=tag:{MARKUP}": "[aria-label=Results]",
        "/?groups=0.2": "[aria-label=Groups] img",
        f"/ui/picture/{ids[0]}": "[aria-label=Similar] img",
        "/ui/duplicates": "[aria-label=Copies] img",
        "/ui/anomalies": "ol img",
        "/ui/health": "text=These bytes are no picture",
        f"/ui/rollouts?id={ids[0]}": "table",
    }
    with browser.new_context(
        base_url=server.url, viewport={"width": width, "height": 900}, reduced_motion="reduce"
    ) as context:
        context.set_default_timeout(60_000)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        for address, shows in shown.items():
            page.goto(address)
            expect(page.locator(shows).first).to_be_visible(timeout=60_000)
            page.wait_for_load_state("networkidle")
            harmless(page, address)
        page.goto(f"/?id={ids[0]}&near=keep")
        page.get_by_label("Results").get_by_role("listitem").get_by_role("link").first.focus()
        page.keyboard.press("w")
        expect(page.get_by_role("dialog", name="Why it is here")).to_contain_text(MARKUP)
        harmless(page, "why")
        assert [url for url in asked if not url.startswith((server.url, "blob:", "data:"))] == []
        assert [url for url in asked if url.endswith("/x")] == []


def test_a_files_name_is_text_where_it_is_added_and_where_it_could_not_be_read(
    browser: Browser, hostile: tuple[Server, list[int]], tmp_path: Path
) -> None:
    server, ids = hostile
    (tmp_path / FILE).write_bytes(b"no picture either")
    with browser.new_context(base_url=server.url, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto("/ui/add")
        page.locator("input[type=file]").first.set_input_files(tmp_path / FILE)
        expect(page.locator("[data-state=failed]")).to_contain_text(FILE)
        harmless(page, "add")
        page.goto("/ui/health")
        expect(page.get_by_text("onerror").first).to_be_visible()
        page.goto(f"/ui/picture/{ids[1]}")
        expect(page.get_by_role("heading", level=1)).to_have_text(f"{MARKUP} 1")
        expect(page.get_by_label("What was said of it")).to_contain_text(MARKUP)
        harmless(page, "picture")


def harmless(page: Page, where: str) -> None:
    """Nothing of it became markup, a link that runs, or a page that is wider than its window."""
    assert page.title() == "Omma", where
    assert page.locator("img[src=x], [onerror], a[href^='javascript']").count() == 0, where
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, where
