"""Which live pictures a candidate lacks: rows against what its replicas hold, bucket by bucket by digest."""

from collections.abc import Mapping

from omma.catalog.interface import Catalog
from omma.catalog.picture import PictureState
from omma.identity import ImageId
from services.topology.indexes import PlacedIndex
from services.worker.truth.compare import Row
from services.worker.truth.replicas import ReplicaViews
from services.worker.truth.rows import Go, goes

_FILLED_AT_ONCE = 5_000


async def lacking(catalog: Catalog, placed: PlacedIndex) -> tuple[int, dict[int, int]]:
    """How many pictures of its space live, and the versions, by id, of those that some replica has no vector of and
    that did not die in it. Vectors that were given for another space are none of its. A picture that was uploaded a
    moment ago is among them: whoever asks twice tells those apart.

    Raises what the catalog raises. A replica that does not answer lacks everything.
    """
    while await catalog.fill_buckets(_FILLED_AT_ONCE) == _FILLED_AT_ONCE:
        pass
    counts = await catalog.counts()
    expected = sum(counts[state] for state in PictureState)
    space, live, found = placed.space, 0, dict[int, int]()
    views = ReplicaViews(placed)
    async for go in goes(catalog, space, 0, expected):
        living = {bucket: _living(rows) for bucket, rows in go.rows.items()}
        live += sum(map(len, living.values()))
        missed = await _missed(living, space.buckets, views)
        dead = await catalog.dead_in(space.id, [ImageId(one) for one in missed])
        found |= {one: version for one, version in missed.items() if dead.get(ImageId(one)) != version}
        if views.left_out:
            found |= {one: row.version for rows in living.values() for one, row in rows.items()}
    return live, found


def _living(rows: Mapping[int, Row]) -> dict[int, Row]:
    return {image_id: row for image_id, row in rows.items() if row.state is not PictureState.DELETED}


async def _missed(living: Mapping[int, Mapping[int, Row]], buckets: int, views: ReplicaViews) -> dict[int, int]:
    wanted = Go({bucket: _indexed(rows) for bucket, rows in living.items()}, 0).digests(buckets)
    differing = set[int]()
    for digests in (await views.digests()).values():
        for at, bucket in enumerate(digests.buckets):
            held = (digests.pictures[at], digests.sums[at])
            if bucket in living and held != (wanted.pictures[bucket], wanted.sums[bucket]):
                differing.add(bucket)
    missed: dict[int, int] = {}
    for bucket in sorted(differing):
        for held_by_one in await views.held(bucket):
            versions = dict(zip(held_by_one.ids.tolist(), held_by_one.versions.tolist(), strict=True))
            missed |= {one: row.version for one, row in living[bucket].items() if versions.get(one) != row.version}
    return missed


def _indexed(rows: Mapping[int, Row]) -> dict[int, Row]:
    """Digests are of indexed rows; of another space every living one should be."""
    return {image_id: Row(row.version, PictureState.INDEXED) for image_id, row in rows.items()}
