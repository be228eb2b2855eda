"""What vectors for the parts of pictures cost the engine: rows, disk, memory, and the time of a search.

    python -m loadtests.regions [--pictures N] [--queries N]

The same pictures with 1, 6 (`OMMA_INDEXER__REGIONS=crops`) and 17 vectors each, one after the other in processes of
their own, all searched by the same vectors: over the wholes, and over every part. A part's vector is the whole's,
moved by noise, since only its place in memory matters here.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.bench import engines, vectors
from loadtests.bench.figures import Report, percentile
from omma.identity import DEFAULT_TENANT, ImageId, Version
from omma.records import VectorRecord
from services.nn_shard.engine import Engine, EngineSettings, SearchOptions

REGIONS = (1, 6, 17)
_MOVED = 0.6
_K = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--regions", type=int, help="measure so many in this process, as JSON")
    said = parser.parse_args()
    if said.regions:
        print(json.dumps(measured(said.pictures, said.queries, said.regions)))
        return 0
    report = Report("regions", f"python -m loadtests.regions --pictures {said.pictures} --queries {said.queries}")
    table = report.table(
        f"{said.pictures:,} pictures in one engine, k = {_K}; a search's time is processor time, one at a time",
        ["vectors a picture", "rows", "MB on disk", "MB of memory", "wholes: median, p95 ms", "parts: median, p95 ms"],
    )
    for regions in REGIONS:
        command = [sys.executable, "-m", "loadtests.regions", "--regions", str(regions)]
        command += ["--pictures", str(said.pictures), "--queries", str(said.queries)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        times = [f"{told[over][0]:.2f}, {told[over][1]:.2f}" for over in ("wholes", "parts")]
        table.rows.append([regions, f"{told['rows']:,}", f"{told['disk']:.0f}", f"{told['memory']:.0f}", *times])
    report.save()
    return 0


def measured(pictures: int, queries: int, regions: int) -> dict[str, Any]:
    data = vectors.load("real")
    settings = EngineSettings()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "index"
        engine = engines.opened(folder, data, settings, engines.trained(data))
        chance = np.random.default_rng(regions)
        for start in range(0, pictures, engines.BLOCK):
            wholes = data.base[start : min(start + engines.BLOCK, pictures)]
            engine.apply([_record(start + at + 1, row, regions, chance) for at, row in enumerate(wholes)])
            engines.maintain(engine)
        engine.freeze()
        engines.maintain(engine)
        engine.checkpoint(engine.freeze(), {})
        engine.close()
        before = _resident()
        engine = engines.opened(folder, data, settings, engines.trained(data))
        asked = data.queries[:queries]
        found = {over: _times(engine, asked, use_crops=over == "parts") for over in ("wholes", "parts")}
        disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        return {"rows": pictures * regions, "disk": disk, "memory": _resident() - before, **found}


def _record(id: int, whole: vectors.Float32, regions: int, chance: np.random.Generator) -> VectorRecord:
    noise = chance.standard_normal((regions, len(whole)), np.float32) * (_MOVED / np.sqrt(len(whole)))
    noise[0] = 0
    boxes = np.tile(np.array([[0, 0, 224, 224]], np.int32), (regions, 1))
    rows = vectors.unit(whole + noise).astype(np.float16)
    return VectorRecord(ImageId(id), Version(1), DEFAULT_TENANT, engines.SPACE, rows, boxes)


def _times(engine: Engine, queries: vectors.Float32, *, use_crops: bool) -> tuple[float, float]:
    """Median and 95th percentile, ms of processor time."""
    options = SearchOptions(DEFAULT_TENANT, k=_K, use_crops=use_crops)
    took = []
    for at in range(len(queries)):
        start = time.process_time()
        engine.search(queries[at : at + 1], options, time.monotonic() + 60)
        took.append(1e3 * (time.process_time() - start))
    return float(np.median(took)), percentile(took, 95)


def _resident() -> float:
    """MB of this process that are in memory, mapped files among them."""
    fields = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in fields if line.startswith("VmRSS:")).split()[1]) / 1e3


if __name__ == "__main__":
    sys.exit(main())
