"""What a tenant or a filter costs a search, new and known; recall under it; what choosing takes among ten million.

    python -m loadtests.filters [small|real|million] [--chosen-among PICTURES] [--queries N]

Tags keep 50, 5, 0.5 and 0.05 % of the pictures, at random and by a direction of the vectors; a second engine has the
same vectors as 1,000 tenants'. Times are processor time, the median over single searches, each kind by turns with the
unfiltered one. A filter that is new each time names a tag besides that no picture has. The choosing is measured on
columns alone, without vectors, by postings and by reading every column.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from loadtests.bench import engines, vectors
from loadtests.bench.figures import Report, Table
from omma.filters import parse_filter
from omma.hits import Payload
from omma.identity import ImageId, Tenant, Version
from omma.records import VectorRecord
from services.nn_shard.engine import Engine, EngineSettings, SearchOptions
from services.nn_shard.engine.columns import Columns, term_key, text_key
from services.nn_shard.engine.part import Part, Store
from services.nn_shard.engine.postings import Postings, orders_of
from services.nn_shard.engine.selection import Selector

K = 10
TENANTS = 1_000
KEPT_PERCENT = (50.0, 5.0, 0.5, 0.05)
_BOX = np.array([[0, 0, 224, 224]], np.int32)
_ONE = Tenant("one")

Ids = npt.NDArray[np.int64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", nargs="?", default="real", choices=vectors.NAMES)
    parser.add_argument("--chosen-among", type=int, default=10_000_000)
    parser.add_argument("--queries", type=int, default=200)
    said = parser.parse_args()
    report = Report("filters", "python -m loadtests.filters")
    searched(report, vectors.load(said.data_set), said.queries)
    chosen(report, said.chosen_among)
    report.save()
    return int(any(one.met is False for one in report.targets))


def searched(report: Report, data: vectors.DataSet, count: int) -> None:
    """Rates against the unfiltered search, and recall."""
    base, queries = np.asarray(data.base), data.queries[:count]
    numbers = np.random.default_rng(5)
    along = np.argsort(np.argsort(base @ vectors.unit(base[:1])[0]))
    ranks = {"random": numbers.permutation(len(base)), "clustered": along}
    kept = {
        f"{name}-{percent}": np.flatnonzero(rank >= len(base) - round(len(base) * percent / 100))
        for name, rank in ranks.items()
        for percent in KEPT_PERCENT
    }
    tags: list[list[str]] = [[] for _ in base]
    for tag, rows in kept.items():
        for row in rows.tolist():
            tags[row].append(tag)
    with_tags = _engine("tags", data, lambda row: (_ONE, Payload(uri=f"file:///{row}", tags=tuple(tags[row]))))
    of_tenant = numbers.integers(0, TENANTS, len(base))
    tenants = [Tenant(f"tenant-{number}") for number in range(TENANTS)]
    of_many = _engine("tenants", data, lambda row: (tenants[of_tenant[row]], Payload(uri=f"file:///{row}")))

    table = report.table(
        f"{len(base):,} pictures, k = {K}: processor time of a lone search, and its rate over the unfiltered one's.",
        ["", "kept", "recall@10", "new each time: us", "rate", "again: us", "rate"],
    )
    for tag, rows in kept.items():
        again = SearchOptions(_ONE, K, filter=parse_filter({"tags": tag}))
        new = [
            SearchOptions(_ONE, K, filter=parse_filter({"tags": {"in": [tag, f"{tag}/{number}"]}}))
            for number in range(len(queries))
        ]
        times = _by_turns(
            [
                (with_tags, [SearchOptions(_ONE, K)] * len(queries)),
                (with_tags, new),
                (with_tags, [again] * len(queries)),
            ],
            queries,
        )
        recall = _recall(with_tags, base, rows, queries, again)
        _row(report, table, f"tag {tag.replace('-', ', ')} %", len(rows), recall, times)
    mixed = [SearchOptions(tenants[number % TENANTS], K) for number in range(len(queries))]
    rows_of = [np.flatnonzero(of_tenant == number % TENANTS) for number in range(len(queries))]
    recall = float(
        np.mean([
            _recall(of_many, base, rows_of[at], queries[at : at + 1], mixed[at]) for at in range(len(queries))
        ])
    )  # fmt: skip
    of_many.close()
    of_many = _reopened("tenants", data)  # what its tenants' rows are is not known to it any more
    plain = [SearchOptions(_ONE, K)] * len(queries)
    times = _by_turns([(with_tags, plain), (of_many, mixed), (of_many, mixed)], queries, rounds=1)
    _row(report, table, f"{TENANTS:,} tenants mixed", int(np.mean([len(one) for one in rows_of])), recall, times)
    for engine in (with_tags, of_many):
        engine.close()
    shutil.rmtree(vectors.cache() / data.name / "filters")


def _row(report: Report, table: Table, what: str, kept: int, recall: float, times: Sequence[float]) -> None:
    plain, new, again = times
    table.rows.append(
        [
            what,
            f"{kept:,}",
            f"{recall:.3f}",
            f"{new:.0f}",
            f"{plain / new:.2f}x",
            f"{again:.0f}",
            f"{plain / again:.2f}x",
        ]
    )
    report.target(f"filters: {what}: recall@10", f"{recall:.3f}", ">= 0.95", recall >= 0.95)
    report.target(
        f"filters: {what}: rate over unfiltered, new each time", f"{plain / new:.2f}x", ">= 0.5x", plain / new >= 0.5
    )
    print(table.markdown(), flush=True)


def _by_turns(
    contestants: Sequence[tuple[Engine, Sequence[SearchOptions]]], queries: vectors.Float32, rounds: int = 2
) -> list[float]:
    """Microseconds of processor a search of each, the least median of the rounds."""
    medians: list[list[float]] = [[] for _ in contestants]
    for _ in range(rounds):
        times: list[list[float]] = [[] for _ in contestants]
        for at in range(len(queries)):
            for number, (engine, options) in enumerate(contestants):
                begin = time.thread_time()
                engine.search(queries[at : at + 1], options[at], time.monotonic() + 60)
                times[number].append((time.thread_time() - begin) * 1e6)
        for number, of_one in enumerate(times):
            medians[number].append(float(np.median(of_one)))
    return [min(of_one) for of_one in medians]


def _recall(
    engine: Engine, base: vectors.Float32, kept: Ids, queries: vectors.Float32, options: SearchOptions
) -> float:
    truth = kept[vectors.exact(base[kept], queries, K)] + 1
    answers = engine.search(np.ascontiguousarray(queries), options, time.monotonic() + 600)
    found = sum(len(np.intersect1d(one.hits.ids, truth[at])) for at, one in enumerate(answers))
    return found / (len(queries) * min(K, len(kept)))


def _engine(name: str, data: vectors.DataSet, known: Callable[[int], tuple[Tenant, Payload]]) -> Engine:
    shutil.rmtree(_folder(name, data), ignore_errors=True)
    engine = _reopened(name, data)
    half = np.asarray(data.base, np.float16)
    for start in range(0, len(half), engines.BLOCK):
        records = []
        for row in range(start, min(start + engines.BLOCK, len(half))):
            tenant, payload = known(row)
            records.append(
                VectorRecord(
                    ImageId(row + 1),
                    Version(1),
                    tenant,
                    engines.SPACE,
                    half[row : row + 1],
                    _BOX,
                    phash=row,
                    payload=payload,
                )
            )
        engine.apply(records)
        engines.maintain(engine)
    engine.freeze()
    engines.maintain(engine)
    engine.checkpoint(engine.freeze(), {})
    return engine


def _reopened(name: str, data: vectors.DataSet) -> Engine:
    settings = EngineSettings()
    return engines.opened(_folder(name, data), data, settings, engines.trained(data))


def _folder(name: str, data: vectors.DataSet) -> Path:
    return vectors.cache() / data.name / "filters" / name


class _Store:
    """A segment's names and postings: what choosing rows asks of it."""

    name, max_regions, some_private = "columns", 1, False

    def __init__(self, tenants: Sequence[str], rows: int, postings: Postings | None) -> None:
        self.tenants, self.postings = tenants, postings
        self.list_sizes = np.full(4_096, rows // 4_096)
        self.list_sizes[-1] += rows - self.list_sizes.sum()


def chosen(report: Report, pictures: int) -> None:
    """The first time that a filter is met: by postings, and by reading columns."""
    columns = _columns(pictures)
    begin = time.thread_time()
    postings = Postings(columns, orders_of(columns))
    sorting = (time.thread_time() - begin) / pictures * 1e6
    many = [f"tenant-{number}" for number in range(TENANTS)]
    asked: list[tuple[str, Sequence[str], str, dict[str, Any] | None]] = [
        (f"a tenant of {TENANTS:,}", many, many[7], None),
        (f"a tenant of {TENANTS:,}, tag 5 %", many, many[7], {"tags": "5.0"}),
        *((f"tag {percent} %", [_ONE], _ONE, {"tags": str(percent)}) for percent in KEPT_PERCENT),
        ("1 % by date", [_ONE], _ONE, {"created_at": {"gte": pictures // 2, "lt": pictures // 2 + pictures // 100}}),
    ]
    table = report.table(
        f"Choosing among {pictures:,} pictures of one segment, the first time, ms of processor. Making the postings "
        f"took {sorting:.1f} us a picture.",
        ["", "rows", "by columns", "by postings"],
    )
    for what, tenants, tenant, filter in asked:
        options = SearchOptions(Tenant(tenant), K, filter=parse_filter(filter))
        taken = []
        for known in (None, postings):
            part = Part(cast(Store, _Store(tenants, pictures, known)), columns, None, pictures, pictures)
            rounds = []
            for _ in range(3):
                selector = Selector(EngineSettings().exact_rows, 65_536)
                begin = time.thread_time()
                selection = selector.select(part, options)
                rounds.append((time.thread_time() - begin) * 1e3)
            taken.append(min(rounds))
        assert selection is not None
        table.rows.append([what, f"{selection.count:,}", *(f"{one:.2f}" for one in taken)])
    print(table.markdown(), flush=True)


def _columns(count: int) -> Columns:
    numbers = np.random.default_rng(1)
    has = np.stack([numbers.random(count) < percent / 100 for percent in KEPT_PERCENT], axis=1)
    keys = np.array([term_key("tags", str(percent)) for percent in KEPT_PERCENT], np.uint64)[np.nonzero(has)[1]]
    row_pictures = numbers.permutation(count).astype(np.int32)
    picture_rows = np.empty_like(row_pictures)
    picture_rows[row_pictures] = np.arange(count, dtype=np.int32)
    return Columns(
        ids=np.arange(count),
        versions=np.ones(count, np.int64),
        tenants=numbers.integers(0, TENANTS, count).astype(np.uint32),
        phashes=np.zeros(count, np.uint64),
        hashed=np.zeros(count, np.bool_),
        created_at=numbers.integers(0, count, count),
        width=numbers.integers(1, 4_000, count).astype(np.int32),
        height=numbers.integers(1, 4_000, count).astype(np.int32),
        owner=numbers.integers(0, 5_000, count).astype(np.uint64),
        source=numbers.integers(0, 2**60, count).astype(np.uint64),
        source_domain=numbers.integers(0, 100, count).astype(np.uint64),
        term_ends=np.cumsum(has.sum(axis=1)),
        term_keys=keys,
        term_fields=np.full(len(keys), text_key("tags"), np.uint64),
        term_numbers=np.full(len(keys), np.nan),
        row_ends=np.arange(1, count + 1),
        picture_rows=picture_rows,
        row_pictures=row_pictures,
        regions=np.zeros(count, np.uint16),
        boxes=np.zeros((1, 4), np.int32),
    )


if __name__ == "__main__":
    sys.exit(main())
