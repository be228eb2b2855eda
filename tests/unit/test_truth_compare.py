"""What differs between rows, the log and a replica, kind by kind."""

from collections import Counter

import numpy as np
import pytest

from omma.catalog.picture import PictureState
from services.worker.truth.compare import Held, Row, Tail, log_and_replica, rows_and_log
from services.worker.truth.differences import ABOUT, Difference, DifferenceKind
from services.worker.truth.report import MAX_EXAMPLES, Report

PENDING, INDEXED, DEAD, DELETED = PictureState
Kind = DifferenceKind


def tail(version: int, deleted: bool = False) -> Tail:
    return Tail(version, deleted, "ann")


@pytest.mark.parametrize(
    ("row", "last", "kind"),
    [
        (Row(3, INDEXED), tail(3), None),
        (Row(3, INDEXED), None, Kind.NO_VECTOR),
        (Row(3, INDEXED), tail(2, deleted=True), Kind.NO_VECTOR),
        (Row(3, INDEXED), tail(3, deleted=True), Kind.NO_VECTOR),
        (Row(3, INDEXED), tail(2), Kind.VECTOR_OLDER),
        (Row(3, INDEXED), tail(4), Kind.VECTOR_NEWER),
        (Row(3, INDEXED), tail(4, deleted=True), Kind.VECTOR_NEWER),
        (Row(3, PENDING), None, Kind.NOT_INDEXED),
        (Row(3, PENDING), tail(2), Kind.NOT_INDEXED),
        (Row(3, PENDING), tail(5), Kind.VECTOR_NEWER),
        (Row(3, DELETED), None, None),
        (Row(3, DELETED), tail(3, deleted=True), None),
        (Row(3, DELETED), tail(2), Kind.VECTOR_NOT_DELETED),
        (Row(3, DEAD), tail(2), Kind.VECTOR_NOT_DELETED),
        (Row(3, DEAD), tail(3, deleted=True), None),
        # Brought back under its key it would get version 4, which a shard that knows 5 would pass over.
        (Row(3, DELETED), tail(5, deleted=True), Kind.VECTOR_NEWER),
        (None, tail(1), Kind.VECTOR_WITHOUT_ROW),
        (None, tail(1, deleted=True), None),
    ],
)
def test_a_row_and_its_last_record(row: Row | None, last: Tail | None, kind: Kind | None) -> None:
    found = list(rows_and_log(5, {7: row} if row else {}, {7: last} if last else {}))
    assert [one.kind for one in found] == ([kind] if kind else [])
    assert all((one.image_id, one.bucket) == (7, 5) for one in found)


def test_a_replica_that_holds_what_the_log_says_does_not_differ() -> None:
    held = Held(0, 1, np.array([1, 2]), np.array([4, 5]))
    assert not list(log_and_replica(0, {}, {1: tail(4), 2: tail(5), 3: tail(9, deleted=True)}, held))


def test_a_replica_that_lacks_doubles_keeps_or_mistakes_pictures() -> None:
    held = Held(0, 1, np.array([1, 2, 2, 3, 4]), np.array([1, 1, 1, 1, 1]))
    tails = {1: tail(2), 2: tail(1), 3: tail(2, deleted=True), 5: tail(1)}
    found = {(one.kind, one.image_id) for one in log_and_replica(0, {}, tails, held)}
    assert found == {
        (Kind.REPLICA_OTHER_VERSION, 1),
        (Kind.REPLICA_DOUBLED, 2),
        (Kind.REPLICA_EXTRA, 3),
        (Kind.REPLICA_EXTRA, 4),
        (Kind.REPLICA_LACKS, 5),
    }


def test_every_kind_is_explained() -> None:
    assert set(ABOUT) == set(Kind)


def test_a_report_counts_everything_and_keeps_a_few() -> None:
    report = Report("index")
    report.add(Difference(Kind.NO_VECTOR, image_id, 0, 1) for image_id in range(1_000))
    (said,) = report.document()["differences"]
    assert (said["count"], len(said["examples"])) == (1_000, MAX_EXAMPLES)
    assert not report.clean


def reports() -> dict[str, Report]:
    differs, mended, partial, same = (Report("index", rows=Counter(indexed=5), originals=5) for _ in range(4))
    for one in (differs, mended):
        one.count(Kind.BLOB_WITHOUT_ROW, 3, [])
    mended.repaired[Kind.BLOB_WITHOUT_ROW] = 3
    partial.replicas = [{"shard": 0, "replica": 1, "error": "gone"}]
    same.waiting = 7
    late = Report("index", rows=Counter(indexed=5), settled=False)
    return {"differs": differs, "mended": mended, "partial": partial, "late": late, "same": same, "none": Report("i")}


def test_a_report_is_clean_when_it_says_that_nothing_differs() -> None:
    said = {name: (one.clean, one.summary) for name, one in reports().items()}
    assert [name for name, (clean, _) in said.items() if clean] == ["same", "none"]
    assert said["same"] == (True, "Nothing differs.")
    assert "nothing here to compare" in said["none"][1]
    assert said["differs"][1] == "3 differences, 0 of them mended, 3 open."
    assert all("not everything" in said[name][1] for name in ("partial", "late"))


@pytest.mark.parametrize("name", reports())
def test_a_report_that_goes_on_knows_what_was_found(name: str) -> None:
    before = reports()[name]
    after = Report.going_on("index", 8, before.numbers())
    assert (after.rows, after.counts, after.repaired) == (before.rows, before.counts, before.repaired)
    assert (after.originals, after.waiting, after.clean) == (before.originals, before.waiting, before.clean)
