"""Pictures in clusters, each with the one that stands for it and a name from its tags, or from the model's words."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from omma.blobs.interface import Blobs
from omma.catalog.interface import Catalog
from omma.clustering import average_linkage
from omma.errors import Absent
from omma.filters import parse_filter
from omma.hits import FetchedPicture
from omma.identity import ImageId, Tenant
from omma.job_kinds import ClusterParameters
from omma.keywords import likely_words
from omma.known_words import KnownWords, words_of_space_key
from omma.rpc.deadline import Deadline
from omma.vectors import Float32, Int64, normalise
from omma.viewing import Viewer, visible
from services.topology.indexes import PlacedIndex
from services.topology.stored import stored_pictures
from services.worker.jobs.progress import Progress

_PAGE: Final = 1_000
_FETCH_SECONDS: Final = 30.0
_NAMING_SHARE: Final = 0.5
"""Of a cluster's pictures that have the tag which names it."""
_NAMING_CONFIDENCE: Final = 0.5
"""Of the word that names a cluster without such a tag."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """ids: nearest to the middle first. label: "" where neither a tag nor a word says what they have in common."""

    ids: tuple[int, ...]
    label: str

    def document(self) -> dict[str, Any]:
        made = {"ids": list(self.ids), "representative": self.ids[0]}
        return {**made, "label": self.label} if self.label else made


class Clusterer:
    """Of the live index. Reads the catalog, the blobs and the shards; changes nothing."""

    def __init__(self, catalog: Catalog, blobs: Blobs, live: Callable[[], PlacedIndex]) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._live = live

    async def cluster(self, tenant: Tenant, asked: ClusterParameters, progress: Progress) -> dict[str, Any]:
        """`clusters`, the largest first, and `not_found`: how many pictures the index does not hold.

        Raises ReplicaDown, Overloaded. The arithmetic takes a thread for as long as average_linkage says.
        """
        placed = self._live()
        words = await self._words(placed.space.id, placed.space.dim)
        ids = await self._ids(tenant, asked)
        found: list[FetchedPicture] = []
        asks = Viewer(asked.visible_to or "", sees_all=asked.visible_to is None)
        for start in range(0, len(ids), _PAGE):
            part = ids[start : start + _PAGE]
            stored = await stored_pictures(placed, tenant, part, Deadline.after(_FETCH_SECONDS))
            found += [one for one in stored if asks.sees(one.payload.owner, private=one.payload.private)]
            progress.counts["pictures"] = len(found)
        clusters = await asyncio.to_thread(clusters_of, found, asked.threshold, words)
        return {"clusters": [one.document() for one in clusters], "not_found": len(ids) - len(found)}

    async def _words(self, space: str, dim: int) -> KnownWords:
        """None where the model knows none, or nobody embedded them."""
        try:
            return KnownWords.decode(await self._blobs.get(words_of_space_key(space)))
        except Absent:
            return KnownWords.none(dim)

    async def _ids(self, tenant: Tenant, asked: ClusterParameters) -> list[ImageId]:
        if asked.image_ids:
            return [ImageId(id) for id in dict.fromkeys(asked.image_ids)][: asked.limit]
        filter = visible(parse_filter(asked.filter or None), asked.visible_to)
        ids: list[ImageId] = []
        cursor: str | None = None
        while len(ids) < asked.limit:
            wanted = min(_PAGE, asked.limit - len(ids))
            page = await self._catalog.list_pictures(tenant, filter, cursor, wanted)
            ids += [one.id for one in page.pictures]
            cursor = page.cursor
            if cursor is None:
                break
        return ids


def clusters_of(pictures: Sequence[FetchedPicture], threshold: float, words: KnownWords) -> list[Cluster]:
    """Each picture in one cluster, the largest first, then by their lowest ids. Pure."""
    if not pictures:
        return []
    vectors = normalise(np.stack([one.vectors[0] for one in pictures]).astype(np.float32))
    of_row = average_linkage(vectors, threshold)
    order = np.argsort(of_row, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(of_row[order])) + 1)
    tags = [one.payload.tags for one in pictures]
    everywhere = Counter(tag for some in tags for tag in set(some))
    ids = np.array([one.image_id for one in pictures], np.int64)
    made = []
    for rows in members:
        label = _label([tags[row] for row in rows], everywhere) or _word(vectors[rows], words)
        made.append(Cluster(tuple(ids[_from_the_middle(rows, vectors, ids)].tolist()), label))
    return sorted(made, key=lambda one: (-len(one.ids), min(one.ids)))


def _from_the_middle(rows: Int64, vectors: Float32, ids: Int64) -> Int64:
    scores = vectors[rows] @ vectors[rows].mean(axis=0)
    return rows[np.lexsort((ids[rows], -scores))]


def _label(tags: Sequence[Sequence[str]], everywhere: Mapping[str, int]) -> str:
    """The tag of at least half of them that is rarest elsewhere; of several, the one that more of them have."""
    here = Counter(tag for some in tags for tag in set(some))
    naming = [tag for tag, count in here.items() if count >= _NAMING_SHARE * len(tags)]
    return min(naming, key=lambda tag: (-here[tag] / everywhere[tag], -here[tag], tag), default="")


def _word(vectors: Float32, words: KnownWords) -> str:
    """The word that their middle lies unusually near to, if that is sure enough."""
    sure = likely_words(vectors.mean(axis=0), words.words, words.vectors)
    word = max(sure, key=lambda one: (sure[one], one), default="")
    return word if sure.get(word, 0.0) >= _NAMING_CONFIDENCE else ""
