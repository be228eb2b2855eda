"""Recall under life: deletes, updates and additions against a fresh build; growth past the codebook; filters.

    python -m loadtests.life [small|real|million] [--parts changes growth filters]

Recall is of ten among the pictures that live, against exact search, at the index's own effort.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from loadtests.bench import engines, vectors
from loadtests.bench.figures import Report, Table
from omma.filters import parse_filter
from omma.hits import Payload
from omma.identity import DEFAULT_TENANT, ImageId, Version
from omma.index import DEFAULT_FACTORY
from omma.records import deleted_record
from services.nn_shard.engine import Codebook, Engine, EngineSettings, SearchOptions
from services.nn_shard.training.fitting import train_codebook

K = 10
BATCH = 50
TRAIN_ROWS = 5_000
"""Of the growth measure: 20 times that is 100,000."""
KEPT_PERCENT = (50.0, 5.0, 0.5, 0.05)

Ids = npt.NDArray[np.int64]


def recall(engine: Engine, rows: vectors.Float32, ids: Ids, queries: vectors.Float32, filter: str = "") -> float:
    """Of the engine's answers against exact search in rows, whose picture ids are ids."""
    truth = ids[vectors.exact(rows, queries, K)]
    options = SearchOptions(DEFAULT_TENANT, k=K, filter=parse_filter(filter))
    found = 0
    for start in range(0, len(queries), BATCH):
        answers = engine.search(queries[start : start + BATCH], options, time.monotonic() + 60)
        found += sum(len(np.intersect1d(one.hits.ids, truth[start + at])) for at, one in enumerate(answers))
    return found / (len(queries) * min(K, len(rows)))


def changes(report: Report, data: vectors.DataSet, table: Table) -> None:
    """Delete 30%, update 20% to other vectors, add 50%, in random order; maintenance runs all the way."""
    random = np.random.default_rng(11)
    half = len(data.base) * 2 // 3
    order = random.permutation(len(data.base))
    first, added = order[:half], order[half : half + half // 2]
    codebook, settings = engines.trained(data), EngineSettings(seal_rows=16_384)
    lived, folder = _empty("lived", data, settings, codebook)
    vector_of = {int(row) + 1: data.base[row] for row in first}
    for start in range(0, half, engines.BLOCK):
        rows = first[start : start + engines.BLOCK]
        lived.apply(engines.records(data.base[rows], (rows + 1).tolist()))
    engines.maintain(lived)
    shuffled = random.permutation(first)
    deleted, updated = shuffled[: half * 3 // 10], shuffled[half * 3 // 10 : half // 2]
    moved = vectors.unit(data.base[updated] + 0.05 * random.standard_normal((len(updated), data.base.shape[1])))
    work = [("delete", row, None) for row in deleted] + [("add", row, data.base[row]) for row in added]
    work += [("update", row, moved[at]) for at, row in enumerate(updated)]
    work = [work[at] for at in random.permutation(len(work))]
    for start in range(0, len(work), 1_000):
        records = []
        for kind, row, vector in work[start : start + 1_000]:
            image_id = int(row) + 1
            if kind == "delete":
                del vector_of[image_id]
                records.append(
                    deleted_record(ImageId(image_id), Version(2), DEFAULT_TENANT, engines.SPACE, data.base.shape[1])
                )
            else:
                vector_of[image_id] = vector
                records += engines.records(vector[None], [image_id], 2 if kind == "update" else 1)
        lived.apply(records)
        engines.maintain(lived)
    ids = np.array(sorted(vector_of), np.int64)
    rows = np.stack([vector_of[image_id] for image_id in ids.tolist()])
    fresh_codebook = train_codebook(_sample(rows, settings.train_sample_rows), DEFAULT_FACTORY)
    fresh, fresh_folder = _empty("fresh", data, settings, fresh_codebook)
    engines.fill(fresh, rows, ids)
    fresh.freeze()
    engines.maintain(fresh)
    again, again_folder = _empty("again", data, settings, codebook)
    engines.fill(again, rows, ids)
    again.freeze()
    engines.maintain(again)
    after, new = recall(lived, rows, ids, data.queries), recall(fresh, rows, ids, data.queries)
    same = recall(again, rows, ids, data.queries)
    table.rows.append(
        ["the same, beside a fresh build on the old codebook", f"{len(ids):,}", f"{after:.4f}", f"{same:.4f}"]
    )
    table.rows.append(["after deleting 30%, updating 20%, adding 50%", f"{len(ids):,}", f"{after:.4f}", f"{new:.4f}"])
    report.target(
        "life: recall@10 after 30% / 20% / 50%, below a fresh build's by",
        f"{new - after:.4f}",
        "<= 0.01",
        new - after <= 0.01,
    )
    for engine, path in ((lived, folder), (fresh, fresh_folder), (again, again_folder)):
        engine.close()
        shutil.rmtree(path)


def growth(report: Report, data: vectors.DataSet, table: Table) -> None:
    """Train on 5,000 pictures of one kind of crop order, grow 20 times, take the rebuild that the engine proposes."""
    settings = EngineSettings(train_rows=TRAIN_ROWS, train_sample_rows=TRAIN_ROWS, seal_rows=16_384)
    rows = data.base[: 20 * TRAIN_ROWS + 1]
    ids = np.arange(1, len(rows) + 1)
    small = train_codebook(np.ascontiguousarray(rows[:TRAIN_ROWS]), DEFAULT_FACTORY)
    engine, folder = _empty("grown", data, settings, small)
    proposed_at = 0
    for start in range(0, len(rows), 2_000):
        engine.apply(engines.records(rows[start : start + 2_000], ids[start : start + 2_000].tolist()))
        engines.maintain(engine)
        if engine.rebuild_proposed and not proposed_at:
            proposed_at = start + 2_000
    before, reason = recall(engine, rows, ids, data.queries), engine.rebuild_proposed
    defaults = EngineSettings()
    rebuilt_codebook = train_codebook(
        np.concatenate(list(engine.sample(defaults.train_sample_rows, seed=1))), DEFAULT_FACTORY
    )
    rebuilt, rebuilt_folder = _empty("rebuilt", data, defaults, rebuilt_codebook)
    engines.fill(rebuilt, rows, ids)
    rebuilt.freeze()
    engines.maintain(rebuilt)
    fresh_codebook = train_codebook(_sample(rows, defaults.train_sample_rows), DEFAULT_FACTORY, seed=5)
    fresh, fresh_folder = _empty("fresh", data, defaults, fresh_codebook)
    engines.fill(fresh, rows, ids)
    fresh.freeze()
    engines.maintain(fresh)
    after, new = recall(rebuilt, rows, ids, data.queries), recall(fresh, rows, ids, data.queries)
    table.rows.append(
        [
            f"grown 20x past {TRAIN_ROWS:,} training rows, before the rebuild",
            f"{len(rows):,}",
            f"{before:.4f}",
            f"{new:.4f}",
        ]
    )
    table.rows.append(
        [f"after the rebuild, proposed at {proposed_at:,} rows", f"{len(rows):,}", f"{after:.4f}", f"{new:.4f}"]
    )
    report.notes.append(f"What it proposes: {reason}")
    report.target(
        "life: recall@10 after the proposed rebuild, below a fresh build's by",
        f"{new - after:.4f}",
        "proposed, <= 0.01",
        reason is not None and new - after <= 0.01,
    )
    for one, path in ((engine, folder), (rebuilt, rebuilt_folder), (fresh, fresh_folder)):
        one.close()
        shutil.rmtree(path)


def filters(report: Report, data: vectors.DataSet, table: Table) -> None:
    """Filters on an attribute that has nothing to do with the vectors, and on one that follows a direction of them."""
    settings = EngineSettings()
    codebook = engines.trained(data)
    engine, folder = _empty("filtered", data, settings, codebook)
    base = np.asarray(data.base)
    order = {
        "random": np.random.default_rng(5).permutation(len(base)),
        "clustered": np.argsort(np.argsort(base @ vectors.unit(base[:1])[0])),
    }
    for start in range(0, len(base), engines.BLOCK):
        records = []
        for row in range(start, min(start + engines.BLOCK, len(base))):
            attributes = {name: int(rank[row]) for name, rank in order.items()}
            records += engines.records(
                base[row : row + 1], [row + 1], payload=Payload(uri=f"file:///{row}", attributes=attributes)
            )
        engine.apply(records)
    engine.freeze()
    engines.maintain(engine)
    for name, rank in order.items():
        for percent in KEPT_PERCENT:
            least = len(base) - round(len(base) * percent / 100)
            kept = np.flatnonzero(rank >= least)
            query = f'{{"attributes.{name}": {{"gte": {least}}}}}'
            reached = recall(engine, base[kept], kept + 1, data.queries, query)
            table.rows.append([f"filter ({name}) that keeps {percent}%", f"{len(kept):,}", f"{reached:.4f}", ""])
            report.target(
                f"life: recall@10 under a {name} filter that keeps {percent}%",
                f"{reached:.3f}",
                ">= 0.95",
                reached >= 0.95,
            )
    engine.close()
    shutil.rmtree(folder)


def _empty(name: str, data: vectors.DataSet, settings: EngineSettings, codebook: Codebook) -> tuple[Engine, Path]:
    folder = vectors.cache() / data.name / "life" / name
    shutil.rmtree(folder, ignore_errors=True)
    return engines.opened(folder, data, settings, codebook), folder


def _sample(rows: vectors.Float32, count: int) -> vectors.Float32:
    chosen = np.random.default_rng(1).permutation(len(rows))[:count]
    return np.ascontiguousarray(rows[np.sort(chosen)])


PARTS = {"changes": changes, "growth": growth, "filters": filters}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", nargs="?", default="real", choices=vectors.NAMES)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    given = parser.parse_args()
    faiss.omp_set_num_threads(2)
    data = vectors.load(given.data_set)
    report = Report("life", "python -m loadtests.life")
    table = report.table("Recall@10 against exact search.", ["", "live or kept", "recall@10", "fresh build"])
    for part in given.parts:
        PARTS[part](report, data, table)
        print(table.markdown(), flush=True)
    report.save()
    return int(any(one.met is False for one in report.targets))


if __name__ == "__main__":
    sys.exit(main())
