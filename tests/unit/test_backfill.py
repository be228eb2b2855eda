"""A backfill is embedded after live ingest, one call at a time and with rests; once its index answers, as any other."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from omma.rpc.deadline import Deadline
from services.egs.client import Embedder, ImageItem, Urgency
from services.indexer.backfill import BackfillEmbedder

INGEST_SECONDS = 100.0


class Noted:
    """An embedder that answers when it is let, and notes what each call was allowed."""

    def __init__(self) -> None:
        self.allowed: list[float] = []
        self.urgencies: set[Urgency] = set()
        self.at_once = 0
        self.most_at_once = 0

    async def embed(self, items: Sequence[Any], deadline: Deadline) -> list[Any]:
        self.allowed.append(deadline.remaining_seconds())
        self.urgencies |= {item.urgency for item in items}
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return list(items)


async def called(held_back: bool) -> Noted:
    noted = Noted()
    embedder = BackfillEmbedder(cast(Embedder, noted), lambda: held_back, share=0.5)
    pictures = [ImageItem(b"%d" % n, urgency=Urgency.INGEST) for n in range(3)]
    answers = await asyncio.gather(*[embedder.embed([one], Deadline.after(INGEST_SECONDS)) for one in pictures])
    assert [one.content for answer in answers for one in answer] == [one.content for one in pictures]
    return noted


async def test_what_is_built_is_embedded_after_live_ingest_and_one_call_at_a_time() -> None:
    noted = await called(True)
    assert noted.most_at_once == 1
    assert all(one > 2 * INGEST_SECONDS for one in noted.allowed), "an embedder takes what is due first first"
    assert noted.urgencies == {Urgency.BACKFILL}


async def test_what_answers_is_embedded_as_anything_else() -> None:
    noted = await called(False)
    assert noted.most_at_once == 3 and all(one <= INGEST_SECONDS for one in noted.allowed)
    assert noted.urgencies == {Urgency.INGEST}
