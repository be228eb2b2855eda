"""Adding goes on: what is known is not sent, a bucket is used where there is one, servers go and come, keys end."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, Request, Route, expect

from deploy.parts import Minio
from deploy.parts.ports import free_port
from tests.buckets import bucket_settings
from tests.e2e.process import Folder
from tests.pictures import encoded, scene
from tests.waiting import until

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
    asked: list[Request] = []

    def heard(request: Request) -> None:  # Playwright takes no bound method of a list
        asked.append(request)

    with browser.new_context(base_url=url, reduced_motion="reduce") as context:
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("request", heard)
        page.goto("/ui/add")
        yield page, asked


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
            expect(page.get_by_role("heading", name=re.compile(r"^300\d\.jpg$"))).to_be_visible()
        rows = rest.get("/images").json()["images"]
        assert len(rows) == FILES and {tuple(sorted(row["tags"])) for row in rows} == {("brass", "new")}
        assert {row["attributes"]["filename"] for row in rows} == {path.name for path in paths}
        with adding(browser, server.url) as (page, asked):
            page.get_by_label("Tags for all of them").fill("again")
            give(page, paths, f"{FILES} of {FILES} files · 0 added, {FILES} already here")
            assert sent(asked, "POST", "/images/known") >= 1 and sent(asked, "POST", "/images/presign") == 0
        assert all("again" in row["tags"] for row in rest.get("/images").json()["images"])


BROKEN = {"empty.jpg": b"", "text.jpg": b"no picture at all", "cut.jpg": encoded(scene(seed=1))[:200]}


def test_of_two_hundred_files_three_are_broken_and_say_why(browser: Browser, photographs: Path, tmp_path: Path) -> None:
    every = sorted(path for path in (photographs / "caltech-101").glob("*/*.jpg"))
    alike: dict[bytes, Path] = {path.read_bytes(): path for path in every[:: len(every) // 210]}
    paths = list(alike.values())[:197]
    for name, content in BROKEN.items():
        (tmp_path / name).write_bytes(content)
        paths.insert(len(paths) // 2, tmp_path / name)
    assert len(paths) == 200
    with (
        Folder(tmp_path / "data").up() as server,
        server.client() as rest,
        adding(browser, server.url) as (page, asked),
    ):
        page.locator("input[type=file]").first.set_input_files(paths)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Go on")).to_be_visible()
        page.get_by_role("button", name="Go on").click()
        came = "200 of 200 files · 197 added, 3 failed"
        expect(page.get_by_role("status").first).to_contain_text(came, timeout=300_000)
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "200")
        rows = page.get_by_label("Files").get_by_role("listitem")
        assert rows.count() == 200
        said = {}
        for at in range(3):  # what failed comes first
            name, why, state = rows.nth(at).inner_text().splitlines()
            assert state == "failed"
            said[name] = why
        for name, content in BROKEN.items():
            answer = rest.post("/images", files={"image": (name, content)})
            assert answer.status_code >= 400 and said[name] == answer.json()["detail"]
        stored = rest.get("/images", params={"limit": 200}).json()
        assert stored["count"] == 197
        names = {path.name for path in paths} - BROKEN.keys()
        assert {row["attributes"]["filename"] for row in stored["images"]} == names
        before = sent(asked, "POST", "/images")
        with page.expect_response(lambda one: one.request.method == "POST" and one.url.endswith("/images")):
            page.get_by_role("button", name="Try the failed ones again").click()
        # One after the other; what was sent is heard while the page is asked something.
        until(lambda: page.evaluate("true") and sent(asked, "POST", "/images") == before + 3, 60)
        expect(page.get_by_role("status").first).to_contain_text(came)


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


def test_a_file_that_goes_from_its_disk_fails_alone(browser: Browser, tmp_path: Path) -> None:
    paths = files(tmp_path / "files", 3_400, 5)

    def answer(route: Route) -> None:
        """Every file was read, and none was sent."""
        for path in paths[:3]:
            path.unlink(missing_ok=True)
        route.continue_()

    with Folder(tmp_path / "data").up() as server, adding(browser, server.url) as (page, _):
        page.route("**/images/known", answer)
        give(page, paths, "5 of 5 files · 2 added, 3 failed")
        expect(page.get_by_text("The server does not answer.")).to_have_count(0)


@contextmanager
def adding_with_a_key(browser: Browser, folder: Path) -> Iterator[tuple[Page, httpx.Client, Callable[[], None], str]]:
    """The view of somebody signed in, the server for an admin, what ends the key, and another key."""
    with Folder(folder).up() as server, server.client() as rest:
        rest.headers["Authorization"] = (
            f"Bearer {rest.post('/keys', json={'name': 'b', 'role': 'admin'}).json()['secret']}"
        )
        first, second = (rest.post("/keys", json={"name": name, "role": "write"}).json() for name in ("one", "two"))

        def end() -> None:
            assert rest.delete(f"/keys/{first['id']}").is_success

        with adding(browser, server.url) as (page, _):
            sign_in(page, first["secret"])
            yield page, rest, end, second["secret"]


def sign_in(page: Page, secret: str) -> None:
    """To the server's answer."""
    dialog = page.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("API key").fill(secret)
    with page.expect_response(lambda answer: answer.url.endswith("/ui/session") and answer.request.method == "POST"):
        dialog.get_by_role("button", name="Sign in").click()


def went_on(page: Page, rest: httpx.Client, count: int) -> None:
    """Every file has come, and nobody is asked for a key again."""
    expect(page.get_by_role("status").first).to_contain_text(
        f"{count} of {count} files · {count} added", timeout=120_000
    )
    expect(page.get_by_role("dialog", name="Sign in")).to_have_count(0)
    assert rest.get("/images").json()["count"] == count


def test_a_key_that_ends_during_an_upload_leads_to_sign_in_and_back_to_it(browser: Browser, tmp_path: Path) -> None:
    paths = files(tmp_path / "files", 3_200)
    with adding_with_a_key(browser, tmp_path / "data") as (page, rest, end, another):
        give(page, paths[:2], "2 of 2 files")
        end()
        page.locator("input[type=file]").first.set_input_files(paths[2:])
        sign_in(page, another)
        went_on(page, rest, FILES)


def test_an_answer_from_before_the_sign_in_does_not_take_its_token_away(browser: Browser, tmp_path: Path) -> None:
    sending: list[Route] = []
    late: list[Route] = []
    with adding_with_a_key(browser, tmp_path / "data") as (page, rest, end, another):

        def sends(route: Route) -> None:
            """Of two that are on their way the first goes with a key that has just ended, the second waits."""
            sending.append(route)
            if len(sending) == 2:
                end()
                sending[0].continue_()
            elif len(sending) > 2:
                route.continue_()

        def asks_who(route: Route) -> None:
            if route.request.method == "GET":
                late.append(route)
            else:
                route.continue_()

        page.route("**/images", sends)
        page.locator("input[type=file]").first.set_input_files(files(tmp_path / "files", 3_300, 2))
        expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        page.route("**/ui/session", asks_who)
        with page.expect_request("**/ui/session"):
            sending[1].continue_()
        sign_in(page, another)
        for route in late:
            route.fulfill(json={"signed_in": False})
        assert len(late) == 1
        went_on(page, rest, 2)
