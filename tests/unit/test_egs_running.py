"""A tower that is loaded by its first job."""

import asyncio
import threading

import numpy as np
import pytest

from omma.errors import ReplicaDown
from omma.rpc.deadline import Deadline
from omma.vectors import Float32
from services.egs.client import Urgency
from services.egs.running import OpenedOnUse

SOON = Deadline.after(86_400)


class Loaded:
    def __init__(self) -> None:
        self.closed = False

    async def run(self, job: int, deadline: Deadline, urgency: Urgency = Urgency.SEARCH) -> Float32:
        return np.full((1, 1), job, np.float32)

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        self.closed = True


async def test_a_closed_tower_is_not_loaded_any_more() -> None:
    loaded: list[Loaded] = []

    def load() -> Loaded:
        loaded.append(Loaded())
        return loaded[-1]

    tower = OpenedOnUse(load)
    assert await tower.ready()
    await tower.close()
    with pytest.raises(ReplicaDown, match="closed"):
        await tower.run(7, SOON)
    assert loaded == [] and not await tower.ready()


async def test_closing_waits_for_a_load_and_closes_what_it_made() -> None:
    may, made = threading.Event(), Loaded()

    def load() -> Loaded:
        assert may.wait(20)
        return made

    tower = OpenedOnUse(load)
    job = asyncio.create_task(tower.run(7, SOON))
    await asyncio.sleep(0)
    closing = asyncio.create_task(tower.close())
    may.set()
    assert (await job).item() == 7
    await closing
    assert made.closed
    with pytest.raises(ReplicaDown):
        await tower.run(7, SOON)
