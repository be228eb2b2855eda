"""What a process of one folder opens it closes again."""

from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from omma.errors import WrongState
from omma.space import Space, SpaceId
from services.standalone.fleet import Fleet
from services.topology.indexes import ServedIndexes

SPACE = Space(SpaceId("tiny-1-aaaaaaaa"), "tiny@1", "a" * 64, 8)
OTHER = Space(SpaceId("tiny-1-bbbbbbbb"), "tiny@1", "b" * 64, 8)


class Opened:
    """An embedder that tells whether it is open."""

    def __init__(self, space: Space) -> None:
        self.space, self.open = space, True

    async def close(self) -> None:
        assert self.open, "twice"
        self.open = False


@pytest.mark.parametrize("made", [SPACE, OTHER])
async def test_a_model_that_makes_vectors_of_another_space_is_closed_again(
    monkeypatch: pytest.MonkeyPatch, made: Space
) -> None:
    opened: list[Opened] = []

    def open_model(*_: Any, **__: Any) -> Opened:
        opened.append(Opened(made))
        return opened[-1]

    monkeypatch.setattr("services.standalone.fleet.stored_with", lambda *_: None)
    monkeypatch.setattr("services.standalone.fleet.OnnxEmbedder", open_model)
    settings: Any = SimpleNamespace(indexer=None, pictures=None, egs=None, rollouts=SimpleNamespace(backfill_share=0.5))
    anything: Any = None
    async with AsyncExitStack() as stack:
        fleet = Fleet(settings, anything, anything, ServedIndexes(), stack)
        for _ in range(3):  # as its look does, every half second
            if made is SPACE:
                assert (await fleet._embedder(SPACE)).space is SPACE
            else:
                with pytest.raises(WrongState, match="Put the model back as it was"):
                    await fleet._embedder(SPACE)
        assert [one.open for one in opened] == ([True] if made is SPACE else [False] * 3)
    assert not any(one.open for one in opened)
