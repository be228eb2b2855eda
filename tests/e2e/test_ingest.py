"""`omma ingest` and `omma search` on real photographs, with and without a server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.process import Folder, Server
from tests.pictures import encoded, scene


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number, path in enumerate(sorted((photographs / "caltech-101").glob("[a-d]*/*.jpg"))[::24]):
        shutil.copy(path, folder / f"{number:03}-{path.parent.name}.jpg")
    (folder / "twin.jpg").write_bytes((folder / "000-barrel.jpg").read_bytes())
    (folder / "cut off.jpg").write_bytes(encoded(scene())[:900])
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Folder:
    """A folder that was ingested by the command alone, without a server."""
    folder = Folder(tmp_path_factory.mktemp("omma"))
    job = folder.json("ingest", str(pictures))
    found = len(list(pictures.glob("*.jpg")))
    assert (job["state"], job["total"], job["created"], job["skipped"]) == ("done", found, found, 1)
    return folder


@pytest.fixture(scope="module")
def server(ingested: Folder) -> Iterator[Server]:
    with ingested.up() as running:
        yield running


def test_the_folder_itself_answers_where_no_server_runs(ingested: Folder, pictures: Path):
    answer = ingested.json("search", str(pictures / "000-barrel.jpg"), "-k", "1")
    assert answer["results"][0]["score"] > 0.999


def test_a_picture_finds_itself_and_its_twin_is_folded_into_it(ingested: Folder, pictures: Path, server: Server):
    answer = ingested.json("search", str(pictures / "000-barrel.jpg"), "-k", "3")
    best = answer["results"][0]
    assert best["score"] > 0.999 and best["phash_distance"] == 0 and len(best["duplicates"]) == 1
    assert answer["coverage"]["fraction"] == 1 and answer["degraded"] == []


def test_a_crop_of_a_picture_finds_it(ingested: Folder, pictures: Path, server: Server):
    picture = next(pictures.glob("*-cougar_face.jpg"))
    answer = ingested.json("search", str(picture), "--bbox", "20,20,150,150", "-k", "3")
    assert picture.as_uri() in [hit["uri"] for hit in answer["results"]]


def test_what_cannot_be_read_is_told_with_its_reason(ingested: Folder, pictures: Path, server: Server):
    (letter,) = ingested.json("dead-letters", "list")
    assert letter["uri"] == (pictures / "cut off.jpg").as_uri() and letter["kind"] == "invalid_picture"
    assert ingested.json("dead-letters", "show", str(letter["image_id"])) == letter
    again = [letter["image_id"]]
    assert ingested.json("dead-letters", "replay") == {"replayed": again, "dead_again": again}


def test_doctor_finds_the_counts_equal(ingested: Folder, server: Server):
    findings = {one["check"]: one for one in ingested.json("doctor")}
    assert findings["counts agree"]["ok"] and findings["dead letters"]["found"] == "1"


def test_a_contact_sheet_holds_every_picture_in_one_file(
    ingested: Folder, pictures: Path, tmp_path: Path, server: Server
):
    sheet = tmp_path / "sheet.html"
    picture = next(pictures.glob("*-dalmatian.jpg"))
    answer = ingested.json("search", str(picture), "--bbox", "10,10,120,120", "--html", str(sheet), "-k", "5")
    page = sheet.read_text()
    assert page.count("data:image/webp;base64,") == len(answer["results"]) + 1
    assert 'class="box"' in page and "http" not in page.replace("http-equiv", "")


def test_words_find_what_they_name(ingested: Folder, server: Server):
    found = ingested.json("search", "--text", "a barrel", "-k", "3")
    assert "barrel" in found["results"][0]["uri"]


def test_a_second_run_embeds_nothing_and_takes_over_what_moved(ingested: Folder, pictures: Path, server: Server):
    moved = pictures / "moved"
    moved.mkdir()
    old = next(pictures.glob("*-chair.jpg"))
    with server.client() as client:
        first = ingested.json("ingest", str(pictures))
        assert (first["created"], first["changed"], first["vanished"]) == (0, 0, 0)
        new = old.rename(moved / old.name)
        before = _embedded(client.get("/metrics").text)
        job = ingested.json("ingest", str(pictures))
        assert (job["created"], job["vanished"]) == (1, 1)
        assert _embedded(client.get("/metrics").text) == before, "the same bytes are not embedded twice"
        hits = ingested.json("search", str(new), "-k", "1")["results"]
        assert hits[0]["uri"] == new.as_uri() and hits[0]["score"] > 0.999


def _embedded(metrics: str) -> float:
    wanted = 'omma_embed_items_total{kind="image",outcome="ok"}'
    return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines() if line.startswith(wanted))


def test_a_source_that_is_not_there_yet_is_said(ingested: Folder):
    done = ingested.run("ingest", "s3://bucket/pictures")
    assert done.returncode == 2 and "folder" in done.stderr
