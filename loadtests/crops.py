"""How often a crop, or a thumbnail, finds its whole first, with and without vectors for the parts of pictures.

    python -m loadtests.crops [--pictures N] [--asked N]

`omma up` on photographs of the three sets of ../shared/data, once with each OMMA_INDEXER__REGIONS; asked over REST with
files that were cut or made small, among the wholes only and among the parts too (`use_crops`). near_duplicates: keep.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx
import numpy as np
from PIL import Image

from loadtests.bench.figures import Report
from loadtests.bench.up import PICTURES, up
from services.indexer.regions import Regions
from training.mini.edits import EDITS

_SETS: Final = ("clothing-cc0", "grocery", "caltech-101")
_ASKED_WITH: Final = ("crop of 30-60 %", "64-pixel thumbnail")
_SIDE: Final = 512
_AT_ONCE: Final = 2
_VECTORS: Final = {Regions.NONE: 1, Regions.CROPS: 6, Regions.WINDOWS: 17}
"""A picture, of omma-mini."""
_PATIENCE_SECONDS: Final = 1_800.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1_500)
    parser.add_argument("--asked", type=int, default=300, help="of them, each as a crop and as a thumbnail")
    said = parser.parse_args()
    report = Report("crops", f"python -m loadtests.crops --pictures {said.pictures} --asked {said.asked}")
    table = report.table(
        f"Share of {said.asked} photographs that are found first among {said.pictures}, by a file made of them.",
        ["OMMA_INDEXER__REGIONS", "vectors a picture", "searched among", *_ASKED_WITH],
    )
    pictures = _photographs(said.pictures)
    asked = {index: _files(pictures[index], index) for index in range(0, len(pictures), len(pictures) // said.asked)}
    first: dict[tuple[Regions, bool], Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for regions in Regions:
            with up(Path(folder) / regions, OMMA_INDEXER__REGIONS=regions) as process, process.client() as client:
                ids = _filled(client, pictures)
                for parts in (False, True)[: 1 + (regions is not Regions.NONE)]:
                    found = first[regions, parts] = _first(client, asked, ids, parts=parts)
                    shares = [f"{found[name] / len(asked):.3f}" for name in _ASKED_WITH]
                    among = "parts too" if parts else "wholes"
                    table.rows.append([regions.value, _VECTORS[regions], among, *shares])
                    print(table.rows[-1], flush=True)
    crop, small = _ASKED_WITH
    share = first[Regions.CROPS, True][crop] / len(asked)
    report.target("crops: found first, with the vectors of five parts", f"{share:.3f}", ">= 0.90", share >= 0.90)
    share = first[Regions.WINDOWS, True][crop] / len(asked)
    report.target("crops: found first, with the vectors of sixteen windows", f"{share:.3f}", ">= 0.78", share >= 0.78)
    wholes = first[Regions.NONE, False][small] / len(asked)
    for regions, what in ((Regions.CROPS, "parts"), (Regions.WINDOWS, "windows")):
        kept = first[regions, False][small] / len(asked)
        name = f"crops: 64-pixel thumbnails with vectors of {what}"
        report.target(name, f"{kept:.3f}", f">= {wholes:.3f}", kept >= wholes)
    report.notes.append(f"Load of the machine over the last 15 minutes: {os.getloadavg()[2]:.0f}, on 2 cores.")
    report.save()
    return int(any(one.met is False for one in report.targets))


def _photographs(count: int) -> list[Path]:
    """As many of each set, spread over it."""
    each = -(-count // len(_SETS))
    chosen: list[Path] = []
    for name in _SETS:
        every = sorted((PICTURES / name).rglob("*.jpg"))
        if len(every) < each:
            raise SystemExit(f"{PICTURES / name} has {len(every)} photographs; set OMMA_TEST_PICTURES to the sets.")
        chosen += every[:: len(every) // each][:each]
    return chosen[:count]


def _files(path: Path, seed: int) -> Mapping[str, bytes]:
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((_SIDE, _SIDE))
    return {name: _encoded(EDITS[name](picture, np.random.default_rng(seed))) for name in _ASKED_WITH}


def _encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.convert("RGB").save(file, "PNG")
    return file.getvalue()


def _filled(client: httpx.Client, pictures: Sequence[Path]) -> list[int]:
    """Their ids, once all can be found."""

    def added(path: Path) -> int:
        answer = client.post("/images", files={"image": path.read_bytes()}, data={"external_id": str(path)})
        return int(answer.raise_for_status().json()["id"])

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        ids = [*pool.map(added, pictures)]
    until = time.monotonic() + _PATIENCE_SECONDS
    while client.get("/stats").raise_for_status().json()["catalog"]["indexed"] < len(set(ids)):
        if time.monotonic() > until:
            raise SystemExit("It is not indexed in time.")
        time.sleep(1)
    return ids


def _first(
    client: httpx.Client, asked: Mapping[int, Mapping[str, bytes]], ids: Sequence[int], *, parts: bool
) -> Counter[str]:
    """How many found their whole first, by what they were asked with."""

    def found(one: tuple[int, str, bytes]) -> Iterator[str]:
        index, name, content = one
        fields = {"k": "1", "near_duplicates": "keep", "use_crops": str(parts).lower(), "timeout_ms": "60000"}
        answer = client.post("/search", files={"image": content}, data=fields).raise_for_status().json()
        if answer["results"] and answer["results"][0]["id"] == ids[index]:
            yield name

    queries = [(index, name, content) for index, files in asked.items() for name, content in files.items()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return Counter(name for names in pool.map(found, queries) for name in names)


if __name__ == "__main__":
    sys.exit(main())
