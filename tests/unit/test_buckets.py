"""A picture's place is arithmetic, and the same everywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.buckets import ROW_BUCKETS, bucket_classes, bucket_of, buckets_of_shard, mix, row_bucket_of, shard_of
from omma.errors import InvalidQuery

IDS = st.integers(1, 2**63 - 1)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, int]:
    """(shards, buckets) with shards <= buckets."""
    buckets = draw(st.integers(1, 4096))
    return draw(st.integers(1, min(buckets, 300))), buckets


@pytest.mark.parametrize(("image_id", "bucket"), [(1, 229), (2, 138), (123, 196)])
def test_the_contracts_ids_lie_in_the_contracts_buckets(image_id: int, bucket: int) -> None:
    assert bucket_of(image_id, 256) == bucket


@given(layouts())
def test_the_shards_partition_the_buckets(layout: tuple[int, int]) -> None:
    shards, buckets = layout
    owned = [bucket for shard in range(shards) for bucket in buckets_of_shard(shard, shards, buckets)]
    assert owned == list(range(buckets))


@given(layouts())
def test_no_shard_owns_two_buckets_more_than_another(layout: tuple[int, int]) -> None:
    shards, buckets = layout
    sizes = {len(buckets_of_shard(shard, shards, buckets)) for shard in range(shards)}
    assert max(sizes) - min(sizes) <= 1


@given(IDS, layouts())
def test_the_shard_of_a_picture_owns_its_bucket(image_id: int, layout: tuple[int, int]) -> None:
    shards, buckets = layout
    assert bucket_of(image_id, buckets) in buckets_of_shard(shard_of(image_id, shards, buckets), shards, buckets)


@given(st.sets(IDS, min_size=2, max_size=50))
def test_mix_is_injective_on_64_bits(ids: set[int]) -> None:
    mixed = {mix(image_id) for image_id in ids}
    assert len(mixed) == len(ids)
    assert all(0 <= one < 2**64 for one in mixed)


def test_successive_ids_spread_over_the_buckets() -> None:
    counts = [0] * 256
    for image_id in range(1, 25_601):
        counts[bucket_of(image_id, 256)] += 1
    assert min(counts) > 60
    assert max(counts) < 145


@pytest.mark.parametrize(("shard", "shards", "buckets"), [(-1, 2, 4), (2, 2, 4), (0, 0, 4), (0, 5, 4)])
def test_an_impossible_layout_is_refused(shard: int, shards: int, buckets: int) -> None:
    with pytest.raises(InvalidQuery) as raised:
        buckets_of_shard(shard, shards, buckets)
    assert raised.value.field == "shards"


@pytest.mark.parametrize("buckets", [1, 3, 8, 100, 256, 512, 1_000])
def test_a_class_holds_the_same_ids_by_either_bucket(buckets: int) -> None:
    of_space, of_rows = {}, {}
    for number, (space, rows) in enumerate(bucket_classes(buckets)):
        of_space |= dict.fromkeys(space, number)
        of_rows |= dict.fromkeys(rows, number)
    assert (sorted(of_space), sorted(of_rows)) == (list(range(buckets)), list(range(ROW_BUCKETS)))
    assert all(of_space[bucket_of(i, buckets)] == of_rows[row_bucket_of(i)] for i in range(1, 2_000))
