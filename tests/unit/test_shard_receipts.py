"""Receipts: a search waits for the writes it names, as long as it can afford to."""

import asyncio

import pytest

from omma.identity import ImageId, Receipt, Tenant, Version
from omma.rpc.deadline import Deadline
from services.nn_shard.receipts import ReceiptGate

ANN = Tenant("ann")


def receipt(image_id: int, version: int) -> Receipt:
    return Receipt(ImageId(image_id), Version(version))


class Applied:
    def __init__(self) -> None:
        self.versions: dict[int, int] = {}
        self.gate = ReceiptGate(lambda image_id, _: self.versions.get(image_id), lambda image_id: image_id < 100)

    def apply(self, image_id: int, version: int) -> None:
        self.versions[image_id] = version
        self.gate.applied()


async def test_what_is_applied_already_or_owned_by_another_shard_is_not_waited_for() -> None:
    applied = Applied()
    applied.apply(1, 5)
    assert await applied.gate.wait(ANN, [receipt(1, 4), receipt(1, 5), receipt(100, 9)], Deadline.after(0))


async def test_waits_until_every_receipt_is_applied() -> None:
    applied = Applied()
    waiting = asyncio.create_task(applied.gate.wait(ANN, [receipt(1, 2), receipt(2, 1)], Deadline.after(60)))
    for image_id, version in ((1, 1), (2, 1), (3, 1)):
        await asyncio.sleep(0)
        applied.apply(image_id, version)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    applied.apply(1, 3)
    assert await waiting


async def test_gives_up_while_there_is_time_to_search() -> None:
    deadline = Deadline.after(0.2)
    assert not await Applied().gate.wait(ANN, [receipt(1, 1)], deadline)
    assert deadline.remaining_seconds() == pytest.approx(0.05, abs=0.045)
