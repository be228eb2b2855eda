"""Ingest of a folder against a bare loop: read, decode, embed, hash, thumbnail on as many threads as cores.

    python -m loadtests.ingest [--pictures N] [--rounds N]

Both use the model that `omma up` chooses. The ingest's seconds are the job's own, from the first file seen to the
last vector in the log. They alternate, each in a process of its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loadtests.bench.figures import Report, spread
from loadtests.bench.up import environment, photographs, up
from omma.cores import cores


def bare(data_dir: Path, pictures: Path) -> float:
    """Pictures a second of the loop, in this process."""
    from services.egs.client import ImageItem
    from services.egs.preprocess import prepare, tensor
    from services.egs.tower import Tower
    from services.standalone.models import choose_model
    from services.standalone.settings import StandaloneSettings

    settings = StandaloneSettings(data_dir=data_dir)
    model = choose_model(settings)
    how, graph = model.manifest.preprocessing, model.manifest.image
    tower = Tower(
        model.path(graph.file), "image", input=graph.input, output=graph.output, dim=model.manifest.dim, wide_threads=1
    )
    limits = settings.pictures

    def one(path: Path) -> None:
        prepared = prepare(ImageItem(path.read_bytes(), thumbnail=True), limits, how)
        tower.run(tensor(prepared.rows, how), wide=False)

    files = sorted(pictures.iterdir())
    one(files[0])
    start = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(one, files):
            pass
    return len(files) / (time.perf_counter() - start)


def ingest(pictures: Path) -> float:
    """Pictures a second of `POST /images/ingest` on an empty folder."""
    with tempfile.TemporaryDirectory() as folder, up(Path(folder)) as server, server.client() as client:
        job_id = client.post("/images/ingest", json={"folder": str(pictures)}).raise_for_status().json()["job_id"]
        while (job := client.get(f"/jobs/{job_id}").json())["state"] in ("waiting", "running"):
            time.sleep(0.2)
        if job["state"] != "done" or job["created"] != len(list(pictures.iterdir())):
            raise SystemExit(f"The ingest did not do its work: {job}")
        server.stop()
        return float(job["created"] / job["seconds"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", nargs=2, type=Path, metavar=("DATA_DIR", "PICTURES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        print(json.dumps(bare(*given.bare)))
        return 0
    report = Report("ingest", "python -m loadtests.ingest")
    rates: dict[str, list[float]] = {"bare loop": [], "ingest": []}
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        for at, one in enumerate(photographs(given.pictures)):
            (pictures / f"{at:05}.jpg").write_bytes(one.read_bytes())
        for _ in range(given.rounds):
            loop = [sys.executable, "-m", "loadtests.ingest", "--bare", str(Path(folder) / "data"), str(pictures)]
            done = subprocess.run(
                loop, env=environment(Path(folder) / "data"), check=True, capture_output=True, text=True
            )
            rates["bare loop"].append(json.loads(done.stdout))
            rates["ingest"].append(ingest(pictures))
            print(f"  {rates['bare loop'][-1]:.0f} bare, {rates['ingest'][-1]:.0f} ingested a second", flush=True)
    table = report.table(f"Pictures a second, {given.pictures} photographs: median (min … max).", ["", "pictures/s"])
    for name, values in rates.items():
        table.rows.append([name, spread(values, 1)])
    share = statistics.median(a / b for a, b in zip(rates["ingest"], rates["bare loop"], strict=True))
    report.target("ingest: of the bare loop's rate", f"{share:.0%}", ">= 85%", share >= 0.85)
    report.save()
    return int(share < 0.85)


if __name__ == "__main__":
    sys.exit(main())
