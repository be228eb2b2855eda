"""An order to erase that fails is begun anew by who asks next, and ends nothing else of the shard."""

import asyncio
from collections.abc import Sequence

import pytest

from omma.errors import ReplicaDown
from omma.identity import ImageId
from services.nn_shard.erasing import Erasing
from tests.waiting import eventually


@pytest.mark.parametrize("fault", [ReplicaDown("Nobody listens."), RuntimeError("AccessDenied, as boto3 has it")])
async def test_whatever_an_erase_fails_of_the_next_who_asks_begins_it_anew(fault: Exception) -> None:
    tries = 0

    async def erase(_: Sequence[ImageId]) -> bool:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise fault
        return True

    erasing = Erasing(erase)
    running = asyncio.create_task(erasing.run())
    await eventually(lambda: erasing.done("order", [ImageId(1)]), 10)
    assert tries == 2 and not running.done()
    running.cancel()
    await asyncio.wait({running})
