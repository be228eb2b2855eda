"""kill -9 at random moments of ingest, fifty times; then everything acknowledged is found exactly once.

    python -m loadtests.crash [--kills N] [--pictures N] [--seed N]

While a folder is ingested and uploads run beside it, the server is killed, again and again. What it acknowledged (a
receipt it returned) must be there; every picture must be found once; and exact answers must equal those of a clean run
over the same pictures.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from loadtests.bench.figures import Report
from loadtests.bench.up import Up, photographs, up

QUERIES = 40
SCORE_TOLERANCE = 2e-3
"""Two runs may hold a picture's float16 vector from another batch of the model."""
GIVE_UP_SECONDS = 600.0


class Uploads:
    """Posts pictures one after the other, from where it stopped, and keeps what was acknowledged."""

    def __init__(self, pictures: list[Path]) -> None:
        self._pictures = pictures
        self._next = 0
        self.acknowledged: dict[str, str] = {}
        """Name of the picture to its receipt."""

    def run(self, server: Up) -> None:
        """Until the server is gone or every picture is acknowledged."""
        with server.client() as client:
            while self._next < len(self._pictures):
                picture = self._pictures[self._next]
                try:
                    answer = client.post(
                        "/images", files={"image": picture.read_bytes()}, data={"external_id": f"upload/{picture.name}"}
                    )
                except httpx.HTTPError:
                    return
                if answer.status_code not in (200, 201):
                    raise SystemExit(f"An upload was refused: {answer.text}")
                self.acknowledged[picture.name] = answer.json()["receipt"]
                self._next += 1

    def finish(self, data_dir: Path, listed: Path) -> None:
        """Upload and ingest what is left, and wait until all of it is searchable."""
        with up(data_dir) as server, server.client() as client:
            self.run(server)
            job_id = client.post("/images/ingest", json={"folder": str(listed)}).raise_for_status().json()["job_id"]
            until = time.monotonic() + GIVE_UP_SECONDS
            while (job := client.get(f"/jobs/{job_id}").json())["state"] in ("waiting", "running"):
                if time.monotonic() > until:
                    raise SystemExit(f"The ingest did not end: {job}")
                time.sleep(0.2)
            if job["state"] != "done":
                raise SystemExit(f"The ingest failed: {job}")
            _exact(client, next(listed.iterdir()), k=1, receipts=list(self.acknowledged.values())[-1:])
            server.stop()


def _two_folders(root: Path, every: list[Path]) -> tuple[Path, list[Path]]:
    """Two thirds as a folder to ingest, the rest to upload; names tell the pictures apart in every run."""
    listed, uploaded = root / "listed", root / "uploaded"
    for folder in (listed, uploaded):
        folder.mkdir()
    for at, picture in enumerate(every):
        (uploaded if at % 3 == 2 else listed).joinpath(f"{at:05}.jpg").write_bytes(picture.read_bytes())
    return listed, sorted(uploaded.iterdir())


def _exact(client: httpx.Client, picture: Path, k: int, receipts: list[str] | None = None) -> list[dict[str, Any]]:
    fields = {"k": k, "exact": "true", "near_duplicates": "keep", "timeout_ms": 60_000, "receipts": receipts or []}
    answer = client.post("/search", files={"image": picture.read_bytes()}, data=fields).raise_for_status().json()
    if answer["degraded"] or answer["coverage"]["fraction"] < 1:
        raise SystemExit(f"An exact search is degraded: {answer['degraded']}, {answer['coverage']}")
    found: list[dict[str, Any]] = answer["results"]
    return found


def _census(data_dir: Path, expected: int, uploads: Uploads) -> tuple[int, int]:
    """Pictures that an exact search cannot find, or finds more than once; the shard must hold as many as there are."""
    with up(data_dir) as server, server.client() as client:
        rows: dict[int, str] = {}
        cursor = None
        while True:
            page = client.get("/images", params={"limit": 1_000, **({"cursor": cursor} if cursor else {})}).json()
            rows |= {row["id"]: row["key"] for row in page["images"]}
            cursor = page.get("next_cursor")
            if not cursor:
                break
        held = sum(shard["pictures"] for shard in client.get("/stats").json()["shards"])
        keys = list(rows.values())
        missing = len({f"upload/{name}" for name in uploads.acknowledged} - set(keys)) + max(0, expected - held)
        twice = len(keys) - len(set(keys)) + max(0, held - expected)
        for image_id in rows:
            asked = {"queries": [{"image_id": image_id}], "k": 5, "exact": True, "near_duplicates": "keep"}
            near = client.post("/search", json=asked)
            ids = [hit["id"] for hit in near.raise_for_status().json()["results"]]
            twice += len(ids) - len(set(ids))
        server.stop()
    return missing, twice


def _exact_answers(data_dir: Path, every: list[Path]) -> list[list[tuple[str, float]]]:
    """Key and score of the ten nearest of some pictures, best first, near ties by key."""
    with up(data_dir) as server, server.client() as client:
        answers = []
        for picture in every[:: max(1, len(every) // QUERIES)][:QUERIES]:
            found = _exact(client, picture, k=20)
            keys = [client.get(f"/images/{hit['id']}").json()["key"] for hit in found]
            answers.append([(Path(key).name, hit["score"]) for key, hit in zip(keys, found, strict=True)])
        server.stop()
    return answers


def _differing(some: list[list[tuple[str, float]]], others: list[list[tuple[str, float]]]) -> int:
    """Answers whose scores differ, or whose pictures do above the last score, where ties may be cut."""
    differing = 0
    for one, other in zip(some, others, strict=True):
        last = max(one[-1][1], other[-1][1]) + SCORE_TOLERANCE
        scores = all(abs(a - b) <= SCORE_TOLERANCE for (_, a), (_, b) in zip(one, other, strict=True))
        above = [{name for name, score in answer if score > last} for answer in (one, other)]
        names = [{name for name, _ in answer} for answer in (one, other)]
        differing += not (scores and above[0] <= names[1] and above[1] <= names[0])
    return differing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--pictures", type=int, default=1_500)
    parser.add_argument("--seed", type=int, default=3)
    given = parser.parse_args()
    report = Report("crash", f"python -m loadtests.crash --seed {given.seed}")
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        every = photographs(given.pictures)
        listed, uploaded = _two_folders(root, every)
        uploads, restarts = Uploads(uploaded), []
        for kill in range(given.kills):
            started = time.perf_counter()
            with up(root / "crashed") as server, server.client() as client:
                restarts.append(time.perf_counter() - started)
                client.post("/images/ingest", json={"folder": str(listed)}).raise_for_status()
                uploader = threading.Thread(target=uploads.run, args=(server,))
                uploader.start()
                time.sleep(chance.uniform(0.02, 1.5))
                server.process.kill()
                uploader.join()
            print(f"  kill {kill + 1}: {len(uploads.acknowledged)} uploads acknowledged", flush=True)
        uploads.finish(root / "crashed", listed)
        missing, twice = _census(root / "crashed", len(every), uploads)
        clean = Uploads(uploaded)
        clean.finish(root / "clean", listed)
        differing = _differing(_exact_answers(root / "crashed", every), _exact_answers(root / "clean", every))
    held = not (missing or twice or differing)
    table = report.table(
        "", ["kills", "acknowledged", "missing", "twice", "exact answers that differ", "slowest restart s"]
    )
    table.rows.append(
        [given.kills, len(uploads.acknowledged), missing, twice, f"{differing} of {QUERIES}", f"{max(restarts):.1f}"]
    )
    report.target(
        f"crash: kill -9 {given.kills} times during ingest",
        "all found once, answers equal" if held else "not so",
        "acknowledged found exactly once, exact answers equal",
        held,
    )
    report.save()
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
