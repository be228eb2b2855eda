"""`omma ingest URLS.txt` against a web server that fails in every way, and lists with descriptions."""

import io
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.process import Folder
from tests.hostile_web import KINDS, NAMED, HostileWeb, hostile_web
from tests.pictures import encoded, scene
from tests.waiting import until

GOOD = 60
LOOPBACK = {
    "OMMA_FETCH__NETWORKS": '["127.0.0.0/8"]',
    "OMMA_PICTURES__MAX_BYTES": "1000000",
    "OMMA_WORKER__URLS__SECONDS": "1.5",
    "OMMA_WORKER__URLS__TRIES": "2",
    "OMMA_WORKER__URLS__WAIT_SECONDS": "0.01",
    "OMMA_WORKER__URLS__HOST_FAILURES": "100",
}


pytestmark = pytest.mark.timeout(400)


def ingest(rest: httpx.Client, listed: Path, **asked: str) -> Any:
    """The job's last document."""
    started = rest.post("/ingest", files={"list": listed.read_bytes()}, data=asked)
    assert started.status_code == 202, started.text
    return ended(rest, started.json()["job_id"])


def ended(rest: httpx.Client, job_id: str) -> Any:
    def looked() -> Any:
        job = rest.get(f"/jobs/{job_id}").json()
        return job if job["state"] not in ("waiting", "running") else None

    return until(looked, 300)


@lru_cache
def picture(number: int) -> bytes:
    return encoded(scene(96, 64, seed=number))


@pytest.fixture
def web() -> Iterator[HostileWeb]:
    with hostile_web(picture) as running:
        yield running


def urls(web: HostileWeb, each: int = 2) -> list[str]:
    bad = [f"{web.url}/{kind}/{number}" for kind in KINDS for number in range(each)]
    good = [f"{web.url}/good/{number}" for number in range(GOOD)]
    return [url for pair in zip(good, [*bad, *[""] * GOOD], strict=False) for url in pair if url]


def test_every_good_picture_is_in_and_every_bad_one_named(tmp_path: Path, web: HostileWeb) -> None:
    folder = Folder(tmp_path / "data")
    listed = tmp_path / "URLS.txt"
    listed.write_text("# pictures of the web\n\n" + "\n".join(urls(web)) + "\nftp://example.org/a.jpg\n")
    with folder.up(**LOOPBACK) as server, server.client() as rest:
        job = folder.json("ingest", str(listed))
        assert (job["state"], job["created"], job["total"]) == ("done", GOOD, GOOD + 11)
        assert job["result"]["failed"] == dict.fromkeys(NAMED.values(), 2) | {"wrong_line": 1}
        assert job["unreadable"] == 11 and len(job["result"]["unreadable"]) == 11
        assert not any("169.254" in path for path in web.asked)

        downloads = rest.get(f"/jobs/{job['job_id']}/downloads?limit=1000").json()["downloads"]
        of_url = {one["place"]: one for one in downloads}
        assert len(of_url) == GOOD + 11
        one = of_url[f"{web.url}/good/7"]
        assert one["sha256"] == web.sha256s["/good/7"] and one["bytes"] == len(picture(7))
        assert (one["status"], one["content_type"], one["outcome"]) == (200, "image/jpeg", "created")
        assert of_url[f"{web.url}/fail/0"]["status"] == 500
        failed = rest.get(f"/jobs/{job['job_id']}/downloads?failed=true").json()["downloads"]
        assert len(failed) == 11 and {web.url in one["place"] or one["outcome"] == "wrong_line" for one in failed}

        answer = rest.post("/search", files={"image": picture(7)}, data={"k": "1", "timeout_ms": 30_000}).json()
        (hit,) = answer["results"]
        asked = {"image_url": f"{web.url}/good/7", "k": 1, "timeout_ms": 30_000}
        assert rest.post("/search", json=asked).json()["results"][0]["id"] == hit["id"]
        row = rest.get(f"/images/{hit['id']}").json()
        assert row["source_url"] == f"{web.url}/good/7" and row["sha256"] == one["sha256"]

        again = ingest(rest, listed)
        assert (again["created"], again["unchanged"], again["unreadable"]) == (0, GOOD, 11)
        assert set(web.served.values()) == {1, 2}, "what is there is not downloaded again"
        assert [path for path, times in web.served.items() if times == 2] == ["/good/7"], "a search asked for it"
        assert rest.delete(f"/images/{hit['id']}").status_code == 204
        after = ingest(rest, listed)
        assert (after["left_deleted"], after["created"], after["changed"]) == (1, 0, 0)
        assert rest.get(f"/images/{hit['id']}").status_code == 404
        revived = ingest(rest, listed, revive_deleted="true")
        assert revived["changed"] == 1 and rest.get(f"/images/{hit['id']}").status_code == 200


def test_a_killed_ingest_goes_on_and_downloads_nothing_twice(tmp_path: Path, web: HostileWeb) -> None:
    folder = Folder(tmp_path / "data")
    slow = {**LOOPBACK, "OMMA_WORKER__URLS__AT_ONCE": "2", "OMMA_WORKER__JOB_KEEP_SECONDS": "0.05"}
    with folder.up(**slow) as server, server.client() as rest:
        started = rest.post("/ingest", json={"urls": urls(web, each=1)})
        assert started.status_code == 202
        job_id = started.json()["job_id"]
        while rest.get(f"/jobs/{job_id}").json()["created"] < 10:
            pass
        server.process.kill()
        server.process.wait()
    served = dict(web.served)
    assert len(served) < GOOD
    with folder.up(**slow) as server, server.client() as rest:
        job = ended(rest, job_id)
        assert (job["state"], job["created"] + job["unchanged"], job["unreadable"]) == ("done", GOOD, 5)
        assert rest.get("/images").json()["count"] == GOOD
    twice = [path for path, times in web.served.items() if times > 1]
    assert len(twice) <= 2, "only what was under way when it was killed"


def test_a_list_says_what_is_known_of_its_pictures(tmp_path: Path, web: HostileWeb) -> None:
    folder = Folder(tmp_path / "data")
    (tmp_path / "lamp.jpg").write_bytes(picture(1))
    lines = [
        {
            "url": f"{web.url}/good/2",
            "external_id": "b",
            "tags": ["lamp"],
            "owner": "ann",
            "captions": ["one", "two"],
        },
        {"path": "lamp.jpg", "attributes": {"price": 40}, "source_url": "https://example.org/lamp"},
        {"uri": (tmp_path / "lamp.jpg").as_uri(), "external_id": "c"},
        {"url": f"{web.url}/good/3", "tags": [""]},
        {"path": "absent.jpg"},
        {"path": "."},
        {"uri": "file:///dev/zero"},
        {"uri": f"{tmp_path.as_uri()}/caf%E9%00.jpg"},
        {"uri": "file:///proc/self/mem"},
        {"path": "list.jsonl", "url": "https://example.org"},
        {"url": f"{web.url}/good/4", "colour": "red"},
    ]
    listed = tmp_path / "list.jsonl"
    listed.write_text("\n".join(json.dumps(line) for line in lines))
    with folder.up(**LOOPBACK) as server, server.client() as rest:
        job = folder.json("ingest", str(listed))
        assert (job["state"], job["created"]) == ("done", 3)
        assert job["result"]["failed"] == {"absent": 4, "unreadable": 1, "wrong_line": 3}
        rows = {row["key"]: row for row in rest.get("/images").json()["images"]}
        assert (rows["b"]["tags"], rows["b"]["owner"]) == (["lamp"], "ann")
        assert rows["b"]["attributes"] == {"caption": "one\ntwo"}
        assert rows["b"]["source_url"] == f"{web.url}/good/2"
        lamp = next(row for row in rest.get("/images").json()["images"] if row["attributes"] == {"price": 40})
        assert lamp["uri"] == (tmp_path / "lamp.jpg").as_uri()
        assert Image.open(io.BytesIO(rest.get(f"/images/{lamp['id']}/content").content)).size == (96, 64)
        for body, field in (
            ({"urls": []}, "urls"),
            ({"urls": "x"}, "urls"),
            ({"urls": [1]}, "urls"),
            ({"pictures": ["x"]}, "pictures"),
            ({"url": ["x"]}, "url"),
        ):
            refused = rest.post("/ingest", json=body)
            assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_without_the_setting_no_private_network_is_fetched_from(tmp_path: Path, web: HostileWeb) -> None:
    folder = Folder(tmp_path / "data")
    job = folder.json("ingest", f"{web.url}/good/1")
    assert job["result"]["failed"] == {"private_address": 1} and not web.asked
