"""Adding goes on: what is known is not sent, a bucket is used where there is one, servers go and come, keys end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Request, expect

from deploy.parts import Minio
from deploy.parts.ports import free_port
from tests.buckets import bucket_settings
from tests.e2e.process import Folder
from tests.pictures import encoded, scene

FILES = 9


def files(folder: Path, first: int, count: int = FILES) -> list[Path]:
    """Pictures that nobody has."""
    folder.mkdir(exist_ok=True)
    made = [folder / f"{first + number}.jpg" for number in range(count)]
    for number, path in enumerate(made):
        path.write_bytes(encoded(scene(160, 120, seed=first + number)))
    return made


@contextmanager
def adding(browser: Browser, url: str) -> Iterator[tuple[Page, list[Request]]]:
    """The view, and what it asks of whomever."""
    context = browser.new_context(base_url=url, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    page = context.new_page()
    asked: list[Request] = []
    page.on("request", asked.append)
    page.goto("/ui/add")
    yield page, asked
    context.close()


def give(page: Page, paths: list[Path], came: str) -> None:
    page.locator("input[type=file]").first.set_input_files(paths)
    expect(page.get_by_role("status").first).to_contain_text(came, timeout=120_000)


def sent(asked: list[Request], method: str, ending: str) -> int:
    return sum(one.method == method and one.url.split("?")[0].endswith(ending) for one in asked)


def test_files_go_straight_into_a_bucket_and_what_is_known_goes_nowhere(
    browser: Browser, minio: Minio, tmp_path: Path
) -> None:
    bucket = bucket_settings(minio)
    settings = {
        "OMMA_S3__BUCKET": bucket.bucket,
        "OMMA_S3__CREATE_BUCKET": "true",
        "OMMA_S3__ENDPOINT": bucket.endpoint,
        "OMMA_S3__ACCESS_KEY": bucket.access_key,
        "OMMA_S3__SECRET_KEY": bucket.secret_key.get_secret_value(),
    }
    paths = files(tmp_path / "files", 3_000)
    broken = tmp_path / "files" / "broken.jpg"
    broken.write_bytes(b"no picture at all")
    with Folder(tmp_path / "data").up(**settings) as server, server.client() as rest:
        with adding(browser, server.url) as (page, asked):
            page.get_by_label("Tags for all of them").fill("new, brass")
            give(page, [*paths, broken], f"{FILES + 1} of {FILES + 1} files · {FILES} added, 1 failed")
            why = page.locator("[data-state=failed]").inner_text().splitlines()
            assert why[0] == "broken.jpg" and len(why[1]) > 10
            assert sum(one.method == "PUT" and one.url.startswith(bucket.endpoint) for one in asked) == FILES + 1
            assert sent(asked, "POST", "/images") == 0
            page.locator("[data-state=added]").first.get_by_role("link").click()
            expect(page.get_by_role("button", name="Take the tag brass away")).to_be_visible()
        rows = rest.get("/images").json()["images"]
        assert len(rows) == FILES and {tuple(sorted(row["tags"])) for row in rows} == {("brass", "new")}
        with adding(browser, server.url) as (page, asked):
            page.get_by_label("Tags for all of them").fill("again")
            give(page, paths, f"{FILES} of {FILES} files · 0 added, {FILES} already here")
            assert sent(asked, "POST", "/images/known") >= 1 and sent(asked, "POST", "/images/presign") == 0
        assert all("again" in row["tags"] for row in rest.get("/images").json()["images"])


def test_a_server_that_stops_during_an_upload_is_waited_for(browser: Browser, tmp_path: Path) -> None:
    paths = files(tmp_path / "files", 3_100)
    folder, port = Folder(tmp_path / "data"), str(free_port("127.0.0.1"))
    with folder.up(OMMA_HTTP_PORT=port) as server, adding(browser, server.url) as (page, _):
        give(page, paths[:2], "2 of 2 files")
        server.stop()
        page.locator("input[type=file]").first.set_input_files(paths[2:])
        expect(page.get_by_text("The server does not answer.")).to_be_visible()
        with folder.up(OMMA_HTTP_PORT=port) as again, again.client() as rest:
            expect(page.get_by_role("status").first).to_contain_text(
                f"{FILES} of {FILES} files · {FILES} added", timeout=120_000
            )
            expect(page.get_by_text("The server does not answer.")).to_have_count(0)
            assert rest.get("/images").json()["count"] == FILES


def test_a_key_that_ends_during_an_upload_leads_to_sign_in_and_back_to_it(browser: Browser, tmp_path: Path) -> None:
    paths = files(tmp_path / "files", 3_200)
    with Folder(tmp_path / "data").up() as server, server.client() as rest:
        boss = {"authorization": f"Bearer {rest.post('/keys', json={'name': 'b', 'role': 'admin'}).json()['secret']}"}
        first, second = (
            rest.post("/keys", json={"name": name, "role": "write"}, headers=boss).json() for name in ("one", "two")
        )
        with adding(browser, server.url) as (page, _):
            page.get_by_label("API key").fill(first["secret"])
            page.get_by_role("button", name="Sign in").click()
            give(page, paths[:2], "2 of 2 files")
            assert rest.delete(f"/keys/{first['id']}", headers=boss).is_success
            page.locator("input[type=file]").first.set_input_files(paths[2:])
            dialog = page.get_by_role("dialog", name="Sign in")
            dialog.get_by_label("API key").fill(second["secret"])
            dialog.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("status").first).to_contain_text(
                f"{FILES} of {FILES} files · {FILES} added", timeout=120_000
            )
            expect(dialog).to_have_count(0)
            assert rest.get("/images", headers=boss).json()["count"] == FILES
