"""What is told of a picture at every moment of a write: never that it arrived before searches show it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omma.identity import ImageId
from services.nn_shard.engine import Engine, SearchOptions, publishing
from services.nn_shard.engine.reading import fetch
from services.nn_shard.training.fitting import train_codebook
from tests.unit.engine_lives import TENANT, clustered, far, gone, opened, record


def shown(engine: Engine) -> int | None:
    """The version that searches show of picture 1."""
    hits = engine.search(clustered(1, seed=1), SearchOptions(TENANT, 5), far())[0].hits
    return next((int(v) for i, v in zip(hits.ids, hits.versions, strict=True) if i == 1), None)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("change", ["delete", "update"])
def test_a_receipt_counts_only_once_searches_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: bool, change: str
) -> None:
    engine = opened(tmp_path)
    one = clustered(1, seed=1)
    engine.apply([record(1, one), record(2, one)])
    if sealed:
        engine.checkpoint(engine.freeze(), {})
    seen: list[tuple[int | None, int | None, list[int]]] = []
    view = publishing.View

    def looked_at(*parts: Any) -> Any:
        """Made when everything of the write has happened but that it is published."""
        fetched = engine.fetch(None, [ImageId(1)])
        seen.append((engine.version_of(1), shown(engine), [picture.version for picture in fetched]))
        return view(*parts)

    monkeypatch.setattr(publishing, "View", looked_at)
    engine.apply([gone(1, 2) if change == "delete" else record(1, one, version=2)])
    assert seen == [(1, 1, [1])]
    assert engine.version_of(1) == 2
    assert shown(engine) == (None if change == "delete" else 2)


def test_a_view_still_finds_what_was_changed_since(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    engine.apply([record(1, clustered(1, seed=1)), record(2, clustered(1, seed=2))])
    view = engine._view
    for version in (2, 3):
        engine.apply([record(1, clustered(1, seed=3), version=version)])
    assert [picture.version for picture in fetch(view, None, np.array([1, 2]))] == [1, 1]
    assert [picture.version for picture in engine.fetch(None, [ImageId(1)])] == [3]


@pytest.mark.parametrize("coded", [False, True])
def test_scans_wait_for_few_rows_of_a_large_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coded: bool) -> None:
    codebook = train_codebook(clustered(600, seed=6), "IVF4,PQ8x4fs") if coded else None
    engine = opened(tmp_path, codebook, seal_rows=4_096)
    rows = clustered(1_000, seed=1)
    head, sizes = engine._published.head, [0]
    writing = head._latch.writing

    @contextmanager
    def held() -> Iterator[None]:
        with writing():
            yield
            sizes.append(head._scanner.lists.compute_ntotal())

    monkeypatch.setattr(head._latch, "writing", held)
    engine.apply([record(at + 1, rows[at]) for at in range(len(rows))])
    assert sizes[-1] == len(rows)
    assert max(np.diff(sizes)) <= 128
    found = engine.search(rows[:5], SearchOptions(TENANT, 1, effort=10), far())
    assert [int(one.hits.ids[0]) for one in found] == [1, 2, 3, 4, 5]
