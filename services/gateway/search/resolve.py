"""The things to look for become one vector of the index's space."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from omma.blobs.originals import Originals
from omma.errors import Absent, InvalidQuery, NoTextTower, TooLarge
from omma.identity import ImageId, Sha256, Tenant
from omma.rpc.deadline import Deadline
from omma.space import Space, require_same_space
from omma.telemetry.traces import span
from omma.together import together
from omma.vectors import Float32, normalise
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.gateway.callers.viewing import viewer
from services.gateway.pictures.original import no_original, read_original
from services.gateway.search.fanout import Fanout
from services.gateway.search.kept.embeddings import KeptEmbeddings
from services.gateway.search.query import (
    Region,
    Sought,
    SoughtPicture,
    SoughtStored,
    SoughtUrl,
    SoughtVector,
    SoughtWords,
)
from services.gateway.search.urls import PictureFetcher
from services.nn_shard.client import FetchedPicture
from services.topology.indexes import ServedIndex

_LOOK_AGAIN_SECONDS: Final = 0.02
_SEARCH_SHARE: Final = 0.25
"""Of the remaining time, kept for the search itself while a picture is awaited."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """vector: float32[dim], normalised. phash: of the first picture among the sought, None without one.

    stored_ids: pictures that the query itself consists of; they are left out of its answer.
    text_confidence: 0 … 1, how far the model trusts itself on the words, the least of them; None without words.
    nothing_understood: there are only words, and none of them says anything to the model: the vector means nothing.
    """

    vector: Float32
    phash: int | None
    stored_ids: tuple[ImageId, ...]
    text_confidence: float | None = None
    nothing_understood: bool = False


@dataclass(frozen=True, slots=True)
class Within:
    """Where and until when the sought is resolved. awaited: stored pictures that may still be on their way, since the
    query carries a receipt of theirs.
    """

    served: ServedIndex
    tenant: Tenant
    deadline: Deadline
    awaited: frozenset[ImageId] = frozenset()


@dataclass(frozen=True, slots=True)
class _Part:
    vector: Float32
    phash: int | None = None
    text_confidence: float | None = None


class Resolver:
    """Embeds what has to be embedded in one call, fetches what a shard holds already, and mixes by weight."""

    def __init__(
        self,
        fanout: Fanout,
        originals: Originals,
        urls: PictureFetcher,
        *,
        max_text_characters: int,
        max_picture_bytes: int,
        kept: KeptEmbeddings,
    ) -> None:
        """kept: of earlier searches."""
        self._kept = kept
        self._fanout = fanout
        self._originals = originals
        self._urls = urls
        self._max_picture_bytes = max_picture_bytes
        self._max_text_characters = max_text_characters

    async def resolve(self, sought: Sequence[Sought], within: Within) -> Resolved:
        """Raises InvalidQuery, TooLarge, InvalidPicture, UnsupportedMedia, NoTextTower, WrongSpace, Absent, OutOfTime,
        ReplicaDown (the shard that holds a stored picture), Overloaded.
        """
        if all(isinstance(one, SoughtVector) for one in sought):
            known = [_Part(_checked_vector(one, within.served)) for one in sought if isinstance(one, SoughtVector)]
        else:
            async with within.deadline.ends("Reading what is sought"):
                known = await self._read(sought, within)
        meaningless = [part.text_confidence == 0 for part in known]
        return Resolved(
            vector=_mixed(known, _weights(sought, meaningless), _weight_field(sought)),
            phash=next((part.phash for part in known if part.phash is not None), None),
            stored_ids=tuple(one.image_id for one in sought if isinstance(one, SoughtStored)),
            text_confidence=min(
                (part.text_confidence for part in known if part.text_confidence is not None), default=None
            ),
            nothing_understood=all(meaningless),
        )

    async def _read(self, sought: Sequence[Sought], within: Within) -> list[_Part]:
        parts = await together(self._without_model(one, within) for one in sought)
        items = [part for part in parts if not isinstance(part, _Part)]
        embedded = iter(await self._embed(items, within))
        return [part if isinstance(part, _Part) else _embedded_part(next(embedded)) for part in parts]

    async def _without_model(self, one: Sought, within: Within) -> _Part | ImageItem | TextItem:
        match one:
            case SoughtPicture():
                return _image_item(one.content, one.region)
            case SoughtUrl():
                with span("fetch_url"):
                    return _image_item(await self._urls.fetch(one.url, within.deadline), one.region)
            case SoughtWords():
                return self._text_item(one.text, within.served)
            case SoughtVector():
                return _Part(_checked_vector(one, within.served))
            case SoughtStored():
                return await self._stored(one, within)

    def _text_item(self, text: str, served: ServedIndex) -> TextItem:
        if not text.strip():
            raise InvalidQuery("The text is empty.", field="text")
        limit = self._max_text_characters
        if len(text) > limit:
            raise TooLarge(f"A text has at most {limit} characters, not {len(text)}.", field="text", limit=limit)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InvalidQuery("The text is not Unicode: it holds half of a surrogate pair.", field="text")
        if not served.embedder.has_text_tower:
            raise NoTextTower(_no_words(served.space), field="text")
        return TextItem(text)

    async def _stored(self, one: SoughtStored, within: Within) -> _Part | ImageItem:
        with span("fetch"):
            found = await self._fetched(one.image_id, within)
        if found is None or not viewer().sees(found.payload.owner, private=found.payload.private):
            raise Absent(f"There is no picture {one.image_id} in this index.", field="image_id")
        if one.region is not None:
            if found.payload.is_given:
                raise no_original(one.image_id, within.served.space.id, field="image_id")
            with span("read_original"):
                at, sha256 = found.payload.uri, Sha256(found.payload.sha256)
                content = await read_original(
                    self._originals, one.image_id, at, sha256, max_bytes=self._max_picture_bytes, field="image_id"
                )
            return _image_item(content, one.region)
        return _Part(found.vectors[0].astype(np.float32), found.phash)

    async def _fetched(self, image_id: ImageId, within: Within) -> FetchedPicture | None:
        deadline = within.deadline
        kept_for_search = deadline.remaining_seconds() * _SEARCH_SHARE
        while True:
            found = (await self._fanout.fetch(within.served, within.tenant, [image_id], deadline)).get(image_id)
            on_its_way = image_id in within.awaited and deadline.remaining_seconds() > kept_for_search
            if found is not None or not on_its_way:
                return found
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _embed(self, items: Sequence[ImageItem | TextItem], within: Within) -> list[EmbeddedItem]:
        if not items:
            return []
        embedder = within.served.embedder
        require_same_space(within.served.space.id, embedder.space.id)
        known = self._kept.known(within.tenant, embedder.space.id, items)
        missing = [at for at, one in enumerate(known.embedded) if one is None]
        answers = await embedder.embed([items[at] for at in missing], within.deadline) if missing else []
        embedded = list(known.embedded)
        for at, answer in zip(missing, answers, strict=True):
            if isinstance(answer, Exception):
                raise answer
            known.learn(at, answer)
            embedded[at] = answer
        return [one for one in embedded if one is not None]


def _no_words(space: Space) -> str:
    if not space.model:
        return f"Space {space.id} has no model: search it with a vector, or with a picture's id."
    return f"Model {space.model!r} knows no words: search with a picture."


def _image_item(content: bytes, region: Region | None) -> ImageItem:
    if not content:
        raise InvalidQuery("The image is empty.", field="image")
    if region is None:
        return ImageItem(content)
    if region.fraction:
        return ImageItem(content, fractions=(region.corners,))
    return ImageItem(content, boxes=np.array([region.pixels()], np.int32))


def _embedded_part(item: EmbeddedItem) -> _Part:
    if item.phash is not None:
        return _Part(item.vectors[0], item.phash)
    return _Part(item.vectors[0], text_confidence=item.confidence)


def _checked_vector(one: SoughtVector, served: ServedIndex) -> Float32:
    if one.space:
        require_same_space(served.space.id, one.space)
    elif served.space.model:  # an index without a model was named: whose vector it is needs no other word
        raise InvalidQuery(f"Say which space the vector belongs to; here it is {served.space.id!r}.", field="space")
    if one.values.shape != (served.space.dim,):
        raise InvalidQuery(
            f"The vector has {one.values.size} numbers and must have {served.space.dim}.",
            field="vector",
            limit=served.space.dim,
        )
    return normalise(one.values)


def _weights(sought: Sequence[Sought], meaningless: Sequence[bool]) -> list[float]:
    """Words that say nothing count for nothing beside what says something."""
    everything = all(meaningless)
    return [one.weight if everything or not less else 0.0 for one, less in zip(sought, meaningless, strict=True)]


def _weight_field(sought: Sequence[Sought]) -> str:
    """Of the first weight that somebody chose, as they called it."""
    return next((one for one in sought if one.weight != 1.0), sought[0]).weight_field


def _mixed(parts: Sequence[_Part], weights: Sequence[float], field: str) -> Float32:
    """field: of the weights, for an error."""
    if list(weights) == [1.0]:
        return normalise(parts[0].vector)
    total = np.sum(
        [weight * part.vector.astype(np.float64) for part, weight in zip(parts, weights, strict=True)], axis=0
    )
    if np.linalg.norm(total) < 1e-6:
        raise InvalidQuery("The weighted sum of what is sought is zero: change the weights.", field=field)
    return normalise(total)
