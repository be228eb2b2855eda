"""What a picture costs on Triton, sent as floats and as pixels: one model in two repositories, on one server each.

    python -m loadtests.triton_cost [--pictures N] [--rounds N]

Processor time is this process's (decoding, tensors, gRPC) and that of Triton with its backends' processes, from
/proc: whoever else is on the machine changes it less than it changes what a picture takes.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from deploy.parts.triton import Triton, triton
from loadtests.bench.figures import Report, spread
from loadtests.bench.up import photographs
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem
from services.egs.embedder import ModelEmbedder
from services.egs.registry import Model, load_model
from services.egs.settings import EgsSettings
from services.egs.triton.naming import triton_name
from services.egs.triton.open import open_triton_embedder
from services.egs.triton.repository import Serving, write_repository
from services.egs.triton.settings import TritonSettings

MODELS = Path(__file__).resolve().parents[1] / "models"
PATIENCE_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    report = Report("triton_cost", "python -m loadtests.triton_cost")
    table = report.table(
        "CPU of a picture as median (min … max) of rounds, one at a time, in ms.",
        ["sent as", "EGS", "Triton", "both", "took"],
    )
    figures = uvloop.run(_measured(load_model(MODELS, "omma-mini"), given.pictures, given.rounds))
    for sent, rounds in figures.items():
        ours, theirs, took = zip(*rounds, strict=True)
        both = [one + other for one, other in zip(ours, theirs, strict=True)]
        table.rows.append([sent, spread(ours, 2), spread(theirs, 2), spread(both, 2), f"{statistics.median(took):.1f}"])
    report.save()
    return 0


async def _measured(model: Model, count: int, rounds: int) -> dict[str, list[tuple[float, float, float]]]:
    """By what is sent, of each round: milliseconds of this process, of Triton, and of the clock, a picture."""
    pictures = [ImageItem(path.read_bytes()) for path in photographs(count)]
    figures: dict[str, list[tuple[float, float, float]]] = {"floats": [], "pixels": []}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running: dict[str, tuple[Triton, ModelEmbedder]] = {}
        for sent in figures:
            write_repository(model, folder / sent, Serving(platform="python"))
            if sent == "floats":
                _as_before(model, folder / sent)
            server = stack.enter_context(triton(folder / sent))
            settings = TritonSettings(url=server.url)
            running[sent] = server, await open_triton_embedder(model, EgsSettings(), settings, stack)
        for _ in range(rounds):
            for sent, (server, embedder) in running.items():
                figures[sent].append(await _round(server, embedder, pictures))
    return figures


def _as_before(model: Model, repository: Path) -> None:
    """The image tower's configuration of earlier versions: it takes what the graph takes."""
    config = repository / triton_name(model.manifest, "image") / "config.pbtxt"
    size = model.manifest.preprocessing.size
    told = config.read_text().replace("TYPE_UINT8", "TYPE_FP32").replace(f"[{size}, {size}, 3]", f"[3, {size}, {size}]")
    config.write_text("".join(line for line in told.splitlines(True) if '"mean"' not in line and '"std"' not in line))


async def _round(server: Triton, embedder: ModelEmbedder, pictures: Sequence[ImageItem]) -> tuple[float, float, float]:
    ours, theirs, started = time.process_time(), _cpu_seconds(server.server.pid), time.perf_counter()
    for one in pictures:
        (answer,) = await embedder.embed([one], Deadline.after(PATIENCE_SECONDS))
        if not isinstance(answer, EmbeddedItem):
            raise SystemExit(f"A picture was not embedded: {answer!r}")
    spent = time.process_time() - ours, _cpu_seconds(server.server.pid) - theirs, time.perf_counter() - started
    mine, tritons, took = (seconds * 1e3 / len(pictures) for seconds in spent)
    return mine, tritons, took


def _cpu_seconds(pid: int) -> float:
    """Of a process and those below it that live."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)], ticks[int(folder.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {pid}
    while more := {one for one, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(one, 0) for one in family) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
