"""What a process of one folder opens it closes again."""

import errno
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from omma.errors import Corrupt, WrongState
from omma.index import Index, IndexId, IndexState
from omma.space import Space, SpaceId
from services.standalone.fleet import Fleet
from services.topology.indexes import ServedIndexes
from tests.waiting import eventually

SPACE = Space(SpaceId("tiny-1-aaaaaaaa"), "tiny@1", "a" * 64, 8)
OTHER = Space(SpaceId("tiny-1-bbbbbbbb"), "tiny@1", "b" * 64, 8)


class Opened:
    """An embedder that tells whether it is open."""

    def __init__(self, space: Space) -> None:
        self.space, self.open = space, True

    async def close(self) -> None:
        assert self.open, "twice"
        self.open = False


def made_of_nothing(stack: AsyncExitStack) -> Fleet:
    settings: Any = SimpleNamespace(indexer=None, pictures=None, egs=None, rollouts=SimpleNamespace(backfill_share=0.5))
    anything: Any = None
    return Fleet(settings, anything, anything, ServedIndexes(), stack)


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
    async with AsyncExitStack() as stack:
        fleet = made_of_nothing(stack)
        for _ in range(3):  # as its look does, every half second
            if made is SPACE:
                assert (await fleet._embedder(SPACE)).space is SPACE
            else:
                with pytest.raises(WrongState, match="Put the model back as it was"):
                    await fleet._embedder(SPACE)
        assert [one.open for one in opened] == ([True] if made is SPACE else [False] * 3)
    assert not any(one.open for one in opened)


@pytest.mark.parametrize(
    "fault", [Corrupt("It is no ONNX model."), OSError(errno.EMFILE, "Too many open files"), ValueError("a bug")]
)
async def test_a_candidate_whose_model_cannot_be_opened_ends_nothing_and_is_tried_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """Each try reads all of it, and a look comes every half second."""
    tries = 0

    def damaged(*_: Any) -> NoReturn:
        nonlocal tries
        tries += 1
        raise fault

    monkeypatch.setattr("services.standalone.fleet.stored_with", damaged)
    candidate = Index(IndexId("tiny-1-aaaaaaaa.2"), SPACE.id, "IVF{nlist},PQ8x4fs", 1, IndexState.BUILDING)
    async with AsyncExitStack() as stack:
        fleet = made_of_nothing(stack)
        fleet._spaces = {SPACE.id: SPACE}

        async def tried_again() -> bool:
            assert not await fleet._start(candidate)
            return tries == 2

        assert not any([await fleet._start(candidate) for _ in range(100)]) and tries == 1
        await eventually(tried_again, 20)
