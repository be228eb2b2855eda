"""The engine against a dictionary: whatever its life, exact answers are those of a brute force."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from omma.errors import InvalidQuery, WrongSpace, WrongState
from omma.filters import parse_filter
from omma.hits import Degraded
from omma.identity import ImageId, Tenant, Version
from omma.records import VectorRecord, deleted_record
from omma.vectors import Float32
from services.nn_shard.engine import Codebook, Engine, SearchOptions, Work
from services.nn_shard.training.fitting import train_codebook
from tests.unit.engine_lives import DIM, INDEX, SETTINGS, SPACE, TENANT, clustered, far, gone, maintain, opened, record

ASKED = (("ann", None, False), ("ann", {"tags": "x"}, True), ("bob", {"owner": "o1"}, False))


@pytest.fixture(scope="module")
def codebook() -> Codebook:
    return train_codebook(clustered(1_500, seed=5), "OPQ8_16,IVF16,PQ8x8")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return opened(tmp_path)


class Model(RuleBasedStateMachine):
    """Random lives of an engine; the model is a dict of what is live."""

    folders: Iterator[Path]
    trained: Codebook

    @initialize(coded=st.booleans())
    def start(self, coded: bool) -> None:
        self.folder = next(self.folders)
        self.codebook = self.trained if coded else None
        self.engine = opened(self.folder, self.codebook)
        self.live: dict[int, VectorRecord] = {}
        self.versions: dict[int, int] = {}

    @rule(
        ids=st.lists(st.integers(1, 60), min_size=1, max_size=30),
        version=st.integers(1, 30),
        regions=st.integers(1, 3),
        tenant=st.sampled_from(["ann", "bob"]),
        seed=st.integers(0, 20),
    )
    def upsert(self, ids: list[int], version: int, regions: int, tenant: str, seed: int) -> None:
        known = {"owner": f"o{seed % 3}", "tags": ("x",) if seed % 2 else (), "width": seed}
        self._apply([record(i, clustered(regions, seed + i % 7), version, tenant, **known) for i in ids])

    @rule(ids=st.lists(st.integers(1, 60), min_size=1, max_size=10), version=st.integers(1, 40))
    def delete(self, ids: list[int], version: int) -> None:
        self._apply([gone(i, version) for i in ids])

    def _apply(self, records: list[VectorRecord]) -> None:
        self.engine.apply(records)
        for one in records:
            if one.version > self.versions.get(one.image_id, 0):
                self.versions[one.image_id] = one.version
                self.live.pop(one.image_id, None)
                if not one.deleted:
                    self.live[one.image_id] = one

    @rule()
    def freeze(self) -> None:
        self.engine.freeze()

    @rule()
    def maintain(self) -> None:
        maintain(self.engine)

    @rule(ids=st.lists(st.integers(1, 60), min_size=1, max_size=10), version=st.integers(1, 40))
    def change_while_a_task_runs(self, ids: list[int], version: int) -> None:
        self.engine.freeze()
        task = self.engine.plan()
        if task is not None:
            task.run()
            self._apply([gone(i, version) for i in ids])
            self.engine.install(task)

    @rule(ids=st.lists(st.integers(1, 60), min_size=1, max_size=10), version=st.integers(1, 40))
    def seal_and_checkpoint_while_a_merge_runs(self, ids: list[int], version: int) -> None:
        merge = self.engine.plan({Work.ENCODE, Work.MERGE})
        if merge is not None:
            merge.run()
            self._apply([gone(i, version) for i in ids])
            self.engine.checkpoint(self.engine.freeze(), {"n": 0})
            self.engine.install(merge)

    @rule()
    def adopt(self) -> None:
        self.codebook = self.trained
        self.engine.adopt_codebook(self.trained)

    @rule()
    def reopen(self) -> None:
        self.engine.checkpoint(self.engine.freeze(), {"n": len(self.versions)})
        self.engine = opened(self.folder, self.codebook)
        assert self.engine.stamp == {"n": len(self.versions)}
        assert not self.engine.dropped_segments

    @invariant()
    def answers_are_a_brute_force_s(self) -> None:
        counts = self.engine.counts()
        assert counts.pictures == len(self.live)
        assert counts.live == sum(len(one.vectors) for one in self.live.values())
        query = clustered(1, seed=3)
        for tenant, filter_, crops in (
            ("ann", None, False),
            ("ann", {"tags": "x"}, True),
            ("bob", {"owner": "o1"}, False),
        ):
            options = SearchOptions(
                Tenant(tenant), 7, filter=parse_filter(filter_), exact=True, use_crops=crops, with_payload=True
            )
            hits = self.engine.search(query, options, far())[0].hits
            wanted = self._brute_force(query, tenant, filter_, crops)[:7]
            assert [score for score, _, _ in wanted] == pytest.approx(hits.scores.tolist(), abs=1e-5)
            assert hits.ids.tolist() == [one for _, one, _ in wanted]
            assert [int(box[2]) - 10 for box in hits.boxes] == [region for _, _, region in wanted]
            assert hits.payloads == tuple(self.live[one].payload for one in hits.ids.tolist())
            assert hits.versions.tolist() == [self.versions[one] for one in hits.ids.tolist()]
        for image_id in (1, 30, 60):
            assert self.engine.version_of(image_id) == self.versions.get(image_id)
        fetched = self.engine.fetch(None, [ImageId(i) for i in (1, 30, 60)])
        assert [one.image_id for one in fetched] == [i for i in (1, 30, 60) if i in self.live]
        assert all(np.array_equal(one.vectors, self.live[one.image_id].vectors) for one in fetched)

    def _brute_force(
        self, query: Float32, tenant: str, filter_: dict[str, str] | None, crops: bool
    ) -> list[tuple[float, int, int]]:
        found = []
        for image_id, one in self.live.items():
            kept = filter_ is None or ("x" in one.payload.tags if "tags" in filter_ else one.payload.owner == "o1")
            if one.tenant == tenant and kept:
                scores = np.minimum((query @ one.vectors[: None if crops else 1].astype(np.float32).T)[0], 1)
                found.append((float(scores.max()), image_id, int(scores.argmax())))
        return sorted(found, key=lambda hit: (-round(hit[0], 5), hit[1]))


def test_any_life_gives_a_brute_forces_answers(codebook: Codebook, tmp_path: Path) -> None:
    Model.trained = codebook
    Model.folders = (tmp_path / str(n) for n in range(1_000_000))
    Model.TestCase.settings = settings(
        max_examples=40, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case = Model.TestCase("runTest")
    case.runTest()


def test_equal_scores_order_by_id_wherever_they_lie(engine: Engine) -> None:
    same = clustered(1, seed=1)
    for ids in (range(300, 200, -1), range(100, 0, -1), range(400, 300, -1)):
        engine.apply([record(i, same) for i in ids])
    found = engine.search(same, SearchOptions(TENANT, 20, exact=True), far())[0].hits
    assert found.ids.tolist() == list(range(1, 21))
    maintain(engine)
    again = engine.search(same, SearchOptions(TENANT, 20, exact=True), far())[0].hits
    assert again.ids.tolist() == found.ids.tolist()
    assert again.scores.tobytes() == found.scores.tobytes()


def test_a_batch_answers_as_single_queries_do(engine: Engine, codebook: Codebook) -> None:
    engine.adopt_codebook(codebook)
    engine.apply([record(i + 1, row) for i, row in enumerate(clustered(500, seed=2))])
    maintain(engine)
    engine.apply([record(i + 1, row) for i, row in enumerate(clustered(20, seed=3), start=500)])
    queries = clustered(9, seed=4)
    batch = engine.search(queries, SearchOptions(TENANT, 10), far())
    for at, hits in enumerate(batch):
        alone = engine.search(queries[at : at + 1], SearchOptions(TENANT, 10), far())[0]
        assert alone.hits.ids.tolist() == hits.hits.ids.tolist()
        assert alone.hits.scores.tobytes() == hits.hits.scores.tobytes()
        assert alone.candidates == hits.candidates


def test_a_hit_carries_its_vector_and_the_excluded_picture_is_left_out(engine: Engine) -> None:
    rows = clustered(50, seed=2)
    engine.apply([record(i + 1, row) for i, row in enumerate(rows)])
    options = SearchOptions(TENANT, 3, with_vectors=True, exclude=(7,))
    hits = engine.search(rows[6:7], options, far())[0].hits
    assert 7 not in hits.ids
    assert len(hits) == 3
    assert hits.vectors is not None
    assert np.array_equal(hits.vectors, rows[hits.ids - 1].astype(np.float16))


def test_past_the_deadline_the_answer_comes_and_says_it_was_cut(tmp_path: Path, codebook: Codebook) -> None:
    now = [0.0]
    engine = Engine.open(
        tmp_path, dim=DIM, space=SPACE, index=INDEX, settings=SETTINGS, codebook=codebook, clock=lambda: now[0]
    )
    rows = clustered(300, seed=2)
    engine.apply([record(i + 1, row) for i, row in enumerate(rows)])
    maintain(engine)
    maintain(engine) if engine.freeze().heads else None
    in_time = engine.search(rows[:1], SearchOptions(TENANT, 5), 1.0)[0]
    assert in_time.degraded == frozenset()
    assert in_time.hits.ids[0] == 1
    now[0] = 2.0
    late = engine.search(rows[:1], SearchOptions(TENANT, 5), 1.0)[0]
    assert late.degraded == {Degraded.RESCORE_CUT}
    assert len(late.hits) == 5


def test_a_search_under_way_does_not_see_later_writes(engine: Engine) -> None:
    engine.apply([record(1, clustered(1, seed=1))])
    view = engine._view
    engine.apply([gone(1, 2), record(2, clustered(1, seed=2))])
    assert [part.live_pictures for part in view.parts] == [1]
    assert view.counts.pictures == 1


def test_no_score_is_above_one(engine: Engine) -> None:
    rows = clustered(200, seed=11)
    engine.apply([record(i + 1, row) for i, row in enumerate(rows)])
    # Rounded to float16, about half of the originals are a little longer than 1.
    found = [answer.hits.scores[0] for answer in engine.search(rows, SearchOptions(tenant=TENANT, k=1), far())]
    assert max(found) == 1.0


def test_versions_are_told_of_a_tenants_own_pictures(engine: Engine) -> None:
    mine, theirs = clustered(2, seed=12)
    engine.apply([record(1, mine, version=3), record(2, theirs, version=4, tenant="bob")])
    assert [engine.version_of(i, TENANT) for i in (1, 2, 3)] == [3, None, None]
    assert engine.version_of(2) == 4


def test_records_that_do_not_belong_change_nothing(engine: Engine) -> None:
    good = record(1, clustered(1, seed=1))
    with pytest.raises(WrongSpace):
        engine.apply([good, deleted_record(ImageId(2), Version(1), TENANT, "other", DIM)])
    with pytest.raises(InvalidQuery):
        engine.apply([good, record(2, clustered(1, seed=1, dim=8))])
    assert engine.counts().live == 0
    with pytest.raises(InvalidQuery):
        engine.search(clustered(1, seed=1, dim=8), SearchOptions(TENANT, 5), far())


@pytest.mark.parametrize(
    ("field", "values"), [("k", {"k": 0}), ("k", {"k": 10**9}), ("effort", {"k": 1, "effort": 11})]
)
def test_options_out_of_bounds_are_refused(field: str, values: dict[str, int]) -> None:
    with pytest.raises(InvalidQuery) as caught:
        SearchOptions(TENANT, **values)
    assert caught.value.field == field


def test_another_codebook_is_refused(engine: Engine, codebook: Codebook) -> None:
    engine.adopt_codebook(codebook)
    engine.adopt_codebook(Codebook.from_bytes(codebook.to_bytes(), codebook.id))
    with pytest.raises(WrongState):
        engine.adopt_codebook(train_codebook(clustered(600, seed=6), "IVF4,PQ8x8"))
    with pytest.raises(WrongSpace):
        engine.adopt_codebook(train_codebook(clustered(600, seed=6, dim=8), "IVF4,PQ8x8"))
