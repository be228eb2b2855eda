"""Reading pictures and rows of a view without searching it."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from omma.hits import FetchedPicture
from omma.identity import ImageId, Tenant, Version
from omma.records import payload_from_wire
from omma.vectors import Float16, Int64
from services.nn_shard.engine.columns import payload_of
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.view import View

_SAMPLED_AT_ONCE: Final = 16_384
"""8 MB at 256 dimensions."""


def fetch(view: View, tenant: Tenant | None, ids: Int64) -> list[FetchedPicture]:
    """Live pictures by id, in the order asked; absent ones are left out, and other tenants' unless tenant is None."""
    fetched = []
    heads = (*view.frozen, view.head)
    for found in view.find(ids):
        if found is None:
            continue
        part, at = found
        columns, store = part.columns, part.store
        owner = store.tenants[int(columns.tenants[at])]
        if tenant is not None and owner != tenant:
            continue
        rows = columns.rows_of(at)
        fetched.append(
            FetchedPicture(
                image_id=ImageId(int(columns.ids[at])),
                version=Version(int(columns.versions[at])),
                tenant=Tenant(owner),
                vectors=store.vectors(rows),
                boxes=columns.boxes[rows],
                phash=int(columns.phashes[at]) if columns.hashed[at] else None,
                payload=payload_from_wire(payload_of(store.payload, at)),
                segment="" if part in heads else store.name,
                signature=store.signature(at),
            )
        )
    return fetched


def version_of(view: View, image_id: int, tenant: Tenant | None) -> int | None:
    """The newest version known of the picture, deletes too; None when it was never seen or is another tenant's."""
    ids = np.array([image_id], np.int64)
    (found,) = view.find(ids)
    if found is not None and tenant is not None:
        part, at = found
        if part.store.tenants[int(part.columns.tenants[at])] != tenant:
            return None
    version = int(view.newest(ids)[0])
    return None if version < 0 else version


def pictures(view: View) -> tuple[Int64, Int64]:
    """Ids and versions, int64[n] each, of the live pictures of every part; one that two parts hold comes twice."""
    live = [part.pictures_live(np.arange(len(part.columns.ids))) for part in view.parts]
    held = list(zip(view.parts, live, strict=True))
    if not held:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    ids = np.concatenate([part.columns.ids[mask] for part, mask in held])
    return ids, np.concatenate([part.columns.versions[mask] for part, mask in held])


def sample(parts: Sequence[Part], rows: int, seed: int) -> Iterator[Float16]:
    """At most `rows` live originals, drawn at random without replacement: float16[n, dim], some thousands at a time."""
    live = [np.flatnonzero(part.live_mask()) for part in parts]
    total = sum(len(of_part) for of_part in live)
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:rows])
    first = 0
    for part, of_part in zip(parts, live, strict=True):
        begin, end = np.searchsorted(chosen, [first, first + len(of_part)]).tolist()
        for at in range(begin, end, _SAMPLED_AT_ONCE):
            yield part.store.vectors(of_part[chosen[at : min(at + _SAMPLED_AT_ONCE, end)] - first])
        first += len(of_part)
