"""Ten clients that do what people do, while a folder is ingested: no error, flat memory, and how long each kind takes.

python -m loadtests.mixed [--seconds N] [--clients N] [--pictures N]
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from loadtests.bench.drawn import drawn
from loadtests.bench.figures import Report
from loadtests.bench.memory import MIB, Memory
from loadtests.bench.up import Up, up

WORDS: Final = ("red lamp", "a car", "mug", "striped", "something blue", "chair")
GROWN: Final = 1.15
"""Memory of the second half beside the first: what an index that grows may take, and no leak does."""
_BUSY: Final = (429, 503)


class Client:
    """One person's calls, one after the other."""

    def __init__(self, rest: httpx.AsyncClient, pictures: list[bytes], seed: int) -> None:
        self.took: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self._rest = rest
        self._pictures = pictures
        self._chance = random.Random(seed)
        self._mine: list[int] = []
        self._seed = seed
        self._kinds: dict[Callable[[], Awaitable[httpx.Response]], int] = {
            self.picture: 25,
            self.words: 25,
            self.like: 15,
            self.crop: 5,
            self.listed: 5,
            self.thumbnail: 10,
            self.click: 5,
            self.upload: 6,
            self.change: 3,
            self.delete: 1,
        }

    async def run(self, until: float) -> None:
        kinds = list(self._kinds)
        while time.perf_counter() < until:
            (kind,) = self._chance.choices(kinds, self._kinds.values())
            began = time.perf_counter()
            try:
                answer = await kind()
            except httpx.HTTPError as error:
                self.errors.append(f"{kind.__name__}: {error!r}")
                continue
            # What it says when more is asked than it holds is no error; a caller waits, and asks again.
            if answer.status_code in _BUSY:
                self.took["told to wait"].append(time.perf_counter() - began)
                await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
            elif answer.is_success or answer.status_code == 404:
                self.took[kind.__name__].append(time.perf_counter() - began)
            else:
                self.errors.append(f"{kind.__name__}: {answer.status_code} {answer.text[:200]}")

    async def picture(self) -> httpx.Response:
        return await self._rest.post("/search", files={"image": self._chance.choice(self._pictures)}, data=_PATIENT)

    async def words(self) -> httpx.Response:
        return await self._rest.get("/search", params={"text": self._chance.choice(WORDS), **_PATIENT})

    async def like(self) -> httpx.Response:
        return await self._rest.post("/search", json={"image_id": self._known(), "timeout_ms": 60_000})

    async def crop(self) -> httpx.Response:
        box = {"bbox": "0.2,0.2,0.8,0.8", "bbox_unit": "fraction"}
        files = {"image": self._chance.choice(self._pictures)}
        return await self._rest.post("/search", files=files, data={**box, **_PATIENT})

    async def listed(self) -> httpx.Response:
        return await self._rest.get("/images", params={"limit": 50, "filter": '{"tags": "mixed"}'})

    async def thumbnail(self) -> httpx.Response:
        return await self._rest.get(f"/images/{self._known()}/thumbnail")

    async def click(self) -> httpx.Response:
        click = {"user_id": f"u{self._seed}", "query_image_id": 0, "displayed_image_id": self._known(), "rank": 1}
        return await self._rest.post("/click", json=click)

    async def upload(self) -> httpx.Response:
        # Other bytes each time: what follows a JPEG's end is nobody's.
        content = self._chance.choice(self._pictures) + self._chance.randbytes(8)
        answer = await self._rest.post("/images", files={"image": content}, data={"tags": "mixed"})
        if answer.is_success:
            self._mine.append(answer.json()["id"])
        return answer

    async def change(self) -> httpx.Response:
        return await self._rest.patch(f"/images/{self._known()}", json={"tags": ["mixed", f"t{self._seed}"]})

    async def delete(self) -> httpx.Response:
        chosen = self._mine.pop(self._chance.randrange(len(self._mine))) if self._mine else 10**12
        return await self._rest.delete(f"/images/{chosen}")

    def _known(self) -> int:
        return self._chance.choice(self._mine) if self._mine else 1


_PATIENT: Final = {"timeout_ms": "60000"}


def _copied(folder: Path, round: int) -> Path:
    """With other bytes, which makes them other pictures."""
    place = folder.with_name(f"round-{round}")
    place.mkdir()
    for path in folder.glob("*.jpg"):
        (place / path.name).write_bytes(path.read_bytes() + round.to_bytes(8, "big"))
    return place


async def _ingested(rest: httpx.AsyncClient, folder: Path, until: float) -> int:
    """The folder again and again. Returns how many pictures."""
    count = 0
    for round in range(10**6):
        if time.perf_counter() > until:
            break
        place = await asyncio.to_thread(_copied, folder, round)
        started = await rest.post("/images/ingest", json={"folder": str(place)})
        job: dict[str, Any] = {"state": "waiting"}
        while job["state"] in ("waiting", "running"):
            await asyncio.sleep(0.5)
            job = (await rest.get(f"/jobs/{started.json()['job_id']}")).json()
        if job["state"] != "done" or job["dead"] or job["unreadable"]:
            raise SystemExit(f"The ingest did not do its work: {job}")
        count += job["created"]
    return count


async def _measured(server: Up, pictures: Path, clients: int, seconds: float) -> tuple[list[Client], int]:
    contents = await asyncio.to_thread(lambda: [path.read_bytes() for path in sorted(pictures.glob("*.jpg"))[:50]])
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as rest:
        (await rest.post("/images", files={"image": contents[0]}, data={"tags": "mixed"})).raise_for_status()
        people = [Client(rest, contents, seed) for seed in range(clients)]
        until = time.perf_counter() + seconds
        ingest = asyncio.create_task(_ingested(rest, pictures, until))
        await asyncio.gather(*(one.run(until) for one in people))
        return people, await ingest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--pictures", type=int, default=400, help="of the folder that is ingested again and again")
    given = parser.parse_args()
    report = Report("mixed", f"python -m loadtests.mixed --seconds {given.seconds:g} --clients {given.clients}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        drawn(folder, given.pictures)
        with up(Path(name) / "data") as server, Memory(server) as memory:
            people, ingested = asyncio.run(_measured(server, folder, given.clients, given.seconds))
    took: dict[str, list[float]] = defaultdict(list)
    for one in people:
        for kind, seconds in one.took.items():
            took[kind] += seconds
    errors = [error for one in people for error in one.errors]
    early, late = memory.halves()
    table = report.table("", ["what", "calls", "p50 ms", "p95 ms", "p99 ms"])
    for kind, seconds in sorted(took.items()):
        table.rows.append([kind, len(seconds), *(f"{ms:.0f}" for ms in np.percentile(seconds, [50, 95, 99]) * 1000)])
    calls = sum(map(len, took.values()))
    report.notes.append(
        f"{calls} calls in {given.seconds:g} s by {given.clients} clients, {ingested} pictures ingested beside them; "
        f"memory at most {early / MIB:.0f} MiB in the first half and {late / MIB:.0f} in the second; "
        f"{len(errors)} errors" + "".join(f"; {error}" for error in errors[:3])
    )
    report.target("mixed load: errors", str(len(errors)), "0", not errors)
    grown = late / max(early, 1)
    report.target("mixed load: memory, second half by first", f"{grown:.2f}", f"≤ {GROWN}", grown <= GROWN)
    report.save()
    return int(bool(errors) or grown > GROWN)


if __name__ == "__main__":
    sys.exit(main())
