"""Real models in a rollout of one process: a bad one kept out by labels and taken back by clicks, a good one told.

    python -m loadtests.rollout_models [--pictures N] [--labels N]

Photographs of garments with their labels; callers search by one of them and click on those of the same label, by a
position-based model. The bad model is omma-mini 1.1 with a random head. The good ones are omma-mini 1.1 where that is
live, and 1.2 where the EdgeTPU teacher is.
"""

import argparse
import asyncio
import csv
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import httpx

from loadtests.bench.clicking import Clickers
from loadtests.bench.figures import Report
from loadtests.bench.heads import with_random_head
from loadtests.bench.rolling import ok, until
from loadtests.bench.up import PICTURES, up
from services.egs.registry import load_model
from tests.teacher import register_teacher

_MINI: Final = "omma-mini@1.3.0"
_ONE_HEAD: Final = "omma-mini@1.1.0"
"""Whose head is one matrix: random, it is the bad model."""
_RANDOM: Final = "9.0.0"
_OWN: Final = Path(__file__).resolve().parents[1] / "models"
_SETTINGS: Final = {"OMMA_WORKER__ROLLOUT_LOOK_SECONDS": "0.5", "OMMA_WORKER__JUDGE_SECONDS": "1"}
_MOST: Final = 20_000
"""Searches until the judge has to have told."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=30, help="of each label")
    parser.add_argument("--labels", type=int, default=10)
    given = parser.parse_args()
    report = Report(
        "rollout_models", f"python -m loadtests.rollout_models --pictures {given.pictures} --labels {given.labels}"
    )
    table = report.table(
        "Rollouts of real models, judged by labels and by simulated clicks.",
        ["live", "candidate", "nDCG@10, live", "candidate", "loss, at most", "searches", "clicks", "what came of it"],
    )
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        register_teacher(Path(os.environ.get("OMMA_TEST_MODEL", PICTURES.parent / "models")), models)
        bad = with_random_head(models, load_model(_OWN, _ONE_HEAD), _RANDOM).manifest.reference
        teacher = "mobilenet-edgetpu@1.0.0"
        pictures = _pictures(given.labels, given.pictures)
        for number, (live, candidate, mode) in enumerate(
            ((_ONE_HEAD, bad, "split"), (bad, _ONE_HEAD, "interleave"), (teacher, _MINI, "interleave"))
        ):
            own = {"OMMA_MODEL": live, "OMMA_EGS__MODELS_DIR": str(models), **_SETTINGS}
            with up(Path(folder) / str(number), **own) as process:
                found = asyncio.run(_judged(process.url, candidate, mode, pictures))
            judged, clickers, shown, refused = found["judged"], found["clickers"], found["shown"], found["refused"]
            ndcg = judged["ndcg_at_10"]
            came = f"{shown['state']}, {shown['verdict']}: {'; '.join(shown['reasons'])}"
            table.rows.append(
                [live, candidate, ndcg["control"], ndcg["candidate"], judged["ndcg_loss_upper"],
                 sum(clickers.searches.values()), sum(clickers.clicks.values()), came]
            )  # fmt: skip
            print(table.rows[-1], flush=True)
            if mode == "split":
                report.target("rollout_models: a random head at the shadow's gate", refused, "refused", bool(refused))
                back = shown["state"] == "rolled_back"
                clicks = f"after {clickers.clicks['candidate']} of its clicks"
                report.target("rollout_models: forced into canary, rolled back", clicks, "by itself", back)
            else:
                told = shown["verdict"] == "promote"
                searches = f"told after {sum(clickers.searches.values())} searches"
                report.target(f"rollout_models: {candidate} against {live}, promote", searches, "told", told)
    report.notes.append(
        f"{len(pictures)} garments of {given.labels} labels, one process. Load of the machine over the last 15 "
        f"minutes: {os.getloadavg()[2]:.0f}, on 2 cores."
    )
    report.save()
    return int(any(one.met is False for one in report.targets))


def _pictures(labels: int, each: int) -> list[tuple[Path, str]]:
    """So many of each of the labels that have most."""
    folder = PICTURES / "clothing-cc0"
    paths = {path.stem: path for path in folder.rglob("*.jpg")}
    by_label = defaultdict(list)
    with (folder / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            if row["image"] in paths and row["label"] not in ("Not sure", "Other", "Skip"):
                by_label[row["label"]].append(paths[row["image"]])
    most = sorted(by_label, key=lambda label: -len(by_label[label]))[:labels]
    return [(path, label) for label in most for path in sorted(by_label[label])[:each]]


async def _judged(url: str, candidate: str, mode: str, pictures: list[tuple[Path, str]]) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        labels = {}
        for path, label in pictures:
            sent = {"files": {"image": path.read_bytes()}, "data": {"external_id": path.stem}}
            labels[(await ok(client.post("/images", **sent)))["id"]] = label
        begun = (await ok(client.post("/rollouts", json={"model": candidate, "mode": mode})))["id"]
        at = f"/rollouts/{begun}"

        async def built() -> bool:
            return bool((await ok(client.get(at)))["state"] == "shadow")

        await until(built, 0.5)
        judged = (await ok(client.post(f"{at}/judgments", json={"labels": labels})))["judged"]
        answer = await client.post(f"{at}/canary", json={"share": 50})
        refused = answer.json()["detail"] if "ndcg_loss_upper" in answer.text else ""
        await ok(client.post(f"{at}/canary", json={"share": 100 if mode == "interleave" else 50, "force": True}))
        clickers = Clickers(client, labels, liked=0.3)
        shown = await clickers.until_judged(
            begun, lambda told: told["state"] == "rolled_back" or told["verdict"] == "promote", _MOST
        )
        return {"judged": judged, "clickers": clickers, "shown": shown, "refused": refused}


if __name__ == "__main__":
    sys.exit(main())
