"""The words that pictures are told by: embedded once a space, beside searches, and told with the tags of neighbours."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from omma.background import running
from omma.blobs.originals import Originals
from omma.errors import Overloaded
from omma.keywords import Teller
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.gateway.search.query import SearchQuery, SoughtPicture, SoughtWords
from services.gateway.search.vocabulary import Vocabulary
from services.topology.indexes import ServedIndex
from tests.unit.search_world import ANN, SeedEmbedder, World
from tests.waiting import eventually

WORDS = [str(seed) for seed in range(1_000, 1_200)]


@asynccontextmanager
async def told_by(originals: Originals, vocabulary: Vocabulary) -> AsyncIterator[World]:
    async with running(vocabulary.run):
        yield World(originals, vocabulary=vocabulary)


async def ready(served: ServedIndex, vocabulary: Vocabulary) -> None:
    await eventually(lambda: vocabulary.known(served) is not None, 10)


async def test_a_picture_is_told_by_the_text_tower_once_its_words_are_there(originals: Originals) -> None:
    vocabulary = Vocabulary(common=WORDS)
    async with told_by(originals, vocabulary) as world:
        picture = SearchQuery(sought=(SoughtPicture(b"1007"),))
        answer = await world.core.search(ANN, picture)
        world.core.keywords(answer, 5)
        await ready(world.indexes.live(), vocabulary)
        (first, *_) = world.core.keywords(answer, 5)
        assert (first.word, first.tellers) == ("1007", (Teller.WORDS,)) and first.confidence > 0.2
        words = await world.core.search(ANN, SearchQuery(sought=(SoughtWords("1007"),)))
        assert world.core.keywords(words, 5) == [], "what was said is not said again"
        asked = [item for call in world.embedder.calls for item in call if isinstance(item, TextItem)]
        assert len(asked) == len(WORDS) + 1, "each once, and the query"


async def test_a_model_without_words_tells_none(originals: Originals) -> None:
    vocabulary = Vocabulary(common=WORDS)
    async with told_by(originals, vocabulary) as world:
        world.embedder.has_text_tower = False
        answer = await world.core.search(ANN, SearchQuery(sought=(SoughtPicture(b"1007"),)))
        assert world.core.keywords(answer, 5) == [] and vocabulary.known(world.indexes.live()) is None
        assert not any(isinstance(item, TextItem) for call in world.embedder.calls for item in call)


class Busy(SeedEmbedder):
    """Refuses the first call."""

    async def embed(self, items: Sequence[ImageItem | TextItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        if not self.calls:
            self.calls.append(items)
            raise Overloaded("Too many wait.")
        return await super().embed(items, deadline)


async def test_what_failed_is_asked_for_again(originals: Originals) -> None:
    vocabulary = Vocabulary(common=WORDS, pause_seconds=0)
    async with told_by(originals, vocabulary) as world:
        served = replace(world.indexes.live(), embedder=Busy())
        await ready(served, vocabulary)
        assert (await vocabulary.embedded(served)).words == tuple(WORDS)
        own = await vocabulary.embedded(served, ["5", "5", "6"])
        assert own.words == ("5", "6") and own.vectors.shape == (2 + len(WORDS), served.space.dim)
