"""What every catalog keeps of pairs that people judged."""

import pytest

from omma.catalog.interface import Catalog
from omma.errors import Absent
from omma.identity import ImageId
from tests.contract.catalogs import ANN, BOB, new, one


async def test_verdicts_are_kept_in_their_order_the_lower_id_first(catalog: Catalog) -> None:
    lamp, chair, door = [(await one(catalog, new(name))).id for name in ("lamp", "chair", "door")]
    await catalog.judge_pairs(ANN, [(chair, lamp), (lamp, door)], same=True, given_by="ann's key")
    await catalog.judge_pairs(ANN, [(lamp, chair)], same=False, given_by="")
    kept = await catalog.pair_verdicts(0, 10)
    assert [(said.first, said.second, said.same) for said in kept] == [
        (lamp, chair, True),
        (lamp, door, True),
        (lamp, chair, False),
    ]
    assert kept == sorted(kept, key=lambda said: said.id)
    assert await catalog.pair_verdicts(kept[0].id, 1) == kept[1:2]


async def test_nothing_is_said_when_one_picture_is_not_there(catalog: Catalog) -> None:
    lamp, chair = [(await one(catalog, new(name))).id for name in ("lamp", "chair")]
    await catalog.delete(ANN, [chair])
    for tenant, pairs in ((BOB, [(lamp, chair)]), (ANN, [(lamp, chair)]), (ANN, [(lamp, ImageId(chair + 9))])):
        with pytest.raises(Absent) as raised:
            await catalog.judge_pairs(tenant, pairs, same=True, given_by="")
        assert raised.value.field == "ids"
    assert await catalog.pair_verdicts(0, 10) == []
