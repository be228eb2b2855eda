"""Average linkage: as scipy's, on any vectors; each picture in one cluster, with a name that fits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from omma.clustering import average_linkage
from omma.hits import FetchedPicture, Payload
from omma.identity import ImageId, Tenant, Version
from omma.known_words import KnownWords
from omma.vectors import Float32, Int64, normalise
from services.worker.curation.clusters import clusters_of


def cloud(seed: int, count: int, spread: float, dim: int = 12) -> Float32:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(5, dim))
    return normalise((centres[rng.integers(0, 5, count)] + spread * rng.normal(size=(count, dim))).astype(np.float32))


def parts(of_row: Int64) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(of_row == one).tolist()) for one in set(of_row.tolist())}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 150), st.floats(0.05, 2.0), st.floats(-0.9, 0.95))
def test_it_is_average_linkage(seed: int, count: int, spread: float, threshold: float) -> None:
    vectors = cloud(seed, count, spread)
    exact = vectors.astype(np.float64)
    distances = 1 - (exact @ exact.T)[np.triu_indices(count, 1)]
    tree = linkage(distances, "average")
    near_the_cut = np.abs(tree[:, 2] - (1 - threshold)).min() < 1e-4
    if not near_the_cut:
        assert parts(average_linkage(vectors, threshold)) == parts(fcluster(tree, 1 - threshold, "distance"))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 200))
def test_it_ends_on_copies_and_ties(seed: int, count: int) -> None:
    """Few different vectors, many times each: every distance is a tie."""
    rng = np.random.default_rng(seed)
    corners = normalise(rng.choice([-1.0, 1.0], size=(4, 3)).astype(np.float32))
    which = rng.integers(0, 4, count)
    found = average_linkage(corners[which], 0.999)
    same = corners[which] @ corners[which].T > 0.999
    assert np.array_equal(found[:, None] == found, same)
    assert len(found) == 0 or found[0] == 0


def picture(id: int, vector: Float32, *tags: str) -> FetchedPicture:
    return FetchedPicture(
        ImageId(id),
        Version(1),
        Tenant("ann"),
        vector[None].astype(np.float16),
        np.zeros((1, 4), np.int32),
        None,
        Payload(tags=tags),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.floats(-0.5, 0.9))
def test_every_picture_is_in_one_cluster(seed: int, count: int, threshold: float) -> None:
    pictures = [picture(id, vector) for id, vector in enumerate(cloud(seed, count, 0.8), 1)]
    clusters = clusters_of(pictures, threshold, KnownWords.none(12))
    assert sorted(id for one in clusters for id in one.ids) == list(range(1, count + 1))
    assert [len(one.ids) for one in clusters] == sorted((len(one.ids) for one in clusters), reverse=True)


@pytest.mark.parametrize(
    ("tags", "label"),
    [
        ([("lamp", "photo"), ("lamp", "photo"), ("photo",)], "lamp"),
        ([("photo",), ("photo",), ("lamp",)], "photo"),
        ([("red",), ("blue",), ("green",)], ""),
        ([(), (), ()], ""),
    ],
)
def test_a_cluster_is_named_by_the_tag_that_tells_it_from_the_others(tags: list[tuple[str, ...]], label: str) -> None:
    one, other = np.eye(2, 4, dtype=np.float32)
    near = [picture(id, one, *said) for id, said in enumerate(tags, 1)]
    far = [picture(id, other, "photo") for id in range(10, 12)]
    first, second = clusters_of(near + far, 0.5, KnownWords.none(4))
    assert (first.ids, first.label) == ((1, 2, 3), label)
    assert second.document() == {"ids": [10, 11], "representative": 10, "label": "photo"}


def test_a_cluster_without_such_a_tag_is_named_by_the_word_it_lies_unusually_near_to() -> None:
    known = np.eye(64, dtype=np.float32)
    words = KnownWords(tuple(f"word {number}" for number in range(60)), known)
    tagged = [picture(id, known[3], "lamp") for id in range(1, 5)]
    untagged = [picture(id, normalise(known[7] + 0.1 * known[id]), f"only {id}") for id in range(10, 13)]
    unlike = [picture(20, normalise(np.ones(64, np.float32)))]
    no_word = [picture(id, known[62]) for id in range(30, 32)]
    opposite = [picture(40, known[50]), picture(41, -known[50])]
    labels = {one.ids[0]: one.label for one in clusters_of(tagged + untagged + unlike + no_word, 0.5, words)}
    assert labels == {1: "lamp", 10: "word 7", 30: "", 20: ""}
    assert [one.label for one in clusters_of(opposite, -1.0, words)] == [""]
